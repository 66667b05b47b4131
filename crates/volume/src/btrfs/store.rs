//! The volumes in a pool.
//!
//! ```text
//! volumes/<volume>/data               the volume: a subvolume
//! volumes/<volume>/snapshots/<name>   read-only subvolumes
//! volumes/<volume>/next               a subvolume on its way to or from `data`
//! ```
//!
//! A volume is there when its `data` is. What is made is made as `next`, and comes into place by one rename; what it
//! replaces is then in `next`. So whoever finds a `next` found a call that was killed, and deletes it: it is either not
//! wanted yet or not wanted any more.

use super::pool::{Pool, open_folder};
use super::{ioctl, subvolume};
use crate::{Error, Result};
use rustix::fs::{AtFlags, Mode, RenameFlags, XattrFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

pub(super) const DATA: &str = "data";
pub(super) const NEXT: &str = "next";
pub(super) const SNAPSHOTS: &str = "snapshots";
const VOLUMES: &str = "volumes";

/// The option by which a volume is compressed, and the attribute in which btrfs keeps it.
pub(super) const COMPRESS: &str = "compress";
const COMPRESSION: &str = "btrfs.compression";

/// One volume's folder in the pool.
#[derive(Debug)]
pub(super) struct Store<'a> {
    volume: &'a str,
    folder: OwnedFd,
}

/// The path of a subvolume of a volume, from the pool's root.
pub(super) fn path(volume: &str, rest: &str) -> String {
    format!("{VOLUMES}/{volume}/{rest}")
}

/// The names of the volumes that are there.
pub(super) fn names(pool: &Pool) -> Result<Vec<String>> {
    let failed = |errno| Error::path("list the volumes in", VOLUMES, errno);
    let volumes = match subvolume::open(pool.root(), VOLUMES) {
        Ok(volumes) => volumes,
        Err(Errno::NOENT) => return Ok(Vec::new()),
        Err(errno) => return Err(failed(errno)),
    };
    let mut names = entries(volumes.as_fd()).map_err(failed)?;
    names.retain(|name| subvolume::exists(volumes.as_fd(), &format!("{name}/{DATA}")).unwrap_or(false));
    Ok(names)
}

