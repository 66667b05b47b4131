//! What is kept of a volume: `volumes/<name>.json`.

use crate::error::{Error, Result};
use crate::store::Kept;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tinyd_volume::VolumeState;

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumeRecord {
    /// 32 hex digits. One without a name of its own is called so.
    pub id: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: i64,
    /// What its maker wants to remember of it.
    pub labels: BTreeMap<String, String>,
    /// It was made without a name.
    pub anonymous: bool,
    /// The container that it was made for and goes with.
    pub container: Option<String>,
    /// The container with which it was made, as long as no other one has had it.
    #[serde(default)]
    pub maker: Option<String>,
    /// All of it is there. While it is not, somebody makes or removes it, or was killed at that.
    pub whole: bool,
    /// Its driver has said what it made.
    pub made: bool,
    /// The driver had one of that name before.
    pub found: bool,
    /// Somebody fills it from an image, or was killed at that.
    pub filling: bool,
    /// What its driver made; what it was asked for until then.
    pub state: VolumeState,
}

impl VolumeRecord {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.state.name
    }
}

impl Kept for VolumeRecord {
    const FOLDER: &'static str = "volumes";

    fn name(&self) -> &str {
        self.name()
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn check_name(name: &str) -> Result<()> {
        tinyd_volume::check_name("volume name", name).map_err(|source| Error::Volume { source })
    }

    fn taken(name: &str) -> Error {
        Error::VolumeTaken { name: name.to_owned() }
    }

    fn busy() -> Error {
        Error::VolumesBusy
    }
}
