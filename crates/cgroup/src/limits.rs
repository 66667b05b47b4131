//! The limits wanted, in one vocabulary for both versions (that of the OCI runtime specification).

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// CPU time and placement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuLimits {
    /// CPU time per period in microseconds, at least 1,000; −1 is unlimited.
    pub quota_us: Option<i64>,
    /// The period in microseconds, 1,000 to 1,000,000; the kernel's own is 100,000.
    pub period_us: Option<u64>,
    /// Relative weight in v1's unit, 2 to 262,144; the kernel's own is 1,024. On v2 it becomes `cpu.weight` by a curve
    /// that maps 2, 1,024 and 262,144 to 1, 100 and 10,000.
    pub shares: Option<u64>,
    /// CPUs in list format, such as `0-2,7` (cpuset(7)).
    pub cpus: Option<String>,
    /// Memory nodes in list format.
    pub mems: Option<String>,
}

/// Memory, in bytes; −1 is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryLimits {
    /// The hard limit.
    pub limit_bytes: Option<i64>,
    /// Memory **and** swap together, as OCI and v1 count; never below the hard limit.
    pub swap_bytes: Option<i64>,
    /// What the group keeps under pressure (v1 soft limit, v2 `memory.low`).
    pub reservation_bytes: Option<i64>,
}

/// Limits of a group. Only what is `Some` is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// CPU time and placement.
    pub cpu: CpuLimits,
    /// Memory and swap.
    pub memory: MemoryLimits,
    /// Processes and threads; −1 is unlimited.
    pub pids_max: Option<i64>,
}

impl Limits {
    /// True when nothing would be written.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The controllers that these limits need.
    pub(crate) fn controllers(&self) -> Vec<&'static str> {
        let mut needed = Vec::new();
        let cpu = &self.cpu;
        if cpu.quota_us.is_some() || cpu.period_us.is_some() || cpu.shares.is_some() {
            needed.push("cpu");
        }
        if self.needs_cpuset() {
            needed.push("cpuset");
        }
        if self.memory != MemoryLimits::default() {
            needed.push("memory");
        }
        if self.pids_max.is_some() {
            needed.push("pids");
        }
        needed
    }

    pub(crate) fn needs_cpuset(&self) -> bool {
        self.cpu.cpus.is_some() || self.cpu.mems.is_some()
    }

    /// The part whose controllers `has` them, and the rest.
    pub(crate) fn split(&self, has: impl Fn(&str) -> bool) -> (Self, Self) {
        let mut mine = self.clone();
        let mut rest = Self::default();
        if !has("cpu") {
            rest.cpu.quota_us = mine.cpu.quota_us.take();
            rest.cpu.period_us = mine.cpu.period_us.take();
            rest.cpu.shares = mine.cpu.shares.take();
        }
        if !has("cpuset") {
            rest.cpu.cpus = mine.cpu.cpus.take();
            rest.cpu.mems = mine.cpu.mems.take();
        }
        if !has("memory") {
            rest.memory = std::mem::take(&mut mine.memory);
        }
        if !has("pids") {
            rest.pids_max = mine.pids_max.take();
        }
        (mine, rest)
    }

    /// Fills what is not set from `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            cpu: CpuLimits {
                quota_us: self.cpu.quota_us.or(other.cpu.quota_us),
                period_us: self.cpu.period_us.or(other.cpu.period_us),
                shares: self.cpu.shares.or(other.cpu.shares),
                cpus: self.cpu.cpus.or(other.cpu.cpus),
                mems: self.cpu.mems.or(other.cpu.mems),
            },
            memory: MemoryLimits {
                limit_bytes: self.memory.limit_bytes.or(other.memory.limit_bytes),
                swap_bytes: self.memory.swap_bytes.or(other.memory.swap_bytes),
                reservation_bytes: self.memory.reservation_bytes.or(other.memory.reservation_bytes),
            },
            pids_max: self.pids_max.or(other.pids_max),
        }
    }

    /// Values that no kernel takes, found before any effect.
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
        if let (Some(limit), Some(swap)) = (memory.limit_bytes, memory.swap_bytes)
            && swap != -1
            && (limit == -1 || swap < limit)
        {
            return invalid("memory and swap limit", swap, "it must not be below the memory limit");
        }
        Ok(())
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
    match list {
        Some(list)
            if list.is_empty() || !list.bytes().all(|b| b.is_ascii_digit() || b == b',' || b == b'-') =>
        {
            invalid(name, list, "it must be a list such as 0-2,7")
        }
        _ => Ok(()),
    }
}

fn invalid<T>(name: &'static str, value: impl std::fmt::Display, reason: &'static str) -> Result<T> {
    Err(Error::InvalidLimit { name, value: value.to_string(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(limit: Option<i64>, swap: Option<i64>) -> Limits {
        Limits {
            memory: MemoryLimits { limit_bytes: limit, swap_bytes: swap, ..Default::default() },
            ..Default::default()
        }
    }

    #[test]
    fn pure_only_what_is_set_needs_a_controller() {
        assert!(Limits::default().is_empty());
        assert!(Limits::default().controllers().is_empty());
        let all = Limits {
            cpu: CpuLimits { shares: Some(512), cpus: Some("0".into()), ..Default::default() },
            memory: MemoryLimits { reservation_bytes: Some(1), ..Default::default() },
            pids_max: Some(1),
        };
        assert_eq!(all.controllers(), ["cpu", "cpuset", "memory", "pids"]);
        let (v1, v2) = all.split(|c| c == "cpu" || c == "pids");
        assert_eq!(v1.controllers(), ["cpu", "pids"]);
        assert_eq!(v2.controllers(), ["cpuset", "memory"]);
        assert_eq!(v1.or(v2), all);
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
    fn pure_json_leaves_out_nothing_and_needs_nothing() {
        let limits = memory(Some(1), None);
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
        assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());
    }
}
