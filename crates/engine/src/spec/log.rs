//! Where a container's output is kept.

use serde::{Deserialize, Serialize};

/// What is kept of a container's output. Everything that is `None` takes the engine's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    /// Whether there is a log at all.
    pub driver: LogDriver,
    /// A file of it grows no further than so many bytes, at least 32 KiB; 10 MiB by default.
    pub max_size: Option<u64>,
    /// How many such files are kept, 1 to 16, the one being written among them; 3 by default.
    pub max_file: Option<u32>,
}

/// Who keeps output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// Files in the container's folder.
    #[default]
    Files,
    /// Nobody.
    None,
}
