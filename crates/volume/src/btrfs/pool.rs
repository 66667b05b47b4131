//! Where the subvolumes lie: on the btrfs of the host, or in a file with one.
//!
//! A call opens the pool and works below its descriptor. That of a file is a mount that is attached nowhere: it goes with the
//! call, whatever happens to it.

use super::{Options, file, ioctl};
use crate::error::is_there;
use crate::{Error, Result};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};
use std::fs::{self, DirBuilder, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tinyd_fs::loop_file::Device;

/// BTRFS_SUPER_MAGIC.
const BTRFS: u64 = 0x9123_683E;
/// How long a call waits for the room of what it deleted.
const CLEANING: Duration = Duration::from_secs(2);

/// The pool, open. The fields go in their order: the device after the mount.
#[derive(Debug)]
pub(super) struct Pool {
    root: OwnedFd,
    file: Option<Mounted>,
}

#[derive(Debug)]
struct Mounted {
    _mount: OwnedFd,
    device: Device,
}

/// Where a driver works.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Outlives everything.
    pub(super) place: PathBuf,
    /// Ends with the machine's run.
    pub(super) run: PathBuf,
    pub(super) options: Options,
}

impl Places {
    /// The pool is, or would be, a file.
    pub(super) fn is_file(&self) -> Result<bool> {
        if is_there(&self.place.join(file::NAME))? {
            return Ok(true);
        }
        let existing = self.existing()?;
        match rustix::fs::statfs(existing) {
            Ok(info) => Ok(info.f_type as u64 != BTRFS),
            Err(errno) => Err(Error::path("ask for the file system of", existing, errno)),
        }
    }

    /// What is there of the place already.
    pub(super) fn existing(&self) -> Result<&Path> {
        for path in self.place.ancestors() {
            if is_there(path)? {
                return Ok(path);
            }
        }
        Ok(Path::new("/"))
    }

    /// Opens the pool; `None` where nothing was ever made.
    pub(super) fn open(&self) -> Result<Option<Pool>> {
        if !is_there(&self.place)? {
            return Ok(None);
        }
        match self.is_file()? {
            true => self.open_file(false),
            false => Ok(Some(Pool { root: open_folder(CWD, &self.place)?, file: None })),
        }
    }

    /// Opens the pool, which is made where it is missing.
    pub(super) fn open_or_make(&self) -> Result<Pool> {
        let private = DirBuilder::new().recursive(true).mode(0o700).create(&self.place);
        private.map_err(|error| Error::path("make", &self.place, error))?;
        let opened = match self.is_file()? {
            true => self.open_file(true)?,
            false => self.open()?,
        };
        opened.ok_or_else(|| Error::path("open", &self.place, Errno::NOENT))
    }

    fn open_file(&self, make: bool) -> Result<Option<Pool>> {
        let _lock = hold(open_folder(CWD, &self.place)?, &self.place)?;
        let path = self.place.join(file::NAME);
        let (file, is_new) = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => (file, false),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && make => {
                (file::make(&self.place, &self.options)?, true)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::path("open", path, error)),
        };
        let device = Device::of(&file, &path)?;
        let mount =
            self.mount(&device.path, "/", false).map_err(|errno| Error::path("mount", &path, errno))?;
        let root = open_folder(&mount, Path::new("."))?;
        if is_new || make {
            // Full counting, not the simple one of Linux 6.7: there the data that a clone or a volume that was rolled back
            // shares counts for whoever wrote it first, and a limit would not hold.
            ioctl::enable_quota(root.as_fd())
                .map_err(|errno| Error::path("count what is in", &path, errno))?;
        }
        Ok(Some(Pool { root, file: Some(Mounted { _mount: mount, device }) }))
    }

    /// A mount of a subvolume in the file, attached nowhere.
    fn mount(&self, device: &Path, subvolume: &str, read_only: bool) -> std::result::Result<OwnedFd, Errno> {
        let context = fsopen("btrfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", device)?;
        fsconfig_set_string(&context, "subvol", subvolume)?;
        match self.options.ssd {
            Some(true) => fsconfig_set_flag(&context, "ssd")?,
            Some(false) => fsconfig_set_flag(&context, "nossd")?,
            None => {}
        }
        match self.options.discards() {
            // By the by: a delete does not wait for it (Linux 5.6).
            true => fsconfig_set_string(&context, "discard", "async")?,
            false => fsconfig_set_flag(&context, "nodiscard")?,
        }
        fsconfig_create(&context)?;
        let attributes = if read_only { MountAttrFlags::MOUNT_ATTR_RDONLY } else { MountAttrFlags::empty() };
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    }
}

impl Pool {
    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A mount of a subvolume, for a user; `None` on the host's btrfs, where the path is enough.
    pub(super) fn mount_of(
        &self,
        places: &Places,
        subvolume: &str,
        read_only: bool,
    ) -> Result<Option<OwnedFd>> {
        let Some(mounted) = &self.file else { return Ok(None) };
        let mount = places.mount(&mounted.device.path, subvolume, read_only);
        mount.map(Some).map_err(|errno| Error::path("mount", subvolume, errno))
    }

    /// Lets the room of what was deleted be freed. The kernel does that by the by while it is mounted, and a call on a pool
    /// that nobody uses is over too soon: it waits, but not for long. What is left goes on with the next mount.
    pub(super) fn clean(&self, options: &Options) {
        if !self.file.as_ref().is_some_and(|mounted| mounted.device.is_new) {
            return;
        }
        /// BTRFS_ROOT_TREE_OBJECTID, BTRFS_ORPHAN_OBJECTID, BTRFS_ORPHAN_ITEM_KEY.
        const DELETED: (u64, u64, u32) = (1, u64::MAX - 4, 48);
        let end = Instant::now() + CLEANING;
        while ioctl::sync(self.root()).is_ok() {
            let left = ioctl::search(self.root(), DELETED.0, DELETED.1, DELETED.2, None);
            if left.map_or(true, |left| left.is_empty()) || Instant::now() > end {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        if options.discards() {
            // The last of it is free with the next commit. What cannot be given back now is the next call's.
            let _ = ioctl::sync(self.root()).and_then(|()| ioctl::trim(self.root()));
        }
    }
}

pub(super) fn open_folder(parent: impl AsFd, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, path, flags, Mode::empty()).map_err(|errno| Error::path("open", path, errno))
}

/// A lock that nobody else has until it is dropped.
pub(super) fn lock(path: &Path) -> Result<OwnedFd> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(|error| Error::path("make", folder, error))?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR);
    hold(file.map_err(|errno| Error::path("open", path, errno))?, path)
}

fn hold(file: OwnedFd, path: &Path) -> Result<OwnedFd> {
    rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))
        .map_err(|errno| Error::path("lock", path, errno))?;
    Ok(file)
}
