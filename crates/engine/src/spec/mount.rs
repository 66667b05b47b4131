//! What is mounted inside a container.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A folder or file of the host inside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindMount {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path inside; made when it is missing.
    pub target: PathBuf,
    /// Forbids writing, in everything mounted below it too.
    pub read_only: bool,
    /// A source that is missing is an error. Else it is made as a folder, and a note says so.
    pub strict: bool,
}

impl BindMount {
    /// A source that can be written, and is made where it is missing.
    pub fn new(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into(), ..Self::default() }
    }

    /// Forbids writing.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

/// A volume inside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeMount {
    /// Which one; it is made where there is none of that name. `None` makes one for this container, which goes with it where
    /// the container removes itself, and by [`RemoveRequest::volumes`](crate::RemoveRequest::volumes).
    pub name: Option<String>,
    /// Absolute path inside; made when it is missing.
    pub target: PathBuf,
    /// Forbids writing.
    pub read_only: bool,
    /// Leaves it empty. Else one that is empty is filled with what the image has at the target.
    pub no_copy: bool,
    /// The kind of volume where it has to be made; `local` where there is none.
    pub driver: Option<String>,
    /// What only the driver knows, where it has to be made.
    pub options: BTreeMap<String, String>,
}

impl VolumeMount {
    /// The volume of this name, to be written.
    pub fn named(name: impl Into<String>, target: impl Into<PathBuf>) -> Self {
        Self { name: Some(name.into()), target: target.into(), ..Self::default() }
    }

    /// One that is made for the container.
    pub fn anonymous(target: impl Into<PathBuf>) -> Self {
        Self { target: target.into(), ..Self::default() }
    }
}

/// The folders, files and volumes of another container, at the same places. Where this one mounts something else itself, that
/// is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumesFrom {
    /// Its id, name, or a prefix of its id.
    pub container: String,
    /// Forbids writing; else each is as it is there.
    pub read_only: bool,
}

/// A file system in memory, inside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsMount {
    /// Absolute path inside; made when it is missing.
    pub target: PathBuf,
    /// Options of mount(8) and tmpfs(5): `size=64m`, `mode=1777`, `ro`. `nosuid`, `nodev` and `noexec` hold unless `suid`,
    /// `dev` or `exec` is among them.
    pub options: Vec<String>,
}

/// A secret as a file inside the container, in memory, that nobody can write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretMount {
    /// Which one.
    pub name: String,
    /// Where it is read: a name in `/run/secrets`, or an absolute path; its own name by default.
    pub target: Option<PathBuf>,
    /// The owner's number inside; the command's user by default.
    pub uid: Option<u32>,
    /// The group's number inside; that of the command's user by default.
    pub gid: Option<u32>,
    /// Who may read it, as the bits of a mode; 0400 by default.
    pub mode: Option<u32>,
}

impl SecretMount {
    /// The secret of this name at `/run/secrets/NAME`.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}
