//! The exchangeable parts of an engine.

use crate::image::ImageSource;
use crate::launcher::Launcher;
use crate::wiring;
use tinyd_cgroup::CgroupDriver;
use tinyd_net::NetworkDriver;
use tinyd_volume::VolumeDriver;

/// The exchangeable parts of an engine, for programs that bring their own.
pub struct Parts {
    /// The way to `tinyd-runtime`.
    pub launcher: Box<dyn Launcher>,
    /// The kinds of images, in the order in which they are asked.
    pub images: Vec<Box<dyn ImageSource>>,
    /// The kinds of networks. What is left out cannot be asked for: without the driver `host` no container shares the
    /// host's network. `None` are all that there are.
    pub networks: Option<Vec<Box<dyn NetworkDriver>>>,
    /// Kinds of networks besides those. One that is called as one of those takes its place.
    pub more_networks: Vec<Box<dyn NetworkDriver>>,
    /// The kinds of volumes; `None` are all that there are. Folders of the host are those of the driver `bind`.
    pub volumes: Option<Vec<Box<dyn VolumeDriver>>>,
    /// Kinds of volumes besides those. One that is called as one of those takes its place.
    pub more_volumes: Vec<Box<dyn VolumeDriver>>,
    /// The host's control groups; `None` looks at the host when they are first needed.
    pub cgroups: Option<Box<dyn CgroupDriver>>,
}

impl Default for Parts {
    /// The runtime itself; the host's own root and folders; all kinds of networks and volumes that there are.
    fn default() -> Self {
        Self {
            launcher: wiring::launcher(),
            images: wiring::images(),
            networks: None,
            more_networks: Vec::new(),
            volumes: None,
            more_volumes: Vec::new(),
            cgroups: None,
        }
    }
}
