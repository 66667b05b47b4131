//! A group in the unified hierarchy.

use super::{Place, V2Driver, core, cpu, cpuset, devices, io, memory, pressure, subtree, switched};
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
use crate::tree;

use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::io::ErrorKind;

pub(crate) struct V2Group {
    path: CgroupPath,
    dir: Dir,
    driver: V2Driver,
}

impl V2Group {
    pub(super) fn new(path: CgroupPath, dir: Dir, driver: V2Driver) -> Self {
        Self { path, dir, driver }
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Writes limits that were checked, whose controllers are on.
    pub(super) fn write(&self, limits: &Limits) -> Result<()> {
        limits.controllers().into_iter().try_for_each(|controller| {
            match self.write_one(controller, limits) {
                // Somebody else is switching it on just now: it is listed before its files are there.
                Err(Error::Write { source, .. }) if source.kind() == ErrorKind::NotFound => {
                    subtree::wait_until_on(&self.dir, controller);
                    self.write_one(controller, limits)
                }
                written => written,
            }
        })?;
        limits.settings.iter().try_for_each(|setting| setting.write(&self.dir, HierarchyVersion::V2))
    }

    fn write_one(&self, controller: &'static str, limits: &Limits) -> Result<()> {
        let dir = &self.dir;
        match controller {
            "cpu" => cpu::write(dir, &limits.cpu),
            "cpuset" => cpuset::write(dir, &limits.cpu),
            "memory" => memory::write(dir, &limits.memory),
            "pids" => pids::write(dir, limits.pids_max),
            "io" => io::write(dir, &limits.io),
            "devices" => devices::write(dir, &limits.devices),
            "hugetlb" => hugetlb::write(dir, HierarchyVersion::V2, &limits.hugetlb),
            "rdma" | "misc" | "dmem" | "perf_event" => Ok(()),
            other => Err(Error::missing(other)),
        }
    }

    fn listed(&self) -> Result<BTreeSet<u32>> {
        let mut found = BTreeSet::new();
        tree::processes(&self.dir, &mut found)?;
        Ok(found)
    }

    pub(crate) fn add_descriptors(&self, handle: &mut JoinHandle) -> Result<()> {
        let dir = self.dir.open_file(".", OFlags::RDONLY | OFlags::DIRECTORY)?;
        let procs = self.dir.open_file("cgroup.procs", OFlags::WRONLY)?;
        handle.set_v2(dir, procs, self.dir.file("cgroup.procs").display().to_string(), self.path.clone());
        Ok(())
    }

    /// Tells whether the process was in it.
    pub(crate) fn move_out(&self, pid: u32) -> Result<bool> {
        if !self.listed()?.contains(&pid) {
            return Ok(false);
        }
        let pid = pid.to_string();
        let mut above = self.path.parent();
        loop {
            let at =
                above.as_ref().map_or_else(|| self.driver.root().to_owned(), |p| p.below(self.driver.root()));
            let dir = Dir::open_existing(at)?;
            match dir.try_write("cgroup.procs", &pid) {
                Ok(()) => return Ok(true),
                // It distributes controllers, so it holds no processes; the root may do both.
                Err(Errno::BUSY | Errno::OPNOTSUPP) if above.is_some() => {
                    above = above.and_then(|p| p.parent());
                }
                Err(e) => return Err(dir.write_error("cgroup.procs", &pid, e)),
            }
        }
    }

    pub(crate) fn oom(&self) -> Result<Option<u64>> {
        memory::oom_kills(&self.dir)
    }
}

impl Cgroup for V2Group {
    fn path(&self) -> &CgroupPath {
        &self.path
    }

    fn join_handle(&self) -> Result<JoinHandle> {
        let mut handle = JoinHandle::new();
        self.add_descriptors(&mut handle)?;
        Ok(handle)
    }

    fn apply(&self, limits: &Limits) -> Result<()> {
        limits.check()?;
        self.driver.require(limits)?;
        subtree::enable(&self.driver, &self.path, &self.dir, &switched(limits), &[])?;
        self.write(limits)
    }

    fn limits(&self) -> Result<Limits> {
        let mut limits = Limits { memory: memory::read(&self.dir)?, ..Default::default() };
        cpu::read(&self.dir, &mut limits.cpu)?;
        cpuset::read(&self.dir, &mut limits.cpu)?;
        limits.pids_max = pids::read(&self.dir)?;
        limits.io = io::read(&self.dir)?;
        limits.hugetlb = hugetlb::read(&self.dir, HierarchyVersion::V2)?;
        Ok(limits)
    }

    fn add_process(&self, pid: u32) -> Result<()> {
        self.dir.write("cgroup.procs", &pid.to_string())
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
        core::freeze(&self.dir)
    }

    fn thaw(&self) -> Result<()> {
        core::thaw(&self.dir)
    }

    fn is_frozen(&self) -> Result<bool> {
        core::is_frozen(&self.dir)
    }

    fn kill(&self) -> Result<()> {
        match self.dir.try_write("cgroup.kill", "1") {
            Ok(()) => return Ok(()),
            // Linux before 5.14.
            Err(Errno::NOENT) if self.dir.has("cgroup.procs") => {}
            Err(e) => return Err(self.dir.write_error("cgroup.kill", "1", e)),
        }
        // Standing still, nothing forks away from the list. One that cannot freeze in time is killed all the same.
        let frozen = core::freeze(&self.dir).is_ok();
        let killed = kill_listed(self.path.as_str(), &|| self.listed());
        let thawed = if frozen { core::thaw(&self.dir) } else { Ok(()) };
        killed.and(thawed)
    }

    fn is_populated(&self) -> Result<bool> {
        core::is_populated(&self.dir)
    }

    fn stats(&self) -> Result<Stats> {
        Ok(Stats {
            cpu: cpu::stats(&self.dir)?,
            memory: memory::stats(&self.dir)?,
            pids: pids::stats(&self.dir)?,
            oom_kills: self.oom()?,
            io: io::stats(&self.dir)?,
            pressure: pressure::stats(&self.dir)?,
        })
    }

    fn oom_kills(&self) -> Result<u64> {
        self.oom()?.ok_or_else(|| Error::missing("memory"))
    }

    fn watch_oom(&self) -> Result<OomWatch> {
        if !self.dir.has("memory.events") && self.dir.has("cgroup.procs") {
            return Err(Error::missing("memory"));
        }
        OomWatch::v2(&self.dir)
    }

    fn remove(&self) -> Result<()> {
        tree::remove(vec![self.dir.path().to_owned()])
    }

    fn views(&self) -> Vec<HierarchyView> {
        vec![HierarchyView {
            name: if self.driver.place() == Place::Alone { String::new() } else { "unified".to_owned() },
            version: HierarchyVersion::V2,
            source: self.dir.path().to_owned(),
            links: Vec::new(),
        }]
    }
}
