//! The size of a volume: what is wanted, and whether it can be had.

use super::LocalDriver;
use crate::size::bytes;
use crate::{Error, Result, VolumeSpec};
use std::path::Path;
use tinyd_fs::{loop_file, project};

/// The option that says the size, and that a volume has one.
pub(super) const OPTION: &str = "size";
/// In less there is no room for the tables of a file system.
const SMALLEST: u64 = 8 << 20;

/// The size that is wanted, if one is.
pub(super) fn size(wanted: &VolumeSpec) -> Result<Option<u64>> {
    let Some(text) = wanted.options.get(OPTION) else { return Ok(wanted.size_bytes) };
    let refuse = |problem: &'static str| {
        let (what, value) = ("volume option", format!("{OPTION}={text}"));
        Err(Error::Invalid { what, value, problem: problem.into() })
    };
    match (bytes(text), wanted.size_bytes) {
        (None, _) => refuse("is no size: 500000, 64k, 100m, 2g"),
        (Some(size), Some(other)) if size != other => refuse("says another size than the volume's own"),
        (size, _) => Ok(size),
    }
}

impl LocalDriver {
    pub(super) fn check_size(&self, wanted: &VolumeSpec) -> Result<()> {
        let Some(size) = size(wanted)? else { return Ok(()) };
        let refuse = |problem: String| {
            let (what, value) = ("volume size", size.to_string());
            Err(Error::Invalid { what, value, problem: problem.into() })
        };
        if size < SMALLEST {
            return refuse(format!(
                "is less than {} MiB, of which a file system needs some for itself",
                SMALLEST >> 20
            ));
        }
        let there = self.place.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        if !project::is_held(there) {
            loop_file::check()?;
        }
        let room = rustix::fs::statvfs(there);
        let room = room.map_err(|errno| Error::path("ask for the room at", there, errno))?;
        match room.f_bavail.saturating_mul(room.f_frsize) {
            free if free < size => {
                refuse(format!("is more than the {} MiB that are free at {}", free >> 20, there.display()))
            }
            _ => Ok(()),
        }
    }
}
