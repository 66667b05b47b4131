//! Mounts that spread to the host. What is mounted on one inside shows outside, and stays there when the container is gone: so
//! nothing of the container's own may lie on one.

use super::Plan;
use super::spec::invalid;
use crate::Failure;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Refuses a plan that mounts, or hides, something below a mount that spreads; by their words. Where these are links, the order in
/// which they are attached sees to it.
pub(super) fn check(plan: &Plan) -> Result<(), Failure> {
    for shared in plan.mounts.iter().filter(|mount| mount.is_shared()) {
        let target = path(&shared.target);
        let other_mounts = plan.mounts.iter().filter(|mount| !std::ptr::eq(*mount, shared));
        let hidden = plan.masked.iter().chain(&plan.read_only);
        let mut others = other_mounts.map(|mount| &mount.target).chain(hidden).map(|text| path(text));
        if let Some(other) = others.find(|other| other.starts_with(target)) {
            let problem = "is mounted, or hidden, on a shared mount, and would be so on the host";
            return Err(invalid("mounts", format!("{} {problem}: {}", other.display(), target.display())));
        }
    }
    Ok(())
}

fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}
