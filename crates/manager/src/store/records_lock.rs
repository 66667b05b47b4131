//! The lock over all records of a kind: on their folder, for one who changes them, or for many who only need that none goes.
//!
//! It ends with its holder's process. It is held while a driver makes or removes something, which ends within seconds, and
//! while a container is made that will use it.

use crate::error::{Error, Result};
use crate::process::until;
use crate::store::{Kept, Records, make_folder};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

/// Far longer than anybody holds it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The right to rely on all things of a kind, or to change them; ends with its value.
pub(crate) struct RecordsLock<T> {
    _folder: OwnedFd,
    kind: PhantomData<T>,
}

impl<T: Kept> Records<T> {
    /// Waits for the right to change them, for a bounded time.
    pub(crate) fn exclusive(&self) -> Result<RecordsLock<T>> {
        self.exclusive_within(PATIENCE)
    }

    /// The same, for this time.
    pub(crate) fn exclusive_within(&self, patience: Duration) -> Result<RecordsLock<T>> {
        self.wait(FlockOperation::NonBlockingLockExclusive, patience)
    }

    /// Waits until nobody changes them, and keeps everybody from it.
    pub(crate) fn shared(&self) -> Result<RecordsLock<T>> {
        self.wait(FlockOperation::NonBlockingLockShared, PATIENCE)
    }

    /// The right to change them, if nobody has it or relies on them.
    pub(crate) fn try_exclusive(&self) -> Result<Option<RecordsLock<T>>> {
        let folder = open(&self.folder)?;
        let got = ask(&self.folder, &folder, FlockOperation::NonBlockingLockExclusive)?;
        Ok(got.then_some(RecordsLock { _folder: folder, kind: PhantomData }))
    }

    fn wait(&self, operation: FlockOperation, patience: Duration) -> Result<RecordsLock<T>> {
        let folder = open(&self.folder)?;
        let got = until(patience, || Ok(ask(&self.folder, &folder, operation)?.then_some(())))?;
        got.map(|()| RecordsLock { _folder: folder, kind: PhantomData }).ok_or_else(T::busy)
    }
}

fn open(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || rustix::fs::open(path, flags, Mode::empty());
    let opened = match open() {
        // An engine that never had one.
        Err(Errno::NOENT) => {
            make_folder(path, 0o700)?;
            open()
        }
        opened => opened,
    };
    opened.map_err(|errno| Error::file("open", path, errno))
}

fn ask(path: &Path, folder: &OwnedFd, operation: FlockOperation) -> Result<bool> {
    match rustix::fs::flock(folder, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(errno) => Err(Error::file("lock", path, errno)),
    }
}

#[cfg(test)]
mod tests {
    use crate::networks::NetworkRecord;
    use crate::testing::store;

    #[test]
    fn pure_many_rely_on_the_networks_or_one_changes_them() {
        let (_place, store) = store();
        let networks = store.records::<NetworkRecord>();
        let (one, other) = (networks.shared().unwrap(), networks.shared().unwrap());
        assert!(networks.try_exclusive().unwrap().is_none());
        drop(one);
        assert!(networks.try_exclusive().unwrap().is_none());
        drop(other);
        // A child that another test spawns has a copy of each descriptor until it is its program: it may take a moment.
        let lock = networks.exclusive().unwrap();
        assert!(networks.try_exclusive().unwrap().is_none());
        drop(lock);
        networks.shared().unwrap();
    }
}
