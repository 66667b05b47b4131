//! The folders and files of the host that a container sees, as volumes of the driver `bind`.

use crate::core::Core;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tinyd_engine::BindMount;
use tinyd_volume::{VolumeDriver, VolumeSpec, VolumeState};

/// The driver of such volumes.
const NAME: &str = "bind";

/// The volume is what lies at a path of the host: it is somebody else's, and only shown.
pub(super) fn is_of_host(volume: &VolumeState) -> bool {
    volume.driver == NAME
}

impl Core {
    fn binds(&self) -> Result<Arc<dyn VolumeDriver>> {
        self.volume_driver(NAME, &BTreeMap::new())
    }

    /// Checks that a path of the host can be shown, without any effect.
    pub(crate) fn check_bind(&self, bind: &BindMount) -> Result<()> {
        if bind.strict && !bind.source.exists() {
            let problem = "does not exist; make it first, or use -v, which makes what is missing as a folder";
            return Err(Error::invalid("mount source", bind.source.display().to_string(), problem));
        }
        self.binds()?.validate(&VolumeSpec::of_host(&bind.source)).map_err(|source| Error::Volume { source })
    }

    /// The volume of a path of the host. What is missing of it is made.
    pub(crate) fn bind(&self, source: &Path) -> Result<VolumeState> {
        self.binds()?.create(&VolumeSpec::of_host(source)).map_err(|source| Error::Volume { source })
    }

    /// Takes back what was made for one.
    pub(crate) fn unbind(&self, volume: &VolumeState) -> Result<()> {
        self.binds()?.remove(volume).map_err(|source| Error::Volume { source })
    }
}
