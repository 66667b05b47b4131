//! A few files that are made while there is room. Where the file system of the run-time folder has none left (no space, or
//! no inode) the lock and the intent of a removal are taken from here: what makes room must not need any.

use crate::lock::try_lock;
use crate::store::Store;
use rustix::fs::{Access, CWD, Mode, OFlags, RenameFlags};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// How many there are: a lock and an intent for each of a few commands at once.
const COUNT: u32 = 8;
/// The content of each: blanks, which are written over. One page, whose room is taken once it is written.
pub(crate) const SIZE: usize = 4096;

fn path(store: &Store, number: u32) -> PathBuf {
    store.run_root().join("spare").join(number.to_string())
}

/// Makes those that are missing. One question when none is: the first is taken first. Without room there will be none, and
/// whoever needs one is told what is full.
pub(crate) fn fill(store: &Store) {
    if rustix::fs::access(path(store, 0), Access::EXISTS).is_ok() {
        return;
    }
    let _ = rustix::fs::mkdir(store.run_root().join("spare"), Mode::from_raw_mode(0o700));
    for number in (0..COUNT).rev() {
        if make(&path(store, number)).is_err() {
            return;
        }
    }
}

fn make(path: &Path) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)) {
        Err(rustix::io::Errno::EXIST) => return Ok(()),
        file => file?,
    };
    match rustix::io::write(&file, &[b' '; SIZE]) {
        Ok(SIZE) => Ok(()),
        written => {
            // One without its room is none.
            let _ = rustix::fs::unlink(path);
            Err(written.err().unwrap_or(rustix::io::Errno::NOSPC))
        }
    }
}

/// Moves one to a path where nothing is, locked before it is there; `None` when there is none left, or the place is taken.
pub(crate) fn take(store: &Store, to: &Path) -> Option<OwnedFd> {
    (0..COUNT).find_map(|number| {
        let from = path(store, number);
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(&from, flags, Mode::empty()).ok()?;
        if !try_lock(&file, &from).ok()? {
            return None;
        }
        rustix::fs::renameat_with(CWD, &from, CWD, to, RenameFlags::NOREPLACE).ok()?;
        // Another may have taken this one away and filled the place again between the opening and the moving.
        let (here, there) = (rustix::fs::fstat(&file).ok()?, rustix::fs::lstat(to).ok()?);
        ((here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)).then_some(file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    #[test]
    fn pure_each_is_taken_once_locked_and_made_again() {
        let (_place, store) = store();
        let to = |number: u32| store.lock(&number.to_string());
        let held: Vec<_> = (0..COUNT).map(|number| take(&store, &to(number)).unwrap()).collect();
        assert!(take(&store, &to(COUNT)).is_none());
        let other = rustix::fs::open(to(0), OFlags::RDWR, Mode::empty()).unwrap();
        assert!(!try_lock(&other, &to(0)).unwrap());
        drop(held);
        assert!(try_lock(&other, &to(0)).unwrap());
        fill(&store);
        // A place that is taken is left as it is.
        assert!(take(&store, &to(0)).is_none());
        assert!(take(&store, &to(COUNT)).is_some());
    }
}
