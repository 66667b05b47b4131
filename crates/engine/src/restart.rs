//! When a container that has ended is started again.

use serde::{Deserialize, Serialize};
use std::fmt;

/// When a container that has ended is started again. One that somebody stopped or killed is not, until somebody starts it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// When its command failed.
    OnFailure {
        /// How often in a row; 0 is without an end.
        max_retries: u32,
    },
    /// Always; when the machine starts, even one that somebody had stopped.
    Always,
    /// Always, but not when the machine starts if somebody had stopped it.
    UnlessStopped,
}

impl RestartPolicy {
    /// Docker's word for it: `no`, `on-failure`, `always`, `unless-stopped`.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure { .. } => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }

    /// How often one that failed is started again, 0 where that is not limited.
    pub fn max_retries(self) -> u32 {
        match self {
            Self::OnFailure { max_retries } => max_retries,
            _ => 0,
        }
    }
}

impl fmt::Display for RestartPolicy {
    /// As it is written on a command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnFailure { max_retries } if *max_retries > 0 => write!(f, "on-failure:{max_retries}"),
            policy => f.write_str(policy.name()),
        }
    }
}
