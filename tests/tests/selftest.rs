//! M45, M46: `selftest` starts six containers with parts of the machine, and measures that the kernel holds them to it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tinyd_tests::proc::cgroups;
use tinyd_tests::{Env, eventually, require};

const NAMES: [&str; 6] = ["C1MEM", "C2MEM", "C3MEM", "C1CPU", "C2CPU", "C3CPU"];
const QUOTAS: [u64; 3] = [6250, 12500, 25000];
/// A busy machine takes its time over a quarter of its memory.
const LIMIT: Duration = Duration::from_secs(150);

/// `MemTotal` in bytes.
fn memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The number in a file of the group that a container has of this controller, in the words of either version.
fn limit(id: &str, controller: &str, v1: &str, v2: &str) -> u64 {
    let file = if cgroups::hierarchy_of(controller).unwrap().v2 { v2 } else { v1 };
    let text = cgroups::value(id, controller, file).unwrap_or_else(|| panic!("no {file}"));
    text.split(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{file}: {text}"))
}

/// The ids of the six containers, once all of them run.
fn six(env: &Env) -> [String; 6] {
    let names_and_ids = || {
        let listed = env.tinyd(["ps", "--no-trunc", "--format", "{{.Names}} {{.ID}}"]).stdout();
        let id =
            |name: &str| listed.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()));
        let ids: Option<Vec<_>> = NAMES.iter().map(|name| id(name)).collect();
        ids.and_then(|ids| <[String; 6]>::try_from(ids).ok())
    };
    // An emulated machine takes seconds for each.
    eventually(Duration::from_secs(90), names_and_ids).expect("six containers run")
}

#[test]
fn six_containers_have_exactly_their_parts_of_the_machine_and_are_held_to_them() {
    require!(root);
    require!(controller "memory");
    require!(controller "cpu");
    let env = Env::new();
    let running = env.cmd(["selftest", "--format", "json"]).limit(LIMIT).spawn();
    let ids = six(&env);
    // What the kernel's own files on the host's side say.
    let mut memory_limits = Vec::new();
    for (id, part) in ids[..3].iter().zip([16, 8, 4]) {
        let found = limit(id, "memory", "memory.limit_in_bytes", "memory.max");
        let wanted = memory() / part;
        // Whole pages, of at most 64 KiB.
        assert!(found <= wanted && wanted - found < 64 << 10, "{found} instead of {wanted}");
        memory_limits.push(found);
    }
    for (id, quota) in ids[3..].iter().zip(QUOTAS) {
        assert_eq!(limit(id, "cpu", "cpu.cfs_quota_us", "cpu.max"), quota);
    }
    let output = running.wait();
    let found: Value = serde_json::from_str(&output.stdout()).unwrap_or_else(|_| panic!("{output}"));
    assert_eq!(found["MemTotal"], memory(), "{output}");
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(found["NCPU"], processors, "{output}");
    let cases = found["Cases"].as_array().unwrap();
    assert_eq!(cases.iter().map(|case| case["Name"].as_str().unwrap()).collect::<Vec<_>>(), NAMES);
    for (case, limit) in cases.iter().zip(memory_limits.into_iter().chain(QUOTAS)) {
        assert_eq!((&case["Limit"], &case["Kernel"]), (&limit.into(), &limit.into()), "{output}");
    }
    // Where the machine has other work, a part that was not had proves nothing; one that was exceeded does.
    let excused = |case: &Value| {
        let problem = case["Problem"].as_str().unwrap();
        problem.contains("too busy") || problem.contains("to spare")
    };
    for case in cases {
        let (limit, measured) = (case["Limit"].as_f64().unwrap(), case["Measured"].as_f64());
        assert!(case["Passed"] == true || excused(case), "{output}");
        assert!(measured.is_none_or(|measured| measured <= limit * 1.2), "{output}");
        if case["Resource"] == "memory" && case["Passed"] == true {
            assert!(case["OomKills"].as_u64().unwrap() >= 1, "{output}");
        }
    }
    assert!(cases[0]["Passed"] == true && cases[3]["Passed"] == true, "{output}");
    let passed = cases.iter().all(|case| case["Passed"] == true);
    assert_eq!((&found["Passed"], output.code()), (&passed.into(), Some(i32::from(!passed))), "{output}");
    assert!(env.containers().is_empty());
    env.assert_clean();
}

#[test]
fn one_that_is_interrupted_leaves_nothing() {
    require!(root);
    require!(controller "memory");
    for signal in [Signal::INT, Signal::TERM] {
        let env = Env::new();
        let running = env.cmd(["selftest"]).limit(LIMIT).spawn();
        six(&env);
        running.signal(signal);
        let output = running.wait();
        assert_eq!(output.code(), Some(128 + signal.as_raw()), "{output}");
        assert_eq!(output.stdout(), "");
        assert!(env.containers().is_empty(), "{output}");
        env.assert_clean();
    }
}

#[test]
fn of_one_that_is_killed_the_containers_end_by_themselves() {
    require!(root);
    require!(controller "memory");
    let env = Env::new();
    let running = env.cmd(["selftest"]).limit(LIMIT).spawn();
    six(&env);
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal(), Some(9));
    let trash = || fs::read_dir(env.root().join("trash")).unwrap().count();
    let gone = || (env.containers().is_empty() && trash() == 0).then_some(());
    assert!(eventually(Duration::from_secs(60), gone).is_some(), "left: {:?}", env.containers());
    // What it had begun and not ended is put right by whoever comes next.
    env.tinyd(["ps"]).ok();
    env.assert_clean();
}

#[test]
fn what_keeps_it_from_starting_is_said_and_nothing_is_left() {
    require!(root);
    require!(controller "memory");
    let env = Env::new();
    // The name of the last but one is taken: four are running by then.
    let other = env.tinyd(["create", "--name", "C2CPU", "host", "true"]).ok().text();
    let output = env.cmd(["selftest"]).limit(LIMIT).output().fails(1);
    assert!(output.stderr().contains("C2CPU") && output.stderr().contains("taken"), "{output}");
    assert_eq!(env.containers().into_iter().collect::<Vec<_>>(), [other]);
    let usage = env.tinyd(["selftest", "now"]).fails(2);
    assert!(usage.stderr().contains("now"), "{usage}");
}
