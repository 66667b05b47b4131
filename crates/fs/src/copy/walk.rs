//! From folder to folder, without recursion and without holding those above open.

use super::contents::Contents;
use super::entry::Entry;
use super::links::Links;
use super::{Fault, Owner, attributes};
use crate::folder::{self, FOLDER};
use crate::object::{Id, Object};
use crate::{Error, resolve};
use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fstat, mkdirat, openat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The copy, at some folder.
pub(super) struct Copy<'a> {
    /// The target's top.
    pub(super) root: BorrowedFd<'a>,
    pub(super) map: &'a dyn Fn(Owner) -> Owner,
    pub(super) links: Links,
    pub(super) contents: Contents,
    /// Where we are, within the tree.
    pub(super) path: Vec<u8>,
    /// What the target's top is.
    target: Option<Id>,
}

/// A folder and its copy.
struct Pair {
    from: OwnedFd,
    to: OwnedFd,
    /// As the source was before it was read.
    stat: Stat,
    /// What the copy is.
    id: Id,
    /// The folders in it that are still to be copied.
    folders: Vec<CString>,
}

/// A folder further up.
struct Above {
    stat: Stat,
    id: Id,
    folders: Vec<CString>,
    /// The length of its path.
    path: usize,
}

impl<'a> Copy<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, map: &'a dyn Fn(Owner) -> Owner) -> Self {
        Self { root, map, links: Links::default(), contents: Contents::new(), path: Vec::new(), target: None }
    }

    pub(super) fn run(mut self, from: BorrowedFd<'_>) -> crate::Result<()> {
        self.walk(from).map_err(|fault| {
            let path =
                if self.path.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(&self.path)) };
            Error::Path { operation: fault.operation, path: PathBuf::from(path), source: fault.source }
        })
    }

    fn walk(&mut self, from: BorrowedFd<'_>) -> Result<(), Fault> {
        let from = openat(from, c".", FOLDER, Mode::empty()).map_err(Fault::of("open"))?;
        let to = openat(self.root, c".", FOLDER, Mode::empty()).map_err(Fault::of("open"))?;
        self.target = Some(Id::of(&fstat(&to).map_err(Fault::of("open"))?));
        attributes::clear(&Object::opened(to.as_fd()))?;
        let mut levels: Vec<Above> = Vec::new();
        let mut at = self.enter(from, to)?;
        loop {
            if let Some(name) = at.folders.pop() {
                let path = self.path.len();
                self.push(&name);
                let below = self.folder(&at, &name)?;
                if let Some((from, to)) = below {
                    levels.push(Above { stat: at.stat, id: at.id, folders: at.folders, path });
                    at = self.enter(from, to)?;
                } else {
                    self.path.truncate(path);
                }
                continue;
            }
            let (from, to) = (Object::opened(at.from.as_fd()), Object::opened(at.to.as_fd()));
            attributes::take_over(&from, &at.stat, &to, self.map)?;
            let Some(above) = levels.pop() else { return Ok(()) };
            at = climb(&at, above, &mut self.path)?;
        }
    }

    /// Copies all of a folder but the folders in it.
    fn enter(&mut self, from: OwnedFd, to: OwnedFd) -> Result<Pair, Fault> {
        let stat = fstat(&from).map_err(Fault::of("open"))?;
        // Else it would be filled with itself for ever.
        if Some(Id::of(&stat)) == self.target {
            return Err(Fault::says(
                "copy",
                "it is the very folder that is copied into: a tree cannot hold its own copy",
            ));
        }
        let id = Id::of(&fstat(&to).map_err(Fault::of("open"))?);
        let mut folders = Vec::new();
        for entry in Dir::read_from(&from).map_err(Fault::of("list"))? {
            let entry = entry.map_err(Fault::of("list"))?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            if entry.file_type() == FileType::Directory {
                folders.push(name.to_owned());
                continue;
            }
            let length = self.path.len();
            self.push(name);
            if matches!(self.entry(&from, &to, name)?, Entry::Folder) {
                folders.push(name.to_owned());
            }
            self.path.truncate(length);
        }
        Ok(Pair { from, to, stat, id, folders })
    }

    /// Makes the copy of a folder; none where the folder is gone, or has become something else.
    fn folder(&mut self, at: &Pair, name: &CStr) -> Result<Option<(OwnedFd, OwnedFd)>, Fault> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let from = match resolve::open_beneath(at.from.as_fd(), name, flags) {
            Err(Errno::NOENT) => return Ok(None),
            result => result.map_err(Fault::of("open"))?,
        };
        // Nobody else's before it has its owner and mode.
        mkdirat(&at.to, name, Mode::RWXU).map_err(Fault::of("create"))?;
        let to = resolve::open_beneath(at.to.as_fd(), name, flags).map_err(Fault::of("create"))?;
        Ok(Some((from, to)))
    }

    fn push(&mut self, name: &CStr) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.to_bytes());
    }
}

/// Goes up by `..`, which must be where it was come from.
fn climb(at: &Pair, above: Above, path: &mut Vec<u8>) -> Result<Pair, Fault> {
    let up = |below: &OwnedFd, id: Id| folder::climb(below, id).map_err(Fault::of("open the folder above"));
    let from = up(&at.from, Id::of(&above.stat))?;
    let to = up(&at.to, above.id)?;
    path.truncate(above.path);
    Ok(Pair { from, to, stat: above.stat, id: above.id, folders: above.folders })
}
