//! The folders and files of the host that a container sees, as volumes of the driver `bind`.

use crate::core::Core;
use crate::error::{Error, Result};
use std::path::Path;
use tinyd_volume::{VolumeDriver, VolumeSpec, VolumeState};

impl Core {
    fn binds(&self) -> Result<&dyn VolumeDriver> {
        let driver = self.volumes.iter().find(|driver| driver.name() == "bind");
        driver.map(AsRef::as_ref).ok_or(Error::NoVolumeDriver { name: "bind" })
    }

    /// Checks that a path of the host can be shown, without any effect.
    pub(crate) fn check_bind(&self, source: &Path) -> Result<()> {
        self.binds()?.validate(&VolumeSpec::of_host(source)).map_err(|source| Error::Volume { source })
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
