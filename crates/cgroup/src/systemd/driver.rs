//! The driver: units by systemd, and everything in them by the driver of the hierarchies.

use super::address::Bus;
use super::asked::Asked;
use super::fault::BusError;
use super::group::UnitGroup;
use super::manager::Manager;
use super::stand_in::{self, Hold};
use super::unit::{Place, Unit};
use super::{devices, properties};
use crate::{Cgroup, CgroupDriver, CgroupPath, Error, HierarchyVersion, Host, Limits, Result, Version};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long systemd may take. It is busy while a machine boots; after this time something is wrong with it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes groups as units of systemd's.
///
/// A path is `SLICE:PREFIX:NAME`, as `linux.cgroupsPath` has it for runtimes that are told to use systemd: the scope
/// `PREFIX-NAME.scope` in a slice (none is `system.slice`, `-` the root), or, where the name ends with `.slice`, that
/// slice. [`Cgroup::path`] is where the group lies then, such as `a.slice/a-b.slice/p-n.scope`, and means the same here.
/// Below a scope that is there, groups are made as the other drivers make them.
///
/// Three things are systemd's way, and differ from the other drivers:
/// - A scope ends with its last process. Until the first has joined, a small process of ours holds it open, and stands in
///   [`Cgroup::processes`] with it: until that process has become its command, or until the handle that
///   [`create`](CgroupDriver::create) or [`ensure`](CgroupDriver::ensure) gave is dropped with nobody inside.
/// - A scope that is there is never [adopted](CgroupDriver::adopt): it has a process of somebody else's.
/// - [`prune`](CgroupDriver::prune) leaves slices: when one is stopped, all in it is, and another may just be making that.
pub struct Driver {
    inner: Box<dyn CgroupDriver>,
    shared: Arc<Shared>,
    asked: Vec<Asked>,
}

/// What groups need of their driver.
pub(super) struct Shared {
    pub(super) bus: Bus,
    pub(super) patience: Duration,
    /// Where systemd keeps its own hierarchy on v1, by which it sees whether a unit is empty.
    pub(super) own: Option<PathBuf>,
    pub(super) version: HierarchyVersion,
}

impl Shared {
    /// Does something with systemd.
    pub(super) fn ask<T>(
        &self,
        operation: &'static str,
        unit: &Unit,
        call: impl FnOnce(&mut Manager, &str) -> std::result::Result<T, BusError>,
    ) -> Result<T> {
        let answer = Manager::connect(&self.bus, self.patience).and_then(|mut m| call(&mut m, unit.name()));
        answer.map_err(|error| failed(operation, unit, error))
    }

    /// Stops a unit and has it forgotten; one that is not there is stopped.
    pub(super) fn stop(&self, unit: &Unit) -> Result<()> {
        self.ask("stop", unit, |manager, name| {
            let stopped = forgive(manager.stop(name));
            // It may have failed before, or by being stopped.
            stopped.and(forgive(manager.reset_failed(name)))
        })
    }
}

fn forgive(answer: std::result::Result<(), BusError>) -> std::result::Result<(), BusError> {
    match answer {
        Err(error) if error.is("NoSuchUnit") => Ok(()),
        other => other,
    }
}

pub(super) fn failed(operation: &'static str, unit: &Unit, error: BusError) -> Error {
    Error::Systemd { operation, unit: unit.name().to_owned(), source: Box::new(error) }
}

impl Driver {
    /// The driver for this host, with systemd at the bus. Nothing is asked of it yet.
    ///
    /// # Errors
    /// [`Error::NotMounted`].
    pub fn new(host: &Host, bus: Bus) -> Result<Self> {
        let own = host.hierarchies().iter().find(|h| h.name() == "name=systemd");
        let version = if host.version() == Version::V2 { HierarchyVersion::V2 } else { HierarchyVersion::V1 };
        let shared = Shared {
            bus,
            patience: PATIENCE,
            own: own.map(|h| h.mountpoint().to_owned()).filter(|_| version == HierarchyVersion::V1),
            version,
        };
        Ok(Self { inner: host.driver()?, shared: Arc::new(shared), asked: Vec::new() })
    }

