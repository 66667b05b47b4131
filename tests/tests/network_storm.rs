//! A storm of starts and stops on a bridged network, in which clients and monitors are killed at any moment: afterwards nothing of
//! a network is there that nobody has, and those that live on are reached as before.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what a storm met"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tinyd_tests::ground::{self, Ground, HOST, SERVER, fetch, held, say, start};
use tinyd_tests::{Dice, Env, Moments, crowd, eventually, kill, proc, require, wait_until};

/// So many start and stop at the same time.
const AT_A_TIME: usize = 4;

/// The first container's port on the host.
const FIRST: usize = 10_000;

/// What is killed at a moment.
#[derive(Clone, Copy, Debug)]
enum Victims {
    Client,
    Monitor,
    Both,
}

/// A moment of a storm: what is done to a container, when it is cut short, and who dies.
#[derive(Clone, Copy, Debug)]
struct Moment {
    verb: &'static str,
    after: Duration,
    victims: Victims,
}

/// The storm: each of the containers is started and then stopped or removed, and both is cut short.
struct Storm<'a> {
    ground: &'a Ground,
    env: &'a Env,
    /// How long a start takes when nobody cuts it short.
    takes: Duration,
    /// How many were still at it.
    met: AtomicUsize,
}

impl Storm<'_> {
    fn moments(&self, dice: &mut Dice, count: usize) -> Vec<[Moment; 2]> {
        let longest = usize::try_from(self.takes.as_micros()).unwrap();
        let mut moment = |verbs: &[&'static str], longest: usize| Moment {
            verb: verbs[dice.below(verbs.len())],
            after: Duration::from_micros(dice.below(longest) as u64),
            victims: [Victims::Client, Victims::Monitor, Victims::Both][dice.below(3)],
        };
        let ending = ["stop", "rm", "kill", "restart"];
        (0..count)
            .map(|_| [moment(&["run", "run --rm"], longest * 3 / 2), moment(&ending, longest)])
            .collect()
    }

    fn met(&self) -> usize {
        self.met.load(Ordering::Relaxed)
    }

    /// Does something to a container until the moment has come, and kills whom it is to meet.
    fn cut_short(&self, number: usize, moment: Moment) {
        let name = format!("c{number}");
        let publish = format!("{}:80", FIRST + number);
        let image = ground::image();
        let options = ["--name", &name, "--net", "web", "-p", &publish, &image, "sh", "-c", SERVER];
        let words = match moment.verb {
            "run" => [&["run", "-d"], &options[..]].concat(),
            "run --rm" => [&["run", "--rm", "-d"], &options[..]].concat(),
            "stop" => vec!["stop", "-t", "0", &name],
            "restart" => {
                self.env.tinyd(["stop", "-t", "0", &name]);
                vec!["start", &name]
            }
            "kill" => vec!["kill", &name],
            _ => vec!["rm", "-f", &name],
        };
        let mut client = self.env.cmd(words).spawn();
        std::thread::sleep(moment.after);
        let is_at_it = !client.has_ended();
        if matches!(moment.victims, Victims::Monitor | Victims::Both) {
            self.kill_monitor(&name);
        }
        if is_at_it && matches!(moment.victims, Victims::Client | Victims::Both) {
            client.signal(Signal::KILL);
        }
        self.met.fetch_add(usize::from(is_at_it), Ordering::Relaxed);
        let output = client.wait();
        // It may fail, or be killed, but it does not break.
        assert!(output.signal().is_none_or(|signal| signal == 9), "{output}");
        assert!(!output.stderr().contains("panicked"), "{output}");
    }

    /// Kills the monitor of a container, where it has one by now.
    fn kill_monitor(&self, name: &str) {
        let Ok(id) = fs::read_link(self.env.root().join("names").join(name)) else { return };
        let id = id.to_string_lossy().into_owned();
        let is_it = |pid: &i32| {
            let arguments = proc::arguments(*pid);
            arguments.iter().any(|word| word == "monitor") && arguments.contains(&id)
        };
        for pid in proc::all_pids().into_iter().filter(is_it) {
            let Ok(handle) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { continue };
            if is_it(&pid) {
                let _ = pidfd_send_signal(&handle, Signal::KILL);
            }
        }
    }

    /// What is there of networks and should not be, or is missing, given the containers that run.
    fn wrong(&self, running: &BTreeSet<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut held_by = BTreeMap::<String, Vec<String>>::new();
        for line in held(self.env) {
            let owner = line.rsplit_once(" of ").unwrap().1.to_owned();
            held_by.entry(owner).or_default().push(line);
        }
        for (owner, lines) in &held_by {
            if !running.contains(owner) {
                wrong.push(format!("held for nobody: {lines:?}"));
            }
        }
        for id in running {
            let lines = held_by.get(id).map_or(0, Vec::len);
            if lines != 3 {
                wrong.push(format!("{id} runs and holds {:?}", held_by.get(id)));
            }
        }
        let links = self.ground.ports();
        if links.len() != running.len() {
            wrong.push(format!("{} run, and the links are {links:?}", running.len()));
        }
        let rules = self.ground.rules();
        for (family, prefix) in [("4", "10.77.0."), ("6", "fd00:77::")] {
            let mut leases = BTreeSet::new();
            for lines in held_by.values() {
                let of_family = lines.iter().filter(|line| line.contains(prefix));
                leases.extend(of_family.filter_map(|line| line.split(' ').next()).map(str::to_owned));
            }
            let named: BTreeSet<String> = rules
                .split(|one: char| !(one.is_ascii_hexdigit() || ".:/".contains(one)))
                .filter(|word| word.starts_with(prefix) && !word.contains('/'))
                .map(|word| word.trim_end_matches([':', '.']).to_owned())
                .collect();
            for address in named.difference(&leases) {
                wrong.push(format!("rules of IPv{family} for {address}, which nobody has"));
            }
            for address in leases.difference(&named) {
                wrong.push(format!("no rules of IPv{family} for {address}"));
            }
        }
        wrong
    }
}

