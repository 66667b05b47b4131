//! The limits wanted, in one vocabulary for both versions (that of the OCI runtime specification).

mod check;
mod cpuset;
pub(crate) mod devices;
mod hugetlb;
pub(crate) mod io;
mod net;
pub(crate) mod setting;

use crate::{Error, Result};
pub(crate) use cpuset::hint as cpuset_hint;
pub use devices::{DeviceAccess, DeviceKind, DeviceRule};
pub use hugetlb::HugetlbLimit;
pub use io::{IoDeviceLimit, IoLimits};
pub use net::{NetLimits, NetPriority};
use serde::{Deserialize, Serialize};
pub use setting::Setting;

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
    /// Processes and threads, at most 4,194,304; −1 is unlimited.
    pub pids_max: Option<i64>,
    /// Input and output on block devices.
    pub io: IoLimits,
    /// Which device files may be used, as an ordered list of rules; empty leaves things as they are, another list
    /// takes the place of the one before. What the rules are is the caller's to say; there is no default list.
    ///
    /// They are written before the group takes a process in. A change for processes that run meets only what they
    /// open afterwards; on v1 it must not touch what is denied in general while there are groups below.
    pub devices: Vec<DeviceRule>,
    /// Huge pages, an entry for each size.
    pub hugetlb: Vec<HugetlbLimit>,
    /// Marks on network traffic, on v1 only.
    pub net: NetLimits,
    /// What few groups have.
    pub settings: Vec<Setting>,
}

impl Limits {
    /// True when nothing would be written.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The controllers that these limits need, by their names on v2; `devices` is none there, and the names of `net`
    /// are those of v1.
    pub(crate) fn controllers(&self) -> Vec<&'static str> {
        let mut needed = Vec::new();
        let cpu = &self.cpu;
        if cpu.quota_us.is_some() || cpu.period_us.is_some() || cpu.shares.is_some() {
            needed.push("cpu");
        }
        if self.cpu.cpus.is_some() || self.cpu.mems.is_some() {
            needed.push("cpuset");
        }
        if self.memory != MemoryLimits::default() {
            needed.push("memory");
        }
        if self.pids_max.is_some() {
            needed.push("pids");
        }
        if self.io != IoLimits::default() {
            needed.push("io");
        }
        if !self.devices.is_empty() {
            needed.push("devices");
        }
        if !self.hugetlb.is_empty() {
            needed.push("hugetlb");
        }
        if self.net.class_id.is_some() {
            needed.push("net_cls");
        }
        if !self.net.priorities.is_empty() {
            needed.push("net_prio");
        }
        for controller in self.settings.iter().filter_map(Setting::controller) {
            if !needed.contains(&controller) {
                needed.push(controller);
            }
        }
        needed
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
        if !has("io") {
            rest.io = std::mem::take(&mut mine.io);
        }
        if !has("devices") {
            rest.devices = std::mem::take(&mut mine.devices);
        }
        if !has("hugetlb") {
            rest.hugetlb = std::mem::take(&mut mine.hugetlb);
        }
        if !has("net_cls") {
            rest.net.class_id = mine.net.class_id.take();
        }
        if !has("net_prio") {
            rest.net.priorities = std::mem::take(&mut mine.net.priorities);
        }
        let settings = std::mem::take(&mut mine.settings);
        let of_v1 = |one: &Setting| one.v1.is_some() && one.controller().is_some_and(&has);
        (mine.settings, rest.settings) = settings.into_iter().partition(of_v1);
        (mine, rest)
    }

    /// Fills what is not set from `other`; a list is filled as a whole, but for huge pages, of which each size is a
    /// limit of its own.
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
            io: IoLimits {
                weight: self.io.weight.or(other.io.weight),
                devices: first_full(self.io.devices, other.io.devices),
            },
            devices: first_full(self.devices, other.devices),
            hugetlb: {
                let mut sizes = self.hugetlb;
                let more = other.hugetlb.into_iter();
                let more: Vec<_> =
                    more.filter(|o| sizes.iter().all(|s| s.page_size != o.page_size)).collect();
                sizes.extend(more);
                sizes.sort();
                sizes
            },
            net: NetLimits {
                class_id: self.net.class_id.or(other.net.class_id),
                priorities: first_full(self.net.priorities, other.net.priorities),
            },
            settings: first_full(self.settings, other.settings),
        }
    }
}

fn first_full<T>(first: Vec<T>, second: Vec<T>) -> Vec<T> {
    if first.is_empty() { second } else { first }
}

fn invalid<T>(name: &'static str, value: impl std::fmt::Display, reason: &'static str) -> Result<T> {
    Err(invalid_limit(name, value, reason))
}

fn invalid_limit(name: &'static str, value: impl std::fmt::Display, reason: &'static str) -> Error {
    Error::InvalidLimit { name, value: value.to_string(), reason }
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
            io: IoLimits { weight: Some(5), ..Default::default() },
            devices: vec![DeviceRule::all(false)],
            hugetlb: vec![HugetlbLimit { page_size: "2MB".into(), limit_bytes: 0 }],
            net: NetLimits {
                class_id: Some(7),
                priorities: vec![NetPriority { interface: "lo".into(), priority: 1 }],
            },
            settings: Vec::new(),
        };
        let names = ["cpu", "cpuset", "memory", "pids", "io", "devices", "hugetlb", "net_cls", "net_prio"];
        assert_eq!(all.controllers(), names);
        for alone in names {
            let (mine, rest) = all.split(|c| c == alone);
            assert_eq!(mine.controllers(), [alone]);
            assert_eq!(rest.controllers(), names.into_iter().filter(|n| *n != alone).collect::<Vec<_>>());
            assert_eq!(mine.clone().or(rest.clone()), all);
            assert_eq!(rest.or(mine), all);
        }
    }

    #[test]
    fn pure_json_leaves_out_nothing_and_needs_nothing() {
        let limits = Limits { devices: vec![DeviceRule::all(false)], ..memory(Some(1), None) };
        let text = serde_json::to_string(&limits).unwrap();
        assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
        assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());
        // What an older version of this crate wrote.
        let old = r#"{"cpu":{"shares":2},"memory":{"limit_bytes":1},"pids_max":null}"#;
        assert_eq!(serde_json::from_str::<Limits>(old).unwrap().cpu.shares, Some(2));
    }
}
