//! The file that holds the volumes where the host has no btrfs.
//!
//! It is sparse: it takes of the host's disk what is written into it, and with `discard` gives back what is deleted. So the
//! volumes can be promised more than the disk has. When it is full, containers get ENOSPC, and where btrfs cannot write its
//! own tables it goes read-only until it is mounted anew. [`Options::reserve`](super::Options) takes the whole room at once
//! instead. Without it no volume is made while the disk is nearly full.

use super::Options;
use crate::program::{self, INPUT};
use crate::{Error, Result};
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The file's name in its place.
pub(super) const NAME: &str = "pool.btrfs";
/// Being formatted.
const UNFINISHED: &str = ".pool.btrfs.new";
/// mkfs.btrfs refuses less than some 110 MiB.
const SMALLEST: u64 = 128 << 20;
const USUAL: u64 = 16 << 30;
/// What must be left on the host's disk for a new volume.
const LEFT: u64 = 64 << 20;

/// How large the file would be.
///
/// # Errors
/// [`Error::Invalid`] where the disk has not as much.
pub(super) fn size(place: &Path, options: &Options) -> Result<u64> {
    let free = free(place)?;
    let refuse = |problem: String| {
        let value = options.size_bytes.map_or_else(|| place.display().to_string(), |size| size.to_string());
        Err(Error::Invalid { what: "size of the btrfs pool", value, problem: problem.into() })
    };
    match options.size_bytes {
        Some(size) if size < SMALLEST => {
            refuse(format!("is less than {} MiB, which btrfs needs", SMALLEST >> 20))
        }
        Some(size) if size > free => {
            refuse(format!("is more than the {} MiB that are free at {}", free >> 20, place.display()))
        }
        Some(size) => Ok(whole(size)),
        // The rest is for those who had the disk before.
        None => match whole(USUAL.min(free / 4 * 3)) {
            size if size < SMALLEST => refuse(format!("has {} MiB left, too few for a btrfs", free >> 20)),
            size => Ok(size),
        },
    }
}

/// Makes it and formats it; it is there when all of it is done.
pub(super) fn make(place: &Path, options: &Options) -> Result<File> {
    let size = size(place, options)?;
    program::find(program::MKFS_BTRFS)?;
    let (path, unfinished) = (place.join(NAME), place.join(UNFINISHED));
    let made = write(&unfinished, size, options.reserve).and_then(|file| {
        fs::rename(&unfinished, &path).map_err(|error| Error::path("rename", &unfinished, error))?;
        Ok(file)
    });
    if made.is_err() {
        // What is left of it is written over by the next one.
        let _ = fs::remove_file(&unfinished);
    }
    made
}

fn write(path: &PathBuf, size: u64, reserve: bool) -> Result<File> {
    let failed = |operation| move |errno| Error::path(operation, path, errno);
    // One that was begun may still be written to, by a program that outlives who was killed.
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::path("remove the unfinished", path, error));
        }
        _ => {}
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(failed("make"))?;
    rustix::fs::ftruncate(&file, size).map_err(failed("set the size of"))?;
    if reserve {
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size)
            .map_err(failed("reserve the room of"))?;
    }
    // Without -K the room that was reserved would be given back.
    let operands = ["-q", "-K", "--label", "tinyd-volumes", INPUT].map(AsRef::as_ref);
    let input = rustix::io::fcntl_dupfd_cloexec(&file, 3).map_err(failed("format"))?;
    program::run(program::MKFS_BTRFS, &operands, Some(input))?;
    rustix::fs::fsync(&file).map_err(failed("sync"))?;
    Ok(file.into())
}

/// Refuses a new volume, or what else is `wanted` of one, while the disk below the file is nearly full.
///
/// # Errors
/// [`Error::Invalid`], which names the volume.
pub(super) fn check_room(place: &Path, options: &Options, volume: &str, wanted: &str) -> Result<()> {
    let free = free(place)?;
    match options.reserve || free >= LEFT {
        true => Ok(()),
        false => Err(Error::Invalid {
            what: "volume",
            value: volume.to_owned(),
            problem: format!(
                "cannot {wanted} while only {} MiB are free at {}, where the pool grows: make room there",
                free >> 20,
                place.display()
            )
            .into(),
        }),
    }
}

fn free(place: &Path) -> Result<u64> {
    let room =
        rustix::fs::statvfs(place).map_err(|errno| Error::path("ask for the room at", place, errno))?;
    Ok(room.f_bavail.saturating_mul(room.f_frsize))
}

/// Down to whole MiB.
fn whole(size: u64) -> u64 {
    size >> 20 << 20
}
