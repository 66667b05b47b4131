//! Volumes: what is asked for, what a list shows, and all that is known of one. A volume is addressed by its name.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// A volume that is wanted. What is empty or `None` is the driver's to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeCreate {
    /// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, unique; without one it gets a name of 32 hex digits, and counts as anonymous.
    pub name: Option<String>,
    /// The kind of volume: `local` where there is none.
    pub driver: Option<String>,
    /// How many bytes it may hold.
    pub size: Option<u64>,
    /// What only the driver knows.
    pub options: BTreeMap<String, String>,
    /// What its maker wants to remember of it.
    pub labels: BTreeMap<String, String>,
}

impl VolumeCreate {
    /// A volume of the default driver.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::default() }
    }
}

/// What a list shows of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSummary {
    /// Its name.
    pub name: String,
    /// The kind of volume.
    pub driver: String,
    /// Where its data lies on the host, while it is reachable there.
    pub mountpoint: String,
    /// It was made for a container, or without a name.
    pub anonymous: bool,
    /// How many containers use it, in any state.
    pub containers: usize,
    /// When it was made.
    pub created: SystemTime,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// All that is known of a volume, in the shape and with the names of Docker's `volume inspect`. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VolumeInspect {
    /// When it was made.
    pub created_at: String,
    /// The kind of volume.
    pub driver: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Where its data lies on the host, while it is reachable there.
    pub mountpoint: String,
    /// Its name.
    pub name: String,
    /// What only the driver knows. A secret is never in it, only where it lies.
    pub options: BTreeMap<String, String>,
    /// `global` where a volume plug-in says that all hosts have the same; else `local`: it is this host's.
    pub scope: String,
    /// What a volume plug-in has to say of it, in its own words; what is no text is JSON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub status: BTreeMap<String, String>,
    /// It was made for a container, or without a name.
    pub anonymous: bool,
    /// What the driver says of its data: false where it is gone.
    pub available: bool,
    /// The containers that use it, in any state: their ids, and what each is called.
    pub containers: BTreeMap<String, String>,
}

/// How much there is of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeUsage {
    /// Its name.
    pub name: String,
    /// The kind of volume.
    pub driver: String,
    /// Bytes that it takes where its data lies; `None` where that cannot be found out within seconds.
    pub used: Option<u64>,
    /// Bytes that it may hold.
    pub limit: Option<u64>,
    /// How many containers use it, in any state.
    pub containers: usize,
}

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// By gzip.
    Gzip,
    /// By zstd.
    Zstd,
}

/// How a volume is exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeExport {
    /// How the archive is compressed.
    pub compression: Compression,
    /// The state that is exported; `None` is that of now.
    pub snapshot: Option<String>,
    /// The containers that use the volume stand still meanwhile, where its driver cannot keep a state of one moment.
    pub freeze: bool,
}

/// What was exported or imported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveSummary {
    /// Files, folders and all others.
    pub entries: u64,
    /// Bytes of files' contents, without holes.
    pub bytes: u64,
    /// Remarks for the user, a sentence each: what is not as it was.
    pub notes: Vec<String>,
}

/// A state of a volume that is kept under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSnapshot {
    /// Its name, unique within the volume.
    pub name: String,
    /// When it was taken.
    pub created: SystemTime,
}
