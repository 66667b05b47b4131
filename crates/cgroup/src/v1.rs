//! Version 1: one directory per hierarchy (Documentation/admin-guide/cgroup-v1).

mod blkio;
mod cpu;
mod cpuacct;
mod cpuset;
mod devices;
mod freezer;
mod group;
mod memory;
mod net;

use crate::adopt;
use crate::dir::Dir;
use crate::driver::{Cgroup, CgroupDriver, HierarchyVersion, Version};
use crate::error::{Error, Result};
use crate::hugetlb;
use crate::limits::{IoLimits, Limits};
use crate::mountinfo::Hierarchy;
use crate::path::CgroupPath;
use crate::tree::{self, Existing, Undo};
pub(crate) use devices::allowed as allowed_devices;
pub(crate) use group::V1Group;
use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};

/// Controllers whose hierarchies every group is made in: they limit, and they count.
const ALWAYS: [&str; 5] = ["cpu", "cpuacct", "memory", "pids", "blkio"];

/// Controllers in whose hierarchies a group is made when a limit asks for it.
const ASKED_FOR: [&str; 7] = ["cpuset", "devices", "hugetlb", "net_cls", "net_prio", "rdma", "misc"];

/// A hierarchy in which groups are made.
#[derive(Debug)]
pub(crate) struct Managed {
    hierarchy: Hierarchy,
    /// Else only when a limit asks for it: each hierarchy costs a mkdir and a write in every start.
    always: bool,
}

impl Managed {
    /// `controller` by its name on v2, as [`Limits::controllers`] gives it.
    fn carries(&self, controller: &str) -> bool {
        self.hierarchy.has(name(controller))
    }
}

fn name(controller: &str) -> &str {
    if controller == "io" { "blkio" } else { controller }
}

fn missing(controller: &str) -> Error {
    Error::missing(name(controller))
}

/// The driver over all v1 hierarchies.
pub(crate) struct V1Driver {
    managed: Arc<[Managed]>,
}

impl V1Driver {
    /// `freezer` is false where a v2 hierarchy beside this one freezes.
    pub(crate) fn new(hierarchies: &[Hierarchy], freezer: bool) -> Self {
        let managed = hierarchies.iter().filter_map(|hierarchy| {
            let always = ALWAYS.iter().any(|c| hierarchy.has(c)) || (freezer && hierarchy.has("freezer"));
            (always || ASKED_FOR.iter().any(|c| hierarchy.has(c)))
                .then(|| Managed { hierarchy: hierarchy.clone(), always })
        });
        Self { managed: managed.collect() }
    }

    pub(crate) fn has(&self, controller: &str) -> bool {
        self.managed.iter().any(|m| m.carries(controller))
    }

    pub(crate) fn require(&self, limits: &Limits) -> Result<()> {
        match limits.controllers().into_iter().find(|c| !self.has(c)) {
            Some(controller) => Err(missing(controller)),
            None => limits.settings.iter().try_for_each(|setting| setting.require(HierarchyVersion::V1)),
        }
    }

    /// Looks for files that kernels may lack, in the hierarchies' roots, and for what v1 cannot say.
    pub(crate) fn probe(&self, limits: &Limits) -> Result<()> {
        let root = |controller| {
            let managed = self.managed.iter().find(|m| m.carries(controller));
            managed.map(|m| Dir::open_existing(m.hierarchy.mountpoint().to_owned())).transpose()
        };
        if limits.memory.swap_bytes.is_some()
            && let Some(dir) = root("memory")?
        {
            memory::probe_swap(&dir)?;
        }
        if (limits.cpu.quota_us.is_some() || limits.cpu.period_us.is_some())
            && let Some(dir) = root("cpu")?
        {
            cpu::probe_quota(&dir)?;
        }
        if limits.io != IoLimits::default()
            && let Some(dir) = root("io")?
        {
            blkio::probe(&dir, &limits.io)?;
        }
        if !limits.hugetlb.is_empty()
            && let Some(dir) = root("hugetlb")?
        {
            hugetlb::probe(&dir, HierarchyVersion::V1, &limits.hugetlb)?;
        }
        devices::probe(&limits.devices)
    }

