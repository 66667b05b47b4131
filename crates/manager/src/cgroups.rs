//! Control groups, as far as the engine itself touches them: the runtime makes a container's, the engine checks limits
//! beforehand and takes away what a dead runtime left.

use crate::bundle;
use crate::core::Core;
use crate::devices;
use crate::error::{Error, Result};
use crate::ids;
use crate::process::until;
use crate::store::{BUNDLE_FILE, Record};
use std::time::Duration;
use tinyd_cgroup::{
    Cgroup, CgroupPath, CpuLimits, DeviceRule, HugetlbLimit, IoDeviceLimit, IoLimits, Limits, MemoryLimits,
    NetLimits,
};
use tinyd_engine::{ContainerSpec, IoLimit, Resources};

/// The group that holds all containers' groups, relative to each hierarchy's root.
pub(crate) const PARENT: &str = "tinyd";
/// The child of [`PARENT`] that holds the monitors.
pub(crate) const MONITORS: &str = "monitor";
/// Processes and threads of a container that did not say.
pub(crate) const DEFAULT_PIDS: i64 = 2048;
/// The kernel's own period in microseconds.
pub(crate) const DEFAULT_PERIOD: u64 = 100_000;

/// The kernel's own weight of a group.
const DEFAULT_SHARES: u64 = 1024;

/// How long killed processes may take to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// The path of a container's group, relative to each hierarchy's root.
pub(crate) fn path(record: &Record) -> String {
    format!("{}/{}", parent(&record.spec), record.id)
}

/// The group that a container's own is made in.
pub(crate) fn parent(spec: &ContainerSpec) -> &str {
    spec.cgroup_parent.as_deref().unwrap_or(PARENT)
}

impl Core {
    /// Checks limits against this host. What nobody asked for is taken out where the host cannot set it, and a note says
    /// so: the limit of processes, and the rules of devices.
    pub(crate) fn check_limits(
        &self,
        resources: &mut Resources,
        devices: &mut Vec<DeviceRule>,
    ) -> Result<Vec<String>> {
        let driver = self.cgroups()?;
        let wanted = Limits { devices: devices.clone(), ..limits(resources)? };
        if driver.validate(&wanted).is_ok() {
            return Ok(Vec::new());
        }
        let asked = resources.pids.and(wanted.pids_max);
        let explicit = Limits { pids_max: asked, devices: Vec::new(), ..wanted };
        driver.validate(&explicit).map_err(|source| Error::Limits { source })?;
        let mut notes = Vec::new();
        if resources.pids.is_none()
            && driver.validate(&Limits { pids_max: Some(DEFAULT_PIDS), ..Limits::default() }).is_err()
        {
            resources.pids = Some(-1);
            notes.push(
                "this host has no cgroup controller pids: the number of processes is not limited".to_owned(),
            );
        }
        if let Err(error) = driver.validate(&Limits { devices: devices.clone(), ..Limits::default() }) {
            if matches!(
                error,
                tinyd_cgroup::Error::InvalidLimit { .. } | tinyd_cgroup::Error::DeviceException { .. }
            ) {
                // It is the wish that cannot be, and not the host that cannot hold anybody to it.
                return Err(Error::Limits { source: error });
            }
            devices.clear();
            notes.push(format!(
                "any device whose file is there may be used: {}",
                Error::Limits { source: error }.line()
            ));
        }
        Ok(notes)
    }

    /// Kills whatever is in a container's group. A group that is gone is no error.
    pub(crate) fn kill_cgroup(&self, id: &str) -> Result<()> {
        let failed =
            |source| Error::Cgroup { operation: "kill", container: ids::short(id).to_owned(), source };
        match self.open_cgroup(id)? {
            Some(group) => present(group.kill()).map_err(failed).map(drop),
            None => Ok(()),
        }
    }

