//! How a weakened build is without a defence: as programs are that never had it. For tests alone.

use super::Defence;
use crate::plan::{MountSource, Plan, ProcessPlan};
use rustix::mount::MountAttrFlags;
use std::ffi::OsString;
use std::os::fd::IntoRawFd as _;
use std::sync::atomic::{AtomicU32, Ordering};
use tinyd_cgroup::JoinHandle;
use tinyd_ns::caps::CapSets;

/// Names, with commas between them. `cargo xtask tidy` looks for this word in released programs.
const VARIABLE: &str = "TINYD_WEAKEN";

const NAMES: [(&str, Defence); 22] = [
    ("seccomp", Defence::Seccomp),
    ("capabilities", Defence::Capabilities),
    ("empty-inheritable", Defence::EmptyInheritable),
    ("masked-paths", Defence::MaskedPaths),
    ("readonly-paths", Defence::ReadOnlyPaths),
    ("cgroup-readonly", Defence::CgroupReadOnly),
    ("no-dumpable", Defence::NoDumpable),
    ("close-descriptors", Defence::CloseDescriptors),
    ("cwd-check", Defence::CwdCheck),
    ("exe-protection", Defence::ExeProtection),
    ("session", Defence::Session),
    ("keyring", Defence::Keyring),
    ("in-root-resolution", Defence::InRootResolution),
    ("plain-paths", Defence::PlainPaths),
    ("archive-references", Defence::ArchiveReferences),
    ("own-devices", Defence::OwnDevices),
    ("user-numbers", Defence::UserNumbers),
    ("account-file-limits", Defence::AccountFileLimits),
    ("env-check", Defence::EnvCheck),
    ("private-socket", Defence::PrivateSocket),
    ("peer-check", Defence::PeerCheck),
    ("haste", Defence::Haste),
];

/// A bit for each that is off.
static OFF: AtomicU32 = AtomicU32::new(0);

/// Reads which defences are off. Called once, by a process that has one thread.
///
/// # Errors
/// The name that is none: a test that switches nothing off would not notice.
pub(crate) fn choose() -> Result<(), String> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let text = text.to_string_lossy();
    for name in text.split(',').filter(|name| !name.is_empty()) {
        let (_, defence) = NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| format!("{VARIABLE}: there is no defence {name:?}"))?;
        OFF.fetch_or(1 << *defence as u32, Ordering::Relaxed);
    }
    tinyd_fs::resolve::weaken(off(Defence::InRootResolution), off(Defence::PlainPaths));
    Ok(())
}

/// The same for a client, whose only defence of its own this is: the others are the runtime's, and stay up here. A name that is
/// none is told by the runtime.
pub(crate) fn choose_for_client() {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    if text.split(',').any(|name| name == "archive-references") {
        tinyd_fs::archive::follow_links();
    }
}

pub(crate) fn off(defence: Defence) -> bool {
    OFF.load(Ordering::Relaxed) & 1 << defence as u32 != 0
}

/// The variable, for the next program on the way: the others start with an empty environment.
pub(crate) fn passed_on() -> Option<(&'static str, OsString)> {
    Some((VARIABLE, std::env::var_os(VARIABLE)?))
}

/// A container without what its bundle protects.
pub(crate) fn plan(mut plan: Plan) -> Plan {
    if off(Defence::MaskedPaths) {
        plan.masked.clear();
    }
    if off(Defence::ReadOnlyPaths) {
        plan.read_only.clear();
    }
    for mount in &mut plan.mounts {
        if let MountSource::Cgroup { attributes, .. } = &mut mount.source
            && off(Defence::CgroupReadOnly)
        {
            attributes.remove(MountAttrFlags::MOUNT_ATTR_RDONLY);
        }
    }
    plan
}

/// A command with more rights than it should have.
pub(crate) fn command(mut plan: ProcessPlan) -> ProcessPlan {
    if off(Defence::Seccomp) {
        plan.seccomp = None;
    }
    if off(Defence::Capabilities) {
        let all = tinyd_ns::caps::CapSet::bounding();
        plan.caps = CapSets { bounding: all, effective: all, permitted: all, ..plan.caps };
    }
    if off(Defence::EmptyInheritable) {
        plan.caps.inheritable = plan.caps.permitted;
    }
    plan
}

/// *Child-side.* Leaves descriptors of the host's cgroups open for the command, as CVE-2024-21626 did.
pub(crate) fn leak(cgroups: &JoinHandle) {
    if off(Defence::CloseDescriptors) {
        for fd in cgroups.as_fds() {
            // A copy is not closed on exec.
            let _ = rustix::io::dup(fd).map(|copy| copy.into_raw_fd());
        }
    }
}

/// *Child-side.* Gives an attacker time.
pub(crate) fn linger() {
    if off(Defence::Haste) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_defence_has_one_name() {
        let mut numbers = NAMES.map(|(_, defence)| defence as usize);
        numbers.sort_unstable();
        assert!(numbers.iter().copied().eq(0..NAMES.len()), "{numbers:?}");
        assert_eq!(Defence::Haste as usize + 1, NAMES.len(), "the last one has a name");
    }
}
