//! Subvolumes, and those that a container made in its own: they are deleted with it.

use super::ioctl;
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Deletes a subvolume with all that lie in it. One that is not there is deleted already.
pub(super) fn delete(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    loop {
        match ioctl::destroy(parent, name) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // Whoever owns a folder may make subvolumes in it, without being root.
            Err(Errno::NOTEMPTY) => delete_a_leaf(open(parent, name)?)?,
            Err(errno) => return Err(errno),
        }
    }
}

/// Deletes one subvolume, in which there is none, somewhere below. They may lie in each other to any depth, so it descends
/// anew for each and holds no more than two descriptors.
fn delete_a_leaf(mut subvolume: OwnedFd) -> Result<(), Errno> {
    let mut leaf: Option<(OwnedFd, Vec<u8>)> = None;
    while let Some(child) = ioctl::first_child(subvolume.as_fd())? {
        let (folder, name) = ioctl::locate_child(subvolume.as_fd(), child)?;
        let folder = beneath(subvolume.as_fd(), Path::new(OsStr::from_bytes(&folder)))?;
        // Whose owner made it read-only after he had put others into it.
        if ioctl::subvolume_info(subvolume.as_fd())?.flags & ioctl::IS_READ_ONLY != 0 {
            ioctl::make_writable(subvolume.as_fd())?;
        }
        subvolume = open(folder.as_fd(), &*name)?;
        leaf = Some((folder, name));
    }
    match leaf {
        Some((folder, name)) => ioctl::destroy(folder.as_fd(), &name),
        None => Ok(()),
    }
}

/// Where another subvolume lies in this one; `None` where none does.
pub(super) fn inner(subvolume: BorrowedFd<'_>) -> Result<Option<String>, Errno> {
    let Some(child) = ioctl::first_child(subvolume)? else { return Ok(None) };
    let (mut path, name) = ioctl::locate_child(subvolume, child)?;
    path.extend_from_slice(&name);
    Ok(Some(String::from_utf8_lossy(&path).into_owned()))
}

/// A folder below another one, by a path that another process chose.
fn beneath(parent: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(parent, path, flags, Mode::empty(), resolve)
}

/// Opens a subvolume, and nothing else.
pub(super) fn open(parent: BorrowedFd<'_>, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// It is there.
pub(super) fn exists(parent: BorrowedFd<'_>, name: &str) -> Result<bool, Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}
