//! What the written layer of an overlay has changed of those that are read.
//!
//! Everything is opened by descriptors and no link is followed: the written layer may be changing meanwhile, by a container
//! that runs. What it says then was true of each file when it was looked at.

use crate::folder::{self, FOLDER};
use crate::object::{Id, Object};
use crate::{Error, Result, resolve};
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fstat, openat};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

const REFERENCE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);

/// The marks of a folder that hides what is below it.
const OPAQUE: [&CStr; 2] = [c"trusted.overlay.opaque", c"user.overlay.opaque"];

/// What became of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// The layers that are read do not have it.
    Added,
    /// It is another one, or has other attributes; of a folder also: something in it has changed.
    Changed,
    /// It was removed, with all that it held.
    Deleted,
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What became of it.
    pub kind: ChangeKind,
    /// Where it is, relative to the overlay's root.
    pub path: PathBuf,
    /// An empty file or folder: what mount points are.
    pub empty: bool,
}

/// The changes, in the order of the paths, without the root folder itself. `lowers` are the layers that are read, topmost
/// first.
///
/// # Errors
/// A layer that cannot be read, or a folder that is moved while it is.
pub fn changes(lowers: &[PathBuf], upper: &Path) -> Result<Vec<Change>> {
    let lowers = lowers.iter().map(|path| open(path)).collect::<Result<Vec<_>>>()?;
    let mut walk = Walk { lowers, path: Vec::new(), found: BTreeMap::new() };
    let top = open(upper)?;
    match walk.run(top) {
        Ok(()) => Ok(walk.found.into_values().collect()),
        Err(source) => {
            let path = upper.join(OsStr::from_bytes(&walk.path));
            Err(Error::Path { operation: "look for changes at", path, source })
        }
    }
}

fn open(layer: &Path) -> Result<OwnedFd> {
    openat(CWD, layer, FOLDER, Mode::empty()).map_err(Error::path("open", layer))
}

struct Walk {
    lowers: Vec<OwnedFd>,
    /// Where we are.
    path: Vec<u8>,
    /// By the names on the way, so that a folder is followed by what is in it.
    found: BTreeMap<Vec<Vec<u8>>, Change>,
}

/// A folder further up.
struct Above {
    id: Id,
    names: std::vec::IntoIter<CString>,
    path: usize,
    relation: Relation,
}

/// How a folder of the written layer stands to those that are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Relation {
    /// It shows what they have, too.
    Merged,
    /// It hides what they have.
    Hiding,
    /// They have no such folder.
    Alone,
}

/// What the layers that are read have at a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lower {
    Nothing,
    Folder,
    Other,
}

impl Walk {
    fn run(&mut self, top: OwnedFd) -> io::Result<()> {
        let mut levels: Vec<Above> = Vec::new();
        let mut names = folder::names(&top)?;
        let mut at = top;
        let mut relation = Relation::Merged;
        loop {
            let length = self.path.len();
            let Some(name) = names.next() else {
                let Some(above) = levels.pop() else { return Ok(()) };
                at = folder::climb(&at, above.id)?;
                names = above.names;
                relation = above.relation;
                self.path.truncate(above.path);
                continue;
            };
            self.push(name.to_bytes());
            let entered = match resolve::open_beneath(at.as_fd(), &name, REFERENCE) {
                Ok(entry) => self.entry(&entry, relation)?,
                // It went away meanwhile.
                Err(Errno::NOENT) => None,
                Err(errno) => return Err(errno.into()),
            };
            match entered {
                Some((folder, its)) => {
                    let id = Id::of(&fstat(&at)?);
                    levels.push(Above { id, names, path: length, relation });
                    names = folder::names(&folder)?;
                    at = folder;
                    relation = its;
                }
                None => self.path.truncate(length),
            }
        }
    }

