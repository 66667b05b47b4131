//! Where a container's control group lies, and the limits of disks and of huge pages in it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use serde_json::json;
use tinyd_tests::proc::cgroups;
use tinyd_tests::{Env, in_both_modes, proc, require};

/// Removes groups, which the engine leaves to whoever named them, also when a test fails.
struct Parent<'a>(&'a str);

impl Drop for Parent<'_> {
    fn drop(&mut self) {
        let top = self.0.split('/').next().unwrap_or_default();
        for hierarchy in cgroups::hierarchies() {
            for group in cgroups::walk(&hierarchy.mount.join(top)) {
                let _ = fs::remove_dir(group);
            }
        }
    }
}

#[test]
fn a_group_is_made_below_the_one_that_was_named() {
    require!(root);
    in_both_modes(|mode| {
        let parent = format!("{}/inner", mode.env.tag());
        let _parent = Parent(&parent);
        let container =
            mode.start(["--cgroup-parent", &format!("/{parent}"), "-m", "64m", "host", "sleep", "300"]);
        let hierarchy = cgroups::hierarchy_of("memory").unwrap();
        let group = hierarchy.mount.join(&parent).join(&container.id);
        assert_eq!(cgroups::members(&group), [container.pid]);
        container.exec(&["-d"], &["sleep", "301"]).ok();
        let executed = container.process(&["sleep", "301"]);
        assert!(cgroups::members(&group).contains(&executed));
        let inspected = container.inspect();
        assert_eq!(inspected["HostConfig"]["CgroupParent"], format!("/{parent}"));
        mode.env.tinyd(["pause", &container.id]).ok();
        mode.env.tinyd(["unpause", &container.id]).ok();
        mode.env.tinyd(["update", "-m", "32m", &container.id]).ok();
        mode.env.tinyd(["stats", "--no-stream", &container.id]).ok();
        mode.env.tinyd(["rm", "-f", &container.id]).ok();
        assert!(!proc::is_alive(executed) && !group.exists());
        // Its parent is not the engine's to remove.
        assert!(group.parent().unwrap().exists());
    });
}

#[test]
fn groups_that_are_not_for_containers_are_refused() {
    require!(root);
    let env = Env::new();
    for (path, said) in [
        ("..", "\"..\""),
        ("a/../../b", "\"..\""),
        ("", "empty"),
        ("/", "empty"),
        ("tinyd/x", "tinyd takes away"),
    ] {
        let output = env.tinyd(["run", "--rm", "--cgroup-parent", path, "host", "true"]).fails(125);
        assert!(output.stderr().contains(said), "{path}: {output}");
    }
    assert!(env.containers().is_empty());
}

/// The device file of the disk that a folder lies on, where it is one.
fn disk(env: &Env) -> Option<String> {
    let device = fs::metadata(env.files()).unwrap().dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let text = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/uevent")).ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME="))?;
    Some(format!("/dev/{name}"))
}

/// I09.
#[test]
fn a_disk_is_written_no_faster_than_was_allowed() {
    require!(root);
    if cgroups::hierarchy_of("blkio").or(cgroups::hierarchy_of("io")).is_none() {
        return tinyd_tests::skip("groups", "no cgroup controller of disks is mounted");
    }
    let env = Env::new();
    let Some(disk) = disk(&env) else {
        return tinyd_tests::skip("groups", "the tests' folder lies on no disk");
    };
    let write = |options: &[&str]| {
        let words = ["run", "--rm"].iter().chain(options).copied();
        let dd = ["host", "dd", "if=/dev/zero", "of=/x", "bs=1M", "count=16", "oflag=direct"];
        let begin = Instant::now();
        env.tinyd(words.chain(dd)).ok();
        begin.elapsed()
    };
    let free = write(&[]);
    let limit = format!("{disk}:4m");
    let limited = write(&["--device-write-bps", &limit]);
    // 16 MiB at 4 MiB/s; the kernel counts in slices of a tenth of a second.
    assert!(limited > Duration::from_millis(3_400), "{limited:?}");
    assert!(limited > free * 2, "without a limit it takes {free:?}, with it {limited:?}");
    let id = env
        .tinyd(["run", "-d", "--device-read-iops", &format!("{disk}:77"), "host", "sleep", "300"])
        .ok()
        .text();
    let told = env.tinyd(["inspect", &id]).ok().json()[0]["HostConfig"]["BlkioDeviceReadIOps"].take();
    assert_eq!(told, json!([{"Path": disk, "Rate": 77}]));
    let output = env.tinyd(["run", "--rm", "--device-read-bps", "/dev/null:1m", "host", "true"]).fails(125);
    assert!(output.stderr().contains("no block device"), "{output}");
}

#[test]
fn huge_pages_are_limited_or_the_reason_is_told() {
    require!(root);
    let env = Env::new();
    let run = |option: &str| env.tinyd(["run", "-d", "--hugetlb-limit", option, "host", "sleep", "300"]);
    let output = run("2MB=4m");
    if output.code() == Some(0) {
        let file = if cgroups::hierarchy_of("hugetlb").unwrap().v2 {
            "hugetlb.2MB.max"
        } else {
            "hugetlb.2MB.limit_in_bytes"
        };
        assert_eq!(cgroups::value(&output.text(), "hugetlb", file).unwrap(), (4 << 20).to_string());
        assert_ne!(run("3MB=4m").code(), Some(0));
    } else {
        assert!(output.stderr().contains("controller hugetlb is missing"), "{output}");
        assert!(env.containers().is_empty());
    }
    let output = run("2MB").fails(125);
    assert!(output.stderr().contains("2MB=64m"), "{output}");
}
