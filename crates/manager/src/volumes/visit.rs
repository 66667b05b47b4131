//! Volumes that a command works in, as a container does: mounted for it, and unmounted when it is done or dead.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::lock::try_lock;
use crate::store::{make_folder, unlink};
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use tinyd_volume::VolumeState;

impl Core {
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
        if driver.is_plain(volume) {
            let path = mount("").map_err(|source| Error::Volume { source })?;
            return work(&path);
        }
        let user = ids::new_id()?;
        let mark = self.store.unmount_mark(&user);
        let _lock = self.mark(&mark, &volume.name)?;
        let done = mount(&user).map_err(|source| Error::Volume { source }).and_then(|path| work(&path));
        let left = driver.unmount(volume, &user).map_err(|source| Error::Volume { source });
        let done = done.and_then(|done| left.map(|()| done));
        unlink(&mark)?;
        done
    }

    fn mark(&self, mark: &Path, volume: &str) -> Result<OwnedFd> {
        mark.parent().map_or(Ok(()), |folder| make_folder(folder, 0o700))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::open(mark, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| Error::file("make", mark, errno))?;
        try_lock(&file, mark)?;
        fs::write(mark, volume).map_err(|error| Error::file("write", mark, error))?;
        Ok(file)
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
        let name = fs::read_to_string(&mark).map_err(|error| Error::file("read", &mark, error))?;
        if let Some(record) = self.find_volume(&name)? {
            let driver = self.driver_of(&record.state)?;
            driver.unmount(&record.state, user).map_err(|source| Error::Volume { source })?;
        }
        unlink(&mark)
    }
}

pub(super) fn no_snapshots(volume: &VolumeState) -> Error {
    let problem =
        format!("is of the driver {}, which keeps no states; one of the driver btrfs does", volume.driver);
    Error::invalid("volume", &volume.name, problem)
}
