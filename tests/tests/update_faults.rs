//! At whichever system call an `update` is killed, or fails: afterwards the record, the bundle and the kernel have the same
//! limits, all of the old or all of the new.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what was said"
)]

use std::fs;
use std::time::Duration;

use serde_json::Value;
use tinyd_tests::proc::cgroups;
use tinyd_tests::tracer::{self, Fault, Point};
use tinyd_tests::{Cmd, Dice, Env, require};

const DEADLINE: Duration = Duration::from_secs(20);
const FAIL: Fault = Fault::Fail(nix::libc::EIO);

/// Memory in bytes and processes, before and after.
const OLD: (u64, i64) = (64 << 20, 100);
const NEW: (u64, i64) = (96 << 20, 200);

/// What changes something on the disk or in the kernel's groups: each of these is tried.
const EFFECTS: [&str; 7] = ["openat", "write", "rename", "renameat", "renameat2", "fsync", "unlink"];

struct Lab {
    env: Env,
    id: String,
    runs: bool,
}

impl Lab {
    fn new(runs: bool) -> Lab {
        let env = Env::new();
        let words: &[&str] = if runs { &["run", "-d"] } else { &["create"] };
        let rest = ["--name", "c", "-m", "64m", "--pids-limit", "100", "host", "sleep", "1000"];
        let id = env.tinyd(words.iter().chain(&rest).copied()).ok().text();
        Lab { env, id, runs }
    }

    fn update(&self) -> Cmd {
        self.env.cmd(["update", "-m", "96m", "--pids-limit", "200", "c"]).limit(DEADLINE)
    }

    /// Back to the beginning.
    fn reset(&self) {
        self.env.tinyd(["update", "-m", "64m", "--pids-limit", "100", "c"]).ok();
    }

    /// What each place says, the next command having been there.
    fn limits(&self) -> Vec<(&'static str, (u64, i64))> {
        let listed = self.env.tinyd(["ps", "-a"]).ok();
        assert!(listed.stdout().contains(" c\n"), "{listed}");
        let folder = self.env.root().join("containers").join(&self.id);
        let json =
            |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
        let pair = |memory: &Value, pids: &Value| (memory.as_u64().unwrap(), pids.as_i64().unwrap());
        let record = json("container.json")["spec"]["resources"].take();
        let bundle = json("config.json")["linux"]["resources"].take();
        let seen = self.env.tinyd(["inspect", "c"]).ok().json()[0]["HostConfig"].take();
        let mut found = vec![
            ("record", pair(&record["memory"], &record["pids"])),
            ("bundle", pair(&bundle["memory"]["limit"], &bundle["pids"]["limit"])),
            ("inspect", pair(&seen["Memory"], &seen["PidsLimit"])),
        ];
        if self.runs {
            let v2 = cgroups::hierarchy_of("memory").unwrap().v2;
            let file = if v2 { "memory.max" } else { "memory.limit_in_bytes" };
            let number = |controller, file| cgroups::value(&self.id, controller, file).unwrap();
            let memory = number("memory", file).parse().unwrap();
            found.push(("kernel", (memory, number("pids", "pids.max").parse().unwrap())));
        }
        found
    }

    /// The calls of an update that goes well.
    fn points(&self) -> Vec<Point> {
        let traced = tracer::trace(&self.update(), None, true);
        assert_eq!(traced.output.code(), Some(0), "{}", traced.output);
        assert!(self.limits().iter().all(|(_, found)| *found == NEW), "{:?}", self.limits());
        self.reset();
        traced.points
    }

    /// A complaint, if there is one.
    fn try_point(&self, point: Point, fault: Fault) -> Option<String> {
        let traced = tracer::trace(&self.update(), Some((point, fault)), true);
        let found = self.limits();
        let first = found[0].1;
        let same = found.iter().all(|(_, limits)| *limits == first) && [OLD, NEW].contains(&first);
        // What was acknowledged holds.
        let kept = traced.output.code() != Some(0) || first == NEW;
        // A failure that was told is none that half holds. (The end of the record of the work is past the work itself, and so
        // is the answer.)
        let told = fault == Fault::Kill || traced.output.code() == Some(0) || first == OLD || {
            let unlinked = traced.fault_was(point.role, "unlink") || traced.fault_was(point.role, "unlinkat");
            unlinked || traced.output.stderr().contains("standard output")
        };
        let intents: Vec<_> = fs::read_dir(self.env.run_root().join("intents")).unwrap().collect();
        let wrong = traced.hung || !same || !kept || !told || !intents.is_empty();
        let complaint = wrong.then(|| {
            format!("{point}: {found:?}, hung: {}, intents: {intents:?}, {}", traced.hung, traced.output)
        });
        self.reset();
        complaint
    }
}

fn sweep(runs: bool, fault: Fault, choose: impl Fn(Vec<Point>) -> Vec<Point>) {
    let lab = Lab::new(runs);
    let points = choose(lab.points());
    println!("{} points", points.len());
    assert!(points.len() > 4, "{points:?}");
    let complaints: Vec<_> = points.into_iter().filter_map(|point| lab.try_point(point, fault)).collect();
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    // It is a container like any other still.
    lab.env.tinyd(["rm", "-f", "c"]).ok();
    lab.env.assert_clean();
}

fn effects(points: Vec<Point>) -> Vec<Point> {
    let acts = |point: &Point| tracer::name(point.number).is_some_and(|name| EFFECTS.contains(&name));
    points.into_iter().filter(acts).collect()
}

#[test]
fn one_of_a_running_container_may_be_killed_at_every_effect() {
    require!(root);
    require!(controller "memory");
    sweep(true, Fault::Kill, effects);
}

#[test]
fn one_of_a_container_that_stands_still_may_be_killed_at_every_effect() {
    require!(root);
    require!(controller "memory");
    sweep(false, Fault::Kill, effects);
}

#[test]
fn one_of_a_running_container_may_fail_anywhere() {
    require!(root);
    require!(controller "memory");
    sweep(true, FAIL, |points| Dice::new().pick(points, 24));
}

#[test]
#[ignore = "takes minutes: every call of an update"]
fn an_update_may_be_killed_at_every_call() {
    require!(root);
    sweep(true, Fault::Kill, |points| points);
}

#[test]
#[ignore = "takes minutes: every call of an update"]
fn every_call_of_an_update_may_fail() {
    require!(root);
    sweep(true, FAIL, |points| points);
}
