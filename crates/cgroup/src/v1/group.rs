//! A group in the v1 hierarchies.

use super::{Managed, blkio, cpu, cpuacct, cpuset, devices, freezer, memory, missing, net};
use crate::dir::Dir;
use crate::driver::{Cgroup, HierarchyVersion, HierarchyView};
use crate::error::{Error, Result};
use crate::hugetlb;
use crate::join::JoinHandle;
use crate::kill::kill_listed;
use crate::limits::Limits;
use crate::oom::OomWatch;
use crate::path::CgroupPath;
use crate::pids;
use crate::stats::Stats;
use crate::tree::{self, Existing};
use rustix::fs::OFlags;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// How often processes are looked for that were forked while others were moved.
const ROUNDS: usize = 10;

/// One slot per managed hierarchy; a slot is empty where the group is not in that hierarchy, and is filled when a
/// later limit needs it.
pub(crate) struct V1Group {
    path: CgroupPath,
    managed: Arc<[Managed]>,
    dirs: Vec<OnceLock<Dir>>,
}

impl V1Group {
    pub(super) fn new(path: CgroupPath, managed: Arc<[Managed]>, dirs: Vec<OnceLock<Dir>>) -> Self {
        Self { path, managed, dirs }
    }

    pub(crate) fn dirs(&self) -> impl Iterator<Item = &Dir> {
        self.dirs.iter().filter_map(OnceLock::get)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.dirs().next().is_none()
    }

    /// Where it is or may be: another handle may have added a hierarchy since.
    pub(crate) fn places(&self) -> Vec<PathBuf> {
        self.managed.iter().map(|m| self.path.below(m.hierarchy.mountpoint())).collect()
    }

    /// Whether the host has the controller on v1, be the group in its hierarchy or not.
    pub(crate) fn can(&self, controller: &str) -> bool {
        self.managed.iter().any(|m| m.carries(controller))
    }

    fn find(&self, controller: &str) -> Option<&Dir> {
        let at = self.managed.iter().position(|m| m.carries(controller))?;
        self.dirs[at].get()
    }

    fn get(&self, controller: &str) -> Result<&Dir> {
        self.find(controller).ok_or_else(|| missing(controller))
    }

    /// Writes limits that were checked.
    pub(crate) fn write(&self, limits: &Limits) -> Result<()> {
        limits.controllers().into_iter().try_for_each(|c| write_one(self.get(c)?, c, limits))?;
        limits.settings.iter().try_for_each(|setting| match setting.controller() {
            Some(controller) => setting.write(self.get(controller)?, HierarchyVersion::V1),
            None => setting.require(HierarchyVersion::V1),
        })
    }

    /// Puts the group into a hierarchy in which it is not yet: first its limits, then its processes.
    fn extend_to(&self, controller: &str, limits: &Limits) -> Result<()> {
        let Some(at) = self.managed.iter().position(|m| m.carries(controller)) else {
            return Err(missing(controller));
        };
        if self.managed[at].always || self.dirs[at].get().is_some() {
            return Ok(());
        }
        let root = self.managed[at].hierarchy.mountpoint();
        let dir = tree::all_or_nothing(|undo| {
            let dir = tree::make(root, &self.path, Existing::Take, undo)?;
            if self.managed[at].hierarchy.has("cpuset") {
                cpuset::seed(root, &self.path)?;
            }
            write_one(&dir, controller, limits)?;
            // Whoever was not moved yet has his children where he is.
            let mut moved = BTreeSet::new();
            for _ in 0..ROUNDS {
                let new: Vec<u32> = self.listed()?.difference(&moved).copied().collect();
                if new.is_empty() {
                    break;
                }
                for pid in new {
                    match dir.try_write("cgroup.procs", &pid.to_string()) {
                        // It exited meanwhile.
                        Ok(()) | Err(rustix::io::Errno::SRCH) => drop(moved.insert(pid)),
                        Err(e) => return Err(dir.write_error("cgroup.procs", &pid.to_string(), e)),
                    }
                }
            }
            Ok(dir)
        })?;
        // Another thread may have been first; both opened the same directory.
        let _ = self.dirs[at].set(dir);
        Ok(())
    }

    /// The union: a child that died half-way through its joins is in some hierarchies only.
    pub(crate) fn listed(&self) -> Result<BTreeSet<u32>> {
        let mut found = BTreeSet::new();
        for dir in self.dirs() {
            tree::processes(dir, &mut found)?;
        }
        Ok(found)
    }

    pub(crate) fn kill_listed(&self) -> Result<()> {
        kill_listed(self.path.as_str(), &|| self.listed())
    }

    pub(crate) fn add_tasks(&self, handle: &mut JoinHandle) -> Result<()> {
        for dir in self.dirs() {
            handle.push_v1(dir.open_file("tasks", OFlags::WRONLY)?, dir.file("tasks").display().to_string());
        }
        Ok(())
    }

    /// Tells whether the process was in it anywhere.
    pub(crate) fn move_out(&self, pid: u32) -> Result<bool> {
        let mut moved = false;
        for dir in self.dirs() {
            let mut listed = BTreeSet::new();
            tree::processes(dir, &mut listed)?;
            if !listed.contains(&pid) {
                continue;
            }
            let above = dir.path().parent().unwrap_or(dir.path());
            Dir::open_existing(above.to_owned())?.write("cgroup.procs", &pid.to_string())?;
            moved = true;
        }
        Ok(moved)
    }

    pub(crate) fn oom(&self) -> Result<Option<u64>> {
        self.find("memory").map(memory::oom_kills).transpose()
    }
}

