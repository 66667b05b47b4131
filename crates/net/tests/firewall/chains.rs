//! The chains of iptables(8): whole, repaired, and gone without a trace.

use crate::backend::Backend;
use crate::ground::{Ground, both, network, on_each, publication, run};
use crate::root_only;
use std::io::ErrorKind;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tinyd_net::Protocol::{Tcp, Udp};
use tinyd_net::firewall::{Firewall as _, Iptables, Nftables, Programs, Variant};

/// With each of the programs called iptables.
fn on_iptables(work: impl Fn(&Ground, Variant) + Sync) {
    on_each(|ground| match ground.backend {
        Backend::Nftables => {}
        Backend::Iptables(variant) => work(ground, variant),
    });
}

fn own(ground: &Ground) -> String {
    ground.backend.own_rules("tinyd-test")
}

/// `iptables` and `ip6tables`, as this variant is called.
fn programs(variant: Variant) -> [String; 2] {
    let ending = if variant == Variant::Legacy { "-legacy" } else { "-nft" };
    ["iptables", "ip6tables"].map(|program| format!("{program}{ending}"))
}

#[test]
fn root_others_chains_policies_and_order_stay_with_whatever_they_drop() {
    root_only!();
    on_iptables(|ground, _| {
        let theirs = "*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:theirs - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -j theirs
-A FORWARD -p sctp -j REJECT
-A theirs -m comment --comment \"a \\\"quoted\\\" one\" -j RETURN
COMMIT
*mangle
:FORWARD DROP [0:0]
-A FORWARD -i uplink -j ACCEPT
-A FORWARD -o uplink -j ACCEPT
COMMIT
*nat
-I PREROUTING -p tcp -m tcp --dport 9 -j RETURN
COMMIT
*raw
-A PREROUTING -p udp -m udp --dport 9 -j NOTRACK
COMMIT
";
        ground.backend.load(theirs);
        let before = ground.backend.rules();
        let without_own = || {
            let own = own(ground);
            let lines = ground.backend.rules();
            let lines: Vec<_> = lines
                .lines()
                .filter(|line| !own.lines().any(|one| one == *line))
                .map(str::to_owned)
                .collect();
            lines.join("\n")
        };
        let firewall = ground.opened();
        firewall.publish(&both(8080, Tcp, &ground.one)).unwrap();
        let chains: Vec<_> =
            own(ground).lines().filter_map(|line| line.strip_prefix(':')).map(str::to_owned).collect();
        assert!(chains.len() > 10 && chains.iter().all(|chain| chain.len() <= 28), "{chains:?}");
        assert_eq!(without_own(), before.trim_end(), "others' rules changed");
        // A policy that drops goes on to: nothing of ours lets pass what others drop.
        let server = ground.one.serve(Tcp, 80);
        assert_eq!(ground.outside.ask_in_vain(Tcp, "192.0.2.1", 8080), None);
        for program in ground.backend.programs() {
            assert_eq!(run(&program, &["-P", "FORWARD", "ACCEPT"]), "");
        }
        assert!(ground.outside.ask(Tcp, "192.0.2.1", 8080).is_some());
        // And nothing of theirs lets pass what ours drop.
        for host in ground.one.addresses {
            assert_eq!(ground.outside.ask_in_vain(Tcp, &host.to_string(), 80), None, "{host}");
        }
        drop(server);
        for program in ground.backend.programs() {
            assert_eq!(run(&program, &["-P", "FORWARD", "DROP"]), "");
        }
        assert_eq!(ground.files(), ["tinyd-test"], "whoever changes something finds the lock there");
        (1..=2).for_each(|number| firewall.close(&network(number)).unwrap());
        assert_eq!(ground.backend.rules(), before);
        assert_eq!(ground.files(), [""; 0], "the lock goes with the last network");
    });
}

