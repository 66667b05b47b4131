//! A container's life: states, the requests that move it, and how it ended.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Where a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerStatus {
    /// Made, never started.
    Created,
    /// Its command runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its command has ended, and is about to be started again.
    Restarting,
    /// Its command has ended.
    Stopped,
}

impl ContainerStatus {
    /// Docker's word for it, as `inspect` gives it: `created`, `running`, `paused`, `restarting`, `exited`.
    pub fn docker_name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Restarting => "restarting",
            Self::Stopped => "exited",
        }
    }
}

impl fmt::Display for ContainerStatus {
    /// The word of `ps`: `CREATED`, `RUNNING`, `PAUSED`, `RESTARTING`, `STOPPED`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Restarting => "RESTARTING",
            Self::Stopped => "STOPPED",
        })
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The command's own code, 128+n when signal n ended it, and 125, 126 or 127 when it never ran.
    pub code: u8,
    /// The kernel killed a process of the container for want of memory.
    pub oom_killed: bool,
    /// The code is not known, because nothing was left to take it: `code` is then 255 and must not be believed.
    pub unknown: bool,
    /// It is unknown because the host was started anew while the command ran.
    pub host_restarted: bool,
}

/// Rows and columns of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}

/// How a container is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRequest {
    /// Wants a session: the command's output, its input when it is interactive, its exit.
    pub attach: bool,
    /// The size the terminal has before the command's first byte.
    pub window: Option<WindowSize>,
}

impl StartRequest {
    /// Starts and leaves it running.
    pub fn detached() -> Self {
        Self::default()
    }

    /// Starts with a session.
    pub fn attached(window: Option<WindowSize>) -> Self {
        Self { attach: true, window }
    }
}

/// How a container is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoveRequest {
    /// Kills it first when it runs.
    pub force: bool,
    /// Removes the volumes without a name of their own, too, that were made for it.
    pub volumes: bool,
}
