//! The limit of what a container writes (ADR 32, ADR 46): all its written layers lie in one folder of its own, which the file system
//! holds to a size where it can, or in which a file with a file system of that size is mounted.

use crate::error::{Error, Result};
use crate::store::Record;
use std::path::{Path, PathBuf};
use tinyd_engine::{ContainerSpec, UserNamespace};
use tinyd_fs::{loop_file, project};
use tinyd_runtime::Storage;

/// The folder with the layers of a limited container. A file is mounted there where only the runtime sees it.
pub(crate) const FOLDER: &str = "storage";
const FILE: &str = "storage.ext4";

/// Where the written layers of a container lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Layers {
    /// In its folder.
    Plain,
    /// In a folder there that is held to so many bytes.
    Held(u64),
    /// In a file, which is mounted at a folder there.
    InFile,
}

impl Layers {
    /// Those of a container whose folder lies in `place`.
    pub(crate) fn choose(spec: &ContainerSpec, place: &Path) -> Self {
        match spec.storage_size {
            None => Self::Plain,
            // Root of the host's user namespace may leave what a folder is held to.
            Some(size) if spec.userns == UserNamespace::Auto && project::is_held(place) => Self::Held(size),
            Some(_) => Self::InFile,
        }
    }

    /// Those of a container that is there.
    pub(crate) fn of(record: &Record) -> Self {
        match (record.spec.storage_size, &record.rootfs.storage) {
            (_, Some(_)) => Self::InFile,
            (Some(size), None) => Self::Held(size),
            (None, None) => Self::Plain,
        }
    }

    /// Checks that a container can be limited so.
    pub(crate) fn check(&self, spec: &ContainerSpec) -> Result<()> {
        let Some(size) = spec.storage_size else { return Ok(()) };
        if !(loop_file::LEAST..=i64::MAX as u64).contains(&size) {
            return Err(Error::invalid(
                "storage size",
                format!("{size} bytes"),
                "must be at least 16m (16 MiB)",
            ));
        }
        match self {
            Self::InFile => loop_file::check().map_err(failed),
            Self::Plain | Self::Held(_) => Ok(()),
        }
    }

    /// The folder that they lie in, of a container with this folder.
    pub(crate) fn folder(&self, container: PathBuf) -> PathBuf {
        match self {
            Self::Plain => container,
            Self::Held(_) | Self::InFile => container.join(FOLDER),
        }
    }

    /// What the runtime is told to mount first.
    pub(crate) fn file(&self, container: &Path) -> Option<Storage> {
        (*self == Self::InFile)
            .then(|| Storage { file: container.join(FILE), folder: container.join(FOLDER) })
    }
}

/// Makes the file that limits a container, where it is limited by one.
pub(crate) fn make(record: &Record) -> Result<()> {
    let Some((storage, size)) = record.rootfs.storage.as_ref().zip(record.spec.storage_size) else {
        return Ok(());
    };
    // What outlives no power failure needs no journal.
    loop_file::make(&storage.file, size, !record.rootfs.volatile).map_err(failed)
}

/// Holds the folder of the layers to a size.
pub(crate) fn hold(folder: &Path, size: u64) -> Result<()> {
    project::hold(folder, size).map(drop).map_err(failed)
}

/// Forgets what a container was held to, whose folder is in the trash by now. One whose making was cut short has no record.
pub(crate) fn forget(record: Option<&Record>, trash: &Path) -> Result<()> {
    match record.map(Layers::of) {
        None | Some(Layers::Held(_)) => project::release(&trash.join(FOLDER)).map_err(failed),
        Some(Layers::Plain | Layers::InFile) => Ok(()),
    }
}

fn failed(source: tinyd_fs::Error) -> Error {
    Error::Storage { source: Box::new(source) }
}
