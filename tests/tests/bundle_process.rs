//! The properties of a bundle's process, as the kernel shows them of it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use serde_json::{Value, json};
use tinyd_tests::bundle::run;
use tinyd_tests::{in_both_modes, require};

#[track_caller]
fn refused(mode: &tinyd_tests::Mode, change: impl FnOnce(&mut Value), part: &str) {
    let output = run(mode, change, "echo ran").fails(125);
    assert!(output.stderr().contains(part), "{part}: {output}");
}

#[test]
fn a_process_is_scheduled_and_ordered_as_it_was_asked_for() {
    require!(root);
    in_both_modes(|mode| {
        // Field 19 is the nice value, field 41 the policy, when the name in brackets is taken away.
        let script =
            "sed 's/.*) //' /proc/self/stat | cut -d' ' -f17,39; ionice -p $$; cat /proc/self/oom_score_adj";
        let change = |config: &mut Value| {
            config["process"]["scheduler"] = json!({ "policy": "SCHED_BATCH", "nice": -7 });
            config["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 });
            config["process"]["oomScoreAdj"] = json!(321);
        };
        assert_eq!(run(mode, change, script).ok().stdout(), "-7 3\nbest-effort: prio 6\n321\n");
        let idle = |config: &mut Value| {
            config["process"]["scheduler"] = json!({ "policy": "SCHED_IDLE" });
            config["process"]["ioPriority"] = json!({ "class": "IOPRIO_CLASS_IDLE", "priority": 0 });
        };
        let said = run(mode, idle, "sed 's/.*) //' /proc/1/stat | cut -d' ' -f39; ionice -p 1").ok();
        assert_eq!(said.stdout(), "5\nidle\n");
        for (scheduler, part) in [
            (json!({ "policy": "SCHED_OTHER", "nice": 20 }), "process.scheduler"),
            (json!({ "policy": "SCHED_FIFO" }), "process.scheduler"),
            (json!({ "policy": "SCHED_OTHER", "runtime": 5 }), "SCHED_DEADLINE"),
        ] {
            refused(mode, |config| config["process"]["scheduler"] = scheduler, part);
        }
        let priority = json!({ "class": "IOPRIO_CLASS_BE", "priority": 8 });
        refused(mode, |config| config["process"]["ioPriority"] = priority, "process.ioPriority");
        refused(mode, |config| config["process"]["oomScoreAdj"] = 1001.into(), "process.oomScoreAdj");
    });
}

#[test]
fn a_process_takes_itself_for_another_system_and_has_its_memory_from_a_node() {
    require!(root);
    in_both_modes(|mode| {
        let change = |config: &mut Value| {
            config["linux"]["personality"] = json!({ "domain": "LINUX32" });
            config["linux"]["memoryPolicy"] = json!({ "mode": "MPOL_BIND", "nodes": "0" });
        };
        let script = "cat /proc/self/personality; uname -m; grep -c 'bind.*:0' /proc/self/numa_maps";
        let output = run(mode, change, script).ok();
        let said = output.stdout();
        let lines: Vec<_> = said.lines().collect();
        assert_eq!(lines[0], "00000008");
        assert!(!lines[1].ends_with("64"), "{said}");
        assert!(lines[2].parse::<u32>().unwrap() > 0, "{said}");
        let flags = json!({ "domain": "LINUX", "flags": ["X"] });
        refused(mode, |config| config["linux"]["personality"] = flags, "linux.personality.flags");
        let nodes = json!({ "mode": "MPOL_BIND", "nodes": "99" });
        refused(mode, |config| config["linux"]["memoryPolicy"] = nodes, "memory policy");
        let none = json!({ "mode": "MPOL_BIND" });
        refused(mode, |config| config["linux"]["memoryPolicy"] = none, "linux.memoryPolicy");
    });
}

#[test]
fn the_rest_of_a_process_is_done_or_refused_by_name() {
    require!(root);
    in_both_modes(|mode| {
        let change = |config: &mut Value| {
            config["process"]["user"] =
                json!({ "uid": 7, "gid": 8, "umask": 0o27, "additionalGids": [9, 10] });
            config["annotations"] = json!({ "org.example.unknown": "x" });
            config["process"]["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 50, "hard": 60 }]);
            config["process"]["commandLine"] = "for another system".into();
            config["process"]["noNewPrivileges"] = true.into();
            config["unknown"] = json!({ "of": "tomorrow" });
            config["process"]["unknown"] = 5.into();
            config["linux"]["unknown"] = json!([1, 2]);
            for set in ["bounding", "permitted", "effective"] {
                config["process"]["capabilities"][set] = json!(["CAP_CHOWN"]);
            }
            config["ociVersion"] = "1.3.0+dev".into();
        };
        let script =
            "id -u; id -G; umask; ulimit -n; grep -E 'CapBnd|NoNewPrivs' /proc/self/status | tr -d '\\t'";
        let said = run(mode, change, script).ok();
        assert_eq!(said.stdout(), "7\n8 9 10\n0027\n50\nCapBnd:0000000000000001\nNoNewPrivs:1\n");
        let twice = json!([
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 },
        ]);
        refused(mode, |config| config["process"]["rlimits"] = twice, "RLIMIT_CORE is named twice");
        let unknown = json!([{ "type": "RLIMIT_X", "soft": 0, "hard": 0 }]);
        refused(mode, |config| config["process"]["rlimits"] = unknown, "RLIMIT_X");
        refused(mode, |config| config["ociVersion"] = "2.0.0".into(), "ociVersion");
        refused(mode, |config| config["process"]["cwd"] = "relative".into(), "process.cwd");
    });
}

#[test]
fn a_label_of_a_module_that_is_not_there_is_refused() {
    require!(root);
    let mode = tinyd_tests::Mode { env: tinyd_tests::Env::new(), mapped: false };
    if !std::path::Path::new("/sys/module/apparmor").exists() {
        refused(&mode, |config| config["process"]["apparmorProfile"] = "x".into(), "AppArmor is not enabled");
        run(&mode, |config| config["process"]["apparmorProfile"] = "unconfined".into(), "true").ok();
    }
    if !std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        refused(&mode, |config| config["process"]["selinuxLabel"] = "x".into(), "process.selinuxLabel");
        refused(&mode, |config| config["linux"]["mountLabel"] = "x".into(), "linux.mountLabel");
    }
    run(&mode, |config| config["process"]["selinuxLabel"] = "".into(), "true").ok();
}