    /// Kills whatever is in a container's group, waits until it is dead, and removes the group.
    pub(crate) fn discard_cgroup(&self, id: &str) -> Result<()> {
        let Some(group) = self.open_cgroup(id)? else { return Ok(()) };
        let failed = |operation| {
            move |source| Error::Cgroup { operation, container: ids::short(id).to_owned(), source }
        };
        present(group.kill()).map_err(failed("kill"))?;
        // A process that cannot die keeps the group: removing it then says so.
        until(PATIENCE, || {
            Ok(present(group.is_populated())?.is_none_or(|populated| !populated).then_some(()))
        })
        .map_err(failed("look into"))?;
        group.remove().map_err(failed("remove"))
    }

    /// Where a container's group is, which a damaged record does not say: then its bundle does.
    fn cgroup_path(&self, id: &str) -> String {
        if let Ok(Some(record)) = self.store.record(id) {
            return path(&record);
        }
        let bundle = bundle::read(&self.store.container_file(id, BUNDLE_FILE)).ok();
        let path = bundle.as_ref().and_then(|spec| spec.linux().as_ref()?.cgroups_path().as_ref()?.to_str());
        path.map_or_else(|| format!("{PARENT}/{id}"), |path| path.trim_start_matches('/').to_owned())
    }

    pub(crate) fn open_cgroup(&self, id: &str) -> Result<Option<Box<dyn Cgroup>>> {
        let failed =
            |source| Error::Cgroup { operation: "open", container: ids::short(id).to_owned(), source };
        let path = CgroupPath::new(&self.cgroup_path(id)).map_err(failed)?;
        present(self.cgroups()?.open(&path)).map_err(failed)
    }
}

/// "Not found" is no error of a tear-down.
pub(crate) fn present<T>(result: tinyd_cgroup::Result<T>) -> tinyd_cgroup::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The limits of a specification in the words of the control groups.
fn limits(resources: &Resources) -> Result<Limits> {
    let signed = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    let quota = resources.cpu_quota;
    let rate = |value: Option<u64>| if value == Some(0) { Some(-1) } else { signed(value) };
    let io = |limit: &IoLimit| {
        let (major, minor) = devices::disk(&limit.device)?;
        Ok(IoDeviceLimit {
            major,
            minor,
            weight: None,
            read_bps: rate(limit.read_bps),
            write_bps: rate(limit.write_bps),
            read_iops: rate(limit.read_iops),
            write_iops: rate(limit.write_iops),
        })
    };
    let pages = resources.hugepages.iter().map(|limit| HugetlbLimit {
        page_size: limit.page_size.clone(),
        limit_bytes: i64::try_from(limit.bytes).unwrap_or(i64::MAX),
    });
    Ok(Limits {
        cpu: CpuLimits {
            quota_us: signed(quota),
            period_us: quota.map(|_| resources.cpu_period.unwrap_or(DEFAULT_PERIOD)),
            shares: resources.cpu_shares,
            cpus: resources.cpuset_cpus.clone(),
            mems: resources.cpuset_mems.clone(),
        },
        memory: MemoryLimits {
            limit_bytes: signed(resources.memory),
            swap_bytes: resources.memory_swap,
            reservation_bytes: signed(resources.memory_reservation),
        },
        pids_max: match resources.pids {
            Some(-1) => None,
            Some(most) => Some(most),
            None => Some(DEFAULT_PIDS),
        },
        io: IoLimits { weight: None, devices: resources.io.iter().map(io).collect::<Result<_>>()? },
        hugetlb: pages.collect(),
        net: NetLimits { class_id: resources.net_class, ..Default::default() },
        ..Default::default()
    })
}

/// What is written to the group of a container that runs: the limits that are changed, the others as they are.
pub(crate) fn changes(wanted: &Resources, all: &Resources) -> Result<Limits> {
    let (mut changes, all) = (limits(wanted)?, limits(all)?);
    changes.pids_max = wanted.pids;
    // These go in pairs: one cannot be written without the other.
    if wanted.cpu_period.is_some() {
        (changes.cpu.quota_us, changes.cpu.period_us) = (all.cpu.quota_us, all.cpu.period_us);
    }
    if changes.memory.limit_bytes.is_some() || changes.memory.swap_bytes.is_some() {
        changes.memory.limit_bytes = all.memory.limit_bytes;
        changes.memory.swap_bytes = all.memory.swap_bytes;
    }
    Ok(changes)
}

