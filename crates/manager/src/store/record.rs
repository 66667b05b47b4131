//! What the engine keeps of a container: written once, when it is made.

use crate::ids;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tinyd_engine::{ContainerSpec, ImageMount, NetworkJoin, VolumeMount};
use tinyd_net::{Namespace, NetworkState};
use tinyd_runtime::{OverlayMount, Rootfs};
use tinyd_volume::VolumeState;

/// A container as it was made, with everything that was decided then, so that a later start repeats it exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// 32 hex digits.
    pub id: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: i64,
    /// Made by `run`: this record is only ever seen of one that was started.
    pub launched: bool,
    /// The lease of its user namespace's ids; `None` without a user namespace.
    pub slot: Option<u32>,
    /// Host name inside.
    pub hostname: String,
    /// Its root file system.
    pub rootfs: Rootfs,
    /// Its places on networks, the first of which is the one that was named first. None of its own where it lives in the
    /// namespace of another container.
    pub places: Vec<Place>,
    /// The network namespace that it lives in.
    pub netns: Namespace,
    /// The container whose network namespace that is.
    #[serde(default)]
    pub netns_of: Option<String>,
    /// Its volumes.
    #[serde(default)]
    pub volumes: Vec<UsedVolume>,
    /// The images whose files it shows.
    #[serde(default)]
    pub images: Vec<UsedImage>,
    /// What was asked for, with sources resolved and defaults that could not be had taken out.
    pub spec: ContainerSpec,
}

impl Record {
    /// The first digits of its id.
    pub(crate) fn short(&self) -> &str {
        ids::short(&self.id)
    }

    /// The first host id of its user namespace.
    pub(crate) fn id_base(&self) -> Option<u32> {
        self.slot.map(ids::base)
    }
}

/// A container's place on a network, as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// The network.
    pub network: NetworkState,
    /// What was asked for there.
    pub wanted: NetworkJoin,
}

impl Place {
    /// The network's name.
    pub(crate) fn name(&self) -> &str {
        &self.network.spec.name
    }
}

/// A volume that a container uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedVolume {
    /// The volume.
    pub state: VolumeState,
    /// How it is mounted.
    pub mount: VolumeMount,
}

/// An image whose files a container shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UsedImage {
    /// How it is mounted.
    pub mount: ImageMount,
    /// What is mounted of it.
    pub trees: Vec<ShownTree>,
}

/// A tree of an image, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShownTree {
    /// Its layers, and where it is seen, as an absolute path inside.
    pub layers: OverlayMount,
    /// What is seen of it.
    pub subpath: Option<PathBuf>,
}

/// Why the last start failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartError {
    /// 125, 126 or 127.
    pub code: u8,
    /// The message with its causes.
    pub error: String,
}
