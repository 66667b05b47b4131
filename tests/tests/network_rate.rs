//! I02, I12: the traffic of a container is held to the rates that it was given, where the container cannot undo it, on each of its
//! networks, and nobody else's is.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tinyd_tests::ground::{self, Ground, OUTSIDE, OUTSIDE_SIX, held, inside, machine, start};
use tinyd_tests::{Env, Machine, kill, require, wait_until};

const STAY: &str = "exec sleep 1000";
const PORT: u16 = 9000;

/// How long is measured, after what was saved up has been sent.
const TIME: Duration = Duration::from_secs(3);
const WARM_UP: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(10);

/// What is taken for a machine that does not hold traffic back, in Mbit/s: it moves some Gbit/s.
const FREE: f64 = 300.0;

/// Does something on a host with a network `web` of both families; no link of a container's is left there.
fn on_web(work: impl FnOnce(&Ground, &Env) + Send) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24", "fd00:77::/64"], &[]);
        work(ground, env);
        env.tinyd(["rm", "-f", "one"]).ok();
        nothing_is_left(ground, env);
    });
}

fn nothing_is_left(ground: &Ground, env: &Env) {
    let left = || (held(env), ground.ports(), shapers(ground));
    wait_until("nothing is left of containers", || left() == Default::default());
}

/// The links that traffic is led over.
fn shapers(ground: &Ground) -> Vec<String> {
    ground.host.ip("-o link show type ifb").lines().map(str::to_owned).collect()
}

/// A connection from one machine to another.
fn connection(from: &Machine, to: &Machine, called: &str) -> (TcpStream, TcpStream) {
    let called: IpAddr = called.parse().unwrap();
    let all = if called.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0_u16; 8]) };
    let listener = to.within(|| TcpListener::bind((all, 0)).unwrap());
    let place = SocketAddr::new(called, listener.local_addr().unwrap().port());
    let near = from.within(|| TcpStream::connect_timeout(&place, PATIENCE));
    let near = near.unwrap_or_else(|error| panic!("{called}: {error}"));
    (near, listener.accept().unwrap().0)
}

/// Mbit/s from one end to the other, as the other one counts them.
fn flow(mut from: TcpStream, mut to: TcpStream) -> f64 {
    to.set_read_timeout(Some(PATIENCE)).unwrap();
    thread::scope(|scope| {
        // Until the other end has seen enough, and is gone.
        scope.spawn(move || while from.write_all(&[0; 64 << 10]).is_ok() {});
        let mut buffer = vec![0; 1 << 20];
        let mut count = |time: Duration| {
            let (start, mut bytes) = (Instant::now(), 0);
            while start.elapsed() < time {
                bytes += to.read(&mut buffer).unwrap();
            }
            bytes as f64 * 8e-6 / start.elapsed().as_secs_f64()
        };
        count(WARM_UP);
        let rate = count(TIME);
        drop(to);
        rate
    })
}

fn measure(from: &Machine, to: &Machine, called: &str) -> f64 {
    let (near, far) = connection(from, to, called);
    flow(near, far)
}

/// That of a container is held to so many Mbit/s, and has them. A machine that has other things to do may take some of them away:
/// what is too little is measured again, and what is too much never is.
#[track_caller]
fn assert_held(what: &str, rate: f64, mut measure: impl FnMut() -> f64) {
    let mut all = Vec::new();
    for _ in 0..4 {
        let measured = measure();
        assert!(measured < 1.15 * rate, "{what}: {measured:.2} Mbit/s of {rate}");
        if measured > 0.85 * rate {
            return;
        }
        all.push(measured);
    }
    panic!("{what}: {all:.2?} Mbit/s of {rate}");
}

#[track_caller]
fn assert_free(what: &str, measured: f64) {
    assert!(measured > FREE, "{what}: {measured:.2} Mbit/s");
}

