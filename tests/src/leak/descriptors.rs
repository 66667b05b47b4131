//! Open descriptors of this process.

use super::Owner;
use crate::proc;

/// What is open on the test's own paths; where the test is alone in its process, everything that is open.
pub(super) fn find(owner: &Owner) -> Vec<String> {
    let all = proc::descriptors(proc::own_pid())
        .into_iter()
        .map(|(number, target)| (number, target.display().to_string()));
    // The folder that this very look reads.
    let own_look = format!("/proc/{}/fd", proc::own_pid());
    // And the watches of the harness itself, one for each environment of a test that has several.
    all.filter(|(_, target)| *target != own_look && target != "anon_inode:inotify")
        .filter(|(_, target)| owner.alone || owner.is_named_in(target))
        .map(|(number, target)| format!("{number} on {target}"))
        .collect()
}
