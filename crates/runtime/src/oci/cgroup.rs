//! A container's control group.

use super::store::{Container, Record};
use crate::monitor;
use crate::plan::{self, Bundle, invalid};
use crate::{Failure, FailureKind};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tinyd_cgroup::systemd::{Bus, Driver};
use tinyd_cgroup::{Cgroup, CgroupDriver, CgroupPath, Host};
use tinyd_ns::{Namespaces, pidfd};

/// How long the kernel may take to take the last process out of a group.
const PATIENCE: Duration = Duration::from_secs(5);

/// The group above those of containers whose bundles name none.
const OWN: &str = "tinyd-runtime";

/// What a bundle's annotations begin with that are properties of the unit that systemd makes.
const OF_UNIT: &str = "org.systemd.property.";

/// The driver that was asked for.
pub(super) fn driver(systemd: bool) -> Result<Box<dyn CgroupDriver>, Failure> {
    if systemd { Ok(Box::new(by_systemd()?)) } else { monitor::cgroup_driver() }
}

/// The one that makes the bundle's group.
pub(super) fn driver_of(bundle: &Bundle, systemd: bool) -> Result<Box<dyn CgroupDriver>, Failure> {
    if !systemd {
        return monitor::cgroup_driver();
    }
    let annotations = bundle.spec.annotations.iter().flatten();
    let mut asked: Vec<_> =
        annotations.filter_map(|(name, value)| Some((name.strip_prefix(OF_UNIT)?, value))).collect();
    asked.sort();
    let driver = asked.into_iter().try_fold(by_systemd()?, |driver, (name, value)| {
        driver.with_property(name, value).map_err(|error| invalid("annotations", error))
    });
    Ok(Box::new(driver?))
}

fn by_systemd() -> Result<Driver, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(FailureKind::Unsupported, "ask systemd for control groups").caused_by(error)
    };
    let host = Host::detect().map_err(|error| failed(&error))?;
    let address = std::env::var(super::SYSTEM_BUS).ok();
    let bus = Bus::of_host(address.as_deref()).map_err(|error| failed(&error))?;
    Driver::new(&host, bus).map_err(|error| failed(&error))
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

/// A group that was there before its container: its caller's, who has made it ahead.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Found {
    /// Its folders. In further hierarchies it was made for the container.
    places: Vec<PathBuf>,
    /// The groups below it, which are nobody's of the container.
    children: Vec<String>,
    /// The container's processes end with its first one, so that those that are left are somebody else's.
    ends_as_one: bool,
}

/// Looks whether it is there.
pub(super) fn found(
    driver: &dyn CgroupDriver,
    name: &str,
    bundle: &Bundle,
) -> Result<Option<Found>, Failure> {
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Internal, format!("look for cgroup {name}")).caused_by(&error)
    };
    let path = CgroupPath::new(name).map_err(failed)?;
    let group = match driver.open(&path) {
        Ok(group) => group,
        Err(error) if error.is_not_found() => return Ok(None),
        // What is no path of this driver's is told of by those who make it.
        Err(tinyd_cgroup::Error::InvalidPath { .. }) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let places = group.views().into_iter().map(|view| view.source).collect();
    let children = driver.children(&path).map_err(failed)?;
    Ok(Some(Found { places, children, ends_as_one: plan::ends_as_one(bundle)? }))
}

