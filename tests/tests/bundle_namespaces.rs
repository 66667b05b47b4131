//! The namespaces of a bundle: of its own, joined by their paths, and with clocks of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;

use serde_json::{Value, json};
use tinyd_tests::bundle::{Bundle, run};
use tinyd_tests::{Container, Env, Mode, in_both_modes, require, roots};

const SHOW: &str = "for n in pid net ipc uts mnt user cgroup time; do readlink /proc/self/ns/$n; done";

fn namespaces(config: &mut Value) -> &mut Vec<Value> {
    config["linux"]["namespaces"].as_array_mut().unwrap()
}

/// Has a bundle join a namespace of a process.
fn join(config: &mut Value, kind: &str, file: &str, pid: i32) {
    namespaces(config).retain(|one| one["type"] != kind);
    let path = format!("/proc/{pid}/ns/{file}");
    namespaces(config).push(json!({ "type": kind, "path": path }));
}

fn link(pid: impl std::fmt::Display, file: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap().to_str().unwrap().to_owned()
}

fn sleeper(mode: &Mode) -> Container<'_> {
    let image = roots::busybox();
    mode.start(["--hostname", "first", image.to_str().unwrap(), "sleep", "1000"])
}

#[test]
fn each_kind_is_joined_by_its_path() {
    require!(root);
    in_both_modes(|mode| {
        let other = sleeper(mode);
        let kinds = [
            ("network", "net"),
            ("ipc", "ipc"),
            ("uts", "uts"),
            ("pid", "pid"),
            ("cgroup", "cgroup"),
            ("time", "time"),
        ];
        for (kind, file) in kinds {
            // What a user namespace mounts of processes and devices belongs to namespaces that are its own.
            if mode.mapped && ["network", "pid", "ipc"].contains(&kind) {
                continue;
            }
            let change = |config: &mut Value| {
                join(config, kind, file, other.pid);
                config.as_object_mut().unwrap().remove("hostname");
            };
            let said = run(mode, change, SHOW).ok().stdout().to_owned();
            let shared = link(other.pid, file);
            let apart = link(other.pid, "mnt");
            assert!(said.contains(&shared) && !said.contains(&apart), "{kind}: {said} {shared}");
            if file != "user" && file != "time" {
                assert_ne!(shared, link("self", file), "{kind}");
            }
        }
    });
}

#[test]
fn a_container_lives_in_another_ones_user_namespace_with_all_that_belongs_to_it() {
    require!(root);
    require!(userns);
    let mode = Mode { env: Env::new(), mapped: true };
    let other = sleeper(&mode);
    let maps = fs::read_to_string(format!("/proc/{}/uid_map", other.pid)).unwrap();
    let number: u32 = maps.split_whitespace().nth(1).unwrap().parse().unwrap();
    for keep_mappings in [false, true] {
        let change = |config: &mut Value| {
            for (kind, file) in [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("uts", "uts")] {
                join(config, kind, file, other.pid);
            }
            config.as_object_mut().unwrap().remove("hostname");
            for ids in ["uidMappings", "gidMappings"] {
                match keep_mappings {
                    true => {
                        config["linux"][ids] = json!([{ "containerID": 0, "hostID": number, "size": 65536 }])
                    }
                    false => drop(config["linux"].as_object_mut().unwrap().remove(ids)),
                }
            }
        };
        let script = format!(
            "{SHOW}; hostname; id -u; cat /proc/self/uid_map; echo $$; touch /made && stat -c %u /made"
        );
        let said = run(&mode, change, &script).ok().stdout().to_owned();
        for file in ["user", "net", "ipc", "uts"] {
            assert!(said.contains(&link(other.pid, file)), "{file}: {said}");
        }
        assert!(!said.contains(&link(other.pid, "pid")) && said.contains("first\n0\n"), "{said}");
        assert!(said.ends_with("\n1\n0\n"), "{said}");
    }
    let wrong = |config: &mut Value| join(config, "user", "user", other.pid);
    let output = run(
        &mode,
        |config| {
            wrong(config);
            config["linux"]["uidMappings"] = json!([{ "containerID": 0, "hostID": 7, "size": 1 }]);
        },
        "echo ran",
    );
    assert!(output.fails(125).stderr().contains("are not those of the user namespace"));
}

