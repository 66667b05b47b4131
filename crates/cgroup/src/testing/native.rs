//! The suite on this machine's kernel: as it is, with v1 alone, with v2 alone.

use super::conformance;
use crate::{CgroupPath, Host, Limits, MemoryLimits, Version};

/// A missing privilege is seen; in CI it is a failure.
#[allow(clippy::print_stderr, reason = "a skip must be visible")]
fn root(test: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{test} needs root");
    eprintln!("SKIPPED: {test} needs root");
    false
}

/// The mount table with the lines of one file system type left out.
fn host_without(kind: &str) -> Option<Host> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let kept: Vec<&str> = table.lines().filter(|l| !l.contains(&format!(" - {kind} "))).collect();
    Host::from_mountinfo(&kept.join("\n")).ok()
}

#[test]
fn root_conformance_as_this_host_is() {
    if root("root_conformance_as_this_host_is") {
        conformance(&|| Host::detect().unwrap().driver().unwrap());
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a skip must be visible")]
fn root_conformance_v1_alone() {
    if !root("root_conformance_v1_alone") {
        return;
    }
    match host_without("cgroup2").filter(|h| h.version() == Version::V1) {
        Some(host) => conformance(&|| host.driver().unwrap()),
        None => eprintln!("SKIPPED: root_conformance_v1_alone: no v1 hierarchy is mounted"),
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a skip must be visible")]
fn root_conformance_v2_alone() {
    if !root("root_conformance_v2_alone") {
        return;
    }
    match host_without("cgroup").filter(|h| h.version() == Version::V2) {
        Some(host) => conformance(&|| host.driver().unwrap()),
        None => eprintln!("SKIPPED: root_conformance_v2_alone: no v2 hierarchy is mounted"),
    }
}

/// Y13, Y14, Y19: find the mount point of the memory controller, set a limit, remove the group.
#[test]
fn root_memory_cgroup() {
    if !root("root_memory_cgroup") {
        return;
    }
    let host = Host::detect().unwrap();
    let mount = host.mountpoint("memory").unwrap().to_owned();
    assert!(mount.join("cgroup.procs").exists(), "{}", mount.display());
    let driver = host.driver().unwrap();
    let path = CgroupPath::new(&format!("tinyd-test-{}-memory", std::process::id())).unwrap();
    let limits = Limits {
        memory: MemoryLimits { limit_bytes: Some(157_286_400), ..Default::default() },
        ..Default::default()
    };
    driver.validate(&limits).unwrap();
    let group = driver.create(&path, &limits).unwrap();
    let folder = mount.join(path.as_str());
    let text = ["memory.limit_in_bytes", "memory.max"].map(|f| std::fs::read_to_string(folder.join(f)).ok());
    let removed = group.remove();
    assert_eq!(text.into_iter().flatten().collect::<Vec<_>>(), ["157286400\n"]);
    removed.unwrap();
    assert!(!folder.exists());
}
