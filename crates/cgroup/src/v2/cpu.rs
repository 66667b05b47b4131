//! `cpu`: `cpu.max`, `cpu.weight`, `cpu.stat`.

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::flat;
use crate::limits::CpuLimits;
use crate::stats::CpuStats;

const MAX: &str = "cpu.max";
const WEIGHT: &str = "cpu.weight";
const NO_QUOTA: &str = "use a kernel with CONFIG_CFS_BANDWIDTH";

pub(super) fn write(dir: &Dir, cpu: &CpuLimits) -> Result<()> {
    if let Some(shares) = cpu.shares {
        dir.write(WEIGHT, &weight(shares).to_string())?;
    }
    let quota = cpu.quota_us.map(|q| if q == -1 { "max".to_owned() } else { q.to_string() });
    let value = match (quota, cpu.period_us) {
        (None, None) => return Ok(()),
        // A lone quota leaves the period as it is.
        (Some(quota), None) => quota,
        (Some(quota), Some(period)) => format!("{quota} {period}"),
        (None, Some(period)) => {
            let now = dir.read(MAX)?;
            format!("{} {period}", now.split_whitespace().next().unwrap_or("max"))
        }
    };
    dir.write_known("cpu", MAX, &value, NO_QUOTA)
}

pub(super) fn read(dir: &Dir, cpu: &mut CpuLimits) -> Result<()> {
    if let Some(text) = dir.read_if_there(MAX)? {
        let bad = || Error::Parse { path: dir.file(MAX), text: text.clone() };
        let (quota, period) = text.trim().split_once(' ').ok_or_else(bad)?;
        cpu.quota_us = Some(if quota == "max" { -1 } else { quota.parse().map_err(|_| bad())? });
        cpu.period_us = Some(period.parse().map_err(|_| bad())?);
    }
    cpu.shares = dir.number(WEIGHT)?.map(shares);
    Ok(())
}

pub(super) fn stats(dir: &Dir) -> Result<CpuStats> {
    let Some(text) = dir.read_if_there("cpu.stat")? else { return Ok(CpuStats::default()) };
    let keys = ["usage_usec", "user_usec", "system_usec", "nr_periods", "nr_throttled", "throttled_usec"];
    let [usage, user, system, periods, throttled_periods, throttled] = flat::values(&text, keys);
    let ns = |us: Option<u64>| us.map(|us| us.saturating_mul(1000));
    Ok(CpuStats {
        usage_ns: ns(usage),
        user_ns: ns(user),
        system_ns: ns(system),
        periods,
        throttled_periods,
        throttled_ns: ns(throttled),
    })
}

/// Shares and weights are both logarithmic scales around a default: with l = log2(shares), log10(weight) is the
/// parabola through (1, 0), (10, 2) and (18, 4), so that a default stays a default. A straight line between the ends
/// would turn 1,024 into 39.
pub(crate) fn weight(shares: u64) -> u64 {
    let l = (shares as f64).log2();
    (10f64.powf((l * l + 125.0 * l - 126.0) / 612.0).round() as u64).clamp(1, 10_000)
}

/// The inverse of [`weight`], to the nearest.
fn shares(weight: u64) -> u64 {
    let constant = -126.0 - 612.0 * (weight as f64).log10();
    let l = (-125.0 + (125.0f64 * 125.0 - 4.0 * constant).sqrt()) / 2.0;
    (l.exp2().round() as u64).clamp(2, 262_144)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use std::fs;

    #[test]
    fn pure_weight_keeps_ends_default_and_order() {
        for (s, w) in [(2, 1), (1024, 100), (262_144, 10_000)] {
            assert_eq!((weight(s), shares(w)), (w, s));
        }
        for w in 1..=10_000 {
            assert_eq!(weight(shares(w)), w);
        }
        // Twice the shares is about twice the weight, as with the kernel's own scale.
        let ratio = weight(2048) as f64 / weight(1024) as f64;
        assert!((1.7..2.1).contains(&ratio), "{ratio}");
    }

    #[test]
    fn pure_cpu_max_in_all_four_forms() {
        let set = |quota_us, period_us| {
            let (folder, dir) = fake(&[(MAX, "70000 100000\n"), (WEIGHT, "")]);
            // A kernel file takes each write as a whole; a plain one has to be emptied.
            let cpu = CpuLimits { quota_us, period_us, ..Default::default() };
            write(&dir, &cpu).unwrap();
            let text = fs::read_to_string(folder.path().join(MAX)).unwrap();
            assert_eq!(fs::read_to_string(folder.path().join(WEIGHT)).unwrap(), "");
            text
        };
        assert_eq!(set(None, None), "70000 100000\n");
        assert!(set(Some(50_000), None).starts_with("50000"));
        assert!(set(Some(-1), Some(20_000)).starts_with("max 20000"));
        assert!(set(None, Some(20_000)).starts_with("70000 20000"));
    }

    #[test]
    fn pure_reads_back() {
        let (_folder, dir) =
            fake(&[(MAX, "max 100000\n"), (WEIGHT, "100\n"), ("cpu.stat", "usage_usec 5\n")]);
        let mut cpu = CpuLimits::default();
        read(&dir, &mut cpu).unwrap();
        assert_eq!((cpu.quota_us, cpu.period_us, cpu.shares), (Some(-1), Some(100_000), Some(1024)));
        assert_eq!(stats(&dir).unwrap(), CpuStats { usage_ns: Some(5000), ..Default::default() });
        let (_folder, dir) = fake(&[]);
        let mut cpu = CpuLimits::default();
        read(&dir, &mut cpu).unwrap();
        assert_eq!(cpu, CpuLimits::default());
    }
}
