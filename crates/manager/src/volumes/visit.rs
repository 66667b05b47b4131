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
use tinyd_volume::{Snapshots, VolumeDriver, VolumeState};

impl Core {
    /// Works in a volume that is whole, and stays it: nobody removes one while a command works in it, and where one goes with its
    /// container meanwhile that is an error.
    pub(super) fn while_visited<T>(
        &self,
        record: &VolumeRecord,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let driver = self.driver_of(&record.state)?;
        self.while_there(record, Mark::Visit, |user| driver.mount(&record.state, user), work)
    }

    /// The same, in a state of it that is kept.
    pub(super) fn while_snapshot_visited<T>(
        &self,
        record: &VolumeRecord,
        name: &str,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let volume = &record.state;
        let driver = self.driver_of(volume)?;
        let snapshots = driver.snapshots().ok_or_else(|| no_snapshots(volume))?;
        self.while_there(record, Mark::Visit, |user| snapshots.mount_snapshot(volume, name, user), work)
    }

    /// The same, in the state of this moment, which goes with the visit.
    pub(super) fn while_moment_visited<T>(
        &self,
        record: &VolumeRecord,
        snapshots: &dyn Snapshots,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let volume = &record.state;
        let mount = |user: &str| {
            let name = of_visit(user);
            snapshots.snapshot(volume, &name)?;
            snapshots.mount_snapshot(volume, &name, user)
        };
        self.while_there(record, Mark::Snapshot, mount, work)
    }

    fn while_there<T>(
        &self,
        record: &VolumeRecord,
        kind: Mark,
        mount: impl FnOnce(&str) -> tinyd_volume::Result<PathBuf>,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        self.while_marked(&record.state, kind, mount, |path| {
            self.expect_there(record)?;
            let done = work(path)?;
            self.expect_there(record)?;
            Ok(done)
        })
    }

    /// Works in a volume that nobody else can remove: it is being made, or its container is locked.
    pub(crate) fn while_mounted<T>(
        &self,
        volume: &VolumeState,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let driver = self.driver_of(volume)?;
        if driver.is_plain(volume) {
            let path = driver.mount(volume, "").map_err(|source| Error::Volume { source })?;
            return work(&path);
        }
        self.while_marked(volume, Mark::Visit, |user| driver.mount(volume, user), work)
    }

    /// Works for a user of its own, whose mark is a locked file that names the volume; where the lock is free the command is dead, or
    /// could not have it unmounted.
    fn while_marked<T>(
        &self,
        volume: &VolumeState,
        kind: Mark,
        mount: impl FnOnce(&str) -> tinyd_volume::Result<PathBuf>,
        work: impl FnOnce(&Path) -> Result<T>,
    ) -> Result<T> {
        let driver = self.driver_of(volume)?;
        let (user, mark, _lock) = self.mark(volume, kind)?;
        let done = mount(&user).map_err(|source| Error::Volume { source }).and_then(|path| work(&path));
        match leave(driver.as_ref(), volume, &user, kind) {
            Ok(()) => {
                unlink(&mark)?;
                done
            }
            Err(source) => {
                self.postpone_unmount(&user);
                done.and(Err(Error::Volume { source }))
            }
        }
    }

    /// Makes the mark of a new user, and holds it.
    fn mark(&self, volume: &VolumeState, kind: Mark) -> Result<(String, PathBuf, OwnedFd)> {
        loop {
            let user = ids::new_id()?;
            let mark = self.store.unmount_mark(&user);
            mark.parent().map_or(Ok(()), |folder| make_folder(folder, 0o700))?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = rustix::fs::open(&mark, flags, Mode::RUSR | Mode::WUSR)
                .map_err(|errno| Error::file("make", &mark, errno))?;
            // Before the lock it looks like that of a dead command, which is taken away.
            if try_lock(&file, &mark)? {
                fs::write(&mark, kind.text(&volume.name))
                    .map_err(|error| Error::file("write", &mark, error))?;
                return Ok((user, mark, file));
            }
        }
    }

    /// Who takes a volume away has said so in its record before, while nobody else could look at it.
    pub(super) fn expect_there(&self, record: &VolumeRecord) -> Result<()> {
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
                && let Some((_, name)) = read(&self.store.unmount_mark(&user))?
                && name == volume
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
        if let Some((kind, name)) = read(&mark)?
            && let Some(record) = self.find_volume(&name)?
        {
            let driver = self.driver_of(&record.state)?;
            leave(driver.as_ref(), &record.state, user, kind).map_err(|source| Error::Volume { source })?;
        }
        unlink(&mark)
    }
}

/// What is to be done when a visit is over.
#[derive(Clone, Copy)]
enum Mark {
    Visit,
    /// A state of the volume goes with it.
    Snapshot,
}

impl Mark {
    fn text(self, volume: &str) -> String {
        match self {
            Self::Visit => volume.to_owned(),
            Self::Snapshot => format!("{volume}\nsnapshot"),
        }
    }
}

/// What a mark says; `None` where it is gone, or was not written.
fn read(mark: &Path) -> Result<Option<(Mark, String)>> {
    match fs::read_to_string(mark) {
        Ok(text) => Ok(match text.split_once('\n') {
            _ if text.is_empty() => None,
            Some((volume, _)) => Some((Mark::Snapshot, volume.to_owned())),
            None => Some((Mark::Visit, text)),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", mark, error)),
    }
}

/// Ends a visit.
fn leave(
    driver: &dyn VolumeDriver,
    volume: &VolumeState,
    user: &str,
    kind: Mark,
) -> tinyd_volume::Result<()> {
    driver.unmount(volume, user)?;
    match (kind, driver.snapshots()) {
        (Mark::Snapshot, Some(snapshots)) => snapshots.remove_snapshot(volume, &of_visit(user)),
        _ => Ok(()),
    }
}

/// The state that goes with a visit.
fn of_visit(user: &str) -> String {
    format!("export-{}", ids::short(user))
}

pub(super) fn no_snapshots(volume: &VolumeState) -> Error {
    let problem =
        format!("is of the driver {}, which keeps no states; one of the driver btrfs does", volume.driver);
    Error::invalid("volume", &volume.name, problem)
}
