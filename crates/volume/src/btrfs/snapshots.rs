//! Snapshots are read-only subvolumes, and a volume that is rolled back is a writable one of them.

use super::store::{SNAPSHOTS, Store, entries, path};
use super::{BtrfsDriver, file, ioctl, quota, subvolume};
use crate::{Error, Result, Snapshot, Snapshots, VolumeState, check_name};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A snapshot by its descriptor; `None` of what is not finished, or none.
pub(super) fn snapshot_of(fd: BorrowedFd<'_>, name: &str) -> Option<(u64, Snapshot)> {
    let info = ioctl::subvolume_info(fd).ok().filter(|info| info.flags & ioctl::IS_READ_ONLY != 0)?;
    let time = Duration::new(info.otime.seconds, info.otime.nanoseconds.min(999_999_999));
    // The number of the transaction is the order, whatever the clock did.
    Some((info.otransid, Snapshot { name: name.to_owned(), created: SystemTime::UNIX_EPOCH + time }))
}

/// Opens a snapshot.
pub(super) fn open(store: &Store<'_>, volume: &VolumeState, name: &str) -> Result<OwnedFd> {
    let none = || Error::NoSnapshot { volume: volume.label(), name: name.to_owned() };
    if check_name("snapshot name", name).is_err() {
        return Err(none());
    }
    match subvolume::open(store.snapshots()?.as_fd(), name) {
        Ok(fd) if snapshot_of(fd.as_fd(), name).is_some() => Ok(fd),
        Ok(_) | Err(Errno::NOENT) => Err(none()),
        Err(errno) => Err(Error::volume("open a snapshot of", volume.label(), errno)),
    }
}

/// The snapshots of a volume, the oldest first.
pub(super) fn list(store: &Store<'_>, volume: &VolumeState) -> Result<Vec<Snapshot>> {
    let folder = store.snapshots()?;
    let names = entries(folder.as_fd())
        .map_err(|errno| Error::volume("list the snapshots of", volume.label(), errno))?;
    let found = names.iter().filter_map(|name| {
        let fd = subvolume::open(folder.as_fd(), name.as_str()).ok()?;
        snapshot_of(fd.as_fd(), name)
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by_key(|(order, _)| *order);
    Ok(found.into_iter().map(|(_, snapshot)| snapshot).collect())
}

/// The name is taken.
pub(super) fn taken(name: &str) -> Error {
    let problem = "is taken by another snapshot of the volume".into();
    Error::Invalid { what: "snapshot name", value: name.to_owned(), problem }
}

impl BtrfsDriver {
    /// Why a pool in a file cannot be written to: all that the kernel says of it is that it could not be (EIO).
    fn lack_of_room(&self, volume: &VolumeState) -> Option<Error> {
        let places = &self.places;
        let checked = file::check_room(&places.place, &places.options, &volume.label(), "keep its state");
        places.is_file().ok().filter(|is_file| *is_file).and_then(|_| checked.err())
    }
}

impl Snapshots for BtrfsDriver {
    fn snapshot(&self, volume: &VolumeState, name: &str) -> Result<Snapshot> {
        check_name("snapshot name", name)?;
        let held = self.hold(volume)?;
        let (folder, data) = (held.store.snapshots()?, held.store.whole_data("take a snapshot of")?);
        let failed = |errno| match errno {
            Errno::EXIST => taken(name),
            errno => self
                .lack_of_room(volume)
                .unwrap_or_else(|| Error::volume("take a snapshot of", volume.label(), errno)),
        };
        ioctl::snapshot(folder.as_fd(), name, data.as_fd(), true).map_err(failed)?;
        let made = open(&held.store, volume, name)?;
        let none = || Error::NoSnapshot { volume: volume.label(), name: name.to_owned() };
        snapshot_of(made.as_fd(), name).map(|(_, snapshot)| snapshot).ok_or_else(none)
    }

    fn snapshots(&self, volume: &VolumeState) -> Result<Vec<Snapshot>> {
        let (_pool, store) = self.look(volume)?;
        list(&store, volume)
    }

    fn remove_snapshot(&self, volume: &VolumeState, name: &str) -> Result<()> {
        if check_name("snapshot name", name).is_err() {
            return Ok(());
        }
        let held = self.hold(volume)?;
        subvolume::delete(held.store.snapshots()?.as_fd(), name)
            .map_err(|errno| Error::volume("remove a snapshot of", volume.label(), errno))?;
        held.pool.clean(&self.places.options);
        Ok(())
    }

    fn rollback(&self, volume: &VolumeState, name: &str) -> Result<()> {
        let held = self.hold(volume)?;
        let snapshot = open(&held.store, volume, name)?;
        if let Some(user) = self.users_of(&volume.name)?.first() {
            // He would go on with files that are gone.
            let problem = format!("cannot be rolled back while {user} has it mounted").into();
            return Err(Error::Invalid { what: "volume", value: volume.label(), problem });
        }
        let data = held.store.whole_data("roll back")?;
        let next = held.store.begin_as(snapshot.as_fd(), "roll back")?;
        // The limit is the volume's, not that of the time of the snapshot.
        let limited = quota::limit(data.as_fd()).and_then(|limit| quota::set(next.as_fd(), limit));
        drop((next, data));
        let done = limited
            .map_err(|errno| Error::volume("limit", volume.label(), errno))
            .and_then(|()| held.store.replace());
        // The room of the old state is freed while the volume is used again: a rollback waits for nothing.
        held.store.forget(done)
    }

    fn mount_snapshot(&self, volume: &VolumeState, name: &str, user: &str) -> Result<PathBuf> {
        let held = self.hold(volume)?;
        drop(open(&held.store, volume, name)?);
        let rest = format!("{SNAPSHOTS}/{name}");
        let target = self.mounts(&volume.name).snapshot(user, name);
        self.mount_for(&held, user, &path(&volume.name, &rest), &target, true)
    }
}
