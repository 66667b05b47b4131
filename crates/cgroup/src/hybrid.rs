//! v1 controllers with a v2 hierarchy beside them: v1 limits, v2 freezes, kills and tells what is populated.

use crate::adopt;
use crate::driver::{Cgroup, CgroupDriver, HierarchyView, Version};
use crate::error::{Error, Result};
use crate::join::JoinHandle;
use crate::limits::Limits;
use crate::oom::OomWatch;
use crate::path::CgroupPath;
use crate::stats::Stats;
use crate::tree::{self, Existing};
use crate::v1::{V1Driver, V1Group};
use crate::v2::{V2Driver, V2Group};
use std::collections::BTreeSet;

pub(crate) struct HybridDriver {
    v1: V1Driver,
    v2: V2Driver,
}

impl HybridDriver {
    pub(crate) fn new(v1: V1Driver, v2: V2Driver) -> Self {
        Self { v1, v2 }
    }

    /// The kernel gives each controller to one hierarchy: first asked is v1, and v2 for what it has not. Where v1
    /// has no `devices`, they are a filter on v2.
    fn split(&self, limits: &Limits) -> (Limits, Limits) {
        limits.split(|controller| self.v1.has(controller))
    }

    fn make(&self, path: &CgroupPath, limits: &Limits, existing: Existing) -> Result<Box<dyn Cgroup>> {
        let (of_v1, of_v2) = self.split(limits);
        self.v2.require(&of_v2)?;
        let (v1, v2) = tree::all_or_nothing(|undo| {
            let v1 = self.v1.make(path, &of_v1, existing, undo)?;
            Ok((v1, self.v2.make(path, &of_v2, existing, undo)?))
        })?;
        Ok(Box::new(HybridGroup { v1, v2: Some(v2), driver_v2: self.v2.clone() }))
    }
}

impl CgroupDriver for HybridDriver {
    fn version(&self) -> Version {
        Version::Hybrid
    }

    fn create(&self, path: &CgroupPath, limits: &Limits) -> Result<Box<dyn Cgroup>> {
        limits.check_new()?;
        self.make(path, limits, Existing::Refuse)
    }

    fn adopt(&self, path: &CgroupPath, limits: &Limits) -> Result<Box<dyn Cgroup>> {
        adopt::check(self.open(path), limits)?;
        self.make(path, limits, Existing::Adopt)
    }

    fn ensure(&self, path: &CgroupPath) -> Result<Box<dyn Cgroup>> {
        self.make(path, &Limits::default(), Existing::Take)
    }

    fn open(&self, path: &CgroupPath) -> Result<Box<dyn Cgroup>> {
        let (v1, v2) = (self.v1.find(path)?, self.v2.find(path)?);
        if v1.is_empty() && v2.is_none() {
            return Err(Error::NotFound { path: path.to_string() });
        }
        Ok(Box::new(HybridGroup { v1, v2, driver_v2: self.v2.clone() }))
    }

    fn children(&self, path: &CgroupPath) -> Result<Vec<String>> {
        let mut names: BTreeSet<String> = self.v1.children(path)?.into_iter().collect();
        names.extend(self.v2.children(path)?);
        Ok(names.into_iter().collect())
    }

    fn prune(&self, path: &CgroupPath) -> Result<()> {
        let errors = [self.v1.prune(path), self.v2.prune(path)];
        Error::collect(errors.into_iter().filter_map(std::result::Result::err).collect())
    }

    fn validate(&self, limits: &Limits) -> Result<()> {
        limits.check()?;
        limits.check_host()?;
        let (of_v1, of_v2) = self.split(limits);
        self.v2.require(&of_v2)?;
        self.v1.probe(&of_v1)?;
        self.v2.probe(&of_v2)
    }
}

struct HybridGroup {
    v1: V1Group,
    /// Missing when only v1 has the group, as after a removal that was cut short.
    v2: Option<V2Group>,
    driver_v2: V2Driver,
}

