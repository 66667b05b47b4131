//! Paths inside a root. Whatever links and `..` they hold, they end below the root's descriptor.
//!
//! openat2(2) (Linux 5.6) does it in one call. Where the kernel does not have it, or a seccomp filter hides it, the path is
//! walked component by component ([`Resolver::Walk`]), with the same answers: `..` at the root stays there, links that
//! begin with `/` begin at the root, magic links of `/proc` are refused.

mod kernel;
mod make;
mod mount_id;
#[cfg(test)]
mod tests;
mod walk;
#[cfg(feature = "weakened")]
mod weakened;

pub(crate) use mount_id::mount_id;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
#[cfg(feature = "weakened")]
pub use weakened::weaken;

/// The longest path that is looked at, with its final zero byte (PATH_MAX).
const PATH_MAX: usize = 4096;

/// How often a path is looked up that others are changing; a lease on a file gives the same answer, and must not keep us.
const MAX_TRIES: u32 = 64;

/// What makes a file where there is none; that is done apart from looking up.
const MAKING: OFlags = OFlags::CREATE.union(OFlags::TMPFILE.difference(OFlags::DIRECTORY));

/// How paths are looked up. The functions of this module take what the kernel has; a caller that wants one of them in
/// particular uses the methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// By openat2(2), in one call; by a walk where others keep the kernel from an answer.
    Kernel,
    /// Component by component, by openat(2) with `O_PATH|O_NOFOLLOW`. It never asks the kernel for `..`, so a folder that
    /// is moved out of the root meanwhile leads nowhere.
    Walk,
}

/// What a path may lead through.
#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    /// Leaving the folder is an error (`EXDEV`), instead of ending at it.
    beneath: bool,
    /// Links are refused (`ELOOP`).
    no_links: bool,
    /// Other mounts are refused (`EXDEV`).
    one_mount: bool,
}

impl Resolver {
    /// *Child-side.* What this kernel has: asked once in the life of the process.
    pub fn detect() -> Self {
        const KERNEL: u8 = 1;
        const WALK: u8 = 2;
        static FOUND: AtomicU8 = AtomicU8::new(0);
        match FOUND.load(Ordering::Relaxed) {
            KERNEL => return Self::Kernel,
            WALK => return Self::Walk,
            _ => {}
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let found = match openat2(CWD, c".", flags, Mode::empty(), ResolveFlags::empty()) {
            // EPERM: by filters that were written before the call was.
            Err(Errno::NOSYS | Errno::PERM) => Self::Walk,
            _ => Self::Kernel,
        };
        FOUND.store(if found == Self::Kernel { KERNEL } else { WALK }, Ordering::Relaxed);
        found
    }

    /// *Child-side.* As the function [`open`].
    pub fn open(self, root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
        self.open_with(root, path, OFlags::PATH)
    }

    /// *Child-side.* As the function [`open_with`].
    pub fn open_with(self, root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.look_up(root, path, flags, Rules::default())
    }

    /// *Child-side.* As the function [`open_plain`].
    pub fn open_plain(self, root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.look_up(root, path, flags, Rules { no_links: true, ..Rules::default() })
    }

    /// *Child-side.* As the function [`open_beneath`].
    pub fn open_beneath(self, folder: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.look_up(folder, path, flags, Rules { beneath: true, no_links: true, one_mount: true })
    }

    /// *Child-side.* As the function [`open_within`].
    pub fn open_within(self, folder: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        self.look_up(folder, path, flags, Rules { beneath: true, ..Rules::default() })
    }

    fn look_up(
        self,
        root: BorrowedFd<'_>,
        path: &CStr,
        flags: OFlags,
        rules: Rules,
    ) -> Result<OwnedFd, Errno> {
        if flags.intersects(MAKING) {
            return Err(Errno::INVAL);
        }
        let flags = flags | OFlags::CLOEXEC;
        #[cfg(feature = "weakened")]
        if let Some(found) = weakened::open(root, path, flags, rules) {
            return found;
        }
        // The kernel is not sure that a path with `..` stays inside where anything on the machine was renamed or mounted
        // meanwhile, and asks to be asked again: where somebody renames without end, it never is. Who walks is.
        let ways: &[Self] = if self == Self::Kernel { &[Self::Kernel, Self::Walk] } else { &[Self::Walk] };
        for way in ways {
            for _ in 0..MAX_TRIES {
                let found = match way {
                    Self::Kernel => kernel::open(root, path, flags, rules),
                    Self::Walk => walk::open(root, path, flags, rules),
                };
                match found {
                    Err(Errno::AGAIN) => {}
                    result => return result,
                }
            }
        }
        Err(Errno::AGAIN)
    }
}

/// *Child-side.* Opens a path as a reference (`O_PATH`), links followed inside the root.
pub fn open(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    Resolver::detect().open(root, path)
}

/// *Child-side.* Opens a path, links followed inside the root. The magic links of `/proc` are not followed.
///
/// # Errors
/// `ELOOP` for magic links, more than 40 links, or (walking) more steps than any honest path takes; `EAGAIN` where others
/// keep changing the path; `EINVAL` for flags that would make a file.
pub fn open_with(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    Resolver::detect().open_with(root, path, flags)
}

/// *Child-side.* Opens a path that must not have a link in it (`ELOOP`): one that was resolved before, and in whose way
/// somebody may have put something since. It may lie on other mounts.
pub fn open_plain(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    Resolver::detect().open_plain(root, path, flags)
}

/// Opens a path of this machine as a reference: one that was resolved before, and in whose way somebody who may write there may have
/// put a link since (`ELOOP`).
///
/// # Errors
/// The kernel's; `EINVAL` for a path that is not absolute.
pub fn open_host(path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    if !path.is_absolute() {
        return Err(Errno::INVAL);
    }
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    let top = openat(CWD, c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    open_plain(top.as_fd(), &name, OFlags::PATH | flags)
}

/// *Child-side.* Opens a path that must lie on the very mount `folder` is on, with no link on the way:
/// for files of procfs and sysfs that must not have been replaced.
pub fn open_beneath(folder: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    Resolver::detect().open_beneath(folder, path, flags)
}

/// *Child-side.* Opens a path that must end below a folder that others may write in: links that lead to some place below it are
/// followed, whatever leads out of it, at any step, is refused. It may lie on other mounts.
///
/// # Errors
/// `EXDEV` for what leads out: `..`, a link to an absolute path; `ELOOP` for magic links, or more than 40 links; `EAGAIN` where
/// others keep changing the path.
pub fn open_within(folder: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    Resolver::detect().open_within(folder, path, flags)
}

/// *Child-side.* Opens a folder as a reference, making it and the folders on the way (mode 0755) where they are missing.
///
/// # Errors
/// `ENOTDIR` where a file is in the way, `ELOOP` where a link leads nowhere, `ENAMETOOLONG`.
pub fn ensure_dir(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    Resolver::detect().ensure_dir(root, path)
}

/// *Child-side.* Opens a folder directly below the root, making it where it is missing. A link in its place is refused
/// (`ELOOP`): for `/proc` and `/sys`, which must be what they seem (CVE-2019-19921).
pub fn ensure_plain_dir(root: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    Resolver::detect().ensure_plain_dir(root, name)
}

/// *Child-side.* Opens a file as a reference, making an empty one, and the folders on the way, where it is missing. Where there is
/// a link to nothing (`/etc/resolv.conf` of many systems), what it says is made, inside the root.
pub fn ensure_file(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    Resolver::detect().ensure_file(root, path)
}
