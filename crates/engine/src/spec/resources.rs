//! The limits of a container.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Limits; only what is `Some` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// CPU time, in microseconds, that the container may use in each period.
    pub cpu_quota: Option<u64>,
    /// The period of `cpu_quota` in microseconds; 100,000 by default.
    pub cpu_period: Option<u64>,
    /// The container's weight where processors are short, 2 to 262,144; others have 1,024.
    pub cpu_shares: Option<u64>,
    /// The processors that it may use, as a list such as `0-2,7` (cpuset(7)).
    pub cpuset_cpus: Option<String>,
    /// The memory nodes that it may use, as a list.
    pub cpuset_mems: Option<String>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory and swap together, in bytes, at least `memory`; -1 is no limit. Needs `memory`.
    pub memory_swap: Option<i64>,
    /// Memory in bytes that it keeps when memory is short, at most `memory`.
    pub memory_reservation: Option<u64>,
    /// Number of processes and threads; `None` is the engine's default of 2,048, `Some(-1)` no limit.
    pub pids: Option<i64>,
    /// How fast disks may be read and written, an entry for each.
    pub io: Vec<IoLimit>,
    /// Huge pages, an entry for each size.
    pub hugepages: Vec<HugepageLimit>,
    /// Bits that may leave the container in a second, by each of its networks; 0 is no limit.
    pub net_egress: Option<u64>,
    /// Bits that may come to it in a second, by each of its networks; 0 is no limit.
    pub net_ingress: Option<u64>,
    /// The class of its packets for traffic control (tc-cgroup(8)): the upper 16 bits are its queue, the lower ones its number there.
    pub net_class: Option<u32>,
}

/// How fast a disk may be read and written; `None` leaves it as it is, 0 is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoLimit {
    /// Its device file.
    pub device: PathBuf,
    /// Bytes read in a second.
    pub read_bps: Option<u64>,
    /// Bytes written in a second.
    pub write_bps: Option<u64>,
    /// Reads in a second.
    pub read_iops: Option<u64>,
    /// Writes in a second.
    pub write_iops: Option<u64>,
}

/// How much of huge pages of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HugepageLimit {
    /// As the kernel writes it: `2MB`, `1GB`.
    pub page_size: String,
    /// Bytes in pages of that size.
    pub bytes: u64,
}

impl Resources {
    /// These limits with what is `Some` in others in their place.
    #[must_use]
    pub fn with(self, others: &Self) -> Self {
        Self {
            cpu_quota: others.cpu_quota.or(self.cpu_quota),
            cpu_period: others.cpu_period.or(self.cpu_period),
            cpu_shares: others.cpu_shares.or(self.cpu_shares),
            cpuset_cpus: others.cpuset_cpus.clone().or(self.cpuset_cpus),
            cpuset_mems: others.cpuset_mems.clone().or(self.cpuset_mems),
            memory: others.memory.or(self.memory),
            memory_swap: others.memory_swap.or(self.memory_swap),
            memory_reservation: others.memory_reservation.or(self.memory_reservation),
            pids: others.pids.or(self.pids),
            io: self.io.into_iter().fold(others.io.clone(), put_io),
            hugepages: self.hugepages.into_iter().fold(others.hugepages.clone(), put_pages),
            net_egress: others.net_egress.or(self.net_egress),
            net_ingress: others.net_ingress.or(self.net_ingress),
            net_class: others.net_class.or(self.net_class),
        }
    }
}

/// Adds an older limit, of which counts what the newer one of the same disk leaves open.
fn put_io(mut newer: Vec<IoLimit>, older: IoLimit) -> Vec<IoLimit> {
    match newer.iter_mut().find(|one| one.device == older.device) {
        None => newer.push(older),
        Some(one) => {
            one.read_bps = one.read_bps.or(older.read_bps);
            one.write_bps = one.write_bps.or(older.write_bps);
            one.read_iops = one.read_iops.or(older.read_iops);
            one.write_iops = one.write_iops.or(older.write_iops);
        }
    }
    newer
}

fn put_pages(mut newer: Vec<HugepageLimit>, older: HugepageLimit) -> Vec<HugepageLimit> {
    if newer.iter().all(|one| one.page_size != older.page_size) {
        newer.push(older);
    }
    newer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_limits_stand_in_place_of_older_ones_disk_by_disk_and_size_by_size() {
        let io = |device: &str, read_bps, write_bps| IoLimit {
            device: device.into(),
            read_bps,
            write_bps,
            ..Default::default()
        };
        let pages = |page_size: &str, bytes| HugepageLimit { page_size: page_size.into(), bytes };
        let older = Resources {
            pids: Some(1),
            io: vec![io("/a", Some(1), Some(2)), io("/b", Some(3), None)],
            hugepages: vec![pages("2MB", 1), pages("1GB", 2)],
            net_egress: Some(1),
            net_ingress: Some(2),
            ..Default::default()
        };
        let newer = Resources {
            io: vec![io("/a", Some(9), None)],
            hugepages: vec![pages("1GB", 7)],
            net_ingress: Some(0),
            ..Default::default()
        };
        let both = older.with(&newer);
        assert_eq!(both.pids, Some(1));
        assert_eq!((both.net_egress, both.net_ingress, both.net_class), (Some(1), Some(0), None));
        assert_eq!(both.io, [io("/a", Some(9), Some(2)), io("/b", Some(3), None)]);
        assert_eq!(both.hugepages, [pages("1GB", 7), pages("2MB", 1)]);
    }
}
