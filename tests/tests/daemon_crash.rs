//! `kill -9` of the daemon, its replacement and its end, while others work through it: containers go on, exits are known, and
//! nothing is left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows how long a daemon took to come back"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tinyd_tests::ground::{self, Ground};
use tinyd_tests::kill::{await_new_monitor, kill, let_end, monitor_of};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Dice, Env, Output, crowd, paths, proc, require, roots, wait_until};

/// How long one of a client's commands may take, whatever befalls the daemon.
const LIMIT: Duration = Duration::from_secs(30);
/// So many are started and ended at the same time.
const AT_A_TIME: usize = 4;
/// The range of the network that they come onto and leave.
const RANGE: &str = "10.77.0.0/24";
/// The port of the first container that lasts.
const FIRST_PORT: u16 = 9000;
/// Ends with 42 when it is let.
const LASTS: &str = "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 42";

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn init(env: &Env, name: &str) -> i32 {
    let seen = env.tinyd(["inspect", "--format", "{{.State.Pid}}", name]).ok().text();
    seen.parse().unwrap()
}

fn start_lasting(env: &Env, names: &[String]) -> BTreeMap<String, i32> {
    let started = Mutex::new(BTreeMap::new());
    let wrong = crowd(AT_A_TIME, names.len(), |number| {
        let name = &names[number];
        env.tinyd(["run", "-d", "--name", name, &image(), "sh", "-c", LASTS]).ok();
        started.lock().unwrap().insert(name.clone(), init(env, name));
        Ok(())
    });
    assert_eq!(wrong, [""; 0]);
    started.into_inner().unwrap()
}

/// The same on a network, each with a server at its own port of the host.
fn start_serving(env: &Env, names: &[String]) -> BTreeMap<String, i32> {
    let script = format!("echo hello > /tmp/index.html; httpd -p 80 -h /tmp; {LASTS}");
    let started = names.iter().zip(FIRST_PORT..).map(|(name, port)| {
        ground::start(env, &["--name", name, "--net", "web", "-p", &format!("{port}:80")], &script);
        (name.clone(), init(env, name))
    });
    started.collect()
}

/// They are reached from outside, and by each other's names.
#[track_caller]
fn assert_reached(ground: &Ground, env: &Env, names: &[String]) {
    for (name, port) in names.iter().zip(FIRST_PORT..) {
        wait_until(&format!("{name} answers"), || {
            ground::fetch(&ground.outside, ground::HOST, port).as_deref() == Some("hello\n")
        });
        let said = ground::inside(env, &names[0], &format!("timeout 5 wget -qO- http://{name}/"));
        assert_eq!(said, "hello", "{name}");
    }
}

/// They are the same processes as at the start, and end as they should.
#[track_caller]
fn assert_untouched(env: &Env, lasting: &BTreeMap<String, i32>) {
    let lasting: Vec<_> = lasting.iter().collect();
    let wrong = crowd(AT_A_TIME, lasting.len(), |number| {
        let (name, pid) = lasting[number];
        let (is_alive, now) = (proc::is_alive(*pid), init(env, name));
        let_end(env, name);
        let code = env.tinyd(["wait", name]).ok().text();
        env.tinyd(["rm", name]).ok();
        match (is_alive, now == *pid, &*code) {
            (true, true, "42") => Ok(()),
            found => Err(format!("{name}: {found:?}")),
        }
    });
    assert_eq!(wrong, [""; 0]);
}

/// What a client may be told: what it asked for, or in words that this could not be done.
fn judge(output: &Output, wanted: i32) -> Result<bool, String> {
    match output.code() {
        Some(code) if code == wanted => Ok(true),
        Some(1 | 125) if !output.stderr().is_empty() => Ok(false),
        _ => Err(format!("wanted {wanted}: {output}")),
    }
}

/// One client's work with a number of its own; whether it left a container of which it knows that it is removed.
fn work(env: &Env, number: usize, lasting: &str) -> Result<bool, String> {
    let code = i32::try_from(number % 90 + 10).unwrap();
    let script = format!("exit {code}");
    let told = |words: &[&str]| env.cmd(words.iter().copied()).limit(LIMIT).output();
    let run = |words: &[&str]| {
        let (image, port) = (image(), format!("{}:80", 10_000 + number % 20_000));
        // Of three clients, two come onto a network.
        let network: &[&str] = if number % 9 < 3 { &[] } else { &["--net", "web", "-p", &port] };
        told(&[&["run"], words, network, &[&image, "sh", "-c", &script]].concat())
    };
    match number % 3 {
        0 => judge(&run(&["--rm"]), code).map(|_| false),
        1 => judge(&told(&["exec", lasting, "sh", "-c", &script]), code).map(|_| false),
        _ => {
            let name = format!("d{number}");
            let started = judge(&run(&["-d", "--name", &name]), 0)?;
            let waited = told(&["wait", &name]);
            // A run that nobody was told of is taken back, which kills what has begun.
            let is_right = |text: &str| text == code.to_string() || (!started && text == "137");
            if waited.code() == Some(0) && !is_right(&waited.text()) {
                return Err(format!("{name} was to end with {code}: {waited}"));
            }
            if started && waited.code() != Some(0) && waited.stderr().is_empty() {
                return Err(format!("nobody says why: {waited}"));
            }
            // What is left where the daemon was killed over this is looked at in the end.
            judge(&told(&["rm", "-f", &name]), 0)
        }
    }
}