fn write_one(dir: &Dir, controller: &str, limits: &Limits) -> Result<()> {
    match controller {
        "cpu" => cpu::write(dir, &limits.cpu),
        "cpuset" => cpuset::write(dir, &limits.cpu),
        "memory" => memory::write(dir, &limits.memory),
        "pids" => pids::write(dir, limits.pids_max),
        "io" => blkio::write(dir, &limits.io),
        "devices" => devices::write(dir, &limits.devices),
        "hugetlb" => hugetlb::write(dir, HierarchyVersion::V1, &limits.hugetlb),
        "net_cls" => net::write_class(dir, limits.net.class_id),
        "net_prio" => net::write_priorities(dir, &limits.net.priorities),
        "rdma" | "misc" | "dmem" | "perf_event" => Ok(()),
        other => Err(missing(other)),
    }
}

impl Cgroup for V1Group {
    fn path(&self) -> &CgroupPath {
        &self.path
    }

    fn join_handle(&self) -> Result<JoinHandle> {
        let mut handle = JoinHandle::new();
        self.add_tasks(&mut handle)?;
        Ok(handle)
    }

    fn apply(&self, limits: &Limits) -> Result<()> {
        limits.check()?;
        let needed = limits.controllers();
        if let Some(controller) = needed.iter().find(|c| !self.can(c)) {
            return Err(missing(controller));
        }
        limits.settings.iter().try_for_each(|setting| setting.require(HierarchyVersion::V1))?;
        devices::probe(&limits.devices)?;
        needed.into_iter().try_for_each(|c| self.extend_to(c, limits))?;
        self.write(limits)
    }

    fn limits(&self) -> Result<Limits> {
        let mut limits = Limits::default();
        if let Some(dir) = self.find("cpu") {
            cpu::read(dir, &mut limits.cpu)?;
        }
        if let Some(dir) = self.find("cpuset") {
            cpuset::read(dir, &mut limits.cpu)?;
        }
        if let Some(dir) = self.find("memory") {
            limits.memory = memory::read(dir)?;
        }
        if let Some(dir) = self.find("pids") {
            limits.pids_max = pids::read(dir)?;
        }
        if let Some(dir) = self.find("io") {
            limits.io = blkio::read(dir)?;
        }
        if let Some(dir) = self.find("hugetlb") {
            limits.hugetlb = hugetlb::read(dir, HierarchyVersion::V1)?;
        }
        if let Some(dir) = self.find("net_cls") {
            limits.net.class_id = net::read_class(dir)?;
        }
        if let Some(dir) = self.find("net_prio") {
            limits.net.priorities = net::read_priorities(dir)?;
        }
        Ok(limits)
    }

    fn add_process(&self, pid: u32) -> Result<()> {
        self.dirs().try_for_each(|dir| dir.write("cgroup.procs", &pid.to_string()))
    }

    fn remove_process(&self, pid: u32) -> Result<()> {
        if self.move_out(pid)? {
            return Ok(());
        }
        Err(Error::NotMember { pid, path: self.path.to_string() })
    }

    fn processes(&self) -> Result<Vec<u32>> {
        Ok(self.listed()?.into_iter().collect())
    }

    fn freeze(&self) -> Result<()> {
        freezer::freeze(self.get("freezer")?)
    }

    fn thaw(&self) -> Result<()> {
        freezer::thaw(self.get("freezer")?)
    }

    fn is_frozen(&self) -> Result<bool> {
        freezer::is_frozen(self.get("freezer")?)
    }

    fn kill(&self) -> Result<()> {
        let Some(freezer) = self.find("freezer") else { return self.kill_listed() };
        // Standing still, nothing forks away from the list. One that cannot freeze in time is killed all the same.
        let _ = freezer::freeze(freezer);
        let killed = self.kill_listed();
        // The signals work when the processes run again, so this comes on every path.
        let thawed = freezer::thaw(freezer);
        killed.and(thawed)
    }

    fn is_populated(&self) -> Result<bool> {
        Ok(!self.listed()?.is_empty())
    }

    fn stats(&self) -> Result<Stats> {
        let mut stats = Stats::default();
        if let Some(dir) = self.find("cpu") {
            cpu::stats(dir, &mut stats.cpu)?;
        }
        if let Some(dir) = self.find("cpuacct") {
            cpuacct::stats(dir, &mut stats.cpu)?;
        }
        if let Some(dir) = self.find("memory") {
            stats.memory = memory::stats(dir)?;
            stats.oom_kills = Some(memory::oom_kills(dir)?);
        }
        if let Some(dir) = self.find("pids") {
            stats.pids = pids::stats(dir)?;
        }
        if let Some(dir) = self.find("io") {
            stats.io = blkio::stats(dir)?;
        }
        Ok(stats)
    }

    fn oom_kills(&self) -> Result<u64> {
        memory::oom_kills(self.get("memory")?)
    }

    fn watch_oom(&self) -> Result<OomWatch> {
        OomWatch::v1(self.get("memory")?)
    }

    fn remove(&self) -> Result<()> {
        tree::remove(self.places())
    }

    fn views(&self) -> Vec<HierarchyView> {
        let both = self.managed.iter().zip(&self.dirs);
        both.filter_map(|(managed, dir)| {
            let controllers = managed.hierarchy.controllers();
            let links = if controllers.len() > 1 { controllers } else { &[] };
            Some(HierarchyView {
                name: managed.hierarchy.name(),
                version: HierarchyVersion::V1,
                source: dir.get()?.path().to_owned(),
                links: links.iter().map(|c| (*c).to_owned()).collect(),
            })
        })
        .collect()
    }
}
