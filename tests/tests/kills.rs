//! `kill -9` of the client, of the monitor, and of both, at fifty moments each of `run`, `stop` and `rm`, spread over every
//! stage of them. After the next command nothing is there without an owner, and no exit code was invented.
//!
//! A good run of each verb is traced first; then, command after command, the victims are killed at one of the calls that it
//! showed. The seed and how many fell in which stage are printed. (A start whose single calls fail: `faults.rs`.)
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows where it killed"
)]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use tinyd_tests::kill::monitor_of;
use tinyd_tests::tracer::{self, Fault, Point, Role, Traced};
use tinyd_tests::{Cmd, Dice, Env, leak, require, roots, wait_until};

/// How many moments a victim is killed at.
const MOMENTS: usize = 50;
/// How long a command may take, whoever is killed.
const DEADLINE: Duration = Duration::from_secs(20);

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// A verb that is cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    /// In the foreground, of a command that ends with 42.
    Run,
    /// The same of one that removes itself.
    Once,
    /// Of a command that ends with 7 when it is asked to.
    Stop,
    /// By force, of a command that goes on for ever.
    Remove,
}

const VERBS: [Verb; 4] = [Verb::Run, Verb::Once, Verb::Stop, Verb::Remove];

impl Verb {
    fn is_run(self) -> bool {
        matches!(self, Verb::Run | Verb::Once)
    }