    pub(crate) fn make(
        &self,
        path: &CgroupPath,
        limits: &Limits,
        existing: Existing,
        undo: &mut Undo,
    ) -> Result<V1Group> {
        let mut dirs = Vec::with_capacity(self.managed.len());
        let asked = limits.controllers();
        for managed in self.managed.iter() {
            let cpuset = managed.hierarchy.has("cpuset");
            let root = managed.hierarchy.mountpoint();
            // Below a group that is in a hierarchy everything is, or it would escape what that one sets.
            let above = || path.parent().is_some_and(|p| p.below(root).is_dir());
            // Its maker may have set something there.
            let adopted = || existing == Existing::Adopt && path.below(root).is_dir();
            if !(managed.always || asked.iter().any(|c| managed.carries(c)) || above() || adopted()) {
                dirs.push(OnceLock::new());
                continue;
            }
            let dir = tree::make(root, path, existing, undo)?;
            if cpuset {
                cpuset::seed(root, path)?;
            }
            dirs.push(OnceLock::from(dir));
        }
        let group = V1Group::new(path.clone(), Arc::clone(&self.managed), dirs);
        group.write(limits)?;
        Ok(group)
    }

    /// A handle on whatever there is of a group, maybe nothing.
    pub(crate) fn find(&self, path: &CgroupPath) -> Result<V1Group> {
        let mut dirs = Vec::with_capacity(self.managed.len());
        for managed in self.managed.iter() {
            let found = Dir::open(path.below(managed.hierarchy.mountpoint()))?;
            dirs.push(found.map_or_else(OnceLock::new, OnceLock::from));
        }
        Ok(V1Group::new(path.clone(), Arc::clone(&self.managed), dirs))
    }

    fn whole(&self, path: &CgroupPath, limits: &Limits, existing: Existing) -> Result<Box<dyn Cgroup>> {
        Ok(Box::new(tree::all_or_nothing(|undo| self.make(path, limits, existing, undo))?))
    }
}

impl CgroupDriver for V1Driver {
    fn version(&self) -> Version {
        Version::V1
    }

    fn create(&self, path: &CgroupPath, limits: &Limits) -> Result<Box<dyn Cgroup>> {
        limits.check_new()?;
        self.require(limits)?;
        self.whole(path, limits, Existing::Refuse)
    }

    fn adopt(&self, path: &CgroupPath, limits: &Limits) -> Result<Box<dyn Cgroup>> {
        adopt::check(self.open(path), limits)?;
        self.require(limits)?;
        self.whole(path, limits, Existing::Adopt)
    }

    fn ensure(&self, path: &CgroupPath) -> Result<Box<dyn Cgroup>> {
        self.whole(path, &Limits::default(), Existing::Take)
    }

    fn open(&self, path: &CgroupPath) -> Result<Box<dyn Cgroup>> {
        let group = self.find(path)?;
        if group.is_empty() {
            return Err(Error::NotFound { path: path.to_string() });
        }
        Ok(Box::new(group))
    }

    fn children(&self, path: &CgroupPath) -> Result<Vec<String>> {
        let mut names = BTreeSet::new();
        for dir in self.find(path)?.dirs() {
            names.extend(dir.children()?);
        }
        Ok(names.into_iter().collect())
    }

    fn prune(&self, path: &CgroupPath) -> Result<()> {
        let mut errors = Vec::new();
        for managed in self.managed.iter() {
            errors.extend(tree::prune(&path.below(managed.hierarchy.mountpoint())).err());
        }
        Error::collect(errors)
    }

    fn validate(&self, limits: &Limits) -> Result<()> {
        limits.check()?;
        limits.check_host()?;
        self.require(limits)?;
        self.probe(limits)
    }
}
