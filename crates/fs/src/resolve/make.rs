//! Making what is missing on the way.

use super::{PATH_MAX, Resolver};
use rustix::fs::{Mode, OFlags, mkdirat, readlinkat_raw};
use rustix::io::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

/// As many links as the kernel follows (MAXSYMLINKS).
const MAX_LINKS: u32 = 40;

impl Resolver {
    /// *Child-side.* As the function [`ensure_dir`](super::ensure_dir).
    pub fn ensure_dir(self, root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
        match self.open_with(root, path, OFlags::PATH | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        let bytes = path.to_bytes();
        let mut buffer = [0; PATH_MAX];
        let mut folder = self.open_with(root, c"/", OFlags::PATH | OFlags::DIRECTORY)?;
        let mut start = 0;
        while start < bytes.len() {
            let end = bytes[start..].iter().position(|byte| *byte == b'/').map_or(bytes.len(), |n| start + n);
            let name = &bytes[start..end];
            start = end + 1;
            if name.is_empty() || name == b"." {
                continue;
            }
            if end >= PATH_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            // The whole prefix is looked up each time, so that a link's `..` means what it means from the root.
            buffer[..end].copy_from_slice(&bytes[..end]);
            buffer[end] = 0;
            let prefix = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::INVAL)?;
            folder = match self.open_with(root, prefix, OFlags::PATH | OFlags::DIRECTORY) {
                Err(Errno::NOENT) => self.make_dir(root, &folder, name, prefix)?,
                result => result?,
            };
        }
        Ok(folder)
    }

    fn make_dir(
        self,
        root: BorrowedFd<'_>,
        parent: &OwnedFd,
        name: &[u8],
        prefix: &CStr,
    ) -> Result<OwnedFd, Errno> {
        let mut buffer = [0; 256];
        let name = c_name(name, &mut buffer)?;
        match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        match self.open_with(root, prefix, OFlags::PATH | OFlags::DIRECTORY) {
            // The name is taken by a link to something that does not exist.
            Err(Errno::NOENT) => Err(Errno::LOOP),
            result => result,
        }
    }

    /// *Child-side.* As the function [`ensure_plain_dir`](super::ensure_plain_dir).
    pub fn ensure_plain_dir(self, root: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
        match mkdirat(root, name, Mode::from_raw_mode(0o755)) {
            // A read-only root that has it is fine.
            Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {
                self.open_beneath(root, name, OFlags::PATH | OFlags::DIRECTORY)
            }
            Err(errno) => Err(errno),
        }
    }

    /// *Child-side.* As the function [`ensure_file`](super::ensure_file).
    pub fn ensure_file(self, root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
        let mut buffer = [0; PATH_MAX];
        let length = path.to_bytes().len();
        if length >= PATH_MAX {
            return Err(Errno::NAMETOOLONG);
        }
        buffer[..length].copy_from_slice(path.to_bytes());
        for _ in 0..MAX_LINKS {
            let path = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::INVAL)?;
            match self.open(root, path) {
                Err(Errno::NOENT) => {}
                result => return result,
            }
            let mut link = [MaybeUninit::uninit(); PATH_MAX];
            let Some(target) = self.make_file(root, path, &mut link)? else {
                let path = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::INVAL)?;
                match self.open(root, path) {
                    // It went away again, or became a link to nothing.
                    Err(Errno::NOENT) => continue,
                    result => return result,
                }
            };
            // A link to nothing: what it says is made, seen from its folder.
            let bytes = path.to_bytes();
            let folder = match target.first() {
                Some(b'/') => 0,
                _ => bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |n| n + 1),
            };
            if folder + target.len() >= PATH_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            buffer[folder..folder + target.len()].copy_from_slice(target);
            buffer[folder + target.len()] = 0;
        }
        Err(Errno::LOOP)
    }

    /// Makes an empty file, and the folders on the way. Where there is a link, gives what it says.
    fn make_file<'link>(
        self,
        root: BorrowedFd<'_>,
        path: &CStr,
        link: &'link mut [MaybeUninit<u8>; PATH_MAX],
    ) -> Result<Option<&'link [u8]>, Errno> {
        let bytes = path.to_bytes();
        let split = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |n| n + 1);
        let (folder, name) = bytes.split_at(split);
        if name.is_empty() || folder.len() >= PATH_MAX {
            return Err(Errno::INVAL);
        }
        let mut buffer = [0; PATH_MAX];
        buffer[..folder.len()].copy_from_slice(folder);
        let folder = CStr::from_bytes_until_nul(&buffer).map_err(|_| Errno::INVAL)?;
        let folder = self.ensure_dir(root, folder)?;
        let mut buffer = [0; 256];
        let name = c_name(name, &mut buffer)?;
        // Neither a link nor a file that came in between is taken: O_EXCL refuses both.
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::openat(&folder, name, flags, Mode::from_raw_mode(0o644)) {
            Ok(_) => return Ok(None),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        match readlinkat_raw(&folder, name, link) {
            Ok((target, _)) => Ok(Some(target)),
            // It is no link (any more).
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// A component as a C string, whatever the buffer held before.
pub(super) fn c_name<'buffer>(name: &[u8], buffer: &'buffer mut [u8; 256]) -> Result<&'buffer CStr, Errno> {
    if name.len() >= buffer.len() {
        return Err(Errno::NAMETOOLONG);
    }
    buffer[..name.len()].copy_from_slice(name);
    buffer[name.len()] = 0;
    CStr::from_bytes_until_nul(buffer).map_err(|_| Errno::INVAL)
}
