//! Making room for an entry where something else is.

use super::options::Existing;
use super::problem::Problem;
use crate::object::Id;
use crate::remove::remove_at;
use rustix::fs::{AtFlags, FileType, StatxAttributes, StatxFlags, fstat, statat, statx, unlinkat};
use rustix::io::Errno;
use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

/// What was in an entry's place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A folder, which the entry is too.
    Kept,
    /// Something that is gone now.
    Emptied,
    /// The very file that a hard link is to.
    Same,
}

/// Makes room for an entry.
pub(super) fn clear(
    parent: &OwnedFd,
    name: &CString,
    is_folder: bool,
    target: Option<&OwnedFd>,
    existing: Existing,
) -> Result<Option<Place>, Problem> {
    let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        result => result.map_err(Problem::file("create"))?,
    };
    let kind = FileType::from_raw_mode(stat.st_mode);
    let was_folder = kind == FileType::Directory;
    if was_folder && is_folder {
        return Ok(Some(Place::Kept));
    }
    if let Some(target) = target
        && Id::of(&fstat(target).map_err(Problem::file("link"))?) == Id::of(&stat)
    {
        return Ok(Some(Place::Same));
    }
    match existing {
        Existing::Refuse => return Err(Problem::file("create")(Errno::EXIST)),
        Existing::Replace if was_folder || is_folder => {
            let there = match kind {
                FileType::Directory => "a folder",
                FileType::Symlink => "a link",
                _ => "a file",
            };
            return Err(Problem::InTheWay { there });
        }
        _ => {}
    }
    // To remove what somebody has mounted there would unmount it, and what it hides would be replaced.
    if is_mounted(parent, name) {
        return Err(Problem::file("replace")(Errno::BUSY));
    }
    let removed = if was_folder {
        remove_at(parent.as_fd(), OsStr::from_bytes(name.to_bytes()))
    } else {
        unlinkat(parent, name, AtFlags::empty())
    };
    match removed {
        Ok(()) | Err(Errno::NOENT) => Ok(Some(Place::Emptied)),
        Err(errno) => Err(Problem::file("replace")(errno)),
    }
}

/// Something is mounted on this name. Kernels before 5.8 do not say so.
fn is_mounted(parent: &OwnedFd, name: &CString) -> bool {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
    statx(parent, name, flags, StatxFlags::empty())
        .is_ok_and(|seen| seen.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
