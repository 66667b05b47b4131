//! `memory`: limits, swap, usage, OOM kills.

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::flat;
use crate::limits::MemoryLimits;
use crate::stats::MemoryStats;

const MAX: &str = "memory.max";
const SWAP: &str = "memory.swap.max";
const LOW: &str = "memory.low";
const NO_SWAP: &str = "use a kernel with CONFIG_SWAP, or set no swap limit";

/// v2 limits swap alone, so a limit on both together becomes the difference.
pub(super) fn write(dir: &Dir, memory: &MemoryLimits) -> Result<()> {
    if let Some(limit) = memory.limit_bytes {
        dir.write(MAX, &text(limit))?;
    }
    if let Some(both) = memory.swap_bytes {
        let swap = if both == -1 { -1 } else { swap_alone(dir, memory, both)? };
        dir.write_known("memory", SWAP, &text(swap), NO_SWAP)?;
    }
    if let Some(low) = memory.reservation_bytes {
        dir.write(LOW, &text(low))?;
    }
    Ok(())
}

fn swap_alone(dir: &Dir, memory: &MemoryLimits, both: i64) -> Result<i64> {
    let limit = match memory.limit_bytes {
        Some(limit) => Some(limit),
        None => dir.number_or_max(MAX)?.flatten().and_then(|n| i64::try_from(n).ok()),
    };
    match limit {
        Some(limit) if limit >= 0 && both >= limit => Ok(both - limit),
        _ => Err(Error::InvalidLimit {
            name: "memory and swap limit",
            value: both.to_string(),
            reason: "it needs a memory limit that is not above it",
        }),
    }
}

fn text(value: i64) -> String {
    if value == -1 { "max".to_owned() } else { value.to_string() }
}

pub(super) fn read(dir: &Dir) -> Result<MemoryLimits> {
    let signed = |max: Option<u64>| max.map_or(-1, |n| i64::try_from(n).unwrap_or(-1));
    let limit = dir.number_or_max(MAX)?.map(signed);
    let swap = dir.number_or_max(SWAP)?.map(signed);
    let both = match (limit, swap) {
        (Some(limit), Some(swap)) if limit >= 0 && swap >= 0 => Some(limit.saturating_add(swap)),
        (Some(_), Some(_)) => Some(-1),
        _ => None,
    };
    Ok(MemoryLimits {
        limit_bytes: limit,
        swap_bytes: both,
        reservation_bytes: dir.number_or_max(LOW)?.map(signed),
    })
}

pub(super) fn stats(dir: &Dir) -> Result<MemoryStats> {
    let Some(usage) = dir.number("memory.current")? else { return Ok(MemoryStats::default()) };
    let text = dir.read_if_there("memory.stat")?.unwrap_or_default();
    let [cache, inactive, shmem] = flat::values(&text, ["file", "inactive_file", "shmem"]);
    Ok(MemoryStats {
        usage_bytes: Some(usage),
        cache_bytes: cache,
        working_set_bytes: Some(usage.saturating_sub(inactive.unwrap_or(0))),
        shmem_bytes: shmem,
        swap_bytes: dir.number("memory.swap.current")?,
        peak_bytes: dir.number("memory.peak")?,
        limit_bytes: dir.number_or_max(MAX)?.flatten(),
    })
}

/// Counts the groups below too; `None` without the controller.
pub(super) fn oom_kills(dir: &Dir) -> Result<Option<u64>> {
    let text = dir.read_if_there("memory.events")?;
    Ok(text.map(|text| flat::values(&text, ["oom_kill"])[0].unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use std::fs;

    // I13: 150M is memory.max = 157286400.
    #[test]
    fn pure_writes_only_what_is_set() {
        let (folder, dir) = fake(&[(MAX, ""), (SWAP, ""), (LOW, "")]);
        let file = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        write(&dir, &MemoryLimits { limit_bytes: Some(157_286_400), ..Default::default() }).unwrap();
        assert_eq!([file(MAX), file(SWAP), file(LOW)], ["157286400", "", ""]);
        // The limit that stands already counts.
        write(&dir, &MemoryLimits { swap_bytes: Some(157_286_401), ..Default::default() }).unwrap();
        assert_eq!([file(MAX), file(SWAP), file(LOW)], ["157286400", "1", ""]);
        fs::remove_file(folder.path().join(LOW)).unwrap();
        assert_eq!(read(&dir).unwrap().swap_bytes, Some(157_286_401));
    }

    #[test]
    fn pure_swap_in_both_units() {
        let (folder, dir) = fake(&[(MAX, ""), (SWAP, ""), ("cgroup.procs", "")]);
        let set = MemoryLimits { limit_bytes: Some(100), swap_bytes: Some(100), ..Default::default() };
        write(&dir, &set).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(SWAP)).unwrap(), "0");
        assert_eq!(read(&dir).unwrap(), set);

        let (_folder, unlimited) = fake(&[(MAX, "max\n"), (SWAP, "max\n"), (LOW, "0\n")]);
        let both = MemoryLimits { swap_bytes: Some(100), ..Default::default() };
        assert!(matches!(write(&unlimited, &both), Err(Error::InvalidLimit { .. })));
        let expected =
            MemoryLimits { limit_bytes: Some(-1), swap_bytes: Some(-1), reservation_bytes: Some(0) };
        assert_eq!(read(&unlimited).unwrap(), expected);

        fs::remove_file(folder.path().join(SWAP)).unwrap();
        assert!(write(&dir, &set).unwrap_err().to_string().contains("memory.swap.max"));
    }

    #[test]
    fn pure_stats_and_oom_kills() {
        let (_folder, dir) = fake(&[
            ("memory.current", "100\n"),
            ("memory.stat", "file 40\nshmem 8\ninactive_file 30\n"),
            ("memory.peak", "150\n"),
            (MAX, "200\n"),
            ("memory.events", "low 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n"),
        ]);
        let stats = stats(&dir).unwrap();
        assert_eq!(
            (stats.working_set_bytes, stats.cache_bytes, stats.limit_bytes),
            (Some(70), Some(40), Some(200))
        );
        assert_eq!((stats.shmem_bytes, stats.peak_bytes), (Some(8), Some(150)));
        assert_eq!(oom_kills(&dir).unwrap(), Some(2));
        let (_folder, dir) = fake(&[]);
        assert_eq!((super::stats(&dir).unwrap(), oom_kills(&dir).unwrap()), (MemoryStats::default(), None));
    }
}
