//! Mounts of our own mount namespace. Those of a container's die with it.

use super::Scope;
use crate::proc::mounts;

pub(super) fn find(scope: &Scope) -> Vec<String> {
    let mounts = mounts::of_self().expect("/proc/self/mountinfo can be read").into_iter();
    let ours = mounts.filter(|mount| match scope {
        Scope::Test(owner) => owner.is_named_in(&mount.line),
        Scope::Machine => true,
    });
    // Not the whole line: its numbers differ when the same thing is mounted again.
    ours.map(|mount| format!("{} on {} ({})", mount.source, mount.point.display(), mount.fs)).collect()
}
