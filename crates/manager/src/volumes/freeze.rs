//! Containers that stand still while a volume of theirs is exported.
//!
//! For each there is a mark, a file that the exporting command has locked: it is there before the container is frozen, and goes
//! after the container goes on. Where the lock is free the command is dead, and whoever comes next does the rest. A container
//! that its user had paused has no mark, and is left as it is; one that is paused, or let go on, meanwhile is the user's.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::life::Life;
use crate::lock::{ContainerLock, try_lock};
use crate::pause::{cgroup_error, thawed};
use crate::store::{Record, entries, make_folder, unlink};
use crate::volumes::{VolumeRecord, users};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

impl Core {
    /// Works while the running containers that use a volume stand still, and lets them go on in every case.
    pub(super) fn while_frozen<T>(
        &self,
        volume: &VolumeRecord,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let export = ids::new_id()?;
        let mut marks = Vec::new();
        let mut freeze = || -> Result<()> {
            let containers = self.container_records()?;
            users::of(volume, &containers).try_for_each(|user| self.freeze_for(user, &export, &mut marks))
        };
        let done = freeze().and_then(|()| work());
        let mut left = Ok(());
        for (id, _mark) in &marks {
            left = left.and(self.thaw_after(id, &export));
        }
        done.and_then(|done| left.map(|()| done))
    }

    fn freeze_for(&self, record: &Record, export: &str, marks: &mut Vec<(String, OwnedFd)>) -> Result<()> {
        let lock = match self.guard(&record.id) {
            Ok(lock) => lock,
            Err(Error::NoSuchContainer { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let group = match self.life(record, Some(&lock))? {
            Life::Running(_) => self.open_cgroup(&record.id)?,
            _ => None,
        };
        let Some(group) = group else { return Ok(()) };
        let failed = |source| cgroup_error(record, "pause", source);
        let is_frozen = group.is_frozen().map_err(failed)?;
        let folder = self.store.freeze_marks(&record.id);
        if is_frozen && !is_marked(&folder, export)? {
            return Ok(());
        }
        folder.parent().map_or(Ok(()), |above| make_folder(above, 0o700))?;
        make_folder(&folder, 0o700)?;
        let path = folder.join(export);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mark = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| Error::file("make", &path, errno))?;
        try_lock(&mark, &path)?;
        marks.push((record.id.clone(), mark));
        match is_frozen {
            true => Ok(()),
            false => group.freeze().map_err(failed),
        }
    }

    /// Lets a container go on, unless another export needs it still, or its user has said otherwise.
    fn thaw_after(&self, id: &str, export: &str) -> Result<()> {
        let _lock = ContainerLock::acquire(&self.store, id)?;
        let folder = self.store.freeze_marks(id);
        let mark = folder.join(export);
        if !mark.exists() {
            return Ok(());
        }
        if !is_marked(&folder, export)? {
            self.go_on(id)?;
        }
        unlink(&mark)?;
        remove_empty(&folder)
    }

    /// The exports for which a container stands still have no more say in it; whether there was one. While its lock is held.
    pub(crate) fn forget_freezes(&self, id: &str) -> Result<bool> {
        let folder = self.store.freeze_marks(id);
        let marks = entries(&folder)?;
        marks.iter().try_for_each(|mark| unlink(&folder.join(mark)))?;
        if !marks.is_empty() {
            remove_empty(&folder)?;
        }
        Ok(!marks.is_empty())
    }

    /// Lets those go on that stand still for exports whose commands died.
    pub(crate) fn thaw_left(&self) -> Result<()> {
        let all = self.store.freeze_marks("");
        for id in entries(&all)?.into_iter().filter(|id| ids::is_id(id)) {
            // One that cannot go on now is tried again, and keeps nobody from others.
            drop(self.thaw_left_of(&id));
        }
        Ok(())
    }

    fn thaw_left_of(&self, id: &str) -> Result<()> {
        let Some(_lock) = ContainerLock::try_acquire(&self.store, id)? else { return Ok(()) };
        let folder = self.store.freeze_marks(id);
        if is_marked(&folder, "")? {
            return Ok(());
        }
        if !entries(&folder)?.is_empty() {
            self.go_on(id)?;
        }
        self.forget_freezes(id)?;
        remove_empty(&folder)
    }

    fn go_on(&self, id: &str) -> Result<()> {
        let Some(group) = self.open_cgroup(id)? else { return Ok(()) };
        match group.is_frozen() {
            Ok(true) => thawed(&*group).map_err(|source| Error::Cgroup {
                operation: "unpause",
                container: ids::short(id).to_owned(),
                source,
            }),
            _ => Ok(()),
        }
    }
}

/// A command that lives, another one than this export's, has a container stand still.
fn is_marked(folder: &Path, export: &str) -> Result<bool> {
    for name in entries(folder)?.into_iter().filter(|name| name != export) {
        let path = folder.join(&name);
        match rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) if !try_lock(&file, &path)? => return Ok(true),
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(Error::file("open", path, errno)),
        }
    }
    Ok(false)
}

fn remove_empty(folder: &Path) -> Result<()> {
    match rustix::fs::rmdir(folder) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => Ok(()),
        Err(errno) => Err(Error::file("remove", folder, errno)),
    }
}