/// The ids of those that run.
fn running(env: &Env) -> BTreeSet<String> {
    env.tinyd(["ps", "-q", "--no-trunc"]).ok().stdout().lines().map(str::to_owned).collect()
}

/// Waits until whoever is still at work without a client has done what it does.
fn settle(env: &Env) {
    let mut last = (BTreeSet::new(), Instant::now());
    let quiet = || {
        let now: BTreeSet<_> = env.leaks_within(Duration::ZERO).into_iter().map(|item| item.what).collect();
        if now != last.0 {
            last = (now, Instant::now());
        }
        last.1.elapsed() > Duration::from_millis(500)
    };
    wait_until("all is quiet", quiet);
}

/// Of 100 kills, 50 and more containers are the victims.
fn storm(kills: usize) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24", "fd00:77::/64"], &[]);
        let mut dice = Dice::new();
        let began = Instant::now();
        start(env, &["--net", "web", "--name", "keeper", "-p", "9000:80"], SERVER);
        let storm = Storm { ground, env, takes: began.elapsed(), met: AtomicUsize::new(0) };
        start(env, &["--net", "web", "--name", "other", "-p", "9001:80"], SERVER);
        let moments = storm.moments(&mut dice, 3 * kills);
        let begun = AtomicUsize::new(0);
        let complaints = crowd(AT_A_TIME, moments.len(), |number| {
            if storm.met() < kills {
                begun.fetch_add(1, Ordering::Relaxed);
                moments[number].iter().for_each(|moment| storm.cut_short(number, *moment));
            }
            Ok(())
        });
        assert_eq!(complaints, Vec::<String>::new());
        let (met, begun) = (storm.met(), begun.into_inner());
        assert!(met >= kills && begun * 2 >= kills, "{met} were cut short, of {begun} containers");
        settle(env);
        // The next command, and what it started.
        let alive = running(env);
        let mut wrong = Vec::new();
        let clean = eventually(Duration::from_secs(5), || {
            wrong = storm.wrong(&alive);
            wrong.is_empty().then_some(())
        });
        assert!(clean.is_some(), "{}", wrong.join("\n"));
        // All that run are reached, from outside and by name.
        let names = env.tinyd(["ps", "--format", "{{.Names}}"]).ok().stdout();
        for name in names.lines() {
            let port = match name {
                "keeper" => 9000,
                "other" => 9001,
                name => u16::try_from(FIRST + name[1..].parse::<usize>().unwrap()).unwrap(),
            };
            wait_until(&format!("{name} answers"), || {
                fetch(&ground.outside, HOST, port).as_deref() == Some("hello\n")
            });
            let asked = format!("timeout 5 wget -qO- http://{name}/");
            assert_eq!(say(env, &["--net", "web"], &asked), "hello", "{name}");
        }
        println!("{met} of {} moments were met, {} containers run", 2 * begun, alive.len());
        for id in env.containers() {
            env.tinyd(["rm", "-f", &id]).ok();
        }
        ground.holds_nothing(env);
        env.assert_checked();
    });
}

