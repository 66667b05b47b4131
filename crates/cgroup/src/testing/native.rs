//! The suite on this machine's kernel: as it is, with v1 alone, with v2 alone.

use super::conformance;
use crate::{CgroupPath, Host, Limits, MemoryLimits, NetLimits, NetPriority, Version};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

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

/// Runs the test named once more, alone, in a mount namespace of its own that `setup` has prepared in the folder `$1`.
/// True is the answer in there.
fn in_private_mounts(test: &str, setup: &str) -> bool {
    const INNER: &str = "TINYD_CGROUP_TEST_INNER";
    if std::env::var_os(INNER).is_some_and(|name| name == test) {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-e", "-c"])
        .arg(format!("{setup}\nshift; exec \"$@\""))
        .args([Path::new("sh"), folder.path(), &std::env::current_exe().unwrap()])
        .args(["--exact", "--nocapture", &format!("testing::native::{test}")])
        .env(INNER, test)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
    false
}

/// Y14: every hierarchy in a place with blanks and backslashes, and none where one would guess.
#[test]
fn root_conformance_at_odd_mount_points() {
    const TEST: &str = "root_conformance_at_odd_mount_points";
    let setup = r#"
        mount -t tmpfs tmpfs "$1"
        for type in cgroup cgroup2; do
            awk -v t=$type '{ for (i = 7; i < NF; i++) if ($i == "-" && $(i+1) == t) print $5 }' /proc/self/mountinfo
        done > "$1/list"
        n=0
        while read -r point; do
            n=$((n + 1))
            mkdir -p "$1/an odd place\\$n/h"
            mount --bind "$point" "$1/an odd place\\$n/h"
        done < "$1/list"
        umount -R -l /sys/fs/cgroup"#;
    if !root(TEST) || !in_private_mounts(TEST, setup) {
        return;
    }
    let host = Host::detect().unwrap();
    assert!(!host.hierarchies().is_empty());
    for hierarchy in host.hierarchies() {
        let place = hierarchy.mountpoint().display().to_string();
        assert!(place.contains("/an odd place\\"), "{place}");
    }
    conformance(&|| Host::detect().unwrap().driver().unwrap());
}

/// I14: what marks traffic is seldom mounted; here it is.
#[test]
#[allow(clippy::print_stderr, reason = "a skip must be visible")]
fn root_conformance_with_net_cls_and_net_prio() {
    const TEST: &str = "root_conformance_with_net_cls_and_net_prio";
    if !root(TEST) {
        return;
    }
    let listed = std::fs::read_to_string("/proc/cgroups").unwrap();
    if !["net_cls", "net_prio"].iter().all(|c| listed.lines().any(|line| line.split('\t').next() == Some(c)))
    {
        eprintln!("SKIPPED: {TEST}: this kernel has neither");
        return;
    }
    let setup = r#"
        mount -t tmpfs tmpfs "$1"
        mkdir "$1/marks"
        mount -t cgroup -o net_cls,net_prio marks "$1/marks""#;
    let mounted = |c| Host::detect().unwrap().mountpoint(c).is_some();
    let here = mounted("net_cls") && mounted("net_prio");
    if !here && !in_private_mounts(TEST, setup) {
        forget_marks();
        return;
    }
    let driver = Host::detect().unwrap().driver().unwrap();
    let lo = NetPriority { interface: "lo".into(), priority: 7 };
    let net = NetLimits { class_id: Some(0x10_0001), priorities: vec![lo] };
    let limits = Limits { net, ..Default::default() };
    driver.validate(&limits).unwrap();
    let path = CgroupPath::new(&format!("tinyd-test-{}-marks", std::process::id())).unwrap();
    let group = driver.create(&path, &limits).unwrap();
    let host = Host::detect().unwrap();
    let file = |name: &str| {
        let mount = host.mountpoint(name.split('.').next().unwrap()).unwrap();
        std::fs::read_to_string(mount.join(path.as_str()).join(name)).unwrap()
    };
    let (class, priorities) = (file("net_cls.classid"), file("net_prio.ifpriomap"));
    let found = group.limits().unwrap().net;
    let unknown = NetPriority { interface: "tinyd-none".into(), priority: 7 };
    let net = NetLimits { class_id: None, priorities: vec![unknown] };
    let refused = group.apply(&Limits { net, ..Default::default() });
    group.remove().unwrap();
    assert_eq!(class.trim(), "1048577");
    assert!(priorities.contains("lo 7\n"), "{priorities}");
    assert_eq!(found, limits.net);
    assert!(refused.unwrap_err().to_string().contains("no such interface"));
    conformance(&|| Host::detect().unwrap().driver().unwrap());
}

/// A hierarchy goes away some time after its last mount, and stays when a group was still being taken apart just then:
/// it is looked at again only when it is mounted and unmounted once more.
fn forget_marks() {
    let gone = || {
        let text = std::fs::read_to_string("/proc/cgroups").unwrap();
        text.lines().any(|line| line.starts_with("net_cls\t0\t"))
    };
    let gone_within = |time| {
        let end = Instant::now() + time;
        while !gone() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        gone()
    };
    let end = Instant::now() + Duration::from_secs(30);
    while !gone_within(Duration::from_secs(2)) {
        assert!(Instant::now() < end, "the hierarchy of net_cls and net_prio does not go away");
        let folder = tempfile::tempdir().unwrap();
        let again = r#"mount -t cgroup -o net_cls,net_prio marks "$1" && umount "$1""#;
        let status = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", again, "sh"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

/// Y13, Y14, Y19: find the mount point of the memory controller, set a limit, remove the group.
#[test]
#[allow(clippy::print_stderr, reason = "a skip must be visible")]
fn root_memory_cgroup() {
    if !root("root_memory_cgroup") {
        return;
    }
    let host = Host::detect().unwrap();
    let Some(mount) = host.mountpoint("memory").map(std::path::Path::to_owned) else {
        eprintln!("SKIPPED: root_memory_cgroup: no cgroup controller memory is mounted");
        return;
    };
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

/// The first containers of a machine may be several: each makes the group above all of them, and switches on what it wants there.
#[test]
fn root_first_groups_that_are_made_at_once_all_have_their_limits() {
    if !root("root_first_groups_that_are_made_at_once_all_have_their_limits") {
        return;
    }
    let driver = Host::detect().unwrap().driver().unwrap();
    let limits = Limits {
        memory: MemoryLimits { limit_bytes: Some(64 << 20), ..Default::default() },
        pids_max: Some(100),
        ..Default::default()
    };
    if driver.validate(&limits).is_err() {
        return;
    }
    for round in 0..40 {
        let parent = CgroupPath::new(&format!("tinyd-test-{}-{round}", std::process::id())).unwrap();
        let made: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4)
                .map(|number| {
                    let (parent, limits, driver) = (&parent, &limits, driver.as_ref());
                    scope.spawn(move || {
                        let group = driver.create(&parent.join(&number.to_string()).unwrap(), limits);
                        group.and_then(|group| group.remove())
                    })
                })
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        driver.open(&parent).unwrap().remove().unwrap();
        for (number, one) in made.into_iter().enumerate() {
            one.unwrap_or_else(|error| {
                panic!("round {round}, group {number}: {error}: {:?}", std::error::Error::source(&error))
            });
        }
    }
}
