//! What all verbs share.

use crate::config::EngineConfig;
use crate::error::{Error, Result};
use crate::image::{Image, ImageSource};
use crate::launcher::Launcher;
use crate::parts::Parts;
use crate::store::Store;
use crate::wiring::FindVolumePlugin;
use crate::{locate, places, wiring};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tinyd_cgroup::CgroupDriver;
use tinyd_net::NetworkDriver;
use tinyd_runtime::restart::CleanUp;
use tinyd_volume::VolumeDriver;

/// The parts of an engine. Verbs are methods of it, one to a file.
pub(crate) struct Core {
    pub store: Store,
    pub launcher: Box<dyn Launcher>,
    pub networks: Vec<Box<dyn NetworkDriver>>,
    pub volumes: Vec<Arc<dyn VolumeDriver>>,
    /// How volume plugins of this machine are found, where they are wanted.
    pub volume_plugins: Option<FindVolumePlugin>,
    images: Vec<Box<dyn ImageSource>>,
    /// How many containers there may be.
    pub max_containers: u32,
    /// What a monitor runs to start a container again.
    pub clean_up: Option<CleanUp>,
    runtime: Option<PathBuf>,
    cgroups: OnceLock<Box<dyn CgroupDriver>>,
    boot_id: OnceLock<String>,
}

impl Core {
    pub(crate) fn new(store: Store, config: EngineConfig, parts: Parts) -> Self {
        let Parts { launcher, images, networks, more_networks, volumes, more_volumes, cgroups } = parts;
        let mut networks = networks.unwrap_or_else(|| {
            let pools = config.address_pools.clone();
            wiring::networks(
                &store.run_root().join("networks"),
                store.root(),
                config.runtime.as_deref(),
                pools,
            )
        });
        networks.retain(|driver| more_networks.iter().all(|other| other.name() != driver.name()));
        networks.extend(more_networks);
        let kept = store.root().join("volumes");
        let run = store.run_root().join("volumes");
        // Who brings all kinds of volumes wants no others.
        let volume_plugins = volumes.is_none().then(|| wiring::volume_plugins(run.join("plugins")));
        let mut volumes = volumes.unwrap_or_else(|| wiring::volumes(&kept, &run));
        volumes.retain(|driver| more_volumes.iter().all(|other| other.name() != driver.name()));
        volumes.extend(more_volumes);
        let volumes = volumes.into_iter().map(Arc::from).collect();
        let EngineConfig { runtime, max_containers, clean_up, .. } = config;
        let max_containers = max_containers.filter(|most| *most > 0).unwrap_or(places::DEFAULT);
        let cgroups = cgroups.map_or_else(OnceLock::new, OnceLock::from);
        let boot_id = OnceLock::new();
        Self {
            store,
            launcher,
            networks,
            volumes,
            volume_plugins,
            images,
            max_containers,
            clean_up,
            runtime,
            cgroups,
            boot_id,
        }
    }

    /// `tinyd-runtime`.
    pub(crate) fn runtime(&self) -> Result<PathBuf> {
        locate::runtime(self.runtime.as_deref())
    }

    /// The host's control groups, looked at when they are first needed.
    pub(crate) fn cgroups(&self) -> Result<&dyn CgroupDriver> {
        if let Some(driver) = self.cgroups.get() {
            return Ok(driver.as_ref());
        }
        let driver = wiring::cgroups()?;
        Ok(self.cgroups.get_or_init(|| driver).as_ref())
    }

    /// Which boot of the machine this is.
    pub(crate) fn boot_id(&self) -> Result<&str> {
        if let Some(id) = self.boot_id.get() {
            return Ok(id);
        }
        let id = tinyd_runtime::state::boot_id()
            .map_err(|source| Error::file("read", "/proc/sys/kernel/random/boot_id", source))?;
        Ok(self.boot_id.get_or_init(|| id))
    }

    /// The image that a word means.
    pub(crate) fn image(&self, word: &str) -> Result<Image> {
        crate::image::resolve(&self.images, word, self.store.root())
    }
}
