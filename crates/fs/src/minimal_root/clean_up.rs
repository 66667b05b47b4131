//! Unmounting everything below a root.

use crate::mountinfo::{self, MountInfo};
use crate::{Error, Result, resolve};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Takes every mount below `root` away, whoever made it, in the caller's mount namespace; also where some are hidden by
/// others. What is mounted on `root` itself, and its files, stay: [`remove_tree`](crate::remove_tree) removes them, which
/// would have refused to enter a mount. A root that is not there has no mounts.
///
/// Mounts that are in use go when their last user has. What is unmounted is found by the number of the mount, never by the
/// path alone: in a tree that somebody changes meanwhile, a path may lead elsewhere from one moment to the next.
///
/// # Errors
/// `EBUSY` for `/`, where this would leave the machine without its file systems; `EINVAL` for mounts that came from a
/// user namespace above, which cannot be taken away one by one.
pub fn clean_up(root: &Path) -> Result<()> {
    let root = match root.canonicalize() {
        Ok(root) => root,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::path("open", root)(error)),
    };
    if root == Path::new("/") {
        return Err(Error::path("unmount everything below", root)(Errno::BUSY));
    }
    loop {
        let mounts = below(&root)?;
        let Some(last) = mounts.last() else { return Ok(()) };
        let mut failed = Errno::BUSY;
        let mut progress = false;
        // Later ones may lie upon earlier ones.
        for mount in mounts.iter().rev() {
            match take_away(mount) {
                Ok(taken) => progress |= taken,
                Err(errno) => failed = errno,
            }
        }
        if !progress {
            return Err(Error::path("unmount", &last.mount_point)(failed));
        }
    }
}

fn below(root: &Path) -> Result<Vec<MountInfo>> {
    let mut all = mountinfo::read_thread()?;
    all.retain(|mount| mount.mount_point.starts_with(root) && mount.mount_point != root);
    Ok(all)
}

/// Gives whether the mount was there to be taken: it may be hidden by another, or gone with one that it lay upon.
fn take_away(mount: &MountInfo) -> std::result::Result<bool, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let top = openat(CWD, c"/", flags, Mode::empty())?;
    let path = CString::new(mount.mount_point.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let opened = match resolve::open_plain(top.as_fd(), &path, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
        Err(errno) => return Err(errno),
    };
    if resolve::mount_id(opened.as_fd())? != u64::from(mount.id) {
        return Ok(false);
    }
    // The descriptor is of the mount's own root, so this is the mount itself. It is in use by the descriptor: detached.
    let path = PathBuf::from(format!("/proc/self/fd/{}", opened.as_raw_fd()));
    unmount(path, UnmountFlags::DETACH).map(|()| true)
}
