//! Whether a container does what it is there for, found out by a command in it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A command that is run in a container again and again; it is healthy when that succeeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// The command, for the container's own `/bin/sh -c`.
    pub command: String,
    /// How long after the start, and after the end of the last one, it is run.
    pub interval: Duration,
    /// How long it may take; then it is killed, and has failed.
    pub timeout: Duration,
    /// How often in a row it has to fail.
    pub retries: u32,
    /// For so long after the start a failure does not count, unless it has succeeded before.
    pub start_period: Duration,
    /// What is done to a container that is not healthy.
    pub on_unhealthy: OnUnhealthy,
}

impl HealthCheck {
    /// A command with Docker's defaults: every 30 seconds, 30 seconds long, three times.
    pub fn new(command: impl Into<String>) -> Self {
        let half_a_minute = Duration::from_secs(30);
        Self {
            command: command.into(),
            interval: half_a_minute,
            timeout: half_a_minute,
            retries: 3,
            start_period: Duration::ZERO,
            on_unhealthy: OnUnhealthy::None,
        }
    }
}

/// What is done to a container that is not healthy any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnUnhealthy {
    /// Nothing: it is told.
    #[default]
    None,
    /// It is stopped and started again, whatever its restart policy is.
    Restart,
    /// It is killed. Its restart policy may start it again.
    Kill,
    /// It is stopped, and stays so.
    Stop,
}

impl OnUnhealthy {
    /// As it is written on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Restart => "restart",
            Self::Kill => "kill",
            Self::Stop => "stop",
        }
    }
}

/// How a container that runs has fared at its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HealthStatus {
    /// No check has decided yet.
    Starting,
    /// The last one that counted has succeeded.
    Healthy,
    /// They have failed too often.
    Unhealthy,
}

impl fmt::Display for HealthStatus {
    /// Docker's word for it: `starting`, `healthy`, `unhealthy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}
