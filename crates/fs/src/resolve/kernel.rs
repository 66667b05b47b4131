//! By openat2(2).

use super::Rules;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

pub(super) fn open(root: BorrowedFd<'_>, path: &CStr, flags: OFlags, rules: Rules) -> Result<OwnedFd, Errno> {
    let mut how = ResolveFlags::NO_MAGICLINKS;
    how |= if rules.beneath { ResolveFlags::BENEATH } else { ResolveFlags::IN_ROOT };
    how.set(ResolveFlags::NO_SYMLINKS, rules.no_links);
    how.set(ResolveFlags::NO_XDEV, rules.one_mount);
    openat2(root, path, flags, Mode::empty(), how)
}
