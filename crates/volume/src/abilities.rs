//! What not every driver can do: abilities, each a trait of its own.
//!
//! A driver that has one gives itself out by the method of [`VolumeDriver`](crate::VolumeDriver) that is named like it. So
//! whoever holds a driver asks for an ability, and says that there is none, without knowing which driver it is.

use crate::{Result, VolumeSpec, VolumeState};
use serde::{Deserialize, Serialize};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::SystemTime;

/// The state of a volume at a moment, kept under a name, for ever the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name, unique within the volume.
    pub name: String,
    /// When it was taken.
    pub created: SystemTime,
}

/// Keeping states of a volume and going back to them, in a time that does not grow with its data.
pub trait Snapshots {
    /// Keeps the state of now under a name.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a name that is taken or is none; the kernel's.
    fn snapshot(&self, volume: &VolumeState, name: &str) -> Result<Snapshot>;

    /// The states that are kept, the oldest first.
    ///
    /// # Errors
    /// The kernel's.
    fn snapshots(&self, volume: &VolumeState) -> Result<Vec<Snapshot>>;

    /// Forgets one. One that is not there is forgotten already.
    ///
    /// # Errors
    /// The kernel's.
    fn remove_snapshot(&self, volume: &VolumeState, name: &str) -> Result<()>;

    /// Makes the volume be as it was. That nobody uses it is the caller's to know. All or nothing: killed at any moment it
    /// is the old state or the new one, and the next call of this driver for this volume puts the rest right.
    ///
    /// # Errors
    /// [`crate::Error::NoSnapshot`]; the kernel's.
    fn rollback(&self, volume: &VolumeState, name: &str) -> Result<()>;

    /// Makes a state reachable on the host for one user, read-only, as [`mount`](crate::VolumeDriver::mount) does for the
    /// volume; [`unmount`](crate::VolumeDriver::unmount) for that user is its end.
    ///
    /// # Errors
    /// [`crate::Error::NoSnapshot`]; the kernel's.
    fn mount_snapshot(&self, volume: &VolumeState, name: &str, user: &str) -> Result<PathBuf>;
}

/// A second volume that begins as the first one is, in a time that does not grow with its data.
pub trait Clones {
    /// Makes the volume that is wanted out of another one, which is used meanwhile or not.
    ///
    /// # Errors
    /// As [`create`](crate::VolumeDriver::create).
    fn clone_volume(&self, volume: &VolumeState, wanted: &VolumeSpec) -> Result<VolumeState>;
}

/// How much a volume holds and may hold, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// What it holds.
    pub used: u64,
    /// What it may hold; `None` without a limit of its own.
    pub limit: Option<u64>,
}

/// A limit that the kernel holds a volume to.
pub trait Quota {
    /// Changes the limit; `None` takes it away.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for one that cannot be had; the kernel's.
    fn set_limit(&self, volume: &VolumeState, limit: Option<u64>) -> Result<()>;

    /// What it holds, without a walk through its files.
    ///
    /// # Errors
    /// The kernel's.
    fn usage(&self, volume: &VolumeState) -> Result<Usage>;
}

/// Carrying the states of a volume to another place, one after the other.
pub trait Backup {
    /// Writes a snapshot to a file, pipe or socket; with `since` only what is not in that older one, which whoever receives
    /// it must have.
    ///
    /// # Errors
    /// [`crate::Error::NoSnapshot`]; the kernel's.
    fn send(&self, volume: &VolumeState, name: &str, since: Option<&str>, to: BorrowedFd<'_>) -> Result<()>;

    /// Reads what [`send`](Self::send) wrote, to its end, into the snapshots of a volume. It has the name that it had, and
    /// owners, modes and attributes too. All or nothing.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a name that is taken or is none; those of the program that reads it.
    fn receive(&self, volume: &VolumeState, from: BorrowedFd<'_>) -> Result<Snapshot>;
}

/// What was found when everything was read and compared with its checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubReport {
    /// How many bytes were read.
    pub bytes: u64,
    /// Blocks that were read and are not what was written.
    pub checksum_errors: u64,
    /// Blocks that could not be read.
    pub read_errors: u64,
    /// Errors that were mended, from a second copy.
    pub corrected: u64,
    /// Errors that stay.
    pub uncorrectable: u64,
}

/// Finding out whether a disk still has what was written.
pub trait Scrub {
    /// Reads everything, of all volumes, and mends what has a second copy. It takes as long as the disk needs; the volumes
    /// are used meanwhile.
    ///
    /// # Errors
    /// The kernel's; damage is none, it is in the report.
    fn verify(&self) -> Result<ScrubReport>;
}