/// The names in a folder, sorted.
pub(super) fn entries(folder: BorrowedFd<'_>) -> std::result::Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

impl<'a> Store<'a> {
    /// The folder of a volume, with what a killed call left put right; `None` where there is no such volume.
    pub(super) fn open(pool: &Pool, volume: &'a str) -> Result<Option<Self>> {
        let Some(store) = Self::look(pool, volume)? else { return Ok(None) };
        store.repair()?;
        Ok(store.has(DATA)?.then_some(store))
    }

    /// The folder of a volume, as it is.
    pub(super) fn look(pool: &Pool, volume: &'a str) -> Result<Option<Self>> {
        match subvolume::open(pool.root(), format!("{VOLUMES}/{volume}")) {
            Ok(folder) => Ok(Some(Self { volume, folder })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::volume("look at", volume, errno)),
        }
    }

    /// The folder of a new volume, with nothing in it.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is there already.
    pub(super) fn make(pool: &Pool, volume: &'a str) -> Result<Self> {
        let failed = |errno| Error::volume("make", volume, errno);
        for folder in [VOLUMES.to_owned(), format!("{VOLUMES}/{volume}")] {
            match rustix::fs::mkdirat(pool.root(), &folder, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        let folder = open_folder(pool.root(), Path::new(&format!("{VOLUMES}/{volume}")))?;
        let store = Self { volume, folder };
        if store.has(DATA)? {
            let (what, problem) = ("volume name", "is taken by another volume of btrfs".into());
            return Err(Error::Invalid { what, value: volume.to_owned(), problem });
        }
        // Of one whose making or removing was killed.
        store.empty()?;
        Ok(store)
    }

    pub(super) fn volume(&self) -> &'a str {
        self.volume
    }

    /// Deletes what a killed call left.
    fn repair(&self) -> Result<()> {
        subvolume::delete(self.folder.as_fd(), NEXT).map_err(|errno| self.failed("repair")(errno))
    }

    /// Deletes everything in it, the data first: without it, it is no volume any more. Goes on past errors.
    fn empty(&self) -> Result<()> {
        let mut first = Ok(());
        let mut note = |result: std::result::Result<(), Errno>| {
            if let (Ok(()), Err(errno)) = (&first, result) {
                first = Err(errno);
            }
        };
        note(subvolume::delete(self.folder.as_fd(), DATA));
        note(subvolume::delete(self.folder.as_fd(), NEXT));
        match subvolume::open(self.folder.as_fd(), SNAPSHOTS) {
            Ok(snapshots) => {
                for name in entries(snapshots.as_fd()).unwrap_or_default() {
                    note(subvolume::delete(snapshots.as_fd(), &name));
                }
                note(rustix::fs::unlinkat(&self.folder, SNAPSHOTS, AtFlags::REMOVEDIR));
            }
            Err(Errno::NOENT) => {}
            Err(errno) => note(Err(errno)),
        }
        first.map_err(self.failed("remove"))
    }

    /// Removes the volume. Goes on past errors.
    pub(super) fn remove(self, pool: &Pool) -> Result<()> {
        let emptied = self.empty();
        let folder = format!("{VOLUMES}/{}", self.volume);
        let removed = match rustix::fs::unlinkat(pool.root(), folder, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove")(errno)),
        };
        emptied.and(removed)
    }

    /// Opens one of its subvolumes.
    pub(super) fn subvolume(&self, name: &str) -> Result<OwnedFd> {
        subvolume::open(self.folder.as_fd(), name).map_err(|errno| self.failed("open")(errno))
    }

    /// Opens its data, which is kept or replaced as a whole. What lies in it in a subvolume of its own is in no snapshot, and would be
    /// lost.
    pub(super) fn whole_data(&self, operation: &'static str) -> Result<OwnedFd> {
        let data = self.subvolume(DATA)?;
        match subvolume::inner(data.as_fd()).map_err(self.failed(operation))? {
            None => Ok(data),
            Some(inner) => {
                let problem = format!(
                    "has a btrfs subvolume of its own in it, {inner:?}, which is in no state of the volume: move its files into a \
                     folder and delete it first"
                );
                Err(Error::Invalid { what: "volume", value: self.volume.to_owned(), problem: problem.into() })
            }
        }
    }

    /// Opens the folder of its snapshots.
    pub(super) fn snapshots(&self) -> Result<OwnedFd> {
        if !self.has(SNAPSHOTS)? {
            match rustix::fs::mkdirat(&self.folder, SNAPSHOTS, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(self.failed("make the folder of the snapshots of")(errno)),
            }
        }
        self.subvolume(SNAPSHOTS)
    }

    /// Makes an empty `next`, which everybody may enter.
    pub(super) fn begin(&self) -> Result<OwnedFd> {
        ioctl::create(self.folder.as_fd(), NEXT).map_err(self.failed("make"))?;
        let next = self.subvolume(NEXT)?;
        // The caller's umask took rights away.
        rustix::fs::fchmod(&next, Mode::from_raw_mode(0o755)).map_err(self.failed("set the mode of"))?;
        Ok(next)
    }

    /// Makes a `next` that is as another subvolume is.
    pub(super) fn begin_as(&self, other: BorrowedFd<'_>, operation: &'static str) -> Result<OwnedFd> {
        ioctl::snapshot(self.folder.as_fd(), NEXT, other, false).map_err(self.failed(operation))?;
        self.subvolume(NEXT)
    }

    /// Puts `next` into place where there is nothing yet.
    pub(super) fn finish(&self) -> Result<()> {
        rustix::fs::renameat_with(&self.folder, NEXT, &self.folder, DATA, RenameFlags::NOREPLACE)
            .and_then(|()| ioctl::sync(self.folder.as_fd()))
            .map_err(self.failed("make"))
    }

    /// Puts `next` into the place of the data, for good, and deletes what was there.
    pub(super) fn replace(&self) -> Result<()> {
        let failed = self.failed("roll back");
        rustix::fs::renameat_with(&self.folder, NEXT, &self.folder, DATA, RenameFlags::EXCHANGE)
            .map_err(&failed)?;
        // A power cut from here on finds the new state, as the caller will be told.
        ioctl::sync(self.folder.as_fd()).map_err(&failed)?;
        subvolume::delete(self.folder.as_fd(), NEXT).map_err(&failed)
    }

    /// Passes a result on; of one that failed, what was begun is deleted, by this call or the next.
    pub(super) fn forget<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            // The error that is told is the first.
            let _ = self.repair();
        }
        result
    }

    pub(super) fn has(&self, name: &str) -> Result<bool> {
        subvolume::exists(self.folder.as_fd(), name).map_err(|errno| self.failed("look at")(errno))
    }

    fn failed(&self, operation: &'static str) -> impl Fn(Errno) -> Error {
        let volume = self.volume.to_owned();
        move |errno| Error::volume(operation, volume.clone(), errno)
    }
}

/// Has what is written into a subvolume from now on be compressed.
pub(super) fn compress(subvolume: BorrowedFd<'_>, how: &str) -> std::result::Result<(), Errno> {
    let value = if how == "no" { "none" } else { how };
    rustix::fs::fsetxattr(subvolume, COMPRESSION, value.as_bytes(), XattrFlags::empty())
}

/// The options that a subvolume was made with.
pub(super) fn options(subvolume: BorrowedFd<'_>) -> std::result::Result<BTreeMap<String, String>, Errno> {
    let mut value = [0; 16];
    match rustix::fs::fgetxattr(subvolume, COMPRESSION, &mut value[..]) {
        Ok(length) => {
            let value = String::from_utf8_lossy(&value[..length.min(16)]).into_owned();
            let value = if value == "none" { "no".to_owned() } else { value };
            Ok(BTreeMap::from([(COMPRESS.to_owned(), value)]))
        }
        Err(Errno::NODATA) => Ok(BTreeMap::new()),
        Err(errno) => Err(errno),
    }
}
