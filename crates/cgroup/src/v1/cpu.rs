//! `cpu`: shares and the CFS quota (Documentation/scheduler/sched-bwc.rst).

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::flat;
use crate::limits::CpuLimits;
use crate::stats::CpuStats;
use rustix::io::Errno;
use std::path::Path;

const SHARES: &str = "cpu.shares";
const QUOTA: &str = "cpu.cfs_quota_us";
const PERIOD: &str = "cpu.cfs_period_us";
const NO_QUOTA: &str = "use a kernel with CONFIG_CFS_BANDWIDTH";

pub(super) fn probe_quota(root: &Dir) -> Result<()> {
    if root.has(QUOTA) {
        return Ok(());
    }
    Err(Error::MissingFile { controller: "cpu", file: QUOTA.to_owned(), hint: NO_QUOTA })
}

pub(super) fn write(dir: &Dir, cpu: &CpuLimits) -> Result<()> {
    if let Some(shares) = cpu.shares {
        dir.write_known("cpu", SHARES, &shares.to_string(), "use a kernel with CONFIG_FAIR_GROUP_SCHED")?;
    }
    let write = |name, value: &str| dir.write_known_or("cpu", name, value, NO_QUOTA, refused);
    let quota = cpu.quota_us.map(|q| q.to_string());
    if let Some(period) = cpu.period_us {
        let period = period.to_string();
        match (dir.try_write(PERIOD, &period), &quota) {
            (Ok(()), _) => {}
            // With the old quota the new period would exceed the parent's share: the new quota goes first.
            (Err(Errno::INVAL), Some(quota)) => {
                write(QUOTA, quota)?;
                return write(PERIOD, &period);
            }
            (Err(Errno::NOENT), _) => return write(PERIOD, &period),
            (Err(e), _) => return Err(refused(&dir.file(PERIOD), &period, e)),
        }
    }
    quota.map_or(Ok(()), |quota| write(QUOTA, &quota))
}

fn refused(path: &Path, value: &str, errno: Errno) -> Error {
    let (path, value, source) = (path.to_owned(), value.to_owned(), errno.into());
    match errno {
        Errno::INVAL => {
            let hint = "a group cannot have a larger share of CPU time than the group above: lower it, or raise that";
            Error::Refused { path, value: value.into(), hint, source }
        }
        _ => Error::Write { path, value, source },
    }
}

pub(super) fn read(dir: &Dir, cpu: &mut CpuLimits) -> Result<()> {
    cpu.shares = dir.number(SHARES)?;
    cpu.period_us = dir.number(PERIOD)?;
    if let Some(text) = dir.read_if_there(QUOTA)? {
        let quota =
            text.trim().parse().map_err(|_| Error::Parse { path: dir.file(QUOTA), text: text.clone() })?;
        cpu.quota_us = Some(quota);
    }
    Ok(())
}

pub(super) fn stats(dir: &Dir, cpu: &mut CpuStats) -> Result<()> {
    if let Some(text) = dir.read_if_there("cpu.stat")? {
        let keys = ["nr_periods", "nr_throttled", "throttled_time"];
        [cpu.periods, cpu.throttled_periods, cpu.throttled_ns] = flat::values(&text, keys);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use std::fs::read_to_string;

    #[test]
    fn pure_writes_only_what_is_set() {
        let (folder, dir) = fake(&[(SHARES, ""), (QUOTA, ""), (PERIOD, "")]);
        let text = |name| read_to_string(folder.path().join(name)).unwrap();
        write(&dir, &CpuLimits { quota_us: Some(-1), ..Default::default() }).unwrap();
        assert_eq!([text(SHARES), text(QUOTA), text(PERIOD)], ["", "-1", ""]);
        write(&dir, &CpuLimits { shares: Some(512), period_us: Some(50_000), ..Default::default() }).unwrap();
        assert_eq!([text(SHARES), text(QUOTA), text(PERIOD)], ["512", "-1", "50000"]);
        let mut back = CpuLimits::default();
        read(&dir, &mut back).unwrap();
        assert_eq!((back.shares, back.quota_us, back.period_us), (Some(512), Some(-1), Some(50_000)));
    }

    #[test]
    fn pure_a_kernel_without_bandwidth_control_is_named() {
        let (_folder, dir) = fake(&[(SHARES, ""), ("cgroup.procs", "")]);
        for cpu in [
            CpuLimits { quota_us: Some(5000), ..Default::default() },
            CpuLimits { period_us: Some(5000), ..Default::default() },
        ] {
            let error = write(&dir, &cpu).unwrap_err();
            assert!(error.to_string().contains("CONFIG_CFS_BANDWIDTH"), "{error}");
        }
        assert!(probe_quota(&dir).is_err());
    }

    #[test]
    fn pure_stats() {
        let (_folder, dir) = fake(&[("cpu.stat", "nr_periods 5\nnr_throttled 2\nthrottled_time 300\n")]);
        let mut cpu = CpuStats::default();
        stats(&dir, &mut cpu).unwrap();
        assert_eq!((cpu.periods, cpu.throttled_periods, cpu.throttled_ns), (Some(5), Some(2), Some(300)));
    }
}