impl HybridGroup {
    fn unified(&self) -> Result<&V2Group> {
        self.v2.as_ref().ok_or_else(|| Error::NotFound { path: format!("{} on cgroup v2", self.v1.path()) })
    }
}

impl Cgroup for HybridGroup {
    fn path(&self) -> &CgroupPath {
        self.v1.path()
    }

    fn join_handle(&self) -> Result<JoinHandle> {
        let mut handle = JoinHandle::new();
        self.v1.add_tasks(&mut handle)?;
        if let Some(v2) = &self.v2 {
            v2.add_descriptors(&mut handle)?;
        }
        Ok(handle)
    }

    fn apply(&self, limits: &Limits) -> Result<()> {
        limits.check()?;
        let (of_v1, of_v2) = limits.split(|controller| self.v1.can(controller));
        self.driver_v2.require(&of_v2)?;
        self.v1.apply(&of_v1)?;
        if of_v2.is_empty() { Ok(()) } else { self.unified()?.apply(&of_v2) }
    }

    fn limits(&self) -> Result<Limits> {
        let of_v1 = self.v1.limits()?;
        match &self.v2 {
            Some(v2) => Ok(of_v1.or(v2.limits()?)),
            None => Ok(of_v1),
        }
    }

    fn add_process(&self, pid: u32) -> Result<()> {
        self.v1.add_process(pid)?;
        self.v2.as_ref().map_or(Ok(()), |v2| v2.add_process(pid))
    }

    fn remove_process(&self, pid: u32) -> Result<()> {
        let in_v1 = self.v1.move_out(pid)?;
        let in_v2 = self.v2.as_ref().map_or(Ok(false), |v2| v2.move_out(pid))?;
        if in_v1 || in_v2 {
            return Ok(());
        }
        Err(Error::NotMember { pid, path: self.path().to_string() })
    }

    fn processes(&self) -> Result<Vec<u32>> {
        let mut pids = self.v1.listed()?;
        if let Some(v2) = &self.v2 {
            pids.extend(v2.processes()?);
        }
        Ok(pids.into_iter().collect())
    }

    fn freeze(&self) -> Result<()> {
        self.unified()?.freeze()
    }

    fn thaw(&self) -> Result<()> {
        self.unified()?.thaw()
    }

    fn is_frozen(&self) -> Result<bool> {
        self.unified()?.is_frozen()
    }

    fn kill(&self) -> Result<()> {
        let all = self.v2.as_ref().map_or(Ok(()), Cgroup::kill);
        // What moved itself out of the v2 group, or never joined it, is still held by v1.
        all.and(self.v1.kill_listed())
    }

    fn is_populated(&self) -> Result<bool> {
        match &self.v2 {
            Some(v2) if v2.is_populated()? => Ok(true),
            _ => self.v1.is_populated(),
        }
    }

    fn stats(&self) -> Result<Stats> {
        let of_v1 = self.v1.stats()?;
        match &self.v2 {
            Some(v2) => Ok(of_v1.or(v2.stats()?)),
            None => Ok(of_v1),
        }
    }

    fn oom_kills(&self) -> Result<u64> {
        if let Some(kills) = self.v1.oom()? {
            return Ok(kills);
        }
        self.v2.as_ref().map_or(Ok(None), V2Group::oom)?.ok_or_else(|| Error::missing("memory"))
    }

    fn watch_oom(&self) -> Result<OomWatch> {
        if self.v1.can("memory") { self.v1.watch_oom() } else { self.unified()?.watch_oom() }
    }

    fn remove(&self) -> Result<()> {
        let mut places = self.v1.places();
        places.push(self.path().below(self.driver_v2.root()));
        tree::remove(places)
    }

    fn views(&self) -> Vec<HierarchyView> {
        let mut views = self.v1.views();
        views.extend(self.v2.iter().flat_map(Cgroup::views));
        views
    }
}