/// What takes a change back: the limits from before, and no limit where there was none.
pub(crate) fn back(wanted: &Resources, before: &Resources) -> Result<Limits> {
    const UNLIMITED: i64 = -1;
    let (new, old) = (changes(wanted, &before.clone().with(wanted))?, limits(before)?);
    let or_none = |new: Option<i64>, old: Option<i64>| new.map(|_| old.unwrap_or(UNLIMITED));
    let disk = |new: &IoDeviceLimit| {
        let same = |old: &&IoDeviceLimit| (old.major, old.minor) == (new.major, new.minor);
        let old = old.io.devices.iter().find(same).copied().unwrap_or_default();
        IoDeviceLimit {
            read_bps: or_none(new.read_bps, old.read_bps),
            write_bps: or_none(new.write_bps, old.write_bps),
            read_iops: or_none(new.read_iops, old.read_iops),
            write_iops: or_none(new.write_iops, old.write_iops),
            ..*new
        }
    };
    let pages = |new: &HugetlbLimit| {
        let old = old.hugetlb.iter().find(|old| old.page_size == new.page_size);
        HugetlbLimit {
            page_size: new.page_size.clone(),
            limit_bytes: old.map_or(UNLIMITED, |old| old.limit_bytes),
        }
    };
    Ok(Limits {
        cpu: CpuLimits {
            quota_us: or_none(new.cpu.quota_us, old.cpu.quota_us),
            period_us: new.cpu.period_us.map(|_| old.cpu.period_us.unwrap_or(DEFAULT_PERIOD)),
            shares: new.cpu.shares.map(|_| old.cpu.shares.unwrap_or(DEFAULT_SHARES)),
            // There is no word for "all": where no list was, the new one stays.
            cpus: new.cpu.cpus.and(old.cpu.cpus.clone()),
            mems: new.cpu.mems.and(old.cpu.mems.clone()),
        },
        memory: MemoryLimits {
            limit_bytes: or_none(new.memory.limit_bytes, old.memory.limit_bytes),
            swap_bytes: or_none(new.memory.swap_bytes, old.memory.swap_bytes),
            reservation_bytes: or_none(new.memory.reservation_bytes, old.memory.reservation_bytes),
        },
        pids_max: or_none(new.pids_max, old.pids_max),
        io: IoLimits { weight: None, devices: new.io.devices.iter().map(disk).collect() },
        hugetlb: new.hugetlb.iter().map(pages).collect(),
        // Packets of no class have 0.
        net: NetLimits {
            class_id: new.net.class_id.map(|_| old.net.class_id.unwrap_or(0)),
            ..Default::default()
        },
        ..Limits::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_only_what_was_asked_for_is_limited() {
        let none =
            limits(&Resources { pids: Some(-1), cpu_period: Some(50_000), ..Default::default() }).unwrap();
        assert!(none.is_empty());
        let all = limits(&Resources { cpu_quota: Some(10_000), memory: Some(1 << 30), ..Default::default() })
            .unwrap();
        assert_eq!((all.cpu.quota_us, all.cpu.period_us), (Some(10_000), Some(100_000)));
        assert_eq!((all.memory.limit_bytes, all.pids_max), (Some(1 << 30), Some(2048)));
    }

    #[test]
    fn pure_a_change_is_taken_back_to_what_was_and_to_no_limit_where_none_was() {
        let before = Resources { memory: Some(64 << 20), pids: Some(100), ..Default::default() };
        let wanted = Resources {
            memory: Some(96 << 20),
            cpu_quota: Some(10_000),
            pids: Some(200),
            net_class: Some(0x10_0001),
            ..Default::default()
        };
        let back = back(&wanted, &before).unwrap();
        assert_eq!((back.memory.limit_bytes, back.pids_max), (Some(64 << 20), Some(100)));
        assert_eq!(back.net.class_id, Some(0));
        assert_eq!(
            (back.cpu.quota_us, back.cpu.shares, back.memory.reservation_bytes),
            (Some(-1), None, None)
        );
    }
}