#[test]
fn clocks_are_the_containers_own() {
    require!(root);
    in_both_modes(|mode| {
        let change = |config: &mut Value| {
            namespaces(config).push(json!({ "type": "time" }));
            config["linux"]["timeOffsets"] = json!({
                "monotonic": { "secs": 864_000, "nanosecs": 5 },
                "boottime": { "secs": 1_728_000 },
            });
        };
        let script = "cut -d. -f1 /proc/uptime; readlink /proc/self/ns/time";
        let said = run(mode, change, script).ok().stdout();
        let mut lines = said.lines();
        let inside: u64 = lines.next().unwrap().parse().unwrap();
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let outside: u64 = uptime.split('.').next().unwrap().parse().unwrap();
        assert!((outside + 1_728_000 - inside) < 600, "{inside} {outside}");
        assert_ne!(lines.next().unwrap(), link("self", "time"));
        let plain = run(mode, |config| namespaces(config).push(json!({ "type": "time" })), script).ok();
        assert_ne!(plain.stdout().lines().nth(1).unwrap(), link("self", "time"));
        for (offsets, part) in [
            (json!({ "realtime": { "secs": 1 } }), "realtime"),
            (json!({ "monotonic": { "nanosecs": 1_000_000_000 } }), "nanoseconds"),
        ] {
            let change = |config: &mut Value| {
                namespaces(config).push(json!({ "type": "time" }));
                config["linux"]["timeOffsets"] = offsets;
            };
            assert!(run(mode, change, "echo ran").fails(125).stderr().contains(part), "{part}");
        }
    });
}

#[test]
fn what_the_container_does_without_is_the_hosts() {
    require!(root);
    let mode = Mode { env: Env::new(), mapped: false };
    for (kind, file) in [("pid", "pid"), ("ipc", "ipc"), ("cgroup", "cgroup"), ("network", "net")] {
        let change = |config: &mut Value| {
            namespaces(config).retain(|one| one["type"] != kind);
            config["linux"].as_object_mut().unwrap().remove("sysctl");
        };
        let said = run(&mode, change, SHOW).ok().stdout().to_owned();
        assert!(said.contains(&link("self", file)), "{kind}: {said}");
    }
    // Whoever has no process numbers of its own leaves nobody behind.
    let image = roots::busybox();
    let script = "sleep 4321 & exit 5";
    let bundle =
        Bundle::create(&mode.env, &["--userns", "host", image.to_str().unwrap(), "sh", "-c", script]);
    bundle.edit(|config| namespaces(config).retain(|one| one["type"] != "pid"));
    mode.env.tinyd(["start", "-a", &bundle.id]).fails(5);
    mode.env.tinyd(["rm", &bundle.id]).ok();
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    require!(root);
    let mode = Mode { env: Env::new(), mapped: false };
    let other = sleeper(&mode);
    type Change = Box<dyn Fn(&mut Value)>;
    let pid = other.pid;
    let cases: Vec<(Change, &str)> = vec![
        (Box::new(|config| namespaces(config).retain(|one| one["type"] != "mount")), "mount is missing"),
        (Box::new(|config| namespaces(config).push(json!({ "type": "pid" }))), "pid is named twice"),
        (Box::new(|config| namespaces(config).retain(|one| one["type"] != "uts")), "hostname"),
        (Box::new(move |config| join(config, "network", "ipc", pid)), "join the net namespace"),
        (Box::new(|config| join(config, "ipc", "no-such", 1)), "join the ipc namespace /proc/1/ns/no-such"),
        (
            Box::new(|config| {
                namespaces(config).retain(|one| one["type"] != "mount");
                namespaces(config).push(json!({ "type": "mount", "path": "/proc/self/ns/mnt" }));
            }),
            "would become that of the host",
        ),
        (
            Box::new(|config| config["linux"]["timeOffsets"] = json!({ "monotonic": { "secs": 1 } })),
            "timeOffsets",
        ),
    ];
    for (change, part) in cases {
        let output = run(&mode, change, "echo ran").fails(125);
        assert!(output.stderr().contains(part), "{part}: {output}");
    }
}

#[test]
fn mounts_are_made_in_a_mount_namespace_that_is_there() {
    require!(root);
    let mode = Mode { env: Env::new(), mapped: false };
    // Somebody with mounts of its own, whose root becomes the container's.
    let keeper = mode.env.files().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", keeper.display());
    let mut sleeping = std::process::Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .spawn()
        .unwrap();
    let pid = tinyd_tests::eventually(std::time::Duration::from_secs(10), || {
        fs::read_to_string(&keeper).ok()?.trim().parse::<i32>().ok()
    });
    let wanted = pid.map(|pid| (pid, link(pid, "mnt")));
    let output = wanted.as_ref().map(|(pid, _)| {
        run(
            &mode,
            |config| join(config, "mount", "mnt", *pid),
            "readlink /proc/self/ns/mnt; cat /etc/hostname",
        )
    });
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();
    let output = output.unwrap().ok();
    assert_eq!(output.stdout().lines().next().unwrap(), wanted.unwrap().1);
}