    fn words(self) -> Vec<String> {
        let image = image();
        let words: &[&str] = match self {
            Verb::Run => &["run", "--name", "c", &image, "sh", "-c", "exit 42"],
            Verb::Once => &["run", "--rm", "--name", "c", &image, "sh", "-c", "exit 42"],
            Verb::Stop => &["stop", "-t", "15", "c"],
            Verb::Remove => &["rm", "-f", "c"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// What may be said of the container afterwards: it is as it was, or its true end, or that nobody knows; nothing at all
    /// when it was taken back or removed.
    fn allows(self, status: &str) -> bool {
        let unknown = status == "c STOPPED (unknown)" && self != Verb::Once;
        let true_ends: &[&str] = match self {
            Verb::Run => &["", "c STOPPED (42)"],
            Verb::Once => &[""],
            Verb::Stop => &["c RUNNING", "c STOPPED (7)"],
            Verb::Remove => &["", "c RUNNING", "c STOPPED (137)"],
        };
        true_ends.contains(&status) || unknown
    }

    /// What must be so when the client says that all went well.
    fn agrees(self, traced: &Traced, status: &str) -> bool {
        match (self, traced.output.code()) {
            (Verb::Run, Some(42)) => status == "c STOPPED (42)",
            (Verb::Once, Some(42)) => true,
            (Verb::Stop, Some(0)) => status != "c RUNNING",
            (Verb::Remove, Some(0)) => status.is_empty(),
            // A run that fails has one code for that.
            (Verb::Run | Verb::Once, Some(code)) => code == 125,
            (_, Some(code)) => code == 1,
            (_, None) => traced.output.signal() == Some(9),
        }
    }
}

/// The surroundings of many commands. They are made anew when one has left something.
struct Lab {
    env: Env,
    complaints: Vec<String>,
    /// How many fell where.
    table: BTreeMap<(Verb, &'static str), usize>,
}

impl Lab {
    fn new() -> Lab {
        Lab { env: Lab::env(), complaints: Vec::new(), table: BTreeMap::new() }
    }

    fn env() -> Env {
        let env = Env::new();
        // What is made once for all is not part of a run.
        env.tinyd(["run", "--rm", &image(), "true"]).ok();
        env
    }

    /// Runs a verb to its end or to the moment of the kill.
    fn trace(&self, verb: Verb, fault: Option<(Point, Fault)>) -> Traced {
        let command: Cmd = self.env.cmd(verb.words()).limit(DEADLINE);
        if verb.is_run() {
            return tracer::trace(&command, fault, true);
        }
        let text = "trap 'exit 7' TERM; echo up; while :; do sleep 0.02; done";
        let image = image();
        let id = self.env.tinyd(["run", "-d", "--name", "c", &image, "sh", "-c", text]).ok().text();
        let log = self.env.root().join("containers").join(id).join("logs/output.log");
        wait_until("its trap is set", || fs::read_to_string(&log).is_ok_and(|text| text.contains("up")));
        tracer::trace_with_monitor(&command, monitor_of(&self.env, "c"), fault)
    }

    /// The calls of a good run, each with its stage.
    fn stages(&mut self, verb: Verb) -> BTreeMap<&'static str, Vec<Point>> {
        let traced = self.trace(verb, None);
        assert!(verb.agrees(&traced, &self.status()) && !traced.hung, "{}", traced.output);
        self.clean_up();
        let mut stages = BTreeMap::<_, Vec<Point>>::new();
        for (place, point) in traced.points.iter().enumerate() {
            stages.entry(stage(verb, &traced, place)).or_default().push(*point);
        }
        stages
    }

    fn status(&self) -> String {
        self.env.tinyd(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok().text()
    }

    /// Removes what is meant to be there; what else is left is a complaint.
    fn clean_up(&mut self) -> Option<String> {
        for id in self.env.containers() {
            self.env.tinyd(["rm", "-f", &id]);
        }
        let left = self.env.leaks_within(Duration::from_secs(3));
        if left.is_empty() {
            return None;
        }
        let old = std::mem::replace(&mut self.env, Lab::env());
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(old)));
        Some(leak::describe(&left))
    }

    fn cut_short(&mut self, verb: Verb, stage: &'static str, point: Point, victims: &'static [Role]) {
        let traced = self.trace(verb, Some((point, Fault::KillRoles(victims))));
        if traced.met.is_some() {
            *self.table.entry((verb, stage)).or_default() += 1;
        }
        let mut wrong = Vec::new();
        if traced.hung {
            wrong.push("it hung".to_owned());
        }
        // The next command. A command that ends by itself may be on its way.
        let mut status = self.status();
        if verb.is_run() && status == "c RUNNING" {
            self.env.tinyd(["wait", "c"]);
            status = self.status();
        }
        if !verb.allows(&status) || !verb.agrees(&traced, &status) {
            wrong.push(format!("{}: afterwards {status:?}", traced.output));
        }
        if status.is_empty() {
            let left = self.env.leaks_within(Duration::from_secs(3));
            if !left.is_empty() {
                wrong.push(format!("left behind after the next command:\n{}", leak::describe(&left)));
            }
        } else if status == "c RUNNING" {
            self.env.tinyd(["stop", "-t", "15", "c"]);
            // Whoever watches over it now was there before its end.
            let ended = self.status();
            let killed = verb == Verb::Remove && ended == "c STOPPED (137)";
            if ended != "c STOPPED (7)" && !killed {
                wrong.push(format!("stopped, it is {ended:?}"));
            }
        }
        if let Some(left) = self.clean_up() {
            wrong.push(format!("left behind:\n{left}"));
        }
        if !wrong.is_empty() {
            self.complaints.push(format!("{verb:?}, {stage}, at {point}: {}", wrong.join("; ")));
        }
    }
}

/// What is going on at the call with this place.
fn stage(verb: Verb, traced: &Traced, place: usize) -> &'static str {
    let first = |role: Role, call: Option<&str>| {
        let is_it = |point: &Point| {
            point.role == role && call.is_none_or(|call| tracer::name(point.number) == Some(call))
        };
        traced.points.iter().position(is_it).unwrap_or(usize::MAX)
    };
    let last_of_monitor = traced.points.iter().rposition(|point| point.role == Role::Monitor).unwrap_or(0);
    let ended = first(Role::Monitor, Some("waitid"));
    match (verb.is_run(), traced.points[place].role) {
        (true, Role::Client) if place < first(Role::Launcher, None) => "the client prepares",
        (true, Role::Client) if place < traced.before_command => "the client waits for the start",
        (true, Role::Client) => "the client stays with the command",
        (_, Role::Launcher) => "the launcher",
        (_, Role::Init) => "the first process makes ready",
        (true, Role::Monitor) if place < first(Role::Init, None) => "the monitor makes ready",
        (true, Role::Monitor) if place < traced.before_command => "the monitor starts the command",
        (_, Role::Monitor) if place < ended => "the monitor watches",
        (_, Role::Monitor) => "the monitor cleans up",
        (_, Role::Client) if place < first(Role::Client, Some("pidfd_send_signal")) => {
            "the client looks for it"
        }
        (_, Role::Client) if place < last_of_monitor => "the client waits for its end",
        (_, Role::Client) => "the client finishes",
        (_, Role::Daemon | Role::Other) => "helpers",
    }
}

/// Where there is no monitor yet, none can be killed.
fn has_monitor(stage: &str) -> bool {
    !matches!(stage, "the client prepares" | "the launcher")
}

fn campaign(victims: &'static [Role], moments: usize) {
    let mut dice = Dice::new();
    let mut lab = Lab::new();
    let needs_monitor = victims == [Role::Monitor];
    let mut wanted = Vec::new();
    for (turn, verb) in VERBS.into_iter().enumerate() {
        let mut stages = lab.stages(verb);
        stages.retain(|stage, _| !needs_monitor || has_monitor(stage));
        let share = (moments + turn) / VERBS.len();
        assert!(stages.len() <= share, "not every stage is met: {:?}", stages.keys());
        for (stage, points) in stages.iter().cycle().take(share) {
            wanted.push((verb, *stage, points[dice.below(points.len())]));
        }
    }
    for (verb, stage, point) in dice.pick(wanted.clone(), moments) {
        lab.cut_short(verb, stage, point, victims);
    }
    for ((verb, stage), count) in &lab.table {
        println!("{count:>4} x {verb:?}: {stage}");
    }
    let met: usize = lab.table.values().sum();
    assert!(lab.complaints.is_empty(), "{} complaints:\n{}", lab.complaints.len(), lab.complaints.join("\n"));
    assert_eq!(wanted.len(), moments);
    // Which calls are made depends on who is faster, for a few.
    assert!(met >= moments * 8 / 10, "only {met} of {moments} moments were met");
    lab.env.assert_checked();
}

#[test]
fn of_the_client() {
    require!(root);
    require!(program);
    campaign(&[Role::Client], MOMENTS);
}

/// F2.
#[test]
fn of_the_monitor() {
    require!(root);
    require!(program);
    campaign(&[Role::Monitor], MOMENTS);
}

/// F3.
#[test]
fn of_both() {
    require!(root);
    require!(program);
    campaign(&[Role::Client, Role::Monitor], MOMENTS);
}

/// F2, F3: as many as the plan of tests asks for, and more.
#[test]
#[ignore = "takes minutes: 900 kills"]
fn soak_of_each_at_three_hundred_moments() {
    require!(root);
    campaign(&[Role::Client], 300);
    campaign(&[Role::Monitor], 300);
    campaign(&[Role::Client, Role::Monitor], 300);
}