#[test]
fn a_container_has_its_rate_each_way_by_both_families_and_a_neighbour_is_not_slowed() {
    on_web(|ground, env| {
        let rates = ["--net-rate-egress", "8mbit", "--net-rate-ingress", "80mbit"];
        start(env, &[&["--net", "web", "--name", "one"], &rates[..]].concat(), STAY);
        start(env, &["--net", "web", "--name", "two"], STAY);
        let seen = env.tinyd(["inspect", "one"]).ok().json();
        let config = &seen[0]["HostConfig"];
        assert_eq!(config["NetRateEgress"], json!(8_000_000));
        assert_eq!(config["NetRateIngress"], json!(80_000_000));
        let (one, two) = (machine(env, "one"), machine(env, "two"));
        let outside = &ground.outside;
        assert_held("out by NAT", 8.0, || measure(&one, outside, OUTSIDE));
        assert_held("out by NAT, IPv6", 8.0, || measure(&one, outside, OUTSIDE_SIX));
        assert_held("to a neighbour", 8.0, || measure(&one, &two, "10.77.0.3"));
        assert_held("from the host", 80.0, || measure(&ground.host, &one, "10.77.0.2"));
        assert_held("from a neighbour, IPv6", 80.0, || measure(&two, &one, "fd00:77::2"));
        // While it sends as much as it may.
        assert_held("out beside a neighbour", 8.0, || {
            let (near, far) = connection(&one, outside, OUTSIDE);
            let (out, other) = thread::scope(|scope| {
                let out = scope.spawn(|| flow(near, far));
                let other = measure(&two, outside, OUTSIDE);
                (out.join().unwrap(), other)
            });
            assert_free("a neighbour's way out", other);
            out
        });
        assert_free("a neighbour's way in", measure(&ground.host, &two, "fd00:77::3"));
        drop((one, two));
        env.tinyd(["rm", "-f", "two"]).ok();
    });
}

#[test]
fn a_container_that_may_change_its_links_sends_no_faster() {
    require!(command "tc");
    on_web(|ground, env| {
        let words = ["--net", "web", "--name", "one", "--cap-add", "NET_ADMIN", "--net-rate-egress", "8mbit"];
        start(env, &words, STAY);
        // As the container itself, and with whatever root of the machine could do there.
        inside(
            env,
            "one",
            "ip link set eth0 mtu 9000; ip link set eth0 txqueuelen 9000; ip link set eth0 down; ip link set eth0 up",
        );
        let one = machine(env, "one");
        for words in [
            "qdisc del dev eth0 root",
            "qdisc del dev eth0 ingress",
            "qdisc replace dev eth0 root handle 1: tbf rate 1gbit burst 1mbit limit 9mbit",
        ] {
            one.try_run(&[&["tc"], &words.split(' ').collect::<Vec<_>>()[..]].concat());
        }
        one.ip("route replace default via 10.77.0.1");
        assert_held("after all that", 8.0, || measure(&one, &ground.outside, OUTSIDE));
        // A sender that does not listen to anybody.
        let far = ground.outside.within(|| UdpSocket::bind(("0.0.0.0", PORT)).unwrap());
        far.set_read_timeout(Some(PATIENCE)).unwrap();
        let near = one.within(|| UdpSocket::bind(("0.0.0.0", 0)).unwrap());
        near.connect((OUTSIDE, PORT)).unwrap();
        near.set_write_timeout(Some(Duration::from_millis(10))).unwrap();
        assert_held("a flood", 8.0, || flood(&near, &far));
    });
}

/// Mbit/s that come of as many packets as can be sent.
fn flood(near: &UdpSocket, far: &UdpSocket) -> f64 {
    let (counted, end) = (AtomicBool::new(false), Instant::now() + 6 * PATIENCE);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !counted.load(Ordering::Relaxed) && Instant::now() < end {
                let _ = near.send(&[0; 1400]);
            }
        });
        let count = |time: Duration| {
            let (start, mut bytes) = (Instant::now(), 0);
            while start.elapsed() < time {
                bytes += far.recv(&mut [0; 2000]).unwrap();
            }
            bytes as f64 * 8e-6 / start.elapsed().as_secs_f64()
        };
        count(WARM_UP);
        let rate = count(TIME);
        counted.store(true, Ordering::Relaxed);
        rate
    })
}

#[test]
fn nothing_is_left_at_the_end_and_a_later_start_has_the_rate_again() {
    on_web(|ground, env| {
        let rates = ["--net-rate-egress", "8mbit", "--net-rate-ingress", "8mbit"];
        let words = ["--net", "web:ip=10.77.0.2,ip6=fd00:77::2", "--name", "one"];
        start(env, &[&words[..], &rates[..]].concat(), STAY);
        assert_eq!(shapers(ground).len(), 1);
        env.tinyd(["stop", "-t", "0", "one"]).ok();
        nothing_is_left(ground, env);
        env.tinyd(["start", "one"]).ok();
        let one = machine(env, "one");
        assert_held("after a start", 8.0, || measure(&one, &ground.outside, OUTSIDE));
        assert_held("after a start, to it", 8.0, || measure(&ground.host, &one, "fd00:77::2"));
        drop(one);
        // Without anybody who would take it away: the next command does.
        let (monitor, init) = (kill::monitor_of(env, "one"), ground::init(env, "one"));
        kill::kill(monitor);
        kill::kill(init);
        env.tinyd(["ps", "-a"]).ok();
        nothing_is_left(ground, env);
        // One that ends by itself, and goes.
        ground::say(env, &[&["--net", "web"], &rates[..]].concat(), "cat /sys/class/net/eth0/mtu");
        nothing_is_left(ground, env);
    });
}

