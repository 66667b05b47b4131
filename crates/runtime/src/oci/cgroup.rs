//! A container's control group.

use super::store::Record;
use crate::monitor;
use crate::plan::{Bundle, invalid};
use crate::{Failure, FailureKind};
use std::time::{Duration, Instant};
use tinyd_cgroup::systemd::{Bus, Driver};
use tinyd_cgroup::{Cgroup, CgroupDriver, CgroupPath, Host};

/// How long the kernel may take to take the last process out of a group.
const PATIENCE: Duration = Duration::from_secs(5);

/// The group above those of containers whose bundles name none.
const OWN: &str = "tinyd-runtime";

/// The driver that was asked for.
pub(super) fn driver(systemd: bool) -> Result<Box<dyn CgroupDriver>, Failure> {
    if !systemd {
        return monitor::cgroup_driver();
    }
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(FailureKind::Unsupported, "ask systemd for control groups").caused_by(error)
    };
    let host = Host::detect().map_err(|error| failed(&error))?;
    let address = std::env::var(super::SYSTEM_BUS).ok();
    let bus = Bus::of_host(address.as_deref()).map_err(|error| failed(&error))?;
    Ok(Box::new(Driver::new(&host, bus).map_err(|error| failed(&error))?))
}

/// The name that the bundle gives it, or one of its own.
pub(super) fn name(bundle: &Bundle, id: &str, systemd: bool) -> Result<String, Failure> {
    let path = bundle.spec.linux.as_ref().and_then(|linux| linux.cgroups_path.as_ref());
    let name = match path.map(|path| path.to_string_lossy().into_owned()).filter(|path| !path.is_empty()) {
        Some(path) => path.trim_matches('/').to_owned(),
        None if systemd => format!("system.slice:tinyd:{id}"),
        None => format!("{OWN}/{id}"),
    };
    CgroupPath::new(&name).map_err(|error| invalid("linux.cgroupsPath", error))?;
    Ok(name)
}

/// Finds it.
pub(super) fn open(record: &Record) -> Result<Box<dyn Cgroup>, Failure> {
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Internal, format!("open cgroup {}", record.cgroup)).caused_by(&error)
    };
    let path = CgroupPath::new(&record.cgroup).map_err(failed)?;
    driver(record.systemd)?.open(&path).map_err(failed)
}

/// Makes room for it: a group that is there and empty is the caller's, who has made it ahead.
pub(super) fn make_room(driver: &dyn CgroupDriver, name: &str) -> Result<(), Failure> {
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Internal, format!("look for cgroup {name}")).caused_by(&error)
    };
    let path = CgroupPath::new(name).map_err(failed)?;
    driver.prune(&path).map_err(failed)
}

/// The groups above it that are not there, outermost first: they are made for it.
pub(super) fn missing_above(driver: &dyn CgroupDriver, name: &str) -> Result<Vec<String>, Failure> {
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Invalid, format!("look above cgroup {name}")).caused_by(&error)
    };
    CgroupPath::new(name).map_err(failed)?;
    let above = name.match_indices('/').map(|(at, _)| &name[..at]);
    let mut missing = Vec::new();
    for name in above {
        match driver.open(&CgroupPath::new(name).map_err(failed)?) {
            Ok(_) => {}
            Err(error) if error.is_not_found() => missing.push(name.to_owned()),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(missing)
}

/// Ends whatever is left in it, and removes it, with what was made above it for it.
pub(super) fn remove(record: &Record) -> Result<(), Failure> {
    if record.init.is_some() {
        end(record)?;
    } else {
        // Whether it was made at all nobody knows: what is in it may be somebody else's.
        make_room(driver(record.systemd)?.as_ref(), &record.cgroup)?;
    }
    prune(record)
}

/// Waits until nobody is in it whose maker was killed before it had written down whom it made: such a process notices, and ends. Others
/// may be in it as well, if the group is somebody else's; they are left alone.
pub(super) fn settle(record: &Record) -> Result<(), Failure> {
    let Ok(group) = open(record) else { return Ok(()) };
    let ends = Instant::now() + PATIENCE;
    while Instant::now() < ends && group.processes().is_ok_and(|all| !all.is_empty()) {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn end(record: &Record) -> Result<(), Failure> {
    let Ok(group) = open(record) else { return Ok(()) };
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Internal, format!("remove cgroup {}", record.cgroup)).caused_by(&error)
    };
    let ends = Instant::now() + PATIENCE;
    loop {
        // Frozen processes do not die.
        let _ = group.thaw();
        let _ = group.kill();
        match group.remove() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) if Instant::now() > ends => return Err(failed(error)),
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Removes the groups above it that were made for it, and the one that is ours, where they were its alone.
fn prune(record: &Record) -> Result<(), Failure> {
    let driver = driver(record.systemd)?;
    record.above.iter().rev().try_for_each(|name| make_room(driver.as_ref(), name))?;
    match record.cgroup.split_once('/') {
        Some((OWN, _)) if !record.systemd => make_room(driver.as_ref(), OWN),
        _ => Ok(()),
    }
}