/// Ends the clients' work, also where this test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The network namespaces that a process holds open.
fn namespaces(pid: i32) -> BTreeSet<String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
    let names = targets.map(|target| target.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("net:[")).collect()
}

/// A storm of so many clients, in which the daemon is killed so often.
fn campaign(clients: usize, kills: usize) {
    require!(root);
    require!(command "nft");
    Ground::stand(|ground, env| storm(ground, env, clients, kills));
}

fn storm(ground: &Ground, env: &Env, clients: usize, kills: usize) {
    ground::network(env, "web", &[RANGE], &[]);
    let (mut dice, over, next) = (Dice::new(), AtomicBool::new(false), AtomicUsize::new(0));
    let names: Vec<_> = (0..3).map(|number| format!("lasting{number}")).collect();
    let lasting = start_serving(env, &names);
    assert_reached(ground, env, &names);
    let (held, links, rules) = (ground::held(env), ground.ports(), ground.rules());
    let (wrong, removed) = (Mutex::new(Vec::new()), Mutex::new(BTreeSet::new()));
    let mut took = Vec::new();
    let last = std::thread::scope(|scope| {
        let begin = || {
            let before = Instant::now();
            let daemon = Daemon::start(env, &[]);
            (daemon, before.elapsed())
        };
        let _over = Over(&over);
        let (mut daemon, _) = begin();
        for _ in 0..clients {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    match work(env, number, &names[number / 3 % names.len()]) {
                        Ok(true) => drop(removed.lock().unwrap().insert(number)),
                        Ok(false) => {}
                        Err(complaint) => wrong.lock().unwrap().push(complaint),
                    }
                }
            });
        }
        for _ in 0..kills {
            std::thread::sleep(Duration::from_millis(dice.below(400) as u64));
            daemon.signal(Signal::KILL);
            assert_eq!(daemon.wait().signal(), Some(9));
            let (again, time) = begin();
            daemon = again;
            took.push(time);
        }
        daemon
    });
    took.sort();
    let [half, most] = [took[took.len() / 2], took[took.len() - 1]];
    println!(
        "{} commands, {kills} kills; ready again in {half:?}, {most:?} at most",
        next.load(Ordering::Relaxed)
    );
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} are wrong, the first:\n{}", wrong.len(), wrong[0]);
    assert!(took[took.len() / 2] < Duration::from_secs(1), "{took:?}");
    assert!(took[took.len() - 1] < Duration::from_secs(5), "{took:?}");

    // What was being removed, or was started for somebody who was cut off, has come to its end, and with the right code.
    let left = || {
        let words = ["ps", "-a", "--format", "{{.Names}} {{.Status}}"];
        let all = env.tinyd(words).ok().stdout();
        all.lines().filter(|line| !line.starts_with("lasting")).map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until("nothing else runs", || left().iter().all(|line| !line.contains("RUNNING")));
    for line in left() {
        let name = line.split(' ').next().unwrap();
        let state = env.tinyd(["inspect", name]).ok().json()[0]["State"].take();
        let number: usize = name.strip_prefix('d').unwrap_or_else(|| panic!("{line}")).parse().unwrap();
        // A run that was cut off is taken back or goes on to its end, a removal goes on: nothing is in between, and what somebody
        // was told to be gone is gone.
        assert!(!removed.lock().unwrap().contains(&number), "{line} was removed: {state}");
        let code = state["ExitCode"].as_u64().unwrap();
        let right = state["Status"] == "exited" && code == (number % 90 + 10) as u64;
        assert!(right && state["ExitUnknown"] != true, "{line}: {state}");
        env.tinyd(["rm", "-f", name]).ok();
    }
    let mut listed: Vec<_> =
        env.tinyd(["ps", "--format", "{{.Names}}"]).ok().stdout().lines().map(str::to_owned).collect();
    listed.sort();
    assert_eq!(listed, names);
    // Of networks there is what those have who are left, and they are reached as before.
    assert_eq!(ground::held(env), held);
    // The kernel takes a namespace's links away when it has time.
    wait_until("the links of the others are gone", || ground.ports() == links);
    assert_eq!(ground.rules(), rules);
    assert_eq!(namespaces(last.pid()), BTreeSet::new(), "of the daemon");
    assert_reached(ground, env, &names);
    assert_untouched(env, &lasting);
    last.stop().ok();
    assert!(!env.run_root().join("tinyd.sock").exists());
    ground.holds_nothing(env);
    env.tinyd(["network", "rm", "web"]).ok();
    env.assert_clean();
    env.assert_checked();
}

