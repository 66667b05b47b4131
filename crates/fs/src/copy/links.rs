//! Files with more than one name.

use super::Fault;
use crate::object::{Id, Object};
use crate::resolve;
use rustix::fs::{OFlags, fstat};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// A longer path is opened in parts; the kernel takes 4096 bytes.
const PART: usize = 4000;

/// A file that was copied, and has names that are still to come.
struct Copied {
    path: Vec<u8>,
    id: Id,
    names: u64,
}

/// Those that were copied, by what they are in the source.
#[derive(Default)]
pub(super) struct Links(HashMap<Id, Copied>);

impl Links {
    /// Remembers a file of `names` names that was copied to `path`.
    pub(super) fn remember(&mut self, source: Id, path: &[u8], id: Id, names: u64) {
        self.0.insert(source, Copied { path: path.to_vec(), id, names: names - 1 });
    }

    /// Gives the copy of a file another name; `false` where there is no copy yet.
    pub(super) fn link(
        &mut self,
        source: Id,
        root: BorrowedFd<'_>,
        folder: &OwnedFd,
        name: &CStr,
    ) -> Result<bool, Fault> {
        let Some(copied) = self.0.get_mut(&source) else { return Ok(false) };
        let first = open_deep(root, &copied.path).map_err(Fault::of("link"))?;
        if Id::of(&fstat(&first).map_err(Fault::of("link"))?) != copied.id {
            return Err(Fault::says(
                "link",
                "its first name was given to something else while it was copied",
            ));
        }
        Object::reference(first.as_fd()).link(folder.as_fd(), name).map_err(Fault::of("link"))?;
        copied.names -= 1;
        if copied.names == 0 {
            self.0.remove(&source);
        }
        Ok(true)
    }
}

/// Opens a path below the root, however long it is.
fn open_deep(root: BorrowedFd<'_>, mut path: &[u8]) -> Result<OwnedFd, Errno> {
    let mut folder: Option<OwnedFd> = None;
    loop {
        let at = folder.as_ref().map_or(root, |folder| folder.as_fd());
        let slash = path.iter().take(PART).rposition(|byte| *byte == b'/');
        let (part, rest, flags) = match slash {
            Some(slash) if path.len() > PART => {
                (&path[..slash], &path[slash + 1..], OFlags::PATH | OFlags::DIRECTORY)
            }
            _ => (path, &path[..0], OFlags::PATH | OFlags::NOFOLLOW),
        };
        let part = CString::new(part).map_err(|_| Errno::INVAL)?;
        let found = resolve::open_beneath(at, &part, flags)?;
        if rest.is_empty() {
            return Ok(found);
        }
        path = rest;
        folder = Some(found);
    }
}
