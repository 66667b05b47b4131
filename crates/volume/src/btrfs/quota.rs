//! How much a subvolume holds and may hold: its qgroup.

use super::ioctl;
use super::{BtrfsDriver, store::DATA};
use crate::{Error, Quota, Result, Usage, VolumeState};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// The names of the files of an empty volume take some of it.
pub(super) const LEAST: u64 = 1 << 20;

/// BTRFS_QUOTA_TREE_OBJECTID.
const TREE: u64 = 8;
/// BTRFS_QGROUP_STATUS_KEY, BTRFS_QGROUP_INFO_KEY, BTRFS_QGROUP_LIMIT_KEY: all of object 0.
const STATUS: u32 = 240;
const INFO: u32 = 242;
const LIMIT: u32 = 244;
/// BTRFS_QGROUP_STATUS_FLAG_RESCAN, BTRFS_QGROUP_STATUS_FLAG_INCONSISTENT: the numbers are not right yet, or any more.
const UNSURE: u64 = 2 | 4;

type Answer<T> = std::result::Result<T, Errno>;

/// Refuses a limit that cannot be had.
pub(super) fn check(limit: Option<u64>) -> Result<()> {
    match limit {
        Some(limit) if limit < LEAST => Err(Error::Invalid {
            what: "volume size",
            value: limit.to_string(),
            problem: "is less than 1 MiB, of which btrfs needs some for itself".into(),
        }),
        _ => Ok(()),
    }
}

/// Holds a subvolume to a limit. Counting begins with the first limit of a file system.
pub(super) fn set(subvolume: BorrowedFd<'_>, limit: Option<u64>) -> Answer<()> {
    let id = ioctl::subvolume_info(subvolume)?.id;
    match ioctl::limit(subvolume, id, limit) {
        Err(Errno::NOTCONN) if limit.is_none() => Ok(()),
        Err(Errno::NOTCONN) => {
            ioctl::enable_quota(subvolume)?;
            ioctl::limit(subvolume, id, limit)
        }
        other => other,
    }
}

/// The limit of a subvolume.
pub(super) fn limit(subvolume: BorrowedFd<'_>) -> Answer<Option<u64>> {
    /// BTRFS_QGROUP_LIMIT_MAX_RFER.
    const REFERENCED: u64 = 1;
    let id = ioctl::subvolume_info(subvolume)?.id;
    let item = item(subvolume, LIMIT, id)?;
    let limit = item.as_deref().map(|item| (word(item, 0), word(item, 1)));
    Ok(limit.and_then(|(flags, bytes)| (flags? & REFERENCED != 0).then_some(bytes?)))
}

/// What a subvolume holds, shared or not; `None` where nothing is counted.
fn used(subvolume: BorrowedFd<'_>) -> Answer<Option<u64>> {
    // The numbers are those of the last commit, and what was only written to memory has no place yet.
    rustix::fs::syncfs(subvolume)?;
    let status = item(subvolume, STATUS, 0)?;
    if status.as_deref().and_then(|status| word(status, 2)).is_some_and(|flags| flags & UNSURE != 0) {
        ioctl::count_anew(subvolume)?;
        rustix::fs::syncfs(subvolume)?;
    }
    let id = ioctl::subvolume_info(subvolume)?.id;
    Ok(item(subvolume, INFO, id)?.as_deref().and_then(|info| word(info, 1)))
}

fn item(subvolume: BorrowedFd<'_>, kind: u32, id: u64) -> Answer<Option<Vec<u8>>> {
    match ioctl::search(subvolume, TREE, 0, kind, Some(id)) {
        Ok(items) => Ok(items.into_iter().next()),
        // There is no such tree.
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The n-th number of an item on the disk.
fn word(item: &[u8], index: usize) -> Option<u64> {
    let bytes = item.get(index * 8..index * 8 + 8)?;
    bytes.try_into().ok().map(u64::from_le_bytes)
}

impl Quota for BtrfsDriver {
    fn set_limit(&self, volume: &VolumeState, limit: Option<u64>) -> Result<()> {
        let held = self.hold(volume)?;
        check(limit)?;
        let data = held.store.subvolume(DATA)?;
        set(data.as_fd(), limit).map_err(|errno| Error::volume("limit", &volume.name, errno))
    }

    fn usage(&self, volume: &VolumeState) -> Result<Usage> {
        // Without the lock: a sync of much data takes long.
        let (_pool, store) = self.look(volume)?;
        let data = store.subvolume(DATA)?;
        let data = data.as_fd();
        let failed = |errno| Error::volume("ask for the usage of", &volume.name, errno);
        match used(data).map_err(failed)? {
            Some(used) => Ok(Usage { used, limit: limit(data).map_err(failed)? }),
            None => Err(Error::Invalid {
                what: "volume",
                value: volume.name.clone(),
                problem: "is on a btrfs whose quotas are off: a limit for any volume turns them on".into(),
            }),
        }
    }
}