#[test]
fn root_what_was_damaged_comes_back_and_what_was_not_stays() {
    root_only!();
    on_iptables(|ground, variant| {
        let firewall = ground.opened();
        let ports = both(8080, Tcp, &ground.one);
        firewall.publish(&ports).unwrap();
        let whole = own(ground);
        firewall.open(&network(1)).unwrap();
        assert_eq!(own(ground), whole, "what was whole was changed");
        let [four, six] = programs(variant);
        let passes = "-A tinyd-test-ports -p tcp -m tcp --dport 8080 -j ACCEPT";
        for damage in [
            "-t mangle -F tinyd-test-crossing",
            "-t mangle -D tinyd-test-entering 3",
            "-t mangle -I tinyd-test-crossing -j ACCEPT",
            "-t mangle -D FORWARD 1",
            "-t nat -F tinyd-test-leaving",
            "-t nat -F POSTROUTING",
            &format!("-t nat {passes}"),
        ] {
            for program in [&four, &six] {
                assert_eq!(run(program, &damage.split(' ').collect::<Vec<_>>()), "", "{damage}");
            }
            assert_ne!(own(ground), whole, "{damage}");
            firewall.open(&network(1)).unwrap();
            assert_eq!(own(ground), whole, "{damage}");
        }
        let _server = ground.one.serve(Tcp, 80);
        assert!(ground.outside.ask(Tcp, "192.0.2.1", 8080).is_some());
        // Everything that was there of one table, and then of both.
        for tables in [&["nat"][..], &["mangle", "nat"]] {
            for (program, table) in
                [&four, &six].into_iter().flat_map(|one| tables.iter().map(move |table| (one, *table)))
            {
                assert_eq!(run(program, &["-t", table, "-F"]), "");
                assert_eq!(run(program, &["-t", table, "-X"]), "");
            }
            assert_eq!(firewall.published().unwrap(), []);
            let error = firewall.publish(&ports).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains("no network is open"), "{error}");
            firewall.open(&network(1)).unwrap();
            if tables.len() == 1 {
                assert!(
                    own(ground).contains("-o br-2"),
                    "what is known of networks stands in the other table"
                );
            }
            firewall.open(&network(2)).unwrap();
            firewall.publish(&ports).unwrap();
            assert_eq!(own(ground), whole);
        }
    });
}

#[test]
fn root_a_rule_that_others_made_with_a_chain_of_ours_stays() {
    root_only!();
    on_iptables(|ground, variant| {
        let firewall = ground.opened();
        let [program, _] = programs(variant);
        let words = "-t nat -A OUTPUT -d 203.0.113.1/32 -j tinyd-test-ports";
        assert_eq!(run(&program, &words.split(' ').collect::<Vec<_>>()), "");
        firewall.open(&network(1)).unwrap();
        assert!(own(ground).contains("-d 203.0.113.1/32"));
        firewall.close(&network(1)).unwrap();
        // A chain that is used cannot be removed, and the error says so.
        let error = firewall.close(&network(2)).unwrap_err().to_string();
        assert!(
            error.contains("cannot remove the rules of networks") && error.contains("-restore"),
            "{error}"
        );
        assert!(own(ground).contains("-d 203.0.113.1/32"));
        assert_eq!(run(&program, &words.replace("-A", "-D").split(' ').collect::<Vec<_>>()), "");
        firewall.close(&network(2)).unwrap();
        assert_eq!(own(ground), "");
    });
}

