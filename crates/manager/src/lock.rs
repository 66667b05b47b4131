//! One writer per container: a lock on `locks/<id>`, for verbs that change where it stands.

use crate::error::{Error, Result};
use crate::ids;
use crate::process::until;
use crate::spare;
use crate::store::Store;
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than a verb holds it that changes where a container stands: a kill and its exit take ten seconds at most. Who copies its
/// files may take longer, and others are told that it is busy.
const PATIENCE: Duration = Duration::from_secs(25);

/// The right to change a container; ends with its value, or with the process.
pub(crate) struct ContainerLock {
    file: OwnedFd,
    path: PathBuf,
    container: PathBuf,
}

impl Drop for ContainerLock {
    fn drop(&mut self) {
        // The container went while the lock was held or waited for, and with it whoever would have removed the lock.
        if !self.container.exists() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl ContainerLock {
    /// Waits for the lock, for a bounded time.
    pub(crate) fn acquire(store: &Store, id: &str) -> Result<Self> {
        match until(PATIENCE, || Self::try_acquire(store, id))? {
            Some(lock) => Ok(lock),
            None => Err(Error::Busy { container: ids::short(id).to_owned() }),
        }
    }

    /// For a monitor, which holds the lock too as long as this descriptor is open.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// The lock, if nobody has it.
    pub(crate) fn try_acquire(store: &Store, id: &str) -> Result<Option<Self>> {
        let path = store.lock(id);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = |file| Self { file, path: path.clone(), container: store.container(id) };
        let file = match rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)) {
            Err(Errno::NOSPC) => match spare::take(store, &path) {
                Some(locked) => return Ok(Some(lock(locked))),
                None => return Err(Error::file("make the lock", &path, Errno::NOSPC)),
            },
            file => file.map_err(|errno| Error::file("open the lock", &path, errno))?,
        };
        match try_lock(&file, &path)? {
            true => Ok(Some(lock(file))),
            false => Ok(None),
        }
    }
}

/// Locks an open file if nobody has, and if its path still means it: whoever held it last may have removed it.
pub(crate) fn try_lock(file: &OwnedFd, path: &Path) -> Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(false),
        Err(errno) => return Err(Error::file("lock", path, errno)),
    }
    let held = rustix::fs::fstat(file).map_err(|errno| Error::file("look at", path, errno))?;
    Ok(held.st_nlink > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    #[test]
    fn pure_one_holds_it() {
        let (_place, store) = store();
        let id = "1".repeat(32);
        std::fs::create_dir(store.container(&id)).unwrap();
        let lock = ContainerLock::acquire(&store, &id).unwrap();
        assert!(ContainerLock::try_acquire(&store, &id).unwrap().is_none());
        drop(lock);
        assert!(ContainerLock::try_acquire(&store, &id).unwrap().is_some());
    }

    #[test]
    fn pure_the_lock_of_a_container_that_went_goes_too() {
        let (_place, store) = store();
        let id = "2".repeat(32);
        drop(ContainerLock::acquire(&store, &id).unwrap());
        assert!(!store.lock(&id).exists());
    }

    #[test]
    fn pure_a_lock_on_a_removed_file_is_none() {
        let (_place, store) = store();
        let path = store.lock("x");
        let flags = OFlags::RDWR | OFlags::CREATE;
        let file = rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!try_lock(&file, &path).unwrap());
    }
}
