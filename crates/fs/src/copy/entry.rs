//! One entry that is no folder.

use super::walk::Copy;
use super::{Fault, attributes};
use crate::object::{Id, Object};
use crate::resolve;
use rustix::fs::{FileType, Mode, OFlags, Stat, fstat, mknodat, openat, readlinkat, symlinkat};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsFd as _, OwnedFd};

/// What became of an entry.
pub(super) enum Entry {
    Copied,
    /// It is a folder, after all: not every file system says so beforehand.
    Folder,
}

impl Copy<'_> {
    /// Copies what `name` is in one folder into the other.
    pub(super) fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<Entry, Fault> {
        let source = match resolve::open_beneath(from.as_fd(), name, OFlags::PATH | OFlags::NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Entry::Copied),
            result => result.map_err(Fault::of("open"))?,
        };
        let stat = fstat(&source).map_err(Fault::of("open"))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return Ok(Entry::Folder);
        }
        // 32 bits on some architectures.
        #[allow(clippy::useless_conversion)]
        let names = u64::from(stat.st_nlink);
        if names > 1 && self.links.link(Id::of(&stat), self.root, to, name)? {
            return Ok(Entry::Copied);
        }
        let made = if kind == FileType::RegularFile {
            self.file(&source, to, name)?
        } else {
            make(&source, &stat, to, name)?;
            // The name is not trusted to be the same a moment later.
            let made = resolve::open_beneath(to.as_fd(), name, OFlags::PATH | OFlags::NOFOLLOW);
            let made = made.map_err(Fault::of("create"))?;
            if FileType::from_raw_mode(fstat(&made).map_err(Fault::of("create"))?.st_mode) != kind {
                return Err(Fault::says("create", "it was replaced while it was copied"));
            }
            let (from, to) = (Object::reference(source.as_fd()), Object::reference(made.as_fd()));
            attributes::take_over(&from, &stat, &to, self.map)?;
            made
        };
        if names > 1 {
            let id = Id::of(&fstat(&made).map_err(Fault::of("create"))?);
            self.links.remember(Id::of(&stat), &self.path, id, names);
        }
        Ok(Entry::Copied)
    }

    fn file(&mut self, source: &OwnedFd, to: &OwnedFd, name: &CStr) -> Result<OwnedFd, Fault> {
        let from = Object::reference(source.as_fd()).open(OFlags::RDONLY).map_err(Fault::of("open"))?;
        let stat = fstat(&from).map_err(Fault::of("open"))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = openat(to, name, flags, Mode::RUSR | Mode::WUSR).map_err(Fault::of("create"))?;
        self.contents.copy(&from, &stat, &made)?;
        let (from, to) = (Object::opened(from.as_fd()), Object::opened(made.as_fd()));
        attributes::take_over(&from, &stat, &to, self.map)?;
        Ok(made)
    }
}

fn make(source: &OwnedFd, stat: &Stat, to: &OwnedFd, name: &CStr) -> Result<(), Fault> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind == FileType::Symlink {
        let target = readlinkat(source, c"", Vec::new()).map_err(Fault::of("read"))?;
        return symlinkat(&target, to, name).map_err(Fault::of("create"));
    }
    mknodat(to, name, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev).map_err(Fault::of("create"))
}