/// F1, F3.
#[test]
fn f1_the_daemon_is_killed_at_random_moments_of_a_storm() {
    campaign(4, 12);
}

/// F1.
#[test]
#[ignore = "takes minutes: 200 kills"]
fn soak_f1_the_daemon_is_killed_two_hundred_times() {
    campaign(50, 200);
}

/// F2: the monitor is killed while a daemon lives, which gives the container a new one when it is asked next.
#[test]
fn f2_a_monitor_that_is_killed_is_replaced_by_the_daemon() {
    require!(root);
    require!(program);
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    let lasting = start_lasting(&env, &["c".to_owned()]);
    for _ in 0..3 {
        let killed = monitor_of(&env, "c");
        kill(killed);
        await_new_monitor(&env, "c", killed);
    }
    assert_untouched(&env, &lasting);
    // Killed in the same moment as the daemon.
    let lasting = start_lasting(&env, &["c".to_owned()]);
    daemon.signal(Signal::KILL);
    let killed = monitor_of(&env, "c");
    kill(killed);
    daemon.wait();
    let next = Daemon::start(&env, &[]);
    // Nobody asks: the daemon has seen it itself.
    await_new_monitor(&env, "c", killed);
    assert_untouched(&env, &lasting);
    next.stop().ok();
    env.assert_clean();
}

/// F3: both are killed at one moment, and the next daemon has everything in order.
fn both_at_once(kills: usize) {
    let env = Env::new();
    let names: Vec<_> = (0..3).map(|number| format!("c{number}")).collect();
    let lasting = start_lasting(&env, &names);
    let mut took = Vec::new();
    let mut daemon = Daemon::start(&env, &["--live-restore"]);
    for number in 0..kills {
        let name = &names[number % names.len()];
        let killed = monitor_of(&env, name);
        match number % 2 {
            0 => {
                daemon.signal(Signal::KILL);
                kill(killed);
            }
            _ => {
                kill(killed);
                daemon.signal(Signal::KILL);
            }
        }
        daemon.wait();
        let before = Instant::now();
        daemon = Daemon::start(&env, &["--live-restore"]);
        took.push(before.elapsed());
        await_new_monitor(&env, name, killed);
        let mut listed: Vec<_> = env
            .tinyd(["ps", "-a", "--format", "{{.Names}}"])
            .ok()
            .stdout()
            .lines()
            .map(str::to_owned)
            .collect();
        listed.sort();
        assert_eq!(listed, names, "after {number} kills");
        assert!(lasting.iter().all(|(name, pid)| init(&env, name) == *pid), "after {number} kills");
    }
    took.sort();
    println!("{kills} kills; ready again in {:?}, {:?} at most", took[took.len() / 2], took[took.len() - 1]);
    assert_untouched(&env, &lasting);
    daemon.stop().ok();
    env.assert_clean();
    env.assert_checked();
}

#[test]
fn f3_daemon_and_monitor_are_killed_at_once() {
    require!(root);
    require!(program);
    both_at_once(6);
}

#[test]
#[ignore = "takes a minute: a hundred kills"]
fn soak_f3_daemon_and_monitor_are_killed_at_once_a_hundred_times() {
    require!(root);
    require!(program);
    both_at_once(100);
}

/// F19: another build's daemon takes over.
#[test]
fn f19_another_build_takes_over_and_no_container_notices() {
    require!(root);
    let env = Env::new();
    let names: Vec<_> = (0..100).map(|number| format!("c{number}")).collect();
    let first = Daemon::start(&env, &["--live-restore"]);
    let lasting = start_lasting(&env, &names);
    let here = paths::tinyd();
    let folder = env.files().join("next");
    fs::create_dir(&folder).unwrap();
    for name in ["tinyd", "tinyd-runtime"] {
        fs::copy(here.with_file_name(name), folder.join(name)).unwrap();
    }
    let next = || {
        let (root, run_root) = (env.root(), env.run_root());
        let program = folder.join("tinyd");
        let places = ["--root", root.to_str().unwrap(), "--run-root", run_root.to_str().unwrap()];
        let daemon = ["daemon", "--web", "127.0.0.1:0", "--live-restore"];
        let words = [program.to_str().unwrap()].into_iter().chain(places).chain(daemon);
        Daemon::of(env.other(words).limit(Duration::from_secs(60)).spawn())
    };
    // In order, and by force.
    first.stop().ok();
    let second = next();
    assert_eq!(env.tinyd(["ps", "-q"]).ok().stdout().lines().count(), names.len());
    second.signal(Signal::KILL);
    second.wait();
    let third = next();
    let all = env.tinyd(["inspect"].into_iter().chain(names.iter().map(String::as_str))).ok().json();
    assert!(
        all.as_array().unwrap().iter().all(|one| one["RestartCount"] == 0 && one["State"]["Running"] == true)
    );
    let shown = third.json("/api/containers");
    let running = shown["containers"].as_array().unwrap().iter().filter(|one| one["state"] == "RUNNING");
    assert_eq!(running.count(), names.len());
    third.stop().ok();
    // And back.
    let last = Daemon::start(&env, &["--live-restore"]);
    assert_untouched(&env, &lasting);
    last.stop().ok();
    env.assert_clean();
}

