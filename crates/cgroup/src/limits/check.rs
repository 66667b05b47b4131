//! Values that no kernel takes, and those that contradict each other, found before any effect.

use super::{Limits, MemoryLimits, devices, hugetlb, invalid};
use crate::error::Result;
use std::path::Path;

/// `PID_MAX_LIMIT` of include/linux/threads.h on 64 bits: `pids.max` refuses what is above it.
const MAX_PIDS: i64 = 4 << 20;

impl Limits {
    /// Values that no kernel takes.
    pub(crate) fn check(&self) -> Result<()> {
        let cpu = &self.cpu;
        if let Some(quota) = cpu.quota_us
            && quota != -1
            && quota < 1_000
        {
            return invalid("cpu quota", quota, "it must be -1 or at least 1000 microseconds");
        }
        if let Some(period) = cpu.period_us
            && !(1_000..=1_000_000).contains(&period)
        {
            return invalid("cpu period", period, "it must be 1000 to 1000000 microseconds");
        }
        if let Some(shares) = cpu.shares
            && !(2..=262_144).contains(&shares)
        {
            return invalid("cpu shares", shares, "it must be 2 to 262144");
        }
        check_list("cpuset cpus", cpu.cpus.as_deref())?;
        check_list("cpuset mems", cpu.mems.as_deref())?;
        let memory = &self.memory;
        for (name, value) in [
            ("memory limit", memory.limit_bytes),
            ("memory and swap limit", memory.swap_bytes),
            ("memory reservation", memory.reservation_bytes),
            ("pids limit", self.pids_max),
        ] {
            if let Some(value) = value
                && value < -1
            {
                return invalid(name, value, "it must be -1 or not negative");
            }
        }
        if let Some(max) = self.pids_max
            && max > MAX_PIDS
        {
            return invalid("pids limit", max, "it must be at most 4194304, or -1 for no limit");
        }
        self.io.check()?;
        devices::check(&self.devices)?;
        hugetlb::check(&self.hugetlb)?;
        self.net.check()?;
        self.settings.iter().try_for_each(super::Setting::check)?;
        if let (Some(limit), Some(swap)) = (memory.limit_bytes, memory.swap_bytes)
            && swap != -1
            && (limit == -1 || swap < limit)
        {
            return invalid("memory and swap limit", swap, "it must not be below the memory limit");
        }
        Ok(())
    }

    /// What only this host knows, whatever its cgroups: whether the disks are there.
    pub(crate) fn check_host(&self) -> Result<()> {
        self.io.check_present(Path::new("/sys/dev/block"))
    }

    /// [`Limits::check`] for a group that does not exist yet, where nothing is set already.
    pub(crate) fn check_new(&self) -> Result<()> {
        self.check()?;
        match self.memory {
            MemoryLimits { limit_bytes: None, swap_bytes: Some(swap), .. } if swap != -1 => {
                invalid("memory and swap limit", swap, "it needs a memory limit beside it")
            }
            _ => Ok(()),
        }
    }
}

fn check_list(name: &'static str, list: Option<&str>) -> Result<()> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u32>().ok()).flatten()
    };
    let is_part = |part: &str| match part.split_once('-') {
        None => number(part).is_some(),
        Some((first, last)) => matches!((number(first), number(last)), (Some(f), Some(l)) if f <= l),
    };
    match list {
        Some(list) if !list.split(',').all(is_part) => invalid(name, list, "it must be a list such as 0-2,7"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::limits::{CpuLimits, HugetlbLimit, IoLimits, NetLimits, NetPriority};

    fn memory(limit: Option<i64>, swap: Option<i64>) -> Limits {
        Limits {
            memory: MemoryLimits { limit_bytes: limit, swap_bytes: swap, ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn pure_refuses_values_out_of_range() {
        let cpu = |cpu: CpuLimits| Limits { cpu, ..Default::default() };
        for bad in [
            cpu(CpuLimits { quota_us: Some(0), ..Default::default() }),
            cpu(CpuLimits { quota_us: Some(999), ..Default::default() }),
            cpu(CpuLimits { period_us: Some(1_000_001), ..Default::default() }),
            cpu(CpuLimits { shares: Some(1), ..Default::default() }),
            cpu(CpuLimits { cpus: Some(String::new()), ..Default::default() }),
            cpu(CpuLimits { mems: Some("0\n1".into()), ..Default::default() }),
            Limits { pids_max: Some(-2), ..Default::default() },
            memory(Some(-2), None),
            memory(Some(100), Some(99)),
            memory(Some(-1), Some(99)),
        ] {
            assert!(matches!(bad.check(), Err(Error::InvalidLimit { .. })), "{bad:?}");
        }
        assert!(memory(Some(100), Some(-1)).check().is_ok());
        assert!(memory(None, Some(100)).check().is_ok());
        assert!(memory(None, Some(100)).check_new().is_err());
        assert!(cpu(CpuLimits { quota_us: Some(-1), ..Default::default() }).check().is_ok());
    }

    #[test]
    fn pure_every_part_is_checked() {
        for bad in [
            Limits { pids_max: Some(MAX_PIDS + 1), ..Default::default() },
            Limits { io: IoLimits { weight: Some(0), ..Default::default() }, ..Default::default() },
            Limits { devices: vec![crate::DeviceRule::all(true); 501], ..Default::default() },
            Limits {
                hugetlb: vec![HugetlbLimit { page_size: "2".into(), limit_bytes: 0 }],
                ..Default::default()
            },
            Limits {
                net: NetLimits {
                    priorities: vec![NetPriority { interface: String::new(), priority: 0 }],
                    ..Default::default()
                },
                ..Default::default()
            },
        ] {
            assert!(matches!(bad.check(), Err(Error::InvalidLimit { .. })), "{bad:?}");
        }
        Limits { pids_max: Some(MAX_PIDS), ..Default::default() }.check().unwrap();
    }

    #[test]
    fn pure_lists_of_cpus() {
        for good in ["0", "0-2,7", "1,0", "3-3"] {
            check_list("cpuset cpus", Some(good)).unwrap();
        }
        for bad in ["", ",", "0,", "-", "1-", "-1", "2-1", "0--1", "a", "0 1", "1-2-3", "99999999999"] {
            let error = check_list("cpuset cpus", Some(bad)).unwrap_err();
            assert!(error.to_string().contains("such as 0-2,7"), "{bad}");
        }
    }
}
