//! Resources of a bundle that no option of ours would set, as the control groups show them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::path::Path;

use serde_json::{Value, json};
use tinyd_tests::bundle::run;
use tinyd_tests::{Env, Mode, in_both_modes, require};

fn is_v1() -> bool {
    Path::new("/sys/fs/cgroup/cpu/cpu.shares").exists()
}

fn set(part: &'static str, name: &'static str, value: Value) -> impl Fn(&mut Value) {
    move |config| config["linux"]["resources"][part][name] = value.clone()
}

#[track_caller]
fn refused(mode: &Mode, change: impl FnOnce(&mut Value), parts: &[&str]) {
    let output = run(mode, change, "echo ran").fails(125);
    assert!(parts.iter().any(|part| output.stderr().contains(part)), "{parts:?}: {output}");
}

#[test]
fn processor_time_is_saved_up_or_only_what_is_left() {
    require!(root);
    require!(controller "cpu");
    in_both_modes(|mode| {
        let change = |config: &mut Value| {
            let cpu = &mut config["linux"]["resources"]["cpu"];
            cpu["quota"] = 50_000.into();
            cpu["period"] = 100_000.into();
            cpu["burst"] = 20_000.into();
        };
        let file = if is_v1() { "cpu/cpu.cfs_burst_us" } else { "cpu.max.burst" };
        let said = run(mode, change, &format!("cat /sys/fs/cgroup/{file}")).ok();
        assert_eq!(said.text(), "20000");
        let file = if is_v1() { "cpu/cpu.idle" } else { "cpu.idle" };
        let said = run(mode, set("cpu", "idle", 1.into()), &format!("cat /sys/fs/cgroup/{file}")).ok();
        assert_eq!(said.text(), "1");
        refused(mode, set("cpu", "idle", 2.into()), &["linux.resources.cpu.idle"]);
        // Nobody has given the groups above any; a kernel may have none at all.
        refused(
            mode,
            set("cpu", "realtimeRuntime", 1000.into()),
            &["no more real time than the group above", "cpu.rt_runtime_us", "cgroup v1"],
        );
    });
}

#[test]
fn memory_is_swapped_and_given_up_as_it_was_asked_for() {
    require!(root);
    require!(controller "memory");
    let mode = Mode { env: Env::new(), mapped: false };
    refused(&mode, set("memory", "swappiness", 101.into()), &["memory.swappiness"]);
    refused(&mode, set("memory", "useHierarchy", false.into()), &["memory.useHierarchy"]);
    if !is_v1() {
        refused(
            &mode,
            set("memory", "swappiness", 7.into()),
            &["memory.swappiness is a matter of cgroup v1"],
        );
        return;
    }
    let change = |config: &mut Value| {
        let memory = &mut config["linux"]["resources"]["memory"];
        memory["limit"] = (64 << 20).into();
        memory["swappiness"] = 7.into();
        memory["disableOOMKiller"] = true.into();
        memory["useHierarchy"] = true.into();
        memory["checkBeforeUpdate"] = true.into();
        memory["kernel"] = (64 << 20).into();
        memory["kernelTCP"] = (8 << 20).into();
    };
    let script = "cd /sys/fs/cgroup/memory; cat memory.swappiness; head -1 memory.oom_control; cat memory.kmem.tcp.limit_in_bytes";
    assert_eq!(run(&mode, change, script).ok().stdout(), "7\noom_kill_disable 1\n8388608\n");
}

#[test]
fn what_this_host_has_not_is_refused_by_name() {
    require!(root);
    let mode = Mode { env: Env::new(), mapped: false };
    let rdma = |config: &mut Value| {
        config["linux"]["resources"]["rdma"] = json!({ "mlx5_1": { "hcaHandles": 3, "hcaObjects": 10 } });
    };
    refused(&mode, rdma, &["rdma", "mlx5_1"]);
    let unified = |file: &'static str, value: &'static str| {
        move |config: &mut Value| config["linux"]["resources"]["unified"] = json!({ file: value })
    };
    refused(&mode, unified("tomorrow.max", "1"), &["tomorrow.max", "no such setting"]);
    for file in ["../cgroup.procs", "cgroup.procs", "memory/high"] {
        refused(&mode, unified(file, "1"), &["unified"]);
    }
    match is_v1() {
        true => refused(&mode, unified("memory.high", "1000000"), &["memory"]),
        false => {
            let said = run(&mode, unified("memory.high", "67108864"), "cat /sys/fs/cgroup/memory.high").ok();
            assert_eq!(said.text(), "67108864");
        }
    }
    // What is of no controller is there wherever version 2 is.
    let depth =
        "cat /sys/fs/cgroup/unified/cgroup.max.depth 2> /dev/null || cat /sys/fs/cgroup/cgroup.max.depth";
    assert_eq!(run(&mode, unified("cgroup.max.depth", "7"), depth).ok().text(), "7");
    if is_v1() {
        refused(&mode, set("blockIO", "leafWeight", 500.into()), &["blkio.leaf_weight"]);
    }
}
