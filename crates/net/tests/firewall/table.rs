//! The table itself: whole, repaired, and gone without a trace.

use crate::backend::Backend;
use crate::ground::{both, load, network, on_each, on_ground, publication, run, undo};
use crate::root_only;
use std::io::ErrorKind;
use std::thread;
use tinyd_net::Protocol::{self, Tcp, Udp};
use tinyd_net::firewall::Publication;

fn own_table() -> String {
    Backend::Nftables.own_rules("tinyd-test")
}

/// Some of each kind.
fn some(ground: &crate::ground::Ground) -> Vec<Publication> {
    let mut all = both(8080, Tcp, &ground.one);
    all.extend(both(8081, Udp, &ground.two));
    all.extend(both(8082, Protocol::Sctp, &ground.two));
    all.push(publication(Some("127.0.0.1"), 8080, Tcp, ground.far.addresses[0]));
    all.push(publication(Some("2001:db8::1"), 8080, Tcp, ground.far.addresses[1]));
    all.sort_unstable();
    all
}

#[test]
fn root_others_rules_are_the_same_before_meanwhile_and_after() {
    root_only!();
    on_each(|ground| {
        let own = || ground.backend.own_rules("tinyd-test");
        let before = ground.backend.rules();
        let firewall = ground.opened();
        assert!(ground.backend.rules().contains("tinyd-test"));
        firewall.publish(&some(ground)).unwrap();
        let foreign = || run("nft", &["-s", "list", "table", "ip", "foreign"]);
        assert!(foreign().contains("198.51.100.1"));
        let meanwhile = foreign();
        firewall.close(&network(1)).unwrap();
        // The second one's is whole still.
        assert!(own().contains("br-2") && !own().contains("br-1"), "{}", own());
        assert!(!own().contains("10.99.1.0/24"), "{}", own());
        assert_eq!(foreign(), meanwhile);
        for _ in 0..2 {
            firewall.close(&network(2)).unwrap();
            assert_eq!(ground.backend.rules(), before);
        }
    });
}

