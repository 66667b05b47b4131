//! Going through a tree folder by folder, however deep it is: without recursion, and without holding those above open.

use crate::object::Id;
use rustix::fs::{Dir, Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

pub(crate) const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The names in a folder, in order.
pub(crate) fn names(folder: &OwnedFd) -> Result<std::vec::IntoIter<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names.into_iter())
}

/// Goes up by `..`, which must be where it was come from.
pub(crate) fn climb(below: &OwnedFd, above: Id) -> io::Result<OwnedFd> {
    let folder = openat(below, c"..", FOLDER, Mode::empty())?;
    if Id::of(&fstat(&folder)?) != above {
        return Err(io::Error::other("it was moved while it was read"));
    }
    Ok(folder)
}
