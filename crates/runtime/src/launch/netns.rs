//! A network namespace that is there already, for a container that lives in somebody else's.

use super::internal;
use crate::Failure;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;
use tinyd_ns::{Namespaces, join};

/// This process's stay in another network namespace, until the value goes: what it clones meanwhile is born there.
pub(super) struct Visit {
    home: File,
}

impl Visit {
    /// Goes there. The process must have one thread.
    pub(super) fn begin(namespace: &Path) -> Result<Self, Failure> {
        let home = File::open("/proc/self/ns/net")
            .map_err(|error| internal("open this process's network namespace", error))?;
        join::of_path(namespace, Some(Namespaces::NET)).map_err(|error| {
            let message = format!("join the network namespace {}", namespace.display());
            Failure::new(crate::FailureKind::Internal, message).caused_by(&error)
        })?;
        Ok(Self { home })
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // It came from there a moment ago, and has the same rights.
        let _ = join::of_file(self.home.as_fd(), Some(Namespaces::NET));
    }
}
