//! The engine as a whole, in the shape and with the names of Docker's `info`, so that scripts written for it work.

use serde::{Deserialize, Serialize};

/// What an engine has, what it stands on, and what it does without.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SystemInfo {
    /// Version of the engine.
    pub server_version: String,
    /// Containers in any state.
    pub containers: usize,
    /// Those that run.
    pub containers_running: usize,
    /// Those that are frozen.
    pub containers_paused: usize,
    /// Those that were made or have ended.
    pub containers_stopped: usize,
    /// How root file systems are put together: `overlay`.
    pub driver: String,
    /// Pairs of a word and its value: what is known of it.
    pub driver_status: Vec<(String, String)>,
    /// Each storage driver that one could ask for, and whether it can be had.
    pub storage_drivers: Vec<StorageDriver>,
    /// The kinds of networks and volumes.
    pub plugins: Plugins,
    /// Name of the OCI runtime.
    pub default_runtime: String,
    /// Who makes the control groups: `cgroupfs`.
    pub cgroup_driver: String,
    /// `v1`, `v2` or `hybrid`.
    pub cgroup_version: String,
    /// What walls a container off: `name=seccomp,profile=default`, `name=userns`.
    pub security_options: Vec<String>,
    /// Release of the kernel.
    pub kernel_version: String,
    /// The distribution, as it calls itself.
    pub operating_system: String,
    /// `linux`.
    #[serde(rename = "OSType")]
    pub os_type: String,
    /// The machine, as the kernel calls it.
    pub architecture: String,
    /// How many processors this process may use.
    #[serde(rename = "NCPU")]
    pub processors: usize,
    /// Memory of the machine in bytes.
    pub mem_total: u64,
    /// Where containers are kept.
    #[serde(rename = "DockerRootDir")]
    pub root_dir: String,
    /// Name of the host.
    pub name: String,
    /// What this host lacks and what follows from it, a sentence each.
    pub warnings: Vec<String>,
}

/// A way to put root file systems together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct StorageDriver {
    /// `overlay`, `aufs`.
    pub name: String,
    /// It can be had here.
    pub available: bool,
    /// Why not, or what it needs.
    pub note: String,
}

/// What can be plugged in, by the words that users ask with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Plugins {
    /// Kinds of volumes.
    pub volume: Vec<String>,
    /// Kinds of networks.
    pub network: Vec<String>,
}
