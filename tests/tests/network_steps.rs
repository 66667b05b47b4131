//! At whichever step of coming onto networks or leaving them the client, the daemon, the launcher or the monitor is killed: after the next
//! command nothing of a network is there that nobody has, and who was there before is reached as before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what was met"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use tinyd_tests::ground::{self, Ground, HOST, SERVER, fetch, held, start};
use tinyd_tests::tracer::{self, Fault, Point, Role};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Cmd, Dice, Env, eventually, kill, require, wait_until};

/// What changes something on the disk, in the kernel's tables, or for another process.
const EFFECTS: [&str; 14] = [
    "sendto",
    "sendmsg",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "symlink",
    "openat",
    "write",
    "setns",
    "ftruncate",
];

/// The container that comes and goes. Where it is gone, its name must not be the beginning of the other one's id.
const NEW: &str = "guest";

/// Two networks, and a container `db` on the first, to which port 8090 leads.
struct Lab<'a> {
    ground: &'a Ground,
    env: &'a Env,
    alone: (Vec<String>, Vec<String>),
    rules: String,
}

impl<'a> Lab<'a> {
    fn new(ground: &'a Ground, env: &'a Env) -> Lab<'a> {
        ground::network(env, "web", &["10.77.0.0/24", "fd00:77::/64"], &[]);
        ground::network(env, "back", &["10.78.0.0/24"], &[]);
        start(env, &["--net", "web", "--name", "db", "-p", "8090:80"], SERVER);
        wait_until("the other one is reached", || fetch(&ground.outside, HOST, 8090).is_some());
        // The second network's bridge is made with its first container.
        ground::say(env, &["--net", "back"], "true");
        let mut lab = Lab { ground, env, alone: Default::default(), rules: String::new() };
        wait_until("its end is done with", || ground.ports().len() == 1);
        (lab.alone, lab.rules) = ((held(env), ground.ports()), ground.rules());
        lab
    }

    /// The exit code of [`NEW`], which has ended.
    fn code(&self) -> i64 {
        let state = self.env.tinyd(["inspect", NEW]).ok().json()[0]["State"].take();
        assert!(state["ExitUnknown"] != true, "{state}");
        state["ExitCode"].as_i64().unwrap()
    }

    fn start(&self) -> Cmd {
        let image = ground::image();
        let words = ["run", "-d", "--name", NEW, "--net", "web", "--net", "back", "-p", "8080:80", &image];
        self.env.cmd(words.iter().copied().chain(["sh", "-c", SERVER]))
    }

    /// How [`NEW`] stands, where there is such a container.
    fn state(&self) -> Option<String> {
        let listed = self.env.tinyd(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok().stdout();
        let of_new = |line: &str| {
            line.split_once(' ').filter(|(name, _)| *name == NEW).map(|(_, state)| state.to_owned())
        };
        listed.lines().find_map(of_new)
    }

    /// What the next command finds, and leaves.
    fn look(&self, point: &Point) {
        // One that is about to end is reached no more.
        let mut state = self.state();
        wait_until(&format!("{point}: it is reached, or has ended"), || {
            let reached = fetch(&self.ground.outside, HOST, 8080).as_deref() == Some("hello\n");
            state = self.state();
            reached || state.as_deref() != Some("running")
        });
        if state.as_deref() == Some("running") {
            let asked = ["exec", NEW, "timeout", "5", "wget", "-qO-", "http://db/"];
            let said = self.env.tinyd(asked);
            assert!(said.text() == "hello" || self.state().as_deref() != Some("running"), "{point}: {said}");
        }
        // Its monitor may be at it already, for whoever began it is dead.
        wait_until(&format!("{point}: it is removed"), || {
            self.env.tinyd(["rm", "-f", NEW]);
            self.state().is_none()
        });
        let free = || (held(self.env) == self.alone.0).then_some(());
        let freed = eventually(Duration::from_secs(10), free);
        assert!(freed.is_some(), "{point}: {:?}\n{:?}", held(self.env), self.alone.0);
        // The kernel takes a namespace's links away when it has time.
        wait_until(&format!("{point}: links are gone"), || self.ground.ports() == self.alone.1);
        assert_eq!(self.ground.rules(), self.rules, "{point}");
        assert_eq!(fetch(&self.ground.outside, HOST, 8090).as_deref(), Some("hello\n"), "{point}");
    }

    fn end(self) {
        self.env.tinyd(["rm", "-f", "db"]).ok();
        self.ground.holds_nothing(self.env);
        self.env.assert_checked();
    }
}

/// Those with an effect, at most so many of them.
fn chosen(points: Vec<Point>, roles: &[Role], most: usize) -> Vec<Point> {
    let mut points: Vec<Point> = points;
    let has_effect = |point: &Point| tracer::name(point.number).is_some_and(|name| EFFECTS.contains(&name));
    points.retain(|point| roles.contains(&point.role) && has_effect(point));
    let all = points.len();
    let mut dice = Dice::new();
    while points.len() > most {
        points.swap_remove(dice.below(points.len()));
    }
    println!("{} of {all} steps", points.len());
    points
}

