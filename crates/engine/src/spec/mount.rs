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
    /// Forbids writing, in everything mounted below it too; what comes there later (see `propagation`) is as it is on the host.
    pub read_only: bool,
    /// A source that is missing is an error. Else it is made as a folder, and a note says so.
    pub strict: bool,
    /// Where mounts show that are made below it later.
    pub propagation: Propagation,
    /// What becomes of the mounts below the source.
    pub recursive: Recursive,
    /// Its files must have the owners inside that they have on the host. They do so anyway wherever that can be had; with this,
    /// a container that gets no user namespace although it was to have one is refused.
    pub idmap: bool,
    /// Asks for a label of SELinux. None is changed; where SELinux is on, a note says so.
    pub relabel: Option<Relabel>,
}

/// Where mounts show that are made below a folder after the container's start: as the words of mount(8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    /// Only where they are made; as `RPrivate`.
    Private,
    /// Only where they are made.
    #[default]
    RPrivate,
    /// As `RSlave`.
    Slave,
    /// The host's in the container too. The source must lie on a mount that spreads.
    RSlave,
    /// As `RShared`, but for what is mounted below the source already and spreads nowhere.
    Shared,
    /// Each side's in the other too. What the container mounts there stays on the host when it ends; it needs the host's user
    /// ids. The source must lie on a mount that is shared.
    RShared,
}

impl Propagation {
    /// All of them, by their words.
    const WORDS: [(&'static str, Self); 6] = [
        ("private", Self::Private),
        ("rprivate", Self::RPrivate),
        ("slave", Self::Slave),
        ("rslave", Self::RSlave),
        ("shared", Self::Shared),
        ("rshared", Self::RShared),
    ];

    /// The one of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, one)| *one)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, one)| *one == self).map_or("rprivate", |(word, _)| word)
    }

    /// What is mounted on the host shows in the container, or the other way round.
    pub fn spreads(self) -> bool {
        !matches!(self, Self::Private | Self::RPrivate)
    }

    /// What is mounted in the container shows on the host.
    pub fn spreads_to_host(self) -> bool {
        matches!(self, Self::Shared | Self::RShared)
    }
}

/// What becomes of the mounts below a source that is shown inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recursive {
    /// They are shown too, and are read-only where the source is.
    #[default]
    Enabled,
    /// They are not shown.
    Disabled,
    /// They are shown, and can be written though the source is read-only.
    Writable,
    /// As `Enabled`, said on purpose, of a source that is read-only.
    ReadOnly,
}

/// Who else may use a path by its label of SELinux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relabel {
    /// All containers (`z`).
    Shared,
    /// This container (`Z`).
    Private,
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
    /// The part of it that is mounted: a relative path of a folder or file that is there. `None` mounts all of it. A volume of
    /// which a part is mounted is not filled.
    pub subpath: Option<PathBuf>,
    /// As [`BindMount::idmap`].
    pub idmap: bool,
    /// As [`BindMount::relabel`].
    pub relabel: Option<Relabel>,
    /// Leaves it empty. Else one that is empty is filled with what the image has at the target.
    pub no_copy: bool,
    /// The kind of volume where it has to be made; `local` where there is none.
    pub driver: Option<String>,
    /// What only the driver knows, where it has to be made.
    pub options: BTreeMap<String, String>,
    /// What its maker wants to remember of it, where it has to be made.
    pub labels: BTreeMap<String, String>,
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

/// The files of an image, inside the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageMount {
    /// Which one, by the words of [`ContainerSpec::image`](crate::ContainerSpec::image).
    pub image: String,
    /// Absolute path inside; made when it is missing.
    pub target: PathBuf,
    /// The part of it that is mounted: a relative path of a folder or file that is there.
    pub subpath: Option<PathBuf>,
    /// What is written there is kept with the container, and goes with it. Else nothing can be written.
    pub writable: bool,
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
