//! What walls a command off beyond its namespaces.

use serde::{Deserialize, Serialize};

/// What walls a command off beyond its namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// No program gives it rights that it has not: set-user-id bits and file capabilities are ignored.
    pub no_new_privileges: bool,
    /// Which system calls it may make.
    pub seccomp: SeccompProfile,
    /// Capabilities beside those that every container has: `NET_ADMIN`, `CAP_NET_ADMIN`, or `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities that it does not have; what is added by name stays although `ALL` is dropped.
    pub cap_drop: Vec<String>,
    /// Takes the walls away: every capability and device, the host's ids, no filter, nothing hidden.
    pub privileged: bool,
    /// A program is killed at its first system call through another architecture than the machine's own: i386 and x32 on
    /// x86-64. A filter sees less of theirs; whatever the profile, even with none.
    pub no_32bit: bool,
}

/// Which system calls a container may make.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeccompProfile {
    /// Those of the engine's own profile.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// Those of a profile: JSON in the shape of `linux.seccomp` of the OCI runtime specification.
    Custom(String),
}

/// A limit of a process (setrlimit(2)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// `nofile`, `core`, …
    pub name: String,
    /// What holds; `None` is no limit.
    pub soft: Option<u64>,
    /// How far the process itself may raise it; `None` is no limit.
    pub hard: Option<u64>,
}

/// A device of the host inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its file on the host, or a folder of such files.
    pub source: std::path::PathBuf,
    /// Where it is inside, below `/dev`.
    pub target: std::path::PathBuf,
    /// What may be done: `r`ead, `w`rite, `m`ake a node of it.
    pub access: String,
}