#[test]
fn after_a_hundred_kills_nothing_of_a_network_is_without_an_owner() {
    storm(100);
}

#[test]
#[ignore = "takes minutes: 1,000 kills"]
fn soak_a_thousand_kills_on_a_network() {
    storm(1000);
}

/// What a container has of the network `back`: whether its record says that it is on it, and how many links, leases and names
/// there are of it.
fn on_back(ground: &Ground, env: &Env, id: &str) -> (bool, usize, usize) {
    let seen = env.tinyd(["inspect", id]).ok().json();
    let is_on = seen[0]["NetworkSettings"]["Networks"]["back"].is_object();
    // Its other network has one of each of its own: a link, a lease and a file of names.
    let all = held(env).iter().filter(|line| line.contains(id)).count();
    (is_on, ground.ports().len() - 1, all - 2)
}

#[test]
fn a_connection_that_is_cut_short_is_whole_or_gone_at_the_next_command() {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        ground::network(env, "back", &["10.78.0.0/24"], &[]);
        let id = start(env, &["--net", "web", "--name", "c"], SERVER);
        let mut dice = Dice::new();
        let mut met = [0, 0];
        let verbs = ["connect", "disconnect"];
        let mut moments = verbs.map(|verb| {
            let began = Instant::now();
            env.tinyd(["network", verb, "back", "c"]).ok();
            Moments::of(began.elapsed())
        });
        for round in 0..80 {
            let kind = round % 2;
            if on_back(ground, env, &id).0 != (kind == 1) {
                env.tinyd(["network", verbs[1 - kind], "back", "c"]).ok();
            }
            let mut client = env.cmd(["network", verbs[kind], "back", "c"]).spawn();
            std::thread::sleep(moments[kind].next(&mut dice));
            let had_ended = client.has_ended();
            moments[kind].learn(had_ended);
            if !had_ended {
                client.signal(Signal::KILL);
            }
            met[kind] += usize::from(client.wait().signal().is_some());
            if round % 8 > 5 {
                // It ends before anybody has put anything right.
                let [command, monitor] = ["init", "monitor"].map(|process| state(env, "c", process));
                kill::kill(command);
                wait_until("its monitor has tidied up", || !proc::is_alive(monitor));
                env.tinyd(["ps"]).ok();
                assert_eq!(held(env), Vec::<String>::new(), "round {round}");
                // The kernel takes a namespace's links away when it has time.
                wait_until("its links are gone", || ground.ports().is_empty());
                env.tinyd(["start", "c"]).ok();
            }
            env.tinyd(["ps"]).ok();
            let found = on_back(ground, env, &id);
            assert!([(true, 1, 2), (false, 0, 0)].contains(&found), "round {round}: {found:?}");
            let links = ground::inside(env, "c", "ls /sys/class/net | wc -l");
            assert_eq!(links, (2 + found.1).to_string(), "round {round}");
        }
        assert!(met.iter().all(|count| *count > 10), "{met:?} were cut short");
        println!("{met:?} were cut short");
        env.tinyd(["rm", "-f", "c"]).ok();
        ground.holds_nothing(env);
        env.assert_checked();
    });
}

/// A process of a container that runs, from the record of its run: nothing is asked of the engine, which would put right what is
/// to be looked at.
fn state(env: &Env, name: &str, process: &str) -> i32 {
    let id = fs::read_link(env.root().join("names").join(name)).unwrap();
    let text = fs::read_to_string(env.run_root().join("containers").join(id).join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&text).unwrap();
    i32::try_from(state[process]["pid"].as_i64().unwrap()).unwrap()
}
