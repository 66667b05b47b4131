//! A line of `ps` for each container.

use crate::{ContainerStatus, ExitStatus, HealthStatus};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// Which containers are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListRequest {
    /// Those that do not run as well.
    pub all: bool,
}

/// What a list shows of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSummary {
    /// 32 hex digits.
    pub id: String,
    /// Its name; `None` when it has none but its id.
    pub name: Option<String>,
    /// The image as it was given.
    pub image: String,
    /// The command with its arguments.
    pub command: Vec<String>,
    /// When it was made.
    pub created: SystemTime,
    /// When its command was last started.
    pub started: Option<SystemTime>,
    /// When its command last ended.
    pub finished: Option<SystemTime>,
    /// Where it stands.
    pub status: ContainerStatus,
    /// How its command ended; present when it has stopped.
    pub exit: Option<ExitStatus>,
    /// The first process, as the host numbers it; 0 when there is none.
    pub pid: u32,
    /// How it has fared at its health checks; `None` where it has none, or does not run.
    pub health: Option<HealthStatus>,
    /// Published ports, `HOST:CONTAINER`.
    pub ports: Vec<String>,
    /// The networks that it has a place on, by name; none where it lives on another container's.
    pub networks: Vec<String>,
    /// Mounted folders and volumes, `SOURCE:TARGET`.
    pub volumes: Vec<String>,
}
