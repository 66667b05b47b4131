//! Paths as careless programs resolve them, to prove that the attack tests notice (`cargo xtask weakened`).

use super::Rules;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

static LEAVE: AtomicBool = AtomicBool::new(false);
static FOLLOW: AtomicBool = AtomicBool::new(false);

/// From now on paths may lead out of their root (`leave`), or through links and mounts where none may be (`follow`).
pub fn weaken(leave: bool, follow: bool) {
    LEAVE.store(leave, Ordering::Relaxed);
    FOLLOW.store(follow, Ordering::Relaxed);
}

/// `None` where the path is resolved as it should be.
pub(super) fn open(
    root: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    rules: Rules,
) -> Option<Result<OwnedFd, Errno>> {
    let below = path.to_bytes_with_nul();
    let slashes = below.iter().take_while(|byte| **byte == b'/').count();
    let below = CStr::from_bytes_with_nul(&below[slashes..]).ok().filter(|path| !path.is_empty());
    if LEAVE.load(Ordering::Relaxed) && !rules.no_links {
        return Some(openat(root, below.unwrap_or(c"."), flags, Mode::empty()));
    }
    if FOLLOW.load(Ordering::Relaxed) && rules.no_links {
        return Some(openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT));
    }
    None
}
