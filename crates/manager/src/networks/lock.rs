//! The lock over all networks: on their folder, for one who changes them, or for many who only need that none goes.
//!
//! It ends with its holder's process. It is held while a driver works, which talks to the kernel alone, and while a container
//! is made that will use a network.

use crate::error::{Error, Result};
use crate::process::until;
use crate::store::{Store, make_folder};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Far longer than anybody holds it.
const PATIENCE: Duration = Duration::from_secs(20);

/// The right to rely on the networks, or to change them; ends with its value.
pub(crate) struct NetworksLock {
    _folder: OwnedFd,
}

impl NetworksLock {
    /// Waits for the right to change them, for a bounded time.
    pub(crate) fn exclusive(store: &Store) -> Result<Self> {
        Self::wait(store, FlockOperation::NonBlockingLockExclusive)
    }

    /// Waits until nobody changes them, and keeps everybody from it.
    pub(crate) fn shared(store: &Store) -> Result<Self> {
        Self::wait(store, FlockOperation::NonBlockingLockShared)
    }

    /// The right to change them, if nobody has it or relies on them.
    pub(crate) fn try_exclusive(store: &Store) -> Result<Option<Self>> {
        let folder = open(store)?;
        let got = ask(store, &folder, FlockOperation::NonBlockingLockExclusive)?;
        Ok(got.then_some(Self { _folder: folder }))
    }

    fn wait(store: &Store, operation: FlockOperation) -> Result<Self> {
        let folder = open(store)?;
        let got = until(PATIENCE, || Ok(ask(store, &folder, operation)?.then_some(())))?;
        got.map(|()| Self { _folder: folder }).ok_or(Error::NetworksBusy)
    }
}

fn open(store: &Store) -> Result<OwnedFd> {
    let path = store.networks();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || rustix::fs::open(&path, flags, Mode::empty());
    let opened = match open() {
        // An engine that never had a network.
        Err(Errno::NOENT) => {
            make_folder(&path, 0o700)?;
            open()
        }
        opened => opened,
    };
    opened.map_err(|errno| Error::file("open", &path, errno))
}

fn ask(store: &Store, folder: &OwnedFd, operation: FlockOperation) -> Result<bool> {
    match rustix::fs::flock(folder, operation) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(errno) => Err(Error::file("lock", store.networks(), errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    #[test]
    fn pure_many_rely_on_the_networks_or_one_changes_them() {
        let (_place, store) = store();
        let (one, other) = (NetworksLock::shared(&store).unwrap(), NetworksLock::shared(&store).unwrap());
        assert!(NetworksLock::try_exclusive(&store).unwrap().is_none());
        drop(one);
        assert!(NetworksLock::try_exclusive(&store).unwrap().is_none());
        drop(other);
        // A child that another test spawns has a copy of each descriptor until it is its program: it may take a moment.
        let lock = NetworksLock::exclusive(&store).unwrap();
        assert!(NetworksLock::try_exclusive(&store).unwrap().is_none());
        drop(lock);
        NetworksLock::shared(&store).unwrap();
    }
}
