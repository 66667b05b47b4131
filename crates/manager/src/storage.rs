//! The limit of what a container writes: all its written layers lie in a file with a file system of its own, in its folder.

use crate::error::{Error, Result};
use crate::store::Record;
use std::path::Path;
use tinyd_engine::ContainerSpec;
use tinyd_fs::loop_file;
use tinyd_runtime::Storage;

/// The folder at which it is mounted, where only the runtime sees it.
pub(crate) const FOLDER: &str = "storage";
const FILE: &str = "storage.ext4";

/// Where they lie, in a container's folder.
pub(crate) fn of(folder: &Path) -> Storage {
    Storage { file: folder.join(FILE), folder: folder.join(FOLDER) }
}

/// Checks that a container can be limited, where it is to be.
pub(crate) fn check(spec: &ContainerSpec) -> Result<()> {
    let Some(size) = spec.storage_size else { return Ok(()) };
    if !(loop_file::LEAST..=i64::MAX as u64).contains(&size) {
        return Err(Error::invalid("storage size", format!("{size} bytes"), "must be at least 16m (16 MiB)"));
    }
    loop_file::check().map_err(|source| Error::Storage { source: Box::new(source) })
}

/// Makes what limits a container, where it is to be limited.
pub(crate) fn make(record: &Record) -> Result<()> {
    let Some((storage, size)) = record.rootfs.storage.as_ref().zip(record.spec.storage_size) else {
        return Ok(());
    };
    // What outlives no power failure needs no journal.
    let made = loop_file::make(&storage.file, size, !record.rootfs.volatile);
    made.map_err(|source| Error::Storage { source: Box::new(source) })
}
