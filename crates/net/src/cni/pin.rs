//! Keeping a container's network namespace until its plugins have been told to leave it.
//!
//! A plugin is told a path of the namespace, the same at ADD and at DEL. Many find out from the links in it what to take away on
//! the host, and leave rules behind where it is gone (the `bridge` of containernetworking-plugins 1.1.1 does so with its
//! `ipMasq`); others move a device of the host's back out of it. So it is bound to a file, as ip-netns(8) does it, and lives
//! on without a process until the file is unmounted.

use super::error::CniError;
use super::find::failed;
use rustix::fs::statfs;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::Path;

/// `NSFS_MAGIC` of `linux/magic.h`.
const NAMESPACES: u64 = 0x6e73_6673;

/// Binds a namespace to a file that is made for it, in the mount namespace of this process.
pub(super) fn pin(netns: BorrowedFd<'_>, path: &Path) -> Result<(), CniError> {
    let failed = |source| failed("pin a network namespace at", path, source);
    // A monitor that could not unmount it has left it.
    unpin(path)?;
    File::create_new(path).map_err(failed)?;
    let bound = mount_bind(format!("/proc/self/fd/{}", netns.as_raw_fd()), path);
    bound.map_err(|errno| {
        let _ = fs::remove_file(path);
        failed(errno.into())
    })
}

/// Whether a namespace is bound to the file.
pub(super) fn is_pinned(path: &Path) -> bool {
    statfs(path).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(NAMESPACES))
}

/// Lets a namespace go, as [`Undo::Unpin`](crate::Undo) has a monitor do it. One that is gone is no error.
pub(super) fn unpin(path: &Path) -> Result<(), CniError> {
    let failed = |source| failed("let go of the network namespace at", path, source);
    loop {
        match unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            Ok(()) => {}
            // Nothing is mounted there, or nothing any more; or the file is gone with all of its folder.
            Err(Errno::INVAL | Errno::NOENT) => break,
            Err(errno) => return Err(failed(errno.into())),
        }
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}
