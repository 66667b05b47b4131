//! A group of systemd's: the unit and the files.

use super::driver::{Shared, own_group};
use super::properties;
use super::stand_in::Hold;
use super::unit::Place;
use crate::dir::Dir;
use crate::tree;
use crate::{Cgroup, CgroupPath, Error, HierarchyView, JoinHandle, Limits, OomWatch, Result, Stats};
use rustix::fs::OFlags;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long processes that have just exited may keep a group busy.
const BUSY: Duration = Duration::from_secs(1);

pub(super) struct UnitGroup {
    place: Place,
    inner: Box<dyn Cgroup>,
    /// Holds a new scope open, until this goes with the first who joins.
    hold: Mutex<Option<Hold>>,
    shared: Arc<Shared>,
}

impl UnitGroup {
    pub(super) fn new(place: Place, inner: Box<dyn Cgroup>, hold: Option<Hold>, shared: Arc<Shared>) -> Self {
        Self { place, inner, hold: Mutex::new(hold), shared }
    }

    fn take_hold(&self) -> Option<Hold> {
        self.hold.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn own(&self) -> Option<PathBuf> {
        self.shared.own.as_ref().map(|own| own_group(own, &self.place))
    }

    /// Whether all processes have gone, or will have in a moment.
    fn becomes_empty(&self) -> Result<bool> {
        let end = Instant::now() + BUSY;
        let mut wait = Duration::from_micros(50);
        loop {
            match self.inner.is_populated() {
                Ok(false) => return Ok(true),
                Err(error) if error.is_not_found() => return Ok(true),
                Err(error) => return Err(error),
                Ok(true) if Instant::now() > end => return Ok(false),
                Ok(true) => {}
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(Duration::from_millis(10));
        }
    }

    /// Quota and period are one number to systemd: of whichever is not changed, the kernel knows what it is.
    fn with_whole_quota(&self, limits: &Limits) -> Result<Limits> {
        let mut limits = limits.clone();
        if limits.cpu.quota_us.is_some() != limits.cpu.period_us.is_some() {
            let now = self.inner.limits()?.cpu;
            limits.cpu.quota_us = limits.cpu.quota_us.or(now.quota_us);
            limits.cpu.period_us = limits.cpu.period_us.or(now.period_us);
        }
        Ok(limits)
    }

    fn busy(&self) -> Error {
        let view = self.inner.views().into_iter().next();
        let path = view.map_or_else(|| self.place.path.as_str().into(), |view| view.source);
        Error::Remove { path, source: rustix::io::Errno::BUSY.into() }
    }
}

impl Cgroup for UnitGroup {
    fn path(&self) -> &CgroupPath {
        &self.place.path
    }

    fn join_handle(&self) -> Result<JoinHandle> {
        let mut handle = self.inner.join_handle()?;
        if let Some(own) = self.own() {
            let dir = Dir::open_existing(own)?;
            handle.push_v1(dir.open_file("tasks", OFlags::WRONLY)?, dir.file("tasks").display().to_string());
        }
        if let Some(hold) = self.take_hold() {
            handle.keep_open(hold.into_fd());
        }
        Ok(handle)
    }

    fn apply(&self, limits: &Limits) -> Result<()> {
        limits.check()?;
        let wanted = properties::of(&self.with_whole_quota(limits)?, self.shared.version)?;
        if self.place.below.is_none() && !wanted.is_empty() {
            let unit = &self.place.unit;
            match self.shared.ask("change", unit, |manager, name| manager.set(name, &wanted)) {
                Err(Error::Systemd { source, .. }) if source.is("NoSuchUnit") => {
                    return Err(Error::NotFound { path: self.place.path.to_string() });
                }
                other => other?,
            }
        }
        self.inner.apply(limits)
    }

    fn limits(&self) -> Result<Limits> {
        self.inner.limits()
    }

    fn add_process(&self, pid: u32) -> Result<()> {
        self.inner.add_process(pid)?;
        if let Some(own) = self.own() {
            Dir::open_existing(own)?.write("cgroup.procs", &pid.to_string())?;
        }
        drop(self.take_hold());
        Ok(())
    }

    fn remove_process(&self, pid: u32) -> Result<()> {
        self.inner.remove_process(pid)?;
        if let Some(own) = self.own()
            && let Some(above) = own.parent()
        {
            Dir::open_existing(above.to_owned())?.write("cgroup.procs", &pid.to_string())?;
        }
        Ok(())
    }

    fn processes(&self) -> Result<Vec<u32>> {
        self.inner.processes()
    }

    fn freeze(&self) -> Result<()> {
        self.inner.freeze()
    }

    fn thaw(&self) -> Result<()> {
        self.inner.thaw()
    }

    fn is_frozen(&self) -> Result<bool> {
        self.inner.is_frozen()
    }

    fn kill(&self) -> Result<()> {
        self.inner.kill()
    }

    fn is_populated(&self) -> Result<bool> {
        self.inner.is_populated()
    }

    fn stats(&self) -> Result<Stats> {
        self.inner.stats()
    }

    fn oom_kills(&self) -> Result<u64> {
        self.inner.oom_kills()
    }

    fn watch_oom(&self) -> Result<OomWatch> {
        self.inner.watch_oom()
    }

    fn remove(&self) -> Result<()> {
        drop(self.take_hold());
        if self.place.below.is_some() {
            return self.inner.remove();
        }
        // Stopping a unit ends its processes, and removing a group does not.
        if !self.becomes_empty()? {
            return Err(self.busy());
        }
        let mut errors = Vec::new();
        errors.extend(self.shared.stop(&self.place.unit).err());
        errors.extend(self.inner.remove().err());
        errors.extend(self.own().and_then(|own| tree::remove(vec![own]).err()));
        Error::collect(errors)
    }

    fn views(&self) -> Vec<HierarchyView> {
        self.inner.views()
    }
}
