//! Where a container's control group lies, and the limit of huge pages in it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;

use tinyd_tests::proc::cgroups;
use tinyd_tests::{Env, in_both_modes, proc, require, wait_until};

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
        let container = mode.start([
            "--cgroup-parent",
            &format!("/{parent}"),
            "--pids-limit",
            "64",
            "host",
            "sleep",
            "300",
        ]);
        let hierarchy = cgroups::hierarchy_of("pids").unwrap();
        let group = hierarchy.mount.join(&parent).join(&container.id);
        assert_eq!(cgroups::members(&group), [container.pid]);
        container.exec(&["-d"], &["sleep", "301"]).ok();
        let executed = container.process(&["sleep", "301"]);
        assert!(cgroups::members(&group).contains(&executed));
        let inspected = container.inspect();
        assert_eq!(inspected["HostConfig"]["CgroupParent"], format!("/{parent}"));
        mode.env.tinyd(["pause", &container.id]).ok();
        mode.env.tinyd(["unpause", &container.id]).ok();
        mode.env.tinyd(["update", "--pids-limit", "32", &container.id]).ok();
        mode.env.tinyd(["stats", "--no-stream", &container.id]).ok();
        mode.env.tinyd(["rm", "-f", &container.id]).ok();
        assert!(!proc::is_alive(executed) && !group.exists());
        // Its parent is not the engine's to remove.
        assert!(group.parent().unwrap().exists());
    });
}

/// As systemd, Docker or a kubelet does that runs in a container: a group of v2 that hands controllers down holds no process itself.
#[test]
fn a_command_enters_a_container_that_has_divided_its_group() {
    require!(root);
    require!(controller "pids");
    // A group of version 1 holds processes whatever lies below it.
    let divides = cgroups::hierarchy_of("pids").unwrap().v2;
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "300"]);
        let group = cgroups::of_container(&container.id, "pids").unwrap();
        let inner = group.join("init/deeper");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("cgroup.procs"), container.pid.to_string()).unwrap();
        if divides {
            fs::write(group.join("cgroup.subtree_control"), "+pids").unwrap();
        }
        container.exec(&["-d"], &["sleep", "301"]).ok();
        let place = if divides { &inner } else { &group };
        let mut executed = 0;
        wait_until("the command is there", || {
            let mut members = cgroups::members(place).into_iter();
            executed = members.find(|pid| proc::arguments(*pid) == ["sleep", "301"]).unwrap_or_default();
            executed != 0
        });
        mode.env.tinyd(["stop", "-t", "0", &container.id]).ok();
        assert!(!proc::is_alive(executed) && !group.exists());
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
