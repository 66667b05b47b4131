//! The default wiring: the only place that names concrete sources, launchers and drivers.

use crate::cgroups::{MONITORS, PARENT};
use crate::error::{Error, Result};
use crate::image::{FolderImage, HostImage, ImageSource};
use crate::launcher::{Launcher, RuntimeLauncher};
use crate::locate;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tinyd_cgroup::{CgroupDriver, CgroupPath, HierarchyVersion, Host};
use tinyd_net::firewall::{Iptables, Nftables};
use tinyd_net::pool::{POOLS, Pool};
use tinyd_net::{BridgeDriver, CniDriver, FixedDriver, LanDriver, NetworkDriver};
use tinyd_program::names::Service;
use tinyd_volume::{
    BindDriver, BtrfsDriver, LocalDriver, PluginDriver, RemoteDriver, TmpfsDriver, VolumeDriver,
};

/// The kinds of images, in the order in which they are asked.
pub(crate) fn images() -> Vec<Box<dyn ImageSource>> {
    vec![Box::new(HostImage), Box::new(FolderImage)]
}

/// The way to `tinyd-runtime`.
pub(crate) fn launcher() -> Box<dyn Launcher> {
    Box::new(RuntimeLauncher)
}

/// The kinds of networks. What is known of those that are there lies in the folder `run`, and in `kept` what has to outlive a
/// restart of the machine, as what CNI's plugins keep does.
pub(crate) fn networks(
    run: &Path,
    kept: &Path,
    runtime: Option<&Path>,
    pools: Option<Vec<Pool>>,
) -> Vec<Box<dyn NetworkDriver>> {
    let runtime = runtime.map(Path::to_owned);
    let names = Service::new(
        move || locate::runtime(runtime.as_deref()).map_err(std::io::Error::other),
        &format!("{PARENT}/{MONITORS}"),
    );
    let bridge = BridgeDriver::new(run, |table| Box::new(Nftables::new(table)))
        .or_firewall(|table| Box::new(Iptables::new(&table, run.join("iptables.lock"))))
        .with_pools(pools.unwrap_or_else(|| POOLS.to_vec()))
        .with_names(Box::new(names));
    let cni = CniDriver::new(&kept.join("cni"), &run.join("cni"));
    vec![
        Box::new(bridge),
        Box::new(LanDriver::macvlan(run)),
        Box::new(LanDriver::ipvlan(run)),
        Box::new(FixedDriver::NONE),
        Box::new(FixedDriver::HOST),
        Box::new(cni),
    ]
}

/// The kinds of volumes. Their data lies in the folder `kept`; what is mounted for those who use them, in `run`.
pub(crate) fn volumes(kept: &Path, run: &Path) -> Vec<Box<dyn VolumeDriver>> {
    vec![
        Box::new(LocalDriver::new(kept.join("local")).with_sizes(run.join("local"))),
        Box::new(BindDriver),
        Box::new(TmpfsDriver::new(run.join("tmpfs"))),
        Box::new(BtrfsDriver::new(kept.join("btrfs"), run.join("btrfs"))),
        Box::new(RemoteDriver::new(run.join("remote")).with_place(place_of_servers)),
    ]
}

/// Where the programs live that serve volumes for containers: with the monitors, in each hierarchy (ADR 3). A v1 file that moves who
/// writes to it, and makes him wait for nobody, is `tasks`.
fn place_of_servers() -> Vec<PathBuf> {
    let group = || Host::detect()?.driver()?.ensure(&CgroupPath::new(PARENT)?.join(MONITORS)?);
    let views = group().map(|group| group.views()).unwrap_or_default();
    let file = |version| match version {
        HierarchyVersion::V1 => "tasks",
        HierarchyVersion::V2 => "cgroup.procs",
    };
    views.into_iter().map(|view| view.source.join(file(view.version))).collect()
}

/// How a volume plugin is found: by its name, and the options of the volume.
pub(crate) type FindVolumePlugin =
    Box<dyn Fn(&str, &BTreeMap<String, String>) -> tinyd_volume::Result<Box<dyn VolumeDriver>> + Send + Sync>;

/// The volume plugins that listen where Docker looks for them, or at the socket that the volume's option `socket` names. The
/// lists of their users lie in the folder `run`.
pub(crate) fn volume_plugins(run: PathBuf) -> FindVolumePlugin {
    Box::new(move |name, options| {
        let found = match options.get("socket") {
            Some(socket) => PluginDriver::at(name, socket.into(), run.clone()),
            None => PluginDriver::discover(name, run.clone()),
        };
        found.map(|driver| -> Box<dyn VolumeDriver> { Box::new(driver) })
    })
}

/// The driver for this host's control groups.
pub(crate) fn cgroups() -> Result<Box<dyn CgroupDriver>> {
    Host::detect().and_then(|host| host.driver()).map_err(|source| Error::Limits { source })
}