#[test]
fn each_network_has_the_rates_those_joined_later_too_and_other_rates_hold_at_once() {
    on_web(|ground, env| {
        ground::network(env, "db", &["10.78.0.0/24"], &[]);
        let rates = ["--net-rate-egress", "8mbit"];
        let id = start(env, &[&["--net", "web", "--name", "one"], &rates[..]].concat(), STAY);
        env.tinyd(["network", "connect", "db", "one"]).ok();
        let one = machine(env, "one");
        let host = &ground.host;
        assert_held("by the second network", 8.0, || measure(&one, host, "10.78.0.1"));
        let words = ["update", "--net-rate-egress", "40mbit", "--net-rate-ingress", "8mbit", "one"];
        env.tinyd(words).ok();
        assert_held("out by the first one", 40.0, || measure(&one, host, "10.77.0.1"));
        assert_held("in by the second one", 8.0, || measure(host, &one, "10.78.0.2"));
        env.tinyd(["network", "disconnect", "db", "one"]).ok();
        assert_eq!(shapers(ground).len(), 1, "{:?}", shapers(ground));
        // What others have of it: its steps at the end know of a link that came with an update.
        env.tinyd(["update", "--net-rate-egress", "none", "one"]).ok();
        assert_eq!(shapers(ground), [""; 0]);
        assert_free("without a rate", measure(&one, host, "10.77.0.1"));
        assert_held("in by the first one", 8.0, || measure(host, &one, "10.77.0.2"));
        env.tinyd(["update", "--net-rate-egress", "8mbit", "--net-rate-ingress", "none", "one"]).ok();
        drop(one);
        let seen = env.tinyd(["inspect", &id]).ok().json();
        assert_eq!(seen[0]["HostConfig"]["NetRateEgress"], json!(8_000_000));
        assert_eq!(seen[0]["HostConfig"]["NetRateIngress"], json!(0));
        env.tinyd(["kill", "one"]).ok();
        env.tinyd(["wait", "one"]).ok();
        nothing_is_left(ground, env);
        // One that stands still has the new rate when it starts.
        env.tinyd(["update", "--net-rate-egress", "20mbit", "one"]).ok();
        env.tinyd(["start", "one"]).ok();
        let one = machine(env, "one");
        assert_held("after a start", 20.0, || measure(&one, host, "10.77.0.1"));
    });
}

#[test]
fn what_is_no_rate_or_can_be_held_nowhere_is_refused_in_one_line_and_makes_nothing() {
    on_web(|ground, env| {
        let image = ground::image();
        let refused = |code: i32, words: &[&str]| {
            let words = [words, &[&image, "true"]].concat();
            let said = env.tinyd(words.clone()).fails(code).stderr();
            assert!(said.trim_end().lines().count() <= 2, "{words:?}: {said}");
            said
        };
        for bad in ["0", "-1mbit", "1", "7999", "2tbit", "10mb", "fast", "", "99999999999999999999gbit"] {
            for option in ["--net-rate-egress", "--net-rate-ingress"] {
                let words = ["run", "--rm", "--net", "web", &format!("{option}={bad}")];
                let said = refused(125, &words);
                assert!(said.contains(option) && said.contains("kbit"), "{words:?}: {said}");
            }
        }
        start(env, &["--net", "web", "--name", "one"], STAY);
        for (network, expected) in [
            ("none", "without a network"),
            ("host", "this machine's own network"),
            ("container:one", "limit that container"),
        ] {
            let said = refused(125, &["run", "--rm", "--net", network, "--net-rate-egress", "8mbit"]);
            assert!(said.contains(expected), "{network}: {said}");
        }
        // Its links are made by the kernel in the container, where no limit would be safe from it.
        let parent = ["-d", "macvlan", "-o", "parent=uplink0"];
        ground::network(env, "lan", &["198.51.100.0/24"], &parent);
        let said = refused(125, &["create", "--net", "lan", "--net-rate-ingress", "8mbit"]);
        assert!(said.contains("macvlan") && said.contains("bridge"), "{said}");
        let said = env.tinyd(["update", "--net-rate-egress", "1", "one"]).fails(2).stderr();
        assert!(said.contains("8kbit to 1000gbit"), "{said}");
        env.tinyd(["update", "--net-rate-egress", "8mbit", "one"]).ok();
        let said = env.tinyd(["network", "connect", "lan", "one"]).fails(1).stderr();
        assert!(said.contains("macvlan") && said.contains("bridge"), "{said}");
        assert_eq!(shapers(ground).len(), 1);
        let all = env.tinyd(["ps", "-aq"]).ok().stdout();
        assert_eq!(all.lines().count(), 1, "a refusal left something: {all}");
    });
}
