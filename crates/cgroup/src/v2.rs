//! Version 2: one directory (Documentation/admin-guide/cgroup-v2.rst).

mod bpf;
mod core;
mod cpu;
mod cpuset;
mod devices;
mod group;
mod io;
mod memory;
mod pressure;
mod subtree;

use crate::adopt;
use crate::dir::Dir;
use crate::driver::{Cgroup, CgroupDriver, HierarchyVersion, Version};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::path::CgroupPath;
use crate::tree::{self, Existing, Undo};
pub(crate) use cpu::weight;
pub(crate) use group::V2Group;
pub(crate) use io::even as io_weight;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// Whether this hierarchy is all there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It carries every controller, and its root may be told to distribute them.
    Alone,
    /// The controllers are with v1; its root is left as it is.
    BesideV1,
}

/// Switched on for every group where the host has them: they limit, and they count.
const ALWAYS: [&str; 4] = ["cpu", "memory", "pids", "io"];

/// The controllers that limits need switched on. `devices` is none on v2: every group takes a filter.
fn switched(limits: &Limits) -> Vec<&'static str> {
    limits.controllers().into_iter().filter(|c| *c != "devices").collect()
}

/// The driver over the unified hierarchy.
#[derive(Debug, Clone)]
pub(crate) struct V2Driver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    place: Place,
    controllers: OnceLock<Vec<String>>,
}

impl V2Driver {
    pub(crate) fn new(root: PathBuf, place: Place) -> Self {
        Self(Arc::new(Inner { root, place, controllers: OnceLock::new() }))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0.root
    }

    pub(crate) fn place(&self) -> Place {
        self.0.place
    }

    /// What the hierarchy carries; read when first asked for, as a hybrid host's start does not need it.
    fn controllers(&self) -> Result<&[String]> {
        if let Some(known) = self.0.controllers.get() {
            return Ok(known);
        }
        let text = Dir::open_existing(self.0.root.clone())?.read("cgroup.controllers")?;
        Ok(self.0.controllers.get_or_init(|| text.split_whitespace().map(str::to_owned).collect()))
    }

    pub(crate) fn has_controller(&self, controller: &str) -> bool {
        self.controllers().is_ok_and(|all| all.iter().any(|c| c == controller))
    }

    pub(crate) fn require(&self, limits: &Limits) -> Result<()> {
        limits.settings.iter().try_for_each(|setting| setting.require(HierarchyVersion::V2))?;
        for controller in switched(limits) {
            if !self.controllers()?.iter().any(|c| c == controller) {
                return Err(Error::missing(controller));
            }
            subtree::check_root(self, controller)?;
        }
        Ok(())
    }

    /// Has the kernel check the device rules' program, which is all of them that can fail before there is a group.
    pub(crate) fn probe(&self, limits: &Limits) -> Result<()> {
        if limits.devices.is_empty() {
            return Ok(());
        }
        devices::probe(self.root(), &limits.devices)
    }

    pub(crate) fn make(
        &self,
        path: &CgroupPath,
        limits: &Limits,
        existing: Existing,
        undo: &mut Undo,
    ) -> Result<V2Group> {
        let dir = tree::make(self.root(), path, existing, undo)?;
        let group = V2Group::new(path.clone(), dir, self.clone());
        let mut counted = Vec::new();
        if existing != Existing::Take {
            let have = self.controllers()?;
            counted.extend(ALWAYS.into_iter().filter(|c| have.iter().any(|h| h == c)));
        }
        subtree::enable(self, path, group.dir(), &switched(limits), &counted)?;
        group.write(limits)?;
        Ok(group)
    }

    pub(crate) fn find(&self, path: &CgroupPath) -> Result<Option<V2Group>> {
        let dir = Dir::open(path.below(self.root()))?;
        Ok(dir.map(|dir| V2Group::new(path.clone(), dir, self.clone())))
    }

    fn whole(&self, path: &CgroupPath, limits: &Limits, existing: Existing) -> Result<Box<dyn Cgroup>> {
        Ok(Box::new(tree::all_or_nothing(|undo| self.make(path, limits, existing, undo))?))
    }
}

impl CgroupDriver for V2Driver {
    fn version(&self) -> Version {
        Version::V2
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
        match self.find(path)? {
            Some(group) => Ok(Box::new(group)),
            None => Err(Error::NotFound { path: path.to_string() }),
        }
    }

    fn children(&self, path: &CgroupPath) -> Result<Vec<String>> {
        let Some(group) = self.find(path)? else { return Ok(Vec::new()) };
        let mut names = group.dir().children()?;
        names.sort();
        Ok(names)
    }

    fn prune(&self, path: &CgroupPath) -> Result<()> {
        tree::prune(&path.below(self.root()))
    }

    fn validate(&self, limits: &Limits) -> Result<()> {
        limits.check()?;
        limits.check_host()?;
        self.require(limits)?;
        self.probe(limits)
    }
}
