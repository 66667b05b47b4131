//! Paths of a container's root that show nothing, or cannot be written.

use crate::mount::{Changes, DetachedMount};
use crate::resolve;
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Where protected paths are looked up.
#[derive(Clone, Copy, Debug)]
pub struct Roots<'fd> {
    /// The root file system.
    pub root: BorrowedFd<'fd>,
    /// The procfs mounted at `/proc`, if the caller has mounted one.
    pub proc: Option<BorrowedFd<'fd>>,
    /// The sysfs mounted at `/sys`, likewise.
    pub sys: Option<BorrowedFd<'fd>>,
}

impl Roots<'_> {
    /// *Child-side.* Paths below `/proc` and `/sys` are looked up in the very mounts that were made there, without links:
    /// whatever lies in the root file system cannot send them elsewhere (CVE-2019-19921, CVE-2025-31133). What the configuration
    /// has mounted below these is looked up as it will be seen, without links as well.
    fn open(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        for (prefix, mount) in [(&b"/proc/"[..], self.proc), (&b"/sys/"[..], self.sys)] {
            let Some(mount) = mount else { continue };
            let Some(rest) = path.to_bytes_with_nul().strip_prefix(prefix) else { continue };
            let rest = CStr::from_bytes_with_nul(rest).map_err(|_| Errno::INVAL)?;
            return match resolve::open_beneath(mount, rest, OFlags::PATH) {
                Err(Errno::XDEV) => resolve::open_plain(self.root, path, OFlags::PATH),
                opened => opened,
            };
        }
        resolve::open(self.root, path)
    }
}

/// Hides paths: files behind the null device, folders behind one empty, read-only file system.
#[derive(Debug)]
pub struct Masker<'fd> {
    null: BorrowedFd<'fd>,
    empty: Option<DetachedMount>,
}

impl<'fd> Masker<'fd> {
    /// `null` must be a null device that the caller has made or checked.
    pub fn new(null: BorrowedFd<'fd>) -> Self {
        Self { null, empty: None }
    }

    /// *Child-side.* Hides one path. What does not exist needs no hiding.
    pub fn hide(&mut self, roots: Roots<'_>, path: &CStr) -> Result<(), Errno> {
        let Some(target) = existing(roots.open(path))? else { return Ok(()) };
        if FileType::from_raw_mode(fstat(&target)?.st_mode) == FileType::Directory {
            let cover = self.empty_folder()?;
            cover.attach(target.as_fd())?;
            // The next folder is covered by a copy of this one: one file system serves all.
            self.empty = Some(cover);
            return Ok(());
        }
        DetachedMount::clone_of(self.null, c"", false)?.attach(target.as_fd())
    }

    fn empty_folder(&self) -> Result<DetachedMount, Errno> {
        if let Some(empty) = &self.empty {
            return DetachedMount::clone_of(empty.as_fd(), c"", false);
        }
        let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
            | MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        DetachedMount::new(c"tmpfs", [(c"mode", c"755"), (c"nr_inodes", c"2")], attributes)
    }
}

/// *Child-side.* Makes a path read-only, with everything mounted below it. What does not exist needs no protection.
pub fn make_read_only(roots: Roots<'_>, path: &CStr) -> Result<(), Errno> {
    let Some(target) = existing(roots.open(path))? else { return Ok(()) };
    let copy = DetachedMount::clone_of(target.as_fd(), c"", true)?;
    copy.change(&Changes::read_only(true))?;
    copy.attach(target.as_fd())
}

fn existing(opened: Result<OwnedFd, Errno>) -> Result<Option<OwnedFd>, Errno> {
    match opened {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}
