//! Folders that are held to a size by the file system that they lie in: project quotas, of ext4 and XFS where they are mounted
//! with `prjquota`.
//!
//! A project is a number. What is made in a folder with a project belongs to it, however deep, and is counted; nothing that
//! belongs to another can be moved or linked there (EXDEV). statfs(2) in it tells the limit as the size of the file system.
//!
//! The number stands in the folder, and there is no list of them that could be wrong: one is free if the kernel counts nothing
//! for it and has no limit of it.
//!
//! *What it does not hold:* root of the first user namespace may give a file of its own to another project; and ext4 lets whoever
//! has CAP_SYS_RESOURCE there pass every limit. In a user namespace there is neither.

mod kernel;

use crate::{Error, Result};
use kernel::Space;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

/// How often a number may be somebody's already, of two thousand million.
const TRIES: usize = 16;

/// Whether folders at a path can be held to a size so. What keeps one from finding out keeps one from doing it.
pub fn is_held(folder: &Path) -> bool {
    open(folder).is_ok_and(|folder| kernel::holds(folder.as_fd()) == Ok(true))
}

/// Holds an empty folder, and all that will be in it, to so many bytes, and returns to how many: the kernel counts in blocks.
///
/// # Errors
/// What the kernel says; `EEXIST` for a folder that is held already.
pub fn hold(folder: &Path, bytes: u64) -> Result<u64> {
    let failed = || Error::path("limit the size of", folder);
    let opened = open(folder).map_err(failed())?;
    let mut attributes = kernel::attributes(opened.as_fd()).map_err(failed())?;
    if attributes.project != 0 {
        return Err(failed()(Errno::EXIST));
    }
    let project = free(&opened).map_err(failed())?;
    // The limit first: the folder is never without one.
    kernel::set_limit(opened.as_fd(), project, bytes).map_err(failed())?;
    attributes.project = project;
    attributes.flags |= kernel::INHERIT;
    let held = kernel::set_attributes(opened.as_fd(), attributes)
        .and_then(|()| kernel::space(opened.as_fd(), project).map(|space| space.limit));
    held.map_err(|errno| {
        // The error that is told is the first.
        let _ = kernel::set_limit(opened.as_fd(), project, 0);
        failed()(errno)
    })
}

/// The limit of a folder that is held to one. What is gone, or no folder, has none.
///
/// # Errors
/// What the kernel says.
pub fn limit(folder: &Path) -> Result<Option<u64>> {
    let failed = || Error::path("ask for the size of", folder);
    let opened = match open(folder) {
        Ok(opened) => opened,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(errno) => return Err(failed()(errno)),
    };
    let project = match kernel::attributes(opened.as_fd()) {
        Ok(attributes) => attributes.project,
        // A file system that has no such attributes.
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => 0,
        Err(errno) => return Err(failed()(errno)),
    };
    match project {
        0 => Ok(None),
        project => match kernel::space(opened.as_fd(), project) {
            Ok(Space { limit, .. }) => Ok((limit > 0).then_some(limit)),
            // It is not counted any more: mounted otherwise since.
            Err(Errno::SRCH | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(failed()(errno)),
        },
    }
}

/// Forgets the limit of a folder that is about to be removed: it would stand in the kernel's list for ever. A folder that is gone,
/// or was never held, has none.
///
/// # Errors
/// What the kernel says.
pub fn release(folder: &Path) -> Result<()> {
    let failed = || Error::path("forget the limit of", folder);
    let opened = match open(folder) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed()(errno)),
    };
    match kernel::attributes(opened.as_fd()) {
        Ok(attributes) if attributes.project != 0 => {
            match kernel::set_limit(opened.as_fd(), attributes.project, 0) {
                Ok(()) | Err(Errno::SRCH | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
                Err(errno) => Err(failed()(errno)),
            }
        }
        Ok(_) | Err(Errno::NOTTY | Errno::OPNOTSUPP) => Ok(()),
        Err(errno) => Err(failed()(errno)),
    }
}

/// The number of a project that nobody has. Numbers are drawn, so that two who look at the same time find two.
fn free(folder: &OwnedFd) -> std::result::Result<u32, Errno> {
    for _ in 0..TRIES {
        let mut random = [0; 4];
        rustix::io::retry_on_intr(|| getrandom(&mut random, GetRandomFlags::empty()))?;
        // The highest bit is no number's with tools that count with a sign, and the small ones are those that people give.
        let project = u32::from_ne_bytes(random) & 0x7FFF_FFFF | 0x0100_0000;
        match kernel::space(folder.as_fd(), project) {
            Ok(space) if space == Space::default() => return Ok(project),
            Ok(_) => {}
            // XFS: nobody has ever had it.
            Err(Errno::NOENT) => return Ok(project),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::BUSY)
}

fn open(folder: &Path) -> std::result::Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(folder, flags, Mode::empty())
}

#[cfg(test)]
mod tests;
