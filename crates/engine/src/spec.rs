//! What a container should be.

mod security;

pub use security::{SeccompProfile, Security, TmpfsMount, Ulimit};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
    /// Removes the container when its command has ended.
    pub remove: bool,
    /// Makes the root file system read-only.
    pub read_only: bool,
    /// Limits.
    pub resources: Resources,
    /// Folders and files of the host to be seen inside.
    pub binds: Vec<BindMount>,
    /// File systems in memory.
    pub tmpfs: Vec<TmpfsMount>,
    /// Size of `/dev/shm` in bytes; 64 MiB by default.
    pub shm_size: Option<u64>,
    /// The network to join.
    pub network: NetworkMode,
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
    /// The signal, by number, that asks the command to end; SIGTERM by default.
    pub stop_signal: Option<i32>,
    /// Seconds that the command has to end after it was asked; ten by default.
    pub stop_timeout: Option<u32>,
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

/// Limits; only what is `Some` is set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// CPU time, in microseconds, that the container may use in each period.
    pub cpu_quota: Option<u64>,
    /// The period of `cpu_quota` in microseconds; 100,000 by default.
    pub cpu_period: Option<u64>,
    /// The container's weight where processors are short, 2 to 262,144; others have 1,024.
    pub cpu_shares: Option<u64>,
    /// The processors that it may use, as a list such as `0-2,7` (cpuset(7)).
    pub cpuset_cpus: Option<String>,
    /// The memory nodes that it may use, as a list.
    pub cpuset_mems: Option<String>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory and swap together, in bytes, at least `memory`; -1 is no limit. Needs `memory`.
    pub memory_swap: Option<i64>,
    /// Memory in bytes that it keeps when memory is short, at most `memory`.
    pub memory_reservation: Option<u64>,
    /// Number of processes and threads; `None` is the engine's default of 2,048, `Some(-1)` no limit.
    pub pids: Option<i64>,
}

impl Resources {
    /// These limits with what is `Some` in others in their place.
    #[must_use]
    pub fn with(self, others: &Self) -> Self {
        Self {
            cpu_quota: others.cpu_quota.or(self.cpu_quota),
            cpu_period: others.cpu_period.or(self.cpu_period),
            cpu_shares: others.cpu_shares.or(self.cpu_shares),
            cpuset_cpus: others.cpuset_cpus.clone().or(self.cpuset_cpus),
            cpuset_mems: others.cpuset_mems.clone().or(self.cpuset_mems),
            memory: others.memory.or(self.memory),
            memory_swap: others.memory_swap.or(self.memory_swap),
            memory_reservation: others.memory_reservation.or(self.memory_reservation),
            pids: others.pids.or(self.pids),
        }
    }
}

/// A folder or file of the host inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// Absolute path on the host. What is missing is made as a folder, and a note says so.
    pub source: PathBuf,
    /// Absolute path inside; made when it is missing.
    pub target: PathBuf,
    /// Forbids writing, in everything mounted below it too.
    pub read_only: bool,
}

/// The network of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// A network namespace that holds the loopback device alone.
    #[default]
    None,
    /// The host's own network namespace.
    Host,
    /// A network by name.
    Named(String),
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
