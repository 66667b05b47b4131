//! Making a mount the root of the process (pivot_root(2)).
//!
//! The functions are for between clone and exec, and leave everything to their caller. [`RootConfig`] is for a thread that
//! wants to be in a folder as its root, and has a mount namespace of its own
//! ([`mount::private_namespace`](crate::mount::private_namespace)).

mod config;
#[cfg(test)]
mod tests;

pub use config::{Method, PutOld, RootConfig};

use crate::resolve;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, unlinkat};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{chdir, fchdir, pivot_root};
use std::ffi::CStr;
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

/// *Child-side.* Takes an attached mount from the process's mount namespace, by a descriptor of its root. The working folder is
/// nowhere afterwards.
pub fn detach(mount: BorrowedFd<'_>) -> Result<(), Errno> {
    fchdir(mount)?;
    unmount(c".", UnmountFlags::DETACH)
}

/// *Child-side.* As [`into_root`], by way of a folder for the old root: `put_old`, a name in the new root. It is made
/// where it is missing, and then removed again; the old root is unmounted either way.
///
/// # Errors
/// Also `EINVAL` for what is no plain name, `ELOOP` where a link has it, `ENOENT` where it is missing in a root that is
/// read-only.
pub fn into_root_through(root: BorrowedFd<'_>, put_old: &CStr) -> Result<(), Errno> {
    let made = change(root, put_old)?;
    leave_old(put_old)?;
    if made {
        unlinkat(CWD, put_old, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// *Child-side.* As [`into_root_through`], but the old root stays mounted at `/put_old`, for a caller that still has to
/// fetch something from it. Until [`leave_old`] the process is confined to nothing.
pub fn into_root_keeping(root: BorrowedFd<'_>, put_old: &CStr) -> Result<(), Errno> {
    change(root, put_old).map(drop)
}

/// *Child-side.* Takes away the old root that [`into_root_keeping`] left at `/put_old`, with everything mounted in it. The
/// folder stays. The working folder is the root afterwards.
pub fn leave_old(put_old: &CStr) -> Result<(), Errno> {
    check_name(put_old)?;
    chdir(c"/")?;
    unmount(put_old, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Gives whether the folder for the old root was made.
fn change(root: BorrowedFd<'_>, put_old: &CStr) -> Result<bool, Errno> {
    check_name(put_old)?;
    let made = match mkdirat(root, put_old, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST | Errno::ROFS) => false,
        Err(errno) => return Err(errno),
    };
    let changed = resolve::open_beneath(root, put_old, OFlags::PATH | OFlags::DIRECTORY)
        .and_then(|_| fchdir(root))
        // A link that came meanwhile leads out of the new root, or to a folder in it: the kernel refuses the one.
        .and_then(|()| pivot_root(c".", put_old))
        .and_then(|()| chdir(c"/"));
    if made && changed.is_err() {
        let _ = unlinkat(root, put_old, AtFlags::REMOVEDIR);
    }
    changed.map(|()| made)
}

fn check_name(name: &CStr) -> Result<(), Errno> {
    match name.to_bytes() {
        b"" | b"." | b".." => Err(Errno::INVAL),
        bytes if bytes.contains(&b'/') => Err(Errno::INVAL),
        _ => Ok(()),
    }
}