fn killed_while_it_comes(most: usize) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        let lab = Lab::new(ground, env);
        let traced = tracer::trace(&lab.start(), None, false);
        env.tinyd(["rm", "-f", NEW]).ok();
        let mut met = BTreeMap::<_, usize>::new();
        for point in chosen(traced.points, &[Role::Client, Role::Launcher, Role::Monitor], most) {
            let traced = tracer::trace(&lab.start(), Some((point, Fault::Kill)), false);
            *met.entry((point.role, traced.met.is_some())).or_default() += 1;
            lab.look(&point);
        }
        println!("{met:?}");
        let count = |role| met.get(&(role, true)).copied().unwrap_or_default();
        assert!(count(Role::Client) > most.min(40) / 4 && count(Role::Monitor) > 0, "{met:?}");
        lab.end();
    });
}

fn killed_while_it_goes(most: usize) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        let lab = Lab::new(ground, env);
        let begin = || {
            lab.start().output().ok();
            kill::monitor_of(env, NEW)
        };
        let mut met = 0;
        for words in [&["kill", NEW][..], &["rm", "-f", NEW]] {
            let command = env.cmd(words.iter().copied());
            let traced = tracer::trace_with_monitor(&command, begin(), None);
            lab.look(&traced.points[0]);
            for point in chosen(traced.points, &[Role::Client, Role::Monitor], most / 2) {
                let traced = tracer::trace_with_monitor(&command, begin(), Some((point, Fault::Kill)));
                met += usize::from(traced.met.is_some());
                lab.look(&point);
            }
        }
        println!("{met} were killed");
        assert!(met > most.min(40) / 4, "{met}");
        lab.end();
    });
}

/// What a client has a daemon do.
const WORK: [&[&str]; 3] = [&["run"], &["stop", "-t", "1", NEW], &["rm", "-f", NEW]];

/// The daemon dies while it works for a client, who is told so; the next one has all in order.
fn daemon_killed(most: usize) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        let lab = Lab::new(ground, env);
        let mut daemon = Daemon::start(env, &["--live-restore"]);
        let mut met = BTreeMap::<_, usize>::new();
        for words in WORK {
            let is_run = words == ["run"];
            let command = || if is_run { lab.start() } else { env.cmd(words.iter().copied()) };
            let begin = || {
                if !is_run {
                    lab.start().output().ok();
                }
            };
            begin();
            let watched = tracer::watch(daemon.pid(), None, || command().output());
            watched.result.ok();
            lab.look(&watched.points[0]);
            for point in chosen(watched.points, &[Role::Daemon], most / WORK.len()) {
                begin();
                let watched = tracer::watch(daemon.pid(), Some(point), || command().output());
                let said = watched.result;
                if !watched.met {
                    // Not each run has as many of all calls.
                    assert_eq!(said.code(), Some(0), "{point}: {said}");
                    daemon.signal(Signal::KILL);
                }
                assert_eq!(daemon.wait().signal(), Some(9), "{point}");
                *met.entry((words[0], watched.met)).or_default() += 1;
                let failed = [Some(1), Some(125)].contains(&said.code()) && !said.stderr().is_empty();
                assert!(said.code() == Some(0) || failed, "{point}: {said}");
                daemon = Daemon::start(env, &["--live-restore"]);
                // Whoever was told that it is done was told the truth.
                match (words[0], said.code(), lab.state().as_deref()) {
                    ("run", Some(0), Some("running")) | ("rm", Some(0), None) => {}
                    // A first process that does not listen to SIGTERM goes on until it is killed.
                    ("stop", Some(0), Some("exited")) => assert_eq!(lab.code(), 137, "{point}"),
                    (_, Some(0), state) => panic!("{point}: {state:?} after {said}"),
                    _ => {}
                }
                lab.look(&point);
            }
        }
        println!("{met:?}");
        for words in WORK {
            let count = met.get(&(words[0], true)).copied().unwrap_or_default();
            assert!(count > most.min(30) / 3 / 4, "{words:?}: {met:?}");
        }
        lab.end();
        daemon.stop().ok();
    });
}

#[test]
fn f1_a_daemon_that_is_killed_while_it_starts_stops_and_removes_leaves_nothing() {
    daemon_killed(30);
}

#[test]
#[ignore = "takes minutes: every step"]
fn soak_f1_a_daemon_is_killed_at_every_step_of_run_stop_and_rm() {
    daemon_killed(usize::MAX);
}

#[test]
fn whoever_is_killed_while_a_container_comes_onto_networks_leaves_nothing() {
    killed_while_it_comes(40);
}

#[test]
fn whoever_is_killed_while_a_container_leaves_its_networks_leaves_nothing() {
    killed_while_it_goes(40);
}

#[test]
#[ignore = "takes minutes: every step"]
fn soak_killed_at_every_step_onto_networks() {
    killed_while_it_comes(usize::MAX);
}

#[test]
#[ignore = "takes minutes: every step"]
fn soak_killed_at_every_step_off_networks() {
    killed_while_it_goes(usize::MAX);
}