    /// Notes what an entry of the written layer says; gives the folder that it is.
    fn entry(&mut self, entry: &OwnedFd, above: Relation) -> io::Result<Option<(OwnedFd, Relation)>> {
        let stat = fstat(entry)?;
        let lower = if above == Relation::Alone { Lower::Nothing } else { self.lower()? };
        if is_whiteout(&stat) {
            if lower != Lower::Nothing {
                self.note(ChangeKind::Deleted, false);
            }
            return Ok(None);
        }
        let kind = if lower == Lower::Nothing { ChangeKind::Added } else { ChangeKind::Changed };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            self.note(kind, is_file && stat.st_size == 0);
            return Ok(None);
        }
        let folder = openat(entry, c".", FOLDER, Mode::empty())?;
        let names = folder::names(&folder)?;
        self.note(kind, names.len() == 0);
        let relation = match lower {
            Lower::Folder if above == Relation::Hiding || is_opaque(&folder)? => Relation::Hiding,
            Lower::Folder => Relation::Merged,
            _ => Relation::Alone,
        };
        if relation == Relation::Hiding {
            self.hidden(&names.collect::<Vec<_>>())?;
        }
        Ok(Some((folder, relation)))
    }

    /// Notes as deleted what the layers that are read have in this folder, and the written one, which hides it, has not.
    fn hidden(&mut self, there: &[CString]) -> io::Result<()> {
        let mut all: Vec<CString> = Vec::new();
        let path = self.path.clone();
        self.each_lower(&path, |found| {
            if FileType::from_raw_mode(fstat(found)?.st_mode) == FileType::Directory {
                all.extend(folder::names(&openat(found, c".", FOLDER, Mode::empty())?)?);
            }
            Ok(())
        })?;
        all.sort_unstable();
        all.dedup();
        let length = self.path.len();
        for name in all.iter().filter(|name| !there.contains(name)) {
            self.push(name.to_bytes());
            if self.lower()? != Lower::Nothing {
                self.note(ChangeKind::Deleted, false);
            }
            self.path.truncate(length);
        }
        Ok(())
    }

    /// What the layers that are read have here.
    fn lower(&self) -> io::Result<Lower> {
        let mut seen = Lower::Nothing;
        self.each_lower(&self.path, |found| {
            if seen == Lower::Nothing {
                let is_folder = FileType::from_raw_mode(fstat(found)?.st_mode) == FileType::Directory;
                seen = if is_folder { Lower::Folder } else { Lower::Other };
            }
            Ok(())
        })?;
        Ok(seen)
    }

    /// Shows what each layer has at a path, topmost first, as far as the ones above do not hide it.
    fn each_lower(&self, path: &[u8], mut show: impl FnMut(&OwnedFd) -> io::Result<()>) -> io::Result<()> {
        for layer in &self.lowers {
            let (found, hides) = find(layer, path)?;
            if let Some(found) = found {
                show(&found)?;
            }
            if hides {
                break;
            }
        }
        Ok(())
    }

    fn push(&mut self, name: &[u8]) {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name);
    }

    fn note(&mut self, kind: ChangeKind, empty: bool) {
        let key = self.path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
        let path = PathBuf::from(OsStr::from_bytes(&self.path));
        self.found.insert(key, Change { kind, path, empty });
    }
}

/// What a layer has at a path, and whether that hides what is at it in the layers below.
fn find(layer: &OwnedFd, path: &[u8]) -> io::Result<(Option<OwnedFd>, bool)> {
    let mut at = openat(layer, c".", FOLDER, Mode::empty())?;
    let mut hides = false;
    let mut names = path.split(|byte| *byte == b'/').peekable();
    while let Some(name) = names.next() {
        at = match openat(&at, CString::new(name)?.as_c_str(), REFERENCE | OFlags::CLOEXEC, Mode::empty()) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Ok((None, hides)),
            Err(errno) => return Err(errno.into()),
        };
        let stat = fstat(&at)?;
        if is_whiteout(&stat) {
            return Ok((None, true));
        }
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            hides |= is_opaque(&openat(&at, c".", FOLDER, Mode::empty())?)?;
        } else {
            // Below what is no folder there is nothing, here and in the layers below.
            return Ok((names.peek().is_none().then_some(at), true));
        }
    }
    Ok((Some(at), hides))
}

/// What stands in the place of what was removed.
fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn is_opaque(folder: &OwnedFd) -> io::Result<bool> {
    let object = Object::opened(folder.as_fd());
    for mark in OPAQUE {
        if object.xattr(mark)?.is_some_and(|value| value == b"y") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
