//! Making a mount the root of the process (pivot_root(2)).

use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chdir, fchdir, pivot_root};
use std::os::fd::BorrowedFd;

/// *Child-side.* Makes an attached mount the root of the process's mount namespace and takes the old root away, with
/// everything that was mounted in it. The working folder is the new root afterwards.
///
/// The old root is put onto the new one itself and unmounted from there (pivot_root(2), "pivot_root(".", ".")"), so that
/// the new root needs no folder for it.
///
/// # Errors
/// `EINVAL` where the mount that the new root is attached to is shared, `EBUSY` where the new root is no mount.
pub fn into_root(root: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(root)?;
    pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)?;
    chdir(c"/")
}
