//! Volumes that a command works in, as a container does: mounted for it, and unmounted when it is done or dead.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::lock::try_lock;
use crate::store::{entries, make_folder, unlink};
use crate::volumes::VolumeRecord;
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tinyd_volume::VolumeState;

impl Core {
    /// Works in a volume that is whole, and stays it: nobody removes one while a command works in it, and where one goes with its
    /// container meanwhile that is an error.
    pub(super) fn while_visited<T>(
        &self,
        record: &VolumeRecord,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        self.while_mounted(&record.state, |path| {
            self.expect_there(record)?;
            let done = work(path)?;
            self.expect_there(record)?;
            Ok(done)
        })
    }

    /// Works in a volume. Its user's mark is a locked file that names the volume; where the lock is free the command is dead.
    pub(crate) fn while_mounted<T>(
        &self,
        volume: &VolumeState,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let driver = self.driver_of(volume)?;
        self.while_user(volume, |user| driver.mount(volume, user), work)
    }

    /// The same, in a state of it that is kept.
    pub(super) fn while_snapshot_mounted<T>(
        &self,
        volume: &VolumeState,
        name: &str,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let driver = self.driver_of(volume)?;
        let snapshots = driver.snapshots().ok_or_else(|| no_snapshots(volume))?;
        self.while_user(volume, |user| snapshots.mount_snapshot(volume, name, user), work)
    }

    fn while_user<T>(
        &self,
        volume: &VolumeState,
        mount: impl FnOnce(&str) -> tinyd_volume::Result<PathBuf>,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let driver = self.driver_of(volume)?;
        let (user, mark, _lock) = self.mark(&volume.name)?;
        let done = mount(&user).map_err(|source| Error::Volume { source }).and_then(|path| work(&path));
        let left = driver.unmount(volume, &user).map_err(|source| Error::Volume { source });
        let done = done.and_then(|done| left.map(|()| done));
        unlink(&mark)?;
        done
    }

    /// Makes the mark of a new user, and holds it.
    fn mark(&self, volume: &str) -> Result<(String, PathBuf, OwnedFd)> {
        loop {
            let user = ids::new_id()?;
            let mark = self.store.unmount_mark(&user);
            mark.parent().map_or(Ok(()), |folder| make_folder(folder, 0o700))?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = rustix::fs::open(&mark, flags, Mode::RUSR | Mode::WUSR)
                .map_err(|errno| Error::file("make", &mark, errno))?;
            // Before the lock it looks like that of a dead command, which is taken away.
            if try_lock(&file, &mark)? {
                fs::write(&mark, volume).map_err(|error| Error::file("write", &mark, error))?;
                return Ok((user, mark, file));
            }
        }
    }

    /// Who takes a volume away has said so in its record before, while nobody else could look at it.
    fn expect_there(&self, record: &VolumeRecord) -> Result<()> {
        let _lock = self.volume_records().shared()?;
        match self.find_volume(record.name())? {
            Some(now) if now.id == record.id && now.whole => Ok(()),
            _ => Err(self.no_such_volume(record.name())),
        }
    }

    /// A command that lives works in this volume.
    pub(super) fn is_visited(&self, volume: &str) -> Result<bool> {
        for user in entries(&self.store.unmount_mark(""))? {
            if self.is_visited_by(&user)?
                && named(&self.store.unmount_mark(&user))?.as_deref() == Some(volume)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A command that lives works in a volume as this user.
    pub(crate) fn is_visited_by(&self, user: &str) -> Result<bool> {
        let mark = self.store.unmount_mark(user);
        match rustix::fs::open(&mark, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            // That of a container is a folder.
            Ok(file) => Ok(mark.is_file() && !try_lock(&file, &mark)?),
            Err(rustix::io::Errno::NOENT) => Ok(false),
            Err(errno) => Err(Error::file("open", mark, errno)),
        }
    }

    /// Unmounts what a command that died had mounted, by its mark. One that lives is left alone.
    pub(super) fn unmount_visit(&self, user: &str) -> Result<()> {
        let mark = self.store.unmount_mark(user);
        let file = match rustix::fs::open(&mark, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(rustix::io::Errno::NOENT) => return Ok(()),
            Err(errno) => return Err(Error::file("open", mark, errno)),
        };
        if !try_lock(&file, &mark)? {
            return Ok(());
        }
        // One that died before it had named a volume has mounted none.
        let name = named(&mark)?.filter(|name| !name.is_empty());
        if let Some(record) = name.map_or(Ok(None), |name| self.find_volume(&name))? {
            let driver = self.driver_of(&record.state)?;
            driver.unmount(&record.state, user).map_err(|source| Error::Volume { source })?;
        }
        unlink(&mark)
    }
}

/// The volume that a mark names; `None` where the mark is gone.
fn named(mark: &Path) -> Result<Option<String>> {
    match fs::read_to_string(mark) {
        Ok(name) => Ok(Some(name)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", mark, error)),
    }
}

pub(super) fn no_snapshots(volume: &VolumeState) -> Error {
    let problem =
        format!("is of the driver {}, which keeps no states; one of the driver btrfs does", volume.driver);
    Error::invalid("volume", &volume.name, problem)
}
