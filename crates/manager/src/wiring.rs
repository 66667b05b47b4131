//! The default wiring: the only place that names concrete sources, launchers and drivers.

use crate::error::{Error, Result};
use crate::image::{FolderImage, HostImage, ImageSource};
use crate::launcher::{Launcher, RuntimeLauncher};
use crate::name_service::Service;
use std::path::Path;
use tinyd_cgroup::{CgroupDriver, Host};
use tinyd_net::firewall::Nftables;
use tinyd_net::{BridgeDriver, FixedDriver, NetworkDriver};
use tinyd_volume::{BindDriver, VolumeDriver};

/// The kinds of images, in the order in which they are asked.
pub(crate) fn images() -> Vec<Box<dyn ImageSource>> {
    vec![Box::new(HostImage), Box::new(FolderImage)]
}

/// The way to `tinyd-runtime`.
pub(crate) fn launcher() -> Box<dyn Launcher> {
    Box::new(RuntimeLauncher)
}

/// The kinds of networks; what is known of those that are there lies in a folder.
pub(crate) fn networks(folder: &Path, runtime: Option<&Path>) -> Vec<Box<dyn NetworkDriver>> {
    let names = Service { runtime: runtime.map(Path::to_owned) };
    let bridge =
        BridgeDriver::new(folder, |table| Box::new(Nftables::new(table))).with_names(Box::new(names));
    vec![Box::new(bridge), Box::new(FixedDriver::NONE), Box::new(FixedDriver::HOST)]
}

/// The kinds of volumes.
pub(crate) fn volumes() -> Vec<Box<dyn VolumeDriver>> {
    vec![Box::new(BindDriver)]
}

/// The driver for this host's control groups.
pub(crate) fn cgroups() -> Result<Box<dyn CgroupDriver>> {
    Host::detect().and_then(|host| host.driver()).map_err(|source| Error::Limits { source })
}