#[test]
fn root_nft_reads_what_it_prints_of_the_table() {
    root_only!();
    on_ground(Backend::Nftables, |ground| {
        let firewall = ground.opened();
        let mut first = network(1);
        first.internal = true;
        first.sources = ["192.0.2.1", "2001:db8::1"].map(crate::ground::address).to_vec();
        firewall.open(&first).unwrap();
        firewall.publish(&some(ground)).unwrap();
        let printed = own_table();
        for part in [
            "elements = { \"br-1\",",
            "\"br-1\" . \"br-1\"",
            "10.99.1.0/24 : 192.0.2.1",
            "127.0.0.1 . tcp . 8080 : 10.99.2.2 . 80",
            "udp . 8081 : 10.99.1.3 . 80",
            "sctp . 8082 : fd00:99:1::3 . 80",
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        assert_eq!(run("nft", &["delete", "table", "inet", "tinyd-test"]), "");
        load(&printed);
        assert_eq!(own_table(), printed);
        // What nft(8) made of it is ours still: nothing is missing, and all of it can be taken away.
        assert_eq!(firewall.published().unwrap(), some(ground));
        firewall.open(&first).unwrap();
        assert_eq!(own_table(), printed);
        (1..=2).for_each(|number| firewall.close(&network(number)).unwrap());
        assert!(!ground.backend.rules().contains("tinyd-test"));
    });
}

#[test]
fn root_what_was_flushed_comes_back_and_what_was_not_stays() {
    root_only!();
    on_ground(Backend::Nftables, |ground| {
        let firewall = ground.opened();
        firewall.publish(&some(ground)).unwrap();
        let whole = own_table();
        let handles = run("nft", &["-a", "list", "table", "inet", "tinyd-test"]);
        firewall.open(&network(1)).unwrap();
        assert_eq!(
            run("nft", &["-a", "list", "table", "inet", "tinyd-test"]),
            handles,
            "an intact table was changed"
        );

        let damages = [
            "flush chain inet tinyd-test crossing",
            "flush table inet tinyd-test",
            "insert rule inet tinyd-test crossing drop",
            "flush chain inet tinyd-test arriving; delete chain inet tinyd-test arriving",
            "delete element inet tinyd-test bridges { br-1 }",
            "flush set inet tinyd-test subnets6; add element inet tinyd-test subnets6 { fd00:99:2::/64 }",
        ];
        for damage in damages {
            assert_eq!(run("nft", &[damage]), "", "{damage}");
            assert_ne!(own_table(), whole, "{damage}");
            firewall.open(&network(1)).unwrap();
            // Chains that were made again are the last ones: only the order of what is printed may differ.
            assert_eq!(sorted(&own_table()), sorted(&whole), "{damage}");
        }
        let _server = ground.one.serve(Tcp, 80);
        assert!(ground.outside.ask(Tcp, "192.0.2.1", 8080).is_some());

        for damage in ["flush ruleset", "delete table inet tinyd-test"] {
            assert_eq!(run("nft", &[damage]), "", "{damage}");
            assert_eq!(firewall.published().unwrap(), []);
            let error = firewall.publish(&some(ground)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.to_string().contains("no network is open"), "{error}");
            (1..=2).for_each(|number| firewall.open(&network(number)).unwrap());
            firewall.publish(&some(ground)).unwrap();
            assert_eq!(own_table(), whole, "{damage}");
        }
    });
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn root_a_port_that_leads_elsewhere_is_an_error_that_names_it() {
    root_only!();
    on_each(|ground| {
        let own = || ground.backend.own_rules("tinyd-test");
        let firewall = ground.opened();
        firewall.publish(&both(8080, Tcp, &ground.one)).unwrap();
        let at_loopback = |to| publication(Some("::1"), 53, Udp, to);
        firewall.publish(&[at_loopback(ground.one.addresses[1])]).unwrap();
        let before = own();
        let mut wanted = both(8090, Tcp, &ground.two);
        wanted.extend(both(8080, Tcp, &ground.two));
        let error = firewall.publish(&wanted).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        let text = error.to_string();
        assert!(text.contains("8080/tcp") && text.contains("10.99.1.2"), "{text}");
        assert_eq!(own(), before, "a part of what was refused is there");
        let error = firewall.publish(&[at_loopback(ground.two.addresses[1])]).unwrap_err().to_string();
        assert!(error.contains("[::1]:53/udp") && error.contains("fd00:99:1::2"), "{error}");
        // What has no meaning.
        for (port, to) in [(0, ground.one.addresses[0]), (9000, ground.one.addresses[1])] {
            let error = firewall.publish(&[publication(Some("127.0.0.1"), port, Tcp, to)]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        assert_eq!(own(), before);
    });
}

#[test]
fn root_an_undo_takes_its_own_away_and_nothing_else_ever() {
    root_only!();
    on_each(|ground| {
        let own = || ground.backend.own_rules("tinyd-test");
        let firewall = ground.opened();
        let empty = own();
        let steps = firewall.publish(&some(ground)).unwrap();
        // One is gone already, and one leads elsewhere meanwhile.
        firewall.withdraw(ground.one.addresses[0]).unwrap();
        firewall.withdraw(ground.one.addresses[1]).unwrap();
        let other = publication(None, 8080, Tcp, ground.two.addresses[0]);
        firewall.publish(&[other]).unwrap();
        for _ in 0..2 {
            undo(&steps);
            assert_eq!(firewall.published().unwrap(), [other]);
        }
        firewall.withdraw(other.to).unwrap();
        firewall.withdraw(other.to).unwrap();
        assert_eq!(own(), empty);
        (1..=2).for_each(|number| firewall.close(&network(number)).unwrap());
        let before = ground.backend.rules();
        undo(&steps);
        firewall.withdraw(other.to).unwrap();
        assert_eq!(ground.backend.rules(), before);
    });
}

#[test]
fn root_many_at_once_lose_nothing() {
    root_only!();
    on_each(|ground| {
        let before = ground.backend.rules();
        thread::scope(|scope| {
            for number in 1..=8u8 {
                scope.spawn(move || {
                    let firewall = ground.firewall();
                    let to = format!("10.99.{number}.9").parse().unwrap();
                    firewall.open(&network(number)).unwrap();
                    for port in 1..=20u16 {
                        firewall.open(&network(number)).unwrap();
                        firewall
                            .publish(&[publication(None, u16::from(number) * 100 + port, Tcp, to)])
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(ground.firewall().published().unwrap().len(), 160);
        thread::scope(|scope| {
            for number in 1..=8u8 {
                scope.spawn(move || {
                    let firewall = ground.firewall();
                    firewall.withdraw(format!("10.99.{number}.9").parse().unwrap()).unwrap();
                    firewall.close(&network(number)).unwrap();
                });
            }
        });
        assert_eq!(ground.backend.rules(), before);
    });
}

#[test]
fn root_several_engines_live_side_by_side() {
    root_only!();
    on_each(|ground| {
        let before = ground.backend.rules();
        let engines = [
            (ground.firewall_called("tinyd-a"), network(1), &ground.one),
            (ground.firewall_called("tinyd-b"), network(2), &ground.far),
        ];
        let _servers = engines.each_ref().map(|(_, _, place)| place.serve(Tcp, 80));
        for (index, (firewall, network, place)) in engines.iter().enumerate() {
            firewall.open(network).unwrap();
            firewall.publish(&both(8080 + u16::try_from(index).unwrap(), Tcp, place)).unwrap();
        }
        for (port, name) in [(8080, "one"), (8081, "far")] {
            for host in ["192.0.2.1", "2001:db8::1"] {
                assert!(ground.outside.ask(Tcp, host, port).unwrap().starts_with(name), "{host}:{port}");
            }
        }
        // One's container asks for another's port.
        assert!(ground.one.ask(Tcp, "192.0.2.1", 8081).unwrap().starts_with("far "));
        engines[0].0.close(&engines[0].1).unwrap();
        assert!(ground.outside.ask(Tcp, "192.0.2.1", 8081).is_some());
        engines[1].0.close(&engines[1].1).unwrap();
        assert_eq!(ground.backend.rules(), before);
    });
}