#[test]
fn root_a_network_without_ipv6_has_no_rules_there() {
    root_only!();
    on_iptables(|ground, variant| {
        let mut four = network(1);
        four.subnets.truncate(1);
        let firewall = ground.firewall();
        let [_, six] = programs(variant);
        let before = run(&format!("{six}-save"), &["-t", "nat"]);
        firewall.open(&four).unwrap();
        firewall.publish(&[publication(None, 8080, Tcp, ground.one.addresses[0])]).unwrap();
        assert!(!run(&format!("{six}-save"), &[]).contains("tinyd-test"));
        let error = firewall.publish(&both(8081, Tcp, &ground.one)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        assert_eq!(firewall.published().unwrap().len(), 1, "a part of what was refused is there");
        firewall.close(&four).unwrap();
        let rules = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(rules(&run(&format!("{six}-save"), &["-t", "nat"])), rules(&before));
    });
}

#[test]
fn root_ports_come_and_go_while_others_change_rules_without_asking() {
    root_only!();
    on_iptables(|ground, variant| {
        let firewall = ground.opened();
        let before = own(ground);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                ground.host.enter(|| {
                    let [program, _] = programs(variant);
                    while !done.load(Ordering::Relaxed) {
                        for verb in ["-A", "-D"] {
                            let words =
                                ["-w", "-t", "nat", verb, "OUTPUT", "-d", "203.0.113.1", "-j", "RETURN"];
                            assert_eq!(run(&program, &words), "");
                        }
                        thread::sleep(Duration::from_millis(1));
                    }
                });
            });
            for port in 1..=20 {
                firewall.publish(&[publication(None, port, Udp, ground.one.addresses[0])]).unwrap();
                firewall.open(&network(1)).unwrap();
            }
            assert_eq!(firewall.published().unwrap().len(), 20);
            firewall.withdraw(ground.one.addresses[0]).unwrap();
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(own(ground), before);
    });
}

#[test]
fn root_a_program_that_fails_is_named_with_what_it_said_and_leaves_nothing() {
    root_only!();
    on_iptables(|ground, variant| {
        let before = ground.backend.rules();
        let mut strange = network(1);
        // iptables(8) takes no link of this name.
        strange.bridge = "a-name-that-is-far-too-long".to_owned();
        let error = ground.firewall().open(&strange).unwrap_err().to_string();
        assert!(error.contains("-restore ended with") && error.contains("line"), "{error}");
        assert_eq!(ground.backend.rules(), before);
        assert_eq!(ground.files(), [""; 0]);
        let error = ground.firewall().publish(&both(8080, Tcp, &ground.one)).unwrap_err();
        assert_eq!((error.kind(), ground.files().len()), (ErrorKind::NotFound, 0), "{error}");
        let firewall = Iptables::new("tinyd-test", "/run/tinyd-test-nobody")
            .with_programs(Programs::find(variant).unwrap());
        ground.host.enter(|| firewall.probe().unwrap());
        assert_eq!(firewall.name(), "iptables");
    });
}

#[test]
fn root_a_host_that_has_both_keeps_networks_of_both_apart() {
    root_only!();
    on_iptables(|ground, _| {
        let [one, far] = [network(1), network(2)];
        let nft = Nftables::of(ground.host.netns.as_fd(), "tinyd-other").unwrap();
        nft.probe().unwrap();
        nft.open(&far).unwrap();
        let iptables = ground.firewall();
        iptables.probe().unwrap();
        iptables.open(&one).unwrap();
        let _servers = [ground.one.serve(Tcp, 80), ground.far.serve(Tcp, 80)];
        iptables.publish(&both(8080, Tcp, &ground.one)).unwrap();
        nft.publish(&both(8081, Tcp, &ground.far)).unwrap();
        for (asker, target) in [(&ground.one, &ground.far), (&ground.far, &ground.one)] {
            for host in target.addresses {
                assert_eq!(asker.ask_in_vain(Tcp, &host.to_string(), 80), None, "{} {host}", asker.name);
            }
        }
        for asker in [&ground.one, &ground.two, &ground.far, &ground.outside, &ground.host] {
            for host in ["192.0.2.1", "2001:db8::1"] {
                for (port, name) in [(8080, "one "), (8081, "far ")] {
                    let answer = asker.ask(Tcp, host, port).unwrap_or_default();
                    assert!(answer.starts_with(name), "{} {host} {port}: {answer:?}", asker.name);
                }
            }
        }
        for (port, name) in [(8080, "one "), (8081, "far ")] {
            assert!(ground.host.ask(Tcp, "127.0.0.1", port).unwrap().starts_with(name), "{port}");
        }
    });
}
