//! `memory`: limits, swap, usage, OOM kills (Documentation/admin-guide/cgroup-v1/memory.rst).

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::flat;
use crate::limits::MemoryLimits;
use crate::stats::MemoryStats;
use crate::tree;
use rustix::io::Errno;

const LIMIT: &str = "memory.limit_in_bytes";
const SWAP: &str = "memory.memsw.limit_in_bytes";
const RESERVATION: &str = "memory.soft_limit_in_bytes";
const NO_SWAP: &str = "boot with swapaccount=1, or set no swap limit";

/// "No limit" reads as the largest number of whole pages, and pages have up to 64 KiB.
const UNLIMITED: u64 = 0x7fff_ffff_ffff_0000;

pub(super) fn probe_swap(root: &Dir) -> Result<()> {
    if root.has(SWAP) {
        return Ok(());
    }
    Err(Error::MissingFile { controller: "memory", file: SWAP.to_owned(), hint: NO_SWAP })
}

/// The kernel keeps memory ≤ memory+swap at every moment, so raising both starts with the second.
pub(super) fn write(dir: &Dir, memory: &MemoryLimits) -> Result<()> {
    let swap = memory.swap_bytes.map(|s| s.to_string());
    let write_swap = |value: &str| dir.write_known("memory", SWAP, value, NO_SWAP);
    let mut swap_written = false;
    if let Some(limit) = memory.limit_bytes {
        let limit = limit.to_string();
        let in_use = "the group uses more than that and it cannot be taken away: stop processes first";
        match (dir.try_write(LIMIT, &limit), &swap) {
            (Ok(()), _) => {}
            (Err(Errno::INVAL), Some(swap)) => {
                write_swap(swap)?;
                swap_written = true;
                dir.write(LIMIT, &limit)?;
            }
            (Err(Errno::INVAL), None) if dir.has(SWAP) => {
                return Err(Error::InvalidLimit {
                    name: "memory limit",
                    value: limit,
                    reason: "it is above the group's memory and swap limit, which must be raised with it",
                });
            }
            (Err(Errno::BUSY), _) => return Err(dir.explained(LIMIT, &limit, Errno::BUSY, Some(in_use))),
            (Err(e), _) => return Err(dir.write_error(LIMIT, &limit, e)),
        }
    }
    if let Some(swap) = swap.filter(|_| !swap_written) {
        write_swap(&swap)?;
    }
    if let Some(reservation) = memory.reservation_bytes {
        dir.write(RESERVATION, &reservation.to_string())?;
    }
    Ok(())
}

pub(super) fn read(dir: &Dir) -> Result<MemoryLimits> {
    let limit = |name| Ok(dir.number(name)?.map(signed));
    Ok(MemoryLimits {
        limit_bytes: limit(LIMIT)?,
        swap_bytes: limit(SWAP)?,
        reservation_bytes: limit(RESERVATION)?,
    })
}

fn signed(value: u64) -> i64 {
    if value >= UNLIMITED { -1 } else { i64::try_from(value).unwrap_or(-1) }
}

pub(super) fn stats(dir: &Dir) -> Result<MemoryStats> {
    let usage = dir.number("memory.usage_in_bytes")?;
    let text = dir.read_if_there("memory.stat")?.unwrap_or_default();
    let keys = ["total_cache", "total_inactive_file", "total_swap", "total_shmem"];
    let [cache, inactive, swap, shmem] = flat::values(&text, keys);
    Ok(MemoryStats {
        usage_bytes: usage,
        cache_bytes: cache,
        working_set_bytes: usage.map(|u| u.saturating_sub(inactive.unwrap_or(0))),
        shmem_bytes: shmem,
        swap_bytes: swap,
        peak_bytes: dir.number("memory.max_usage_in_bytes")?,
        limit_bytes: dir.number(LIMIT)?.filter(|limit| *limit < UNLIMITED),
    })
}

/// v1 counts each kill only in the victim's own group, so those below are added.
pub(super) fn oom_kills(dir: &Dir) -> Result<u64> {
    let mut kills = 0;
    tree::walk(dir, &mut |group| {
        if let Some(text) = group.read_if_there("memory.oom_control")? {
            kills += flat::values(&text, ["oom_kill"])[0].unwrap_or(0);
        }
        Ok(())
    })?;
    Ok(kills)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use std::fs;

    #[test]
    fn pure_writes_only_what_is_set() {
        let (folder, dir) = fake(&[(LIMIT, ""), (SWAP, ""), (RESERVATION, "")]);
        let text = |name| fs::read_to_string(folder.path().join(name)).unwrap();
        write(&dir, &MemoryLimits { limit_bytes: Some(157_286_400), ..Default::default() }).unwrap();
        assert_eq!([text(LIMIT), text(SWAP), text(RESERVATION)], ["157286400", "", ""]);
        write(&dir, &MemoryLimits { swap_bytes: Some(-1), reservation_bytes: Some(7), ..Default::default() })
            .unwrap();
        assert_eq!([text(LIMIT), text(SWAP), text(RESERVATION)], ["157286400", "-1", "7"]);
    }

    #[test]
    fn pure_a_kernel_without_swap_accounting_is_named() {
        let (_folder, dir) = fake(&[(LIMIT, ""), ("cgroup.procs", "")]);
        let error = write(&dir, &MemoryLimits { swap_bytes: Some(1), ..Default::default() }).unwrap_err();
        assert!(error.to_string().contains("swapaccount=1"), "{error}");
        assert!(probe_swap(&dir).is_err());
    }

    #[test]
    fn pure_reads_no_limit_as_minus_one() {
        let (_folder, dir) = fake(&[(LIMIT, "9223372036854771712\n"), (RESERVATION, "4096\n")]);
        let expected =
            MemoryLimits { limit_bytes: Some(-1), swap_bytes: None, reservation_bytes: Some(4096) };
        assert_eq!(read(&dir).unwrap(), expected);
        assert_eq!(stats(&dir).unwrap().limit_bytes, None);
    }

    #[test]
    fn pure_stats_and_oom_kills_of_the_whole_tree() {
        let (folder, dir) = fake(&[
            ("memory.usage_in_bytes", "100\n"),
            ("memory.stat", "inactive_file 1\ntotal_cache 40\ntotal_inactive_file 30\ntotal_shmem 8\n"),
            ("memory.max_usage_in_bytes", "150\n"),
            (LIMIT, "200\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
        ]);
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/memory.oom_control"), "oom_kill 1\n").unwrap();
        let expected = MemoryStats {
            usage_bytes: Some(100),
            cache_bytes: Some(40),
            working_set_bytes: Some(70),
            shmem_bytes: Some(8),
            swap_bytes: None,
            peak_bytes: Some(150),
            limit_bytes: Some(200),
        };
        assert_eq!(stats(&dir).unwrap(), expected);
        assert_eq!(oom_kills(&dir).unwrap(), 3);
    }
}
