//! Networks whose firewall is iptables, on a host that the test makes, with a neighbour on its link.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

use std::time::Duration;

use rustix::process::Signal;
use tinyd_tests::ground::{self, Ground, HOST, SERVER, fetch, image, inside, say, start};
use tinyd_tests::{Dice, Env, kill, proc, require, wait_until};

/// Rules and policies of somebody else. Those of IPv4 are IPv6's too.
const FOREIGN: &str = "*filter
:INPUT DROP [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:THEIRS - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -j THEIRS
-A FORWARD -o vpn0 -m comment --comment theirs -j DROP
-A THEIRS -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 2222 -j REDIRECT --to-ports 22
-A POSTROUTING -o vpn0 -j MASQUERADE
COMMIT
*mangle
:PREROUTING ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu
COMMIT
";

/// All rules and policies of a host, without times and counters.
fn rules(ground: &Ground) -> String {
    let saved = ["iptables-save", "ip6tables-save"].map(|program| ground.host.run(&[program])).concat();
    let lines = saved.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(" [").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// A host with a network `web`, 10.77.0.0/24, by iptables. Afterwards its rules are what they were.
fn on_web(work: impl FnOnce(&Ground, &Env) + Send) {
    require!(root);
    require!(command "iptables-save");
    let ground = Ground::with_ipv4_alone();
    for program in ["iptables-restore", "ip6tables-restore"] {
        ground.host.run(&["sh", "-c", &format!("printf '%s' \"{FOREIGN}\" | {program}")]);
    }
    let before = rules(&ground);
    assert!(before.contains(":INPUT DROP") && before.contains("THEIRS"), "{before}");
    ground.carry(|ground, env| {
        let subnets = ["10.77.0.0/24", "fd00:77::/64"];
        ground::network(env, "web", &subnets, &["--opt", "firewall=iptables"]);
        work(ground, env);
    });
    assert_eq!(rules(&ground), before, "somebody else's rules, or ours that are left");
}

#[test]
fn a_port_is_published_and_the_hosts_rules_are_afterwards_what_they_were() {
    on_web(|ground, env| {
        let seen = env.tinyd(["network", "inspect", "web"]).ok().json();
        assert_eq!(seen[0]["Options"]["firewall"], "iptables", "{seen}");
        let there = rules(ground);
        assert!(there.contains("-j tinyd-"), "{there}");
        let without_own: Vec<_> = there.lines().filter(|line| !line.contains("tinyd-")).collect();
        let server = start(env, &["--net", "web", "-p", "8080:80"], SERVER);
        wait_until("the server answers", || {
            fetch(&ground.host, "127.0.0.1", 8080).as_deref() == Some("hello\n")
        });
        assert_eq!(fetch(&ground.host, HOST, 8080).as_deref(), Some("hello\n"), "the host's own address");
        assert_eq!(fetch(&ground.outside, HOST, 8080).as_deref(), Some("hello\n"), "from outside");
        let script = format!("timeout 3 wget -qO- http://{HOST}:8080/");
        assert_eq!(say(env, &["--net", "web"], &script), "hello", "a neighbour");
        assert_eq!(inside(env, &server, &script), "hello", "the container itself");
        assert_eq!(env.tinyd(["port", &server]).ok().text(), "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080");
        let there = rules(ground);
        let meanwhile: Vec<_> = there.lines().filter(|line| !line.contains("tinyd-")).collect();
        assert_eq!(meanwhile, without_own, "others' rules are the same while the port is published");
        env.tinyd(["rm", "-f", &server]).ok();
        assert_eq!(fetch(&ground.outside, HOST, 8080), None, "its container is gone");
    });
}

#[test]
fn the_port_of_a_container_that_ends_is_free_before_anyone_is_told() {
    on_web(|ground, env| {
        let image = image();
        // Its monitor alone takes the port away: no other command runs meanwhile.
        let words = ["run", "--rm", "--net", "web", "-p", "8080:80", "-p", "8081:81/udp", &image, "true"];
        env.tinyd(words).ok();
        let there = rules(ground);
        assert!(!there.contains("--dport 8080") && !there.contains("--dport 8081"), "{there}");
        // And where the monitor was killed, the next command does.
        env.tinyd([
            "run", "-d", "--rm", "--name", "one", "--net", "web", "-p", "8080:80", &image, "sleep", "600",
        ])
        .ok();
        assert!(rules(ground).contains("--dport 8080"));
        let init = ground::init(env, "one");
        for pid in [kill::monitor_of(env, "one"), init] {
            kill::kill(pid);
        }
        wait_until("both are gone", || !proc::is_alive(init));
        env.tinyd(["ps"]).ok();
        let there = rules(ground);
        assert!(!there.contains("--dport 8080"), "{there}");
    });
}

#[test]
fn what_is_not_published_is_reached_by_nobody_who_should_not() {
    on_web(|ground, env| {
        // The neighbour knows a way to the containers, and asks the host to forward.
        ground.lead_outside("10.77.0.0/24");
        ground::network(env, "back", &["10.78.0.0/24"], &[]);
        let server = start(env, &["--net", "web"], SERVER);
        wait_until("the server answers", || fetch(&ground.host, "10.77.0.2", 80).is_some());
        assert_eq!(fetch(&ground.outside, "10.77.0.2", 80), None, "D3: an unpublished port");
        let other = "timeout 2 wget -qO- http://10.77.0.2/ || echo walled";
        assert_eq!(say(env, &["--net", "web"], other), "hello", "a neighbour reaches it");
        // (The other network's firewall is the usual one.)
        assert_eq!(say(env, &["--net", "back"], other), "walled", "D7: another network");
        let local = start(env, &["--net", "web", "-p", "127.0.0.1:8080:80"], SERVER);
        wait_until("the host reaches it", || fetch(&ground.host, "127.0.0.1", 8080).is_some());
        // D2: what the neighbour sends to the host's 127.0.0.1.
        ground.lead_loopback_outside();
        for address in ["127.0.0.1", HOST] {
            assert_eq!(fetch(&ground.outside, address, 8080), None, "D2: {address}");
        }
        for id in [&server, &local] {
            env.tinyd(["rm", "-f", id]).ok();
        }
        env.tinyd(["network", "rm", "back"]).ok();
    });
}

#[test]
fn a_port_has_one_place_whichever_firewall_leads_there() {
    on_web(|_, env| {
        ground::network(env, "back", &["10.78.0.0/24"], &[]);
        let seen = env.tinyd(["network", "inspect", "back"]).ok().json();
        assert_eq!(seen[0]["Options"]["firewall"], "nftables", "{seen}");
        let image = image();
        for (first, second, address) in [("web", "back", "10.77.0."), ("back", "web", "10.78.0.")] {
            let held = start(env, &["--net", first, "-p", "8080:80"], SERVER);
            let said = env.tinyd(["run", "-d", "--net", second, "-p", "8080:80", &image, "true"]).fails(125);
            assert!(
                said.stderr().contains("8080/tcp") && said.stderr().contains(address),
                "{}",
                said.stderr()
            );
            assert_eq!(env.tinyd(["ps", "-aq"]).ok().stdout().lines().count(), 1, "a refusal left something");
            env.tinyd(["rm", "-f", &held]).ok();
        }
        env.tinyd(["network", "rm", "back"]).ok();
        let said = env.tinyd(["network", "create", "--opt", "firewall=pf", "odd"]).fails(1);
        assert!(
            said.stderr().contains("\"pf\" is none: there are nftables and iptables"),
            "{}",
            said.stderr()
        );
        assert!(!env.tinyd(["network", "ls"]).ok().stdout().contains("odd"), "a refusal left something");
    });
}

#[test]
fn whoever_is_killed_at_any_moment_leaves_no_rule_that_the_next_command_does_not_take_away() {
    on_web(|ground, env| {
        let image = image();
        let before = rules(ground);
        let mut dice = Dice::new();
        let mut cut_short = 0;
        for round in 0..30 {
            let mut running = match round % 3 {
                0 => env.cmd([
                    "network",
                    "create",
                    "--opt",
                    "firewall=iptables",
                    "--subnet",
                    "10.78.0.0/24",
                    "back",
                ]),
                _ => env.cmd(["run", "--rm", "--net", "web", "-p", "8080:80", &image, "true"]),
            }
            .spawn();
            std::thread::sleep(Duration::from_micros(
                dice.below(if round % 3 == 0 { 60_000 } else { 160_000 }) as u64,
            ));
            if !running.has_ended() {
                running.signal(Signal::KILL);
            }
            cut_short += u32::from(running.wait().signal().is_some());
            if env.tinyd(["network", "ls"]).ok().stdout().contains("back") {
                env.tinyd(["network", "rm", "back"]).ok();
            }
            // A container whose client alone was killed ends by itself.
            wait_until("no container is left", || env.tinyd(["ps", "-aq"]).ok().stdout().is_empty());
            wait_until("its rules are gone", || rules(ground) == before);
        }
        assert!(cut_short > 5, "only {cut_short} were killed");
    });
}