/// F22: whoever is impatient leaves no rule and no link either.
#[test]
fn f22_signals_in_the_middle_of_the_end_leave_nothing_of_networks() {
    require!(root);
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        for moment in [0, 10, 30, 60, 120] {
            let daemon = Daemon::start(env, &[]);
            let image = image();
            for port in ["8080:80", "8081:80", "8082:80", "8083:80"] {
                let script = "trap 'exit 3' TERM; while :; do sleep 0.02; done";
                env.tinyd(["run", "-d", "--net", "web", "-p", port, &image, "sh", "-c", script]).ok();
            }
            assert_eq!(ground.ports().len(), 4);
            // (A bridge's name may have the digits alone, too.)
            let are_open = |rules: &str| rules.contains("tcp . 808");
            assert!(are_open(&ground.rules()));
            daemon.signal(Signal::TERM);
            for _ in 0..2 {
                std::thread::sleep(Duration::from_millis(moment));
                // It may have ended by now.
                if proc::is_alive(daemon.pid()) {
                    daemon.signal(Signal::TERM);
                }
            }
            daemon.wait().ok();
            ground.holds_nothing(env);
            let rules = ground.rules();
            assert!(!are_open(&rules), "after {moment} ms: {rules}");
            assert_eq!(env.tinyd(["ps", "-q"]).ok().stdout(), "");
            for id in env.tinyd(["ps", "-aq"]).ok().stdout().lines() {
                let code = env.tinyd(["inspect", "--format", "{{.State.ExitCode}}", id]).ok().text();
                assert!(["3", "137", "143"].contains(&code.as_str()), "{code}");
                env.tinyd(["rm", id]).ok();
            }
            env.assert_checked();
        }
    });
}

/// F22: of those who take networks down themselves. What a signal cuts off the next command goes on with.
#[test]
fn f22_signals_to_rm_and_network_rm_leave_nothing_of_networks() {
    require!(root);
    Ground::stand(|ground, env| {
        let (image, mut cut) = (image(), 0);
        let mut interrupted = |words: &[&str], moment: u64, signal: Signal| {
            let mut command = env.cmd(words.iter().copied()).spawn();
            std::thread::sleep(Duration::from_millis(moment));
            // Twice, as the impatient do; it may have ended by now.
            for _ in 0..2 {
                if !command.has_ended() {
                    command.signal(signal);
                    cut += 1;
                }
            }
            command.wait()
        };
        for moment in [1, 2, 4, 6, 8, 10, 14, 20, 30] {
            for signal in [Signal::TERM, Signal::INT] {
                ground::network(env, "web", &["10.77.0.0/24"], &[]);
                let run =
                    ["run", "-d", "--net", "web", "--name", "c", "-p", "8080:80", &image, "sleep", "1000"];
                env.tinyd(run).ok();
                interrupted(&["rm", "-f", "c"], moment, signal);
                // Gone on with, or never begun.
                if env.tinyd(["ps", "-aq"]).ok().text() != "" {
                    let status = env.tinyd(["inspect", "--format", "{{.State.Status}}", "c"]).ok().text();
                    assert!(["running", "exited"].contains(&status.as_str()), "after {moment} ms: {status}");
                    env.tinyd(["rm", "-f", "c"]).ok();
                }
                wait_until("no port is published", || ground.ports().is_empty());
                interrupted(&["network", "rm", "web"], moment, signal);
                if env.tinyd(["network", "inspect", "web"]).code() == Some(0) {
                    env.tinyd(["network", "rm", "web"]).ok();
                }
                ground.holds_nothing(env);
                let rules = ground.rules();
                assert!(!rules.contains("8080") && !rules.contains("10.77"), "after {moment} ms: {rules}");
                env.assert_checked();
            }
        }
        assert!(cut > 0, "no command was there to be cut off");
    });
}
