//! Which engine answers.

use serde::{Deserialize, Serialize};

/// Names and versions of an engine and of what it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionInfo {
    /// Version of the engine.
    pub engine: String,
    /// Version of the OCI runtime that it starts containers with.
    pub runtime: String,
    /// Where that program lies.
    pub runtime_path: String,
    /// Version of the OCI runtime specification that bundles are written for.
    pub oci: String,
    /// Release of the kernel.
    pub kernel: String,
    /// `v1`, `v2` or `hybrid`.
    pub cgroup: String,
    /// `amd64`, `arm64`: the machine in Docker's words.
    pub arch: String,
}
