//! Control groups, as far as the engine itself touches them: the runtime makes a container's, the engine checks limits
//! beforehand and takes away what a dead runtime left.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::process::until;
use std::time::Duration;
use tinyd_cgroup::{Cgroup, CgroupPath, CpuLimits, Limits, MemoryLimits};
use tinyd_engine::Resources;

/// The group that holds all containers' groups, relative to each hierarchy's root.
pub(crate) const PARENT: &str = "tinyd";
/// The child of [`PARENT`] that holds the monitors.
pub(crate) const MONITORS: &str = "monitor";
/// Processes and threads of a container that did not say.
pub(crate) const DEFAULT_PIDS: i64 = 2048;
/// The kernel's own period in microseconds.
pub(crate) const DEFAULT_PERIOD: u64 = 100_000;

/// How long killed processes may take to go.
const PATIENCE: Duration = Duration::from_secs(5);

/// The path of a container's group, relative to each hierarchy's root.
pub(crate) fn path(id: &str) -> String {
    format!("{PARENT}/{id}")
}

impl Core {
    /// Checks limits against this host. The default limit of processes is taken out where the host cannot set it, and a
    /// note says so.
    pub(crate) fn check_limits(&self, resources: &mut Resources) -> Result<Option<String>> {
        let driver = self.cgroups()?;
        let default = resources.pids.is_none();
        let wanted = limits(resources);
        let refused = |source| Error::Limits { source };
        match driver.validate(&wanted) {
            Ok(()) => Ok(None),
            Err(_) if default => {
                let explicit = Limits { pids_max: None, ..wanted };
                driver.validate(&explicit).map_err(refused)?;
                resources.pids = Some(-1);
                Ok(Some(
                    "this host has no cgroup controller pids: the number of processes is not limited"
                        .to_owned(),
                ))
            }
            Err(error) => Err(refused(error)),
        }
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

    pub(crate) fn open_cgroup(&self, id: &str) -> Result<Option<Box<dyn Cgroup>>> {
        let failed =
            |source| Error::Cgroup { operation: "open", container: ids::short(id).to_owned(), source };
        let path = CgroupPath::new(&path(id)).map_err(failed)?;
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
fn limits(resources: &Resources) -> Limits {
    let signed = |value: Option<u64>| value.map(|value| i64::try_from(value).unwrap_or(i64::MAX));
    let quota = resources.cpu_quota;
    Limits {
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
        ..Default::default()
    }
}

/// What is written to the group of a container that runs: the limits that are changed, the others as they are.
pub(crate) fn changes(wanted: &Resources, all: &Resources) -> Limits {
    let (mut changes, all) = (limits(wanted), limits(all));
    changes.pids_max = wanted.pids;
    // These go in pairs: one cannot be written without the other.
    if wanted.cpu_period.is_some() {
        (changes.cpu.quota_us, changes.cpu.period_us) = (all.cpu.quota_us, all.cpu.period_us);
    }
    if changes.memory.limit_bytes.is_some() || changes.memory.swap_bytes.is_some() {
        changes.memory.limit_bytes = all.memory.limit_bytes;
        changes.memory.swap_bytes = all.memory.swap_bytes;
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_only_what_was_asked_for_is_limited() {
        let none = limits(&Resources { pids: Some(-1), cpu_period: Some(50_000), ..Default::default() });
        assert!(none.is_empty());
        let all = limits(&Resources { cpu_quota: Some(10_000), memory: Some(1 << 30), ..Default::default() });
        assert_eq!((all.cpu.quota_us, all.cpu.period_us), (Some(10_000), Some(100_000)));
        assert_eq!((all.memory.limit_bytes, all.pids_max), (Some(1 << 30), Some(2048)));
    }
}
