//! What has no owner.

use serde::{Deserialize, Serialize};

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The object: a path, a cgroup, a container's id.
    pub object: String,
    /// What is wrong with it, in a clause without a full stop.
    pub problem: String,
    /// It was put right.
    pub repaired: bool,
    /// Why it could not be put right, where that was tried.
    pub failure: Option<String>,
}

/// Everything that a check found; empty when all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The findings, in the order in which they were made.
    pub findings: Vec<Finding>,
    /// What else the user should know of this host, a sentence each: nothing is wrong with what is ours.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl CheckReport {
    /// Nothing is wrong (any more).
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.repaired)
    }
}
