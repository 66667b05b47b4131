//! Copying a tree: what is in a folder, with all that belongs to it, into another folder.
//!
//! Only descriptors and single names are used. Names are opened as [`resolve::open_beneath`](crate::resolve::open_beneath)
//! opens them: no link is followed, and *no other mount is entered* (`EXDEV`, with the path): what is mounted over a part of
//! the tree is not the tree, and what it hides cannot be read, so neither answer would be a copy. A caller that copies a
//! root with mounts in it copies its file system, through a mount of its own without them (`OPEN_TREE_CLONE`).
//!
//! Somebody who changes the source meanwhile gets a copy of something he had there at one time or another. He cannot make
//! it read elsewhere: each file is held by a reference (`O_PATH`) before it is judged, the very same is read then, and on
//! the way up `..` must be the folder that was come from. The same holds for the target.

mod attributes;
mod contents;
mod entry;
mod links;
#[cfg(test)]
mod speed;
#[cfg(test)]
mod tests;
mod walk;

use crate::object::Object;
use crate::{Error, Result, object};
use std::os::fd::BorrowedFd;

/// Whom a file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Copies everything in the folder `from` into the folder `to`, and gives `to` itself the owner, mode, times and extended
/// attributes of `from`.
///
/// Kept are owners, modes with setuid, times to the nanosecond, extended attributes (`user.`, `trusted.`, access control
/// lists, capabilities), links, hard links within the tree, holes, FIFOs, device nodes, and sockets: a socket's name in a
/// copy answers as one does that its server has left, and whoever looks for the name finds it. Contents are shared with the
/// source where the file system can (`FICLONE`). What disappears from the source meanwhile is left out.
///
/// Any depth takes the same few descriptors; of a folder, the names of its folders are held in memory, and of files with
/// more than one name, one of them.
///
/// # Errors
/// [`Error::Path`] with the path within the tree: `EEXIST` where `to` has something of that name, `EXDEV` where something is
/// mounted, `ENOTSUP` where the target's file system has no such attributes;
/// also where `to` lies in `from`. The half-made copy is left to the caller.
pub fn tree(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    tree_mapped(from, to, &|owner| owner)
}

/// Gives the folder `to` the owner, mode, times and extended attributes of `from`, and leaves what is in them.
///
/// # Errors
/// As [`tree`].
pub fn top(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
    let given = || {
        let stat = rustix::fs::fstat(from).map_err(Fault::of("look at"))?;
        let (from, to) = (Object::opened(from), Object::opened(to));
        attributes::clear(&to)?;
        attributes::take_over(&from, &stat, &to, &|owner| owner)
    };
    given().map_err(|fault: Fault| Error::Path {
        operation: fault.operation,
        path: ".".into(),
        source: fault.source,
    })
}

/// As [`tree`], with other owners: each owner in the source (also in access control lists and capabilities, where the other
/// half is 0) becomes what `map` makes of it.
pub fn tree_mapped(from: BorrowedFd<'_>, to: BorrowedFd<'_>, map: &dyn Fn(Owner) -> Owner) -> Result<()> {
    object::require_proc().map_err(Error::path("look into", "/proc/thread-self/fd"))?;
    walk::Copy::new(to, map).run(from)
}

/// What went wrong with the entry at hand.
struct Fault {
    operation: &'static str,
    source: std::io::Error,
}

impl Fault {
    fn of<E: Into<std::io::Error>>(operation: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self { operation, source: source.into() }
    }

    fn says(operation: &'static str, why: &'static str) -> Self {
        Self { operation, source: std::io::Error::other(why) }
    }
}
