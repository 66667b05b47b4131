//! Streams of snapshots: the kernel writes them, and the program `btrfs` reads them.
//!
//! The program wants a path that is mounted. It is confined to the folder of the volume's snapshots, for a stream may name
//! any path. A snapshot that is being received can be written, so that one which was not finished is known by that.

use super::pool::lock;
use super::snapshots::{list, open, snapshot_of, taken};
use super::store::{Store, entries, path};
use super::{BtrfsDriver, ioctl, mounts, subvolume};
use crate::{Backup, Error, Result, Snapshot, VolumeState, check_name, program};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

impl Backup for BtrfsDriver {
    fn send(&self, volume: &VolumeState, name: &str, since: Option<&str>, to: BorrowedFd<'_>) -> Result<()> {
        // Without the lock, for it takes as long as who reads. The kernel keeps a snapshot that is being sent.
        let (_pool, store) = self.look(volume)?;
        let snapshot = open(&store, volume, name)?;
        let failed = |errno| Error::volume("send a snapshot of", volume.label(), errno);
        let since = match since {
            Some(since) => {
                Some(ioctl::subvolume_info(open(&store, volume, since)?.as_fd()).map_err(failed)?.id)
            }
            None => None,
        };
        ioctl::send(snapshot.as_fd(), since, to).map_err(failed)
    }

    fn receive(&self, volume: &VolumeState, from: BorrowedFd<'_>) -> Result<Snapshot> {
        let (pool, store) = self.look(volume)?;
        program::find(program::BTRFS)?;
        let input = from.try_clone_to_owned().map_err(|error| failed(volume, error))?;
        // Not the volume's own lock, for it takes as long as who writes.
        let place = self.receiving(&volume.name);
        let _lock = lock(&place.join("lock"))?;
        let target = place.join("pool");
        mounts::detach(&target)?;
        let folder = match pool.mount_of(&self.places, "/", false)? {
            Some(mount) => {
                mounts::attach(&mount, &target)?;
                target.join(path(&volume.name, super::store::SNAPSHOTS))
            }
            None => self.places.place.join(path(&volume.name, super::store::SNAPSHOTS)),
        };
        let received = read(&store, volume, input, &folder);
        let detached = mounts::detach(&target);
        received.and_then(|snapshot| detached.map(|()| snapshot))
    }
}

fn failed(volume: &VolumeState, error: impl Into<std::io::Error>) -> Error {
    Error::volume("receive a snapshot of", volume.label(), error)
}

fn read(
    store: &Store<'_>,
    volume: &VolumeState,
    input: std::os::fd::OwnedFd,
    folder: &Path,
) -> Result<Snapshot> {
    let snapshots = store.snapshots()?;
    let all = || entries(snapshots.as_fd()).map_err(|errno| failed(volume, errno));
    let delete =
        |name: &str| subvolume::delete(snapshots.as_fd(), name).map_err(|errno| failed(volume, errno));
    let finished: BTreeSet<_> = list(store, volume)?.into_iter().map(|snapshot| snapshot.name).collect();
    // Of one that was killed: nobody else receives now.
    for name in all()?.iter().filter(|name| !finished.contains(*name)) {
        delete(name)?;
    }
    let ran = program::run(
        program::BTRFS,
        &["receive".as_ref(), "-q".as_ref(), "-e".as_ref(), "-C".as_ref(), folder.as_os_str()],
        Some(input),
    );
    let mut received = None;
    for name in all()?.into_iter().filter(|name| !finished.contains(name)) {
        let fd = subvolume::open(snapshots.as_fd(), &*name).map_err(|errno| failed(volume, errno))?;
        let came = ioctl::subvolume_info(fd.as_fd()).is_ok_and(|info| info.received_uuid != [0; 16]);
        let snapshot = snapshot_of(fd.as_fd(), &name).map(|(_, snapshot)| snapshot);
        drop(fd);
        match (snapshot, check_name("snapshot name", &name)) {
            (Some(snapshot), Ok(())) if came && ran.is_ok() => received = Some(snapshot),
            // Another call's, taken meanwhile.
            (Some(_), Ok(())) if !came => {}
            (_, checked) => {
                delete(&name)?;
                checked?;
            }
        }
    }
    match (ran, received) {
        (Ok(()), Some(snapshot)) => Ok(snapshot),
        (Err(Error::Program { said, .. }), _) if said.contains("File exists") => Err(taken(&said)),
        (Err(error), _) => Err(error),
        (Ok(()), None) => {
            let problem = "holds no snapshot".into();
            Err(Error::Invalid { what: "stream for the volume", value: volume.label(), problem })
        }
    }
}
