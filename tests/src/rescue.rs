//! Taking away by hand what a test left: the next test and the developer's machine must not suffer from it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::leak::{self, Scope};
use crate::proc::{cgroups, mounts};
use crate::wait::eventually;

/// Kills, unmounts and removes what belongs to the scope of a test. What resists is told.
pub(crate) fn rescue(scope: &Scope) -> Vec<String> {
    let Scope::Test(owner) = scope else { return Vec::new() };
    let mut troubles = Vec::new();
    let groups = leak::groups(&cgroups::hierarchies(), |below| owner.is_named_in(below));
    // A frozen process is not killed before it is thawed.
    for group in &groups {
        let _ = fs::write(group.join("freezer.state"), "THAWED");
        let _ = fs::write(group.join("cgroup.freeze"), "0");
    }
    let gone = eventually(Duration::from_secs(5), || {
        let pids = leak::processes::pids(scope);
        pids.iter().for_each(|pid| kill(*pid, scope));
        pids.is_empty().then_some(())
    });
    if gone.is_none() {
        troubles.push(format!("processes {:?}", leak::processes::pids(scope)));
    }
    for mount in mounts::of_self().unwrap_or_default().into_iter().rev() {
        if owner.is_named_in(&mount.line)
            && let Err(err) = unmount(&mount.point, UnmountFlags::DETACH)
        {
            troubles.push(format!("mount {}: {err}", mount.point.display()));
        }
    }
    troubles.extend(groups.iter().filter_map(|group| remove_group(group)));
    troubles
}

/// The pidfd is opened first and the process looked at again: its number may have passed to another meanwhile.
fn kill(pid: i32, scope: &Scope) {
    let Some(number) = Pid::from_raw(pid) else { return };
    let Ok(handle) = pidfd_open(number, PidfdFlags::empty()) else { return };
    if leak::processes::belongs(pid, scope) {
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
}

/// The cgroup of a process that has just died is busy for a moment.
fn remove_group(group: &Path) -> Option<String> {
    let mut last = None;
    let gone = eventually(Duration::from_secs(2), || match fs::remove_dir(group) {
        Ok(()) => Some(()),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Some(()),
        Err(err) => {
            last = Some(err);
            None
        }
    });
    if gone.is_some() { None } else { Some(format!("cgroup {}: {last:?}", group.display())) }
}