/// Removes it where it is empty.
fn remove_empty(driver: &dyn CgroupDriver, name: &str) -> Result<(), Failure> {
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
    match (&record.init, &record.found) {
        (Some(_), None) => end(record)?,
        (Some(_), Some(found)) => leave(record, found)?,
        // It is as it was, or as nearly as can be told: nobody of the container was ever in it.
        (None, Some(found)) => {
            if let Ok(group) = open(record) {
                give_back(group.as_ref(), found);
            }
        }
        // Whether it was made at all nobody knows: what is in it may be somebody else's.
        (None, None) => remove_empty(driver(record.systemd)?.as_ref(), &record.cgroup)?,
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

/// The same for one that was there before: what the container has left in it goes, and then the group, unless somebody else has
/// processes or groups in it.
fn leave(record: &Record, found: &Found) -> Result<(), Failure> {
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Internal, format!("remove cgroup {}", record.cgroup)).caused_by(&error)
    };
    let driver = driver(record.systemd)?;
    let path = CgroupPath::new(&record.cgroup).map_err(failed)?;
    let ends = Instant::now() + PATIENCE;
    loop {
        let group = match driver.open(&path) {
            Ok(group) => group,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let (own, others) = sides(driver.as_ref(), group.as_ref(), found).map_err(failed)?;
        if !own.is_empty() {
            // Frozen processes do not die.
            let _ = group.thaw();
            own.iter().for_each(|pid| signal(*pid, group.as_ref(), libc::SIGKILL));
        }
        let mut left = 0;
        for name in driver.children(&path).map_err(failed)? {
            let child = group.path().join(&name).and_then(|child| driver.open(&child));
            let Ok(child) = child else { continue };
            let is_own = !found.children.contains(&name) && !child.is_populated().unwrap_or(false);
            if !is_own || child.remove().is_err() {
                left += 1;
            }
        }
        if own.is_empty() && (left > 0 || !others.is_empty()) {
            give_back(group.as_ref(), found);
            return Ok(());
        }
        if own.is_empty() {
            remove_empty(driver.as_ref(), &record.cgroup)?;
            // It is a unit that stays, whoever is in it.
            if record.systemd {
                return Ok(());
            }
        }
        if Instant::now() > ends {
            let problem = format!("remove cgroup {}: its processes do not end", record.cgroup);
            return Err(Failure::new(FailureKind::Internal, problem));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Removes it where it was not before, and nobody is in it.
fn give_back(group: &dyn Cgroup, found: &Found) {
    for view in group.views().iter().filter(|view| !found.places.contains(&view.source)) {
        let _ = std::fs::remove_dir(&view.source);
    }
}

/// The container's processes, and other people's.
fn sides(
    driver: &dyn CgroupDriver,
    group: &dyn Cgroup,
    found: &Found,
) -> tinyd_cgroup::Result<(Vec<u32>, Vec<u32>)> {
    let all = group.processes()?;
    if found.ends_as_one {
        return Ok((Vec::new(), all));
    }
    let mut others = Vec::new();
    for name in &found.children {
        match driver.open(&group.path().join(name)?).and_then(|child| child.processes()) {
            Ok(pids) => others.extend(pids),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all.into_iter().partition(|pid| !others.contains(pid)))
}

/// The processes in its group that are the container's. In one that was there before others may have theirs; where it has a PID
/// namespace, what is in that is the container's.
pub(super) fn own_processes(container: &Container, group: &dyn Cgroup) -> Result<Vec<u32>, Failure> {
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Internal, "look for the container's processes").caused_by(&error)
    };
    let record = &container.record;
    let Some(found) = &record.found else { return group.processes().map_err(failed) };
    if !found.ends_as_one {
        let driver = driver(record.systemd)?;
        return Ok(sides(driver.as_ref(), group, found).map_err(failed)?.0);
    }
    let numbers = |pid| Namespaces::PID.id_of(pid).ok();
    let own = container.process().and_then(|_| numbers(container.pid()));
    let all = group.processes().map_err(failed)?;
    Ok(all.into_iter().filter(|pid| own.is_some() && numbers(*pid) == own).collect())
}

/// Signals a process that is in a group.
pub(super) fn signal(pid: u32, group: &dyn Cgroup, number: i32) {
    let Ok(pidfd) = pidfd::open(pid) else { return };
    // Its number may have become another's before it was held.
    if group.processes().is_ok_and(|all| all.contains(&pid)) {
        let _ = pidfd::send_signal(&pidfd, number);
    }
}

/// Removes the groups above it that were made for it, and the one that is ours, where they were its alone.
fn prune(record: &Record) -> Result<(), Failure> {
    let driver = driver(record.systemd)?;
    record.above.iter().rev().try_for_each(|name| remove_empty(driver.as_ref(), name))?;
    match record.cgroup.split_once('/') {
        Some((OWN, _)) if !record.systemd => remove_empty(driver.as_ref(), OWN),
        _ => Ok(()),
    }
}