    /// The same driver, whose units have this property as well (org.freedesktop.systemd1(5)), with a value in the words of
    /// GVariant's text format: `true`, `'text'`, `uint64 7`, `['one', 'two']`. One that ends with `Sec` and not with `USec` is a
    /// number of seconds. It counts more than what limits say.
    ///
    /// # Errors
    /// [`Error::Setting`] for what is no name or no value. Whether there is such a property systemd says when a unit is made.
    pub fn with_property(mut self, name: &str, value: &str) -> Result<Self> {
        self.asked.push(Asked::parse(name, value)?);
        Ok(self)
    }

    /// The same driver, which waits for systemd so long at most. It waits for 30 seconds when nothing is said.
    #[must_use]
    pub fn waiting_at_most(self, patience: Duration) -> Self {
        let shared = Shared {
            bus: self.shared.bus.clone(),
            patience,
            own: self.shared.own.clone(),
            version: self.shared.version,
        };
        Self { inner: self.inner, shared: Arc::new(shared), asked: self.asked }
    }

    fn group(&self, place: Place, inner: Box<dyn Cgroup>, hold: Option<Hold>) -> Box<dyn Cgroup> {
        Box::new(UnitGroup::new(place, inner, hold, Arc::clone(&self.shared)))
    }

    fn make(&self, place: Place, limits: &Limits) -> Result<Box<dyn Cgroup>> {
        if let Some(above) = &place.below {
            // Whether its unit is there is systemd's to know; without its group there is nowhere to make this one.
            self.inner.open(above)?;
            let inner = self.inner.create(&place.path, limits)?;
            return Ok(self.group(place, inner, None));
        }
        if let Ok(there) = self.inner.open(&place.path) {
            return Err(exists(there.as_ref(), &place));
        }
        let (stand_in, hold) = match &place.unit {
            Unit::Slice { .. } => (None, None),
            unit @ Unit::Scope { .. } => {
                let (pid, hold) = stand_in::start().map_err(|error| failed("start", unit, error))?;
                (Some(pid), Some(hold))
            }
        };
        let wanted = properties::of_new(&place.unit, stand_in, limits, self.shared.version)?;
        let started =
            self.shared.ask("start", &place.unit, |manager, unit| manager.start(unit, &wanted, &self.asked));
        match started {
            Err(Error::Systemd { source, .. }) if source.is("UnitExists") => {
                return Err(Error::Exists { path: place.path.as_str().into() });
            }
            other => other?,
        }
        let mut undo = Undo { driver: self, place: &place, hold, kept: false };
        if let Some(pid) = stand_in {
            self.see_that_it_is_there(&place, pid)?;
        }
        // The hierarchies that systemd does not use, and on v1 those that it has no reason to.
        let inner = self.inner.ensure(&place.path)?;
        inner.apply(limits)?;
        if let (Some(hold), Some(max @ 0..)) = (&undo.hold, limits.pids_max) {
            make_room(inner.as_ref(), hold, max).map_err(|error| failed("start", &place.unit, error))?;
        }
        undo.kept = true;
        let hold = undo.hold.take();
        drop(undo);
        Ok(self.group(place, inner, hold))
    }

    /// systemd tells of no folder in its answer; where the stand-in is, the group is.
    fn see_that_it_is_there(&self, place: &Place, pid: u32) -> Result<()> {
        let found = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let wanted = format!("/{}", place.path);
        let mut lines = found.lines().filter_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            (controllers.is_empty() || controllers == "name=systemd").then_some(path)
        });
        if lines.any(|path| path.ends_with(&wanted)) {
            return Ok(());
        }
        Err(failed("start", &place.unit, BusError::Elsewhere { found }))
    }
}

