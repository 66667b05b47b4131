//! `update` and `stats`: limits that change while a container runs, and what it uses of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use serde_json::Value;
use tinyd_tests::proc::cgroups;
use tinyd_tests::{Container, in_both_modes, require};

fn memory_limit(container: &Container<'_>) -> String {
    let v2 = cgroups::hierarchy_of("memory").unwrap().v2;
    let file = if v2 { "memory.max" } else { "memory.limit_in_bytes" };
    cgroups::value(&container.id, "memory", file).unwrap()
}

fn pids_limit(container: &Container<'_>) -> String {
    cgroups::value(&container.id, "pids", "pids.max").unwrap()
}

#[test]
fn limits_change_at_once_and_stay_for_the_next_start() {
    require!(root);
    require!(controller "memory");
    in_both_modes(|mode| {
        let container = mode.start(["-m", "100m", "--pids-limit", "50", "host", "sleep", "300"]);
        let id = container.id.as_str();
        let said = mode.env.tinyd(["update", "--memory", "200m", "--cpus", "0.5", id]).ok();
        assert_eq!(said.text(), id);
        assert_eq!((memory_limit(&container).as_str(), pids_limit(&container).as_str()), ("209715200", "50"));
        mode.env.tinyd(["update", "-m", "64m", "--pids-limit", "-1", id]).ok();
        assert_eq!((memory_limit(&container).as_str(), pids_limit(&container).as_str()), ("67108864", "max"));
        let config = container.inspect()["HostConfig"].take();
        assert_eq!((&config["Memory"], &config["PidsLimit"]), (&Value::from(67_108_864), &Value::from(-1)));
        assert_eq!(config["CpuQuota"], 50_000);
        mode.env.tinyd(["stop", "-t", "1", id]).ok();
        // Of one that stands still it is the next start that has them.
        mode.env.tinyd(["update", "--pids-limit", "33", id]).ok();
        mode.env.tinyd(["start", id]).ok();
        assert_eq!((memory_limit(&container).as_str(), pids_limit(&container).as_str()), ("67108864", "33"));
    });
}

#[test]
fn limits_that_cannot_be_had_are_refused_and_nothing_changes() {
    require!(root);
    require!(controller "memory");
    in_both_modes(|mode| {
        let container = mode.start(["-m", "100m", "host", "sleep", "300"]);
        let id = container.id.as_str();
        let bad: [(&[&str], i32); 6] = [
            (&[], 1),
            (&["--memory", "1x"], 2),
            (&["--memory", "1m"], 1),
            (&["--memory-swap", "50m"], 1),
            (&["--cpu", "9999"], 2),
            (&["--cpuset-cpus", "4095"], 1),
        ];
        for (options, code) in bad {
            let words = ["update"].iter().chain(options).copied().chain([id]);
            let output = mode.env.tinyd(words).fails(code);
            assert!(!output.stderr().is_empty(), "{output}");
            assert_eq!(memory_limit(&container), "104857600", "{options:?}");
            assert_eq!(container.inspect()["HostConfig"]["Memory"], 104_857_600, "{options:?}");
        }
        // Nor the half of it that could be.
        let both = ["update", "--restart", "always", "--memory", "1m", id];
        mode.env.tinyd(both).fails(1);
        assert_eq!(container.inspect()["HostConfig"]["RestartPolicy"]["Name"], "no");
        mode.env.tinyd(["update", "--restart", "always", "--memory", "90m", id]).ok();
        assert_eq!(container.inspect()["HostConfig"]["RestartPolicy"]["Name"], "always");
        assert_eq!(memory_limit(&container), (90 << 20).to_string());
        mode.env.tinyd(["update", "--restart", "no", id]).ok();
        let none = mode.env.tinyd(["update", "--memory", "100m", "nosuch"]).fails(1);
        assert!(none.stderr().contains("nosuch"), "{none}");
    });
}

#[test]
fn what_is_used_is_what_the_kernel_counts() {
    require!(root);
    require!(controller "memory");
    in_both_modes(|mode| {
        let busy = mode.start([
            "--name",
            "busy",
            "--cpu",
            "20000",
            "-m",
            "64m",
            "host",
            "sh",
            "-c",
            "while :; do :; done",
        ]);
        let idle = mode.start(["--name", "idle", "host", "sleep", "300"]);
        let output = mode.env.tinyd(["stats", "--no-stream", "--format", "json"]).ok();
        let lines: Vec<Value> =
            output.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |container: &Container<'_>| {
            let found = lines.iter().find(|line| line["Container"] == container.id.as_str());
            found.unwrap_or_else(|| panic!("{} is missing: {output}", container.id))
        };
        let percent = |line: &Value| -> f64 {
            line["CPUPerc"].as_str().unwrap().trim_end_matches('%').parse().unwrap()
        };
        // A fifth of a processor, within wide margins; the machine has other work.
        assert!((2.0..=40.0).contains(&percent(of(&busy))), "{output}");
        assert!(percent(of(&idle)) < 2.0, "{output}");
        assert_eq!(
            (&of(&busy)["MemoryLimitBytes"], &of(&busy)["CPULimitMilli"]),
            (&(64 << 20).into(), &200.into())
        );
        assert_eq!((&of(&busy)["PIDs"], &of(&busy)["PidsLimit"]), (&"1".into(), &2048.into()));
        assert!(of(&busy)["MemoryBytes"].as_u64().unwrap() > 0, "{output}");
        let table = mode.env.tinyd(["stats", "--no-stream", "busy"]).ok();
        assert!(
            table.stdout().starts_with("CONTAINER ID") && table.stdout().contains("/ 64.0MiB"),
            "{table}"
        );
        let ended = mode.env.tinyd(["stats", "--no-stream", "nosuch"]).fails(1);
        assert!(ended.stderr().contains("nosuch"), "{ended}");
    });
}
