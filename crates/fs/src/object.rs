//! What a descriptor names, with its owner, mode, times and extended attributes.
//!
//! A descriptor that only refers to something (`O_PATH`) is the one way to hold on to a file without opening it: opening a
//! FIFO waits, opening a device does what its driver thinks fit. The kernel refuses most calls on it; they are made on its
//! entry in `/proc/thread-self/fd` instead, which leads to the very file, whatever its name means by now.

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, PROC_SUPER_MAGIC, Stat, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

/// The longest value and the longest list of names that the kernel has (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const XATTR_MAX: usize = 1 << 16;

/// What makes a file the same file.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    device: u64,
    inode: u64,
}

impl Id {
    pub(crate) fn of(stat: &Stat) -> Self {
        Self { device: stat.st_dev, inode: stat.st_ino }
    }
}

/// Something in a file system.
pub(crate) struct Object<'fd> {
    fd: BorrowedFd<'fd>,
    /// Its entry in `/proc`, where the descriptor itself will not do.
    entry: Option<CString>,
}

/// Whether `/proc` has entries to ask: without it, nothing here works on descriptors that only refer.
pub(crate) fn require_proc() -> Result<(), Errno> {
    let folder = rustix::fs::open(c"/proc/thread-self/fd", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if rustix::fs::fstatfs(&folder)?.f_type != PROC_SUPER_MAGIC { Err(Errno::NOTSUP) } else { Ok(()) }
}

impl<'fd> Object<'fd> {
    /// By a descriptor that was opened.
    pub(crate) fn opened(fd: BorrowedFd<'fd>) -> Self {
        Self { fd, entry: None }
    }

    /// By a descriptor that only refers.
    pub(crate) fn reference(fd: BorrowedFd<'fd>) -> Self {
        let entry = CString::new(format!("/proc/thread-self/fd/{}", fd.as_raw_fd())).unwrap_or_default();
        Self { fd, entry: Some(entry) }
    }

    /// Opens what a reference leads to.
    pub(crate) fn open(&self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let entry = self.entry.as_deref().unwrap_or(c"");
        rustix::fs::openat(CWD, entry, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// Gives it one more name.
    pub(crate) fn link(&self, folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        let entry = self.entry.as_deref().unwrap_or(c"");
        rustix::fs::linkat(CWD, entry, folder, name, AtFlags::SYMLINK_FOLLOW)
    }

    pub(crate) fn set_owner(&self, uid: u32, gid: u32) -> Result<(), Errno> {
        // To the kernel, -1 says that it is to stay as it is.
        if uid == u32::MAX || gid == u32::MAX {
            return Err(Errno::INVAL);
        }
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        match &self.entry {
            None => rustix::fs::fchown(self.fd, uid, gid),
            Some(_) => rustix::fs::chownat(self.fd, c"", uid, gid, AtFlags::EMPTY_PATH),
        }
    }

    /// Not of links, which have none.
    pub(crate) fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        match &self.entry {
            None => rustix::fs::fchmod(self.fd, mode),
            Some(entry) => rustix::fs::chmod(entry, mode),
        }
    }

    pub(crate) fn set_times(&self, times: &Timestamps) -> Result<(), Errno> {
        match &self.entry {
            None => rustix::fs::futimens(self.fd, times),
            Some(entry) => rustix::fs::utimensat(CWD, entry, times, AtFlags::empty()),
        }
    }

    /// The names of its extended attributes; none where the file system does not know such.
    pub(crate) fn xattrs(&self) -> Result<Vec<CString>, Errno> {
        let list = |buffer: &mut [u8]| match &self.entry {
            None => rustix::fs::flistxattr(self.fd, buffer),
            Some(entry) => rustix::fs::listxattr(entry, buffer),
        };
        let bytes = match filled(list) {
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            result => result?,
        };
        let names = bytes.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.filter_map(|name| CString::new(name).ok()).collect())
    }

    /// An extended attribute's value; none where it has no such (any more).
    pub(crate) fn xattr(&self, name: &CStr) -> Result<Option<Vec<u8>>, Errno> {
        let get = |buffer: &mut [u8]| match &self.entry {
            None => rustix::fs::fgetxattr(self.fd, name, buffer),
            Some(entry) => rustix::fs::getxattr(entry, name, buffer),
        };
        match filled(get) {
            Ok(value) => Ok(Some(value.into_owned())),
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    pub(crate) fn set_xattr(&self, name: &CStr, value: &[u8]) -> Result<(), Errno> {
        match &self.entry {
            None => rustix::fs::fsetxattr(self.fd, name, value, XattrFlags::empty()),
            Some(entry) => rustix::fs::setxattr(entry, name, value, XattrFlags::empty()),
        }
    }

    pub(crate) fn remove_xattr(&self, name: &CStr) -> Result<(), Errno> {
        let removed = match &self.entry {
            None => rustix::fs::fremovexattr(self.fd, name),
            Some(entry) => rustix::fs::removexattr(entry, name),
        };
        if removed == Err(Errno::NODATA) { Ok(()) } else { removed }
    }
}

/// What a call fills a buffer with: mostly nothing, or little.
fn filled(call: impl Fn(&mut [u8]) -> Result<usize, Errno>) -> Result<Cow<'static, [u8]>, Errno> {
    let mut small = [0; 256];
    match call(&mut small) {
        Ok(0) => Ok(Cow::Borrowed(&[])),
        Ok(length) => Ok(Cow::Owned(small[..length].to_vec())),
        Err(Errno::RANGE) => {
            let mut large = vec![0; XATTR_MAX];
            let length = call(&mut large)?;
            large.truncate(length);
            Ok(Cow::Owned(large))
        }
        Err(errno) => Err(errno),
    }
}