/// The stand-in is one process more, as long as it is there.
fn make_room(group: &dyn Cgroup, hold: &Hold, max: i64) -> std::result::Result<(), BusError> {
    let file = group.views().into_iter().map(|view| view.source.join("pids.max")).find(|file| file.exists());
    let Some(file) = file else { return Ok(()) };
    let (one_more, max) = ((max + 1).to_string(), max.to_string());
    // It is told first: with its order in vain nothing is changed.
    hold.restore(&file, &one_more, &max)?;
    std::fs::write(&file, &one_more).map_err(|source| BusError::StandIn { source })
}

fn exists(there: &dyn Cgroup, place: &Place) -> Error {
    let view = there.views().into_iter().next();
    Error::Exists { path: view.map_or_else(|| place.path.as_str().into(), |view| view.source) }
}

/// A unit that was started: stopped again, with what is in it, unless it is kept.
struct Undo<'a> {
    driver: &'a Driver,
    place: &'a Place,
    hold: Option<Hold>,
    kept: bool,
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        drop(self.hold.take());
        let _ = self.driver.shared.stop(&self.place.unit);
        if let Ok(left) = self.driver.inner.open(&self.place.path) {
            let _ = left.remove();
        }
    }
}

impl CgroupDriver for Driver {
    fn version(&self) -> Version {
        self.inner.version()
    }

    fn create(&self, path: &CgroupPath, limits: &Limits) -> Result<Box<dyn Cgroup>> {
        let place = Place::parse(path)?;
        limits.check_new()?;
        self.validate(limits)?;
        self.make(place, limits)
    }

    fn adopt(&self, path: &CgroupPath, limits: &Limits) -> Result<Box<dyn Cgroup>> {
        let place = Place::parse(path)?;
        if let Some(above) = &place.below {
            self.inner.open(above)?;
            let inner = self.inner.adopt(&place.path, limits)?;
            return Ok(self.group(place, inner, None));
        }
        // A scope has processes as long as it is there: one that is there is somebody's.
        if matches!(place.unit, Unit::Scope { .. }) {
            return self.create(path, limits);
        }
        match self.inner.open(&place.path) {
            Err(error) if error.is_not_found() => return self.create(path, limits),
            there => drop(there?),
        }
        self.validate(limits)?;
        let inner = self.inner.adopt(&place.path, &Limits::default())?;
        let group = self.group(place, inner, None);
        group.apply(limits)?;
        Ok(group)
    }

    fn ensure(&self, path: &CgroupPath) -> Result<Box<dyn Cgroup>> {
        let place = Place::parse(path)?;
        if let Some(above) = &place.below {
            self.inner.open(above)?;
            let inner = self.inner.ensure(&place.path)?;
            return Ok(self.group(place, inner, None));
        }
        match self.open(path) {
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
        match self.make(place, &Limits::default()) {
            // Another was first.
            Err(Error::Exists { .. }) => self.open(path),
            other => other,
        }
    }

    fn open(&self, path: &CgroupPath) -> Result<Box<dyn Cgroup>> {
        let place = Place::parse(path)?;
        let inner = self.inner.open(&place.path)?;
        Ok(self.group(place, inner, None))
    }

    fn children(&self, path: &CgroupPath) -> Result<Vec<String>> {
        self.inner.children(&Place::parse(path)?.path)
    }

    fn prune(&self, path: &CgroupPath) -> Result<()> {
        let place = Place::parse(path)?;
        match place.below {
            Some(_) => self.inner.prune(&place.path),
            None => Ok(()),
        }
    }

    fn validate(&self, limits: &Limits) -> Result<()> {
        self.inner.validate(limits)?;
        devices::policy(&limits.devices, self.shared.version, &mut Vec::new())
    }
}

/// The group of systemd's own hierarchy that belongs to a place: the unit's, for systemd knows no group below it.
pub(super) fn own_group(own: &Path, place: &Place) -> PathBuf {
    place.below.as_ref().unwrap_or(&place.path).below(own)
}
