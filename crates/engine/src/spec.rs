//! What a container should be.

mod log;
mod mount;
mod network;
mod order;
mod resources;
mod security;

pub use log::{LogDriver, LogOptions};
pub use mount::{
    BindMount, ImageMount, Propagation, Recursive, Relabel, SecretMount, TmpfsMount, VolumeMount, VolumesFrom,
};
pub use network::{
    Dns, ExtraHost, HostPort, NetworkJoin, NetworkMode, PortChange, PortMapping, PortProtocol,
};
pub use order::{After, AfterCondition};
pub use resources::{HugepageLimit, IoLimit, Resources};
pub use security::{Device, SeccompProfile, Security, Ulimit};

use crate::{HealthCheck, RestartPolicy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A container that is wanted. Everything that is `None` or empty takes the image's or the engine's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// `host` (or `/`) for a root made from this machine, else a folder that holds a root file system.
    pub image: String,
    /// The command with its arguments. They reach the program exactly as they stand here.
    pub command: Vec<String>,
    /// Stands before `command`; `Some(empty)` clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, unique; without one the container is known by its id.
    pub name: Option<String>,
    /// Host name inside; by default the first 12 digits of the id.
    pub hostname: Option<String>,
    /// `NAME=VALUE`, later ones win.
    pub env: Vec<String>,
    /// Absolute path; made when it is missing.
    pub workdir: Option<String>,
    /// `USER[:GROUP]`, names of the container's own passwd and group files or numbers.
    pub user: Option<String>,
    /// Gives the command a terminal.
    pub tty: bool,
    /// Keeps the command's standard input open.
    pub interactive: bool,
    /// Puts a small init in front of the command: it reaps orphans, and passes signals on.
    pub init: bool,
    /// Removes the container when its command has ended.
    pub remove: bool,
    /// Makes the root file system read-only.
    pub read_only: bool,
    /// Limits.
    pub resources: Resources,
    /// The control group that the container's own is made in, as a path from each hierarchy's root; `tinyd` by default.
    pub cgroup_parent: Option<String>,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// Folders and files of the host to be seen inside.
    pub binds: Vec<BindMount>,
    /// Volumes to be seen inside.
    pub volumes: Vec<VolumeMount>,
    /// Containers whose folders and volumes are to be seen inside, too.
    pub volumes_from: Vec<VolumesFrom>,
    /// Files of images to be seen inside.
    pub images: Vec<ImageMount>,
    /// File systems in memory.
    pub tmpfs: Vec<TmpfsMount>,
    /// Secrets to be read inside.
    pub secrets: Vec<SecretMount>,
    /// How many bytes may be written to the root file system; without it, what the disk has.
    pub storage_size: Option<u64>,
    /// Size of `/dev/shm` in bytes; 64 MiB by default.
    pub shm_size: Option<u64>,
    /// Where its links lead.
    pub network: NetworkMode,
    /// How it finds others by name.
    pub dns: Dns,
    /// Ports of the host that lead to it.
    pub ports: Vec<PortMapping>,
    /// Ports of its own that somebody may want to reach.
    pub exposed: Vec<(u16, PortProtocol)>,
    /// Leads a port of the host that is free to each of `exposed`.
    pub publish_all: bool,
    /// User namespace.
    pub userns: UserNamespace,
    /// What walls the command off beyond its namespaces.
    pub security: Security,
    /// Limits of its processes.
    pub ulimits: Vec<Ulimit>,
    /// Kernel settings of its namespaces: `net.ipv4.ip_forward` and `1`.
    pub sysctls: BTreeMap<String, String>,
    /// What its maker wants to remember of it.
    pub labels: BTreeMap<String, String>,
    /// What is kept of its output.
    pub log: LogOptions,
    /// The signal, by number, that asks the command to end; SIGTERM by default.
    pub stop_signal: Option<i32>,
    /// Seconds that the command has to end after it was asked; ten by default.
    pub stop_timeout: Option<u32>,
    /// When it is started again after its end, at first: [`Engine::set_restart_policy`](crate::Engine::set_restart_policy)
    /// changes it.
    pub restart: RestartPolicy,
    /// How it is found out that it is healthy.
    pub health: Option<HealthCheck>,
    /// What has to be there before it is started.
    pub after: Vec<After>,
}

impl ContainerSpec {
    /// A container of an image that runs a command.
    pub fn new(image: impl Into<String>, command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            image: image.into(),
            command: command.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Removes the container when its command has ended.
    #[must_use]
    pub fn removed_on_exit(mut self) -> Self {
        self.remove = true;
        self
    }
}

/// Whether a container's ids are its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserNamespace {
    /// 65,536 ids that no other container has, where the kernel can map file systems to them.
    #[default]
    Auto,
    /// The host's ids: root inside is root outside.
    Host,
}
