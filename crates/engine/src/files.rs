//! A container's files: what a path is, what is copied out and in, and what has changed.
//!
//! Paths are those inside, from its root folder. What its links say is followed there, and leads nowhere else.

use crate::Compression;
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileKind {
    /// A file with contents.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// A device, FIFO or socket.
    Other,
}

/// What a path of a container is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// Where it is: the path that was asked for, or that of the file which the links that were followed led to.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Permissions, with set-id and sticky bits.
    pub mode: u32,
    /// Bytes of a file's contents.
    pub size: u64,
    /// When it was changed.
    pub modified: SystemTime,
    /// What a link says.
    pub target: Option<String>,
}

/// What is copied out of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyOut {
    /// A file, or a folder with all that is in it, and in what is mounted there. With `/.` at the end: what is in the folder,
    /// without itself.
    pub path: String,
    /// Whether a link at the end of the path is followed, or copied as the link that it is.
    pub follow: bool,
    /// What it is called in the archive, instead of its own name.
    pub name: Option<String>,
}

/// Where an archive is unpacked in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CopyIn {
    /// A folder that is there.
    pub path: String,
    /// Whether files keep the owners, set-id bits and capabilities that the archive tells of, or belong to root inside.
    pub keep_owners: bool,
}

/// How a container's root file system is exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerExport {
    /// How the archive is compressed.
    pub compression: Compression,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeKind {
    /// The image does not have it.
    Added,
    /// It is another one than the image's, or a folder in which something has changed.
    Changed,
    /// It was removed, with all that was in it.
    Deleted,
}

/// A difference between a container's files and its image's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChange {
    /// What became of it.
    pub kind: ChangeKind,
    /// Where it is.
    pub path: String,
}
