//! Control groups, in every hierarchy that is mounted.

use std::path::{Path, PathBuf};

use super::Scope;
use crate::proc::cgroups::{Hierarchy, hierarchies, walk};

/// The two folders that all containers share; they stay.
const SHARED: [&str; 2] = ["tinyd", "tinyd/monitor"];

pub(super) fn find(scope: &Scope) -> Vec<String> {
    let found = groups(&hierarchies(), |below| match scope {
        Scope::Test(owner) => owner.is_named_in(below),
        Scope::Machine => below.contains("tinyd"),
    });
    found.into_iter().map(|path| path.display().to_string()).collect()
}

/// The cgroups whose path below their mount is `wanted`, children first.
pub(crate) fn groups(hierarchies: &[Hierarchy], wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in hierarchies {
        for path in walk(&hierarchy.mount) {
            let below = path.strip_prefix(&hierarchy.mount).unwrap_or(Path::new("")).to_string_lossy();
            if !SHARED.contains(&&*below) && wanted(&below) {
                found.push(path);
            }
        }
    }
    found
}
