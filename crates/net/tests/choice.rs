//! Which firewall a network has, and that a port has one place on a host that has several.

#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

mod ground;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use ground::{Other, in_a_namespace, prefix, root_only};
use tinyd_net::firewall::{Firewall, Iptables, NetworkRules, Nftables, Programs, Publication, Variant};
use tinyd_net::{
    BridgeDriver, EndpointSpec, EndpointState, Error, NetworkDriver, NetworkSpec, NetworkState, Protocol,
    PublishedPort, Result, Undo,
};

/// A firewall that this host does not have.
struct Absent(&'static str);

impl Absent {
    fn refuse<T>(&self) -> io::Result<T> {
        Err(io::Error::new(io::ErrorKind::NotFound, format!("{} is not here: install it", self.0)))
    }
}

impl Firewall for Absent {
    fn name(&self) -> &'static str {
        self.0
    }

    fn probe(&self) -> io::Result<()> {
        self.refuse()
    }

    fn open(&self, _: &NetworkRules) -> io::Result<()> {
        self.refuse()
    }

    fn close(&self, _: &NetworkRules) -> io::Result<()> {
        self.refuse()
    }

    fn is_open(&self, _: &NetworkRules) -> io::Result<bool> {
        self.refuse()
    }

    fn stands(&self, _: &[String]) -> io::Result<bool> {
        self.refuse()
    }

    fn publish(&self, _: &[Publication]) -> io::Result<Vec<Undo>> {
        self.refuse()
    }

    fn withdraw_but(&self, _: IpAddr, _: &[Publication]) -> io::Result<()> {
        self.refuse()
    }

    fn published(&self) -> io::Result<Vec<Publication>> {
        self.refuse()
    }
}

/// As the engine's own.
fn driver(folder: &Path) -> BridgeDriver {
    BridgeDriver::new(folder, |table| Box::new(Nftables::new(table)))
        .or_firewall(|table| Box::new(Iptables::new(&table, folder.join("iptables.lock"))))
}

macro_rules! iptables_only {
    () => {
        if let Err(error) = Programs::find(Variant::Usual) {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}");
            eprintln!("SKIPPED ({error})");
            return;
        }
    };
}

/// A network that asks for a firewall, or for none.
fn spec(name: &str, subnets: &[&str], firewall: Option<&str>) -> NetworkSpec {
    let option = firewall.map(|word| ("firewall".to_owned(), word.to_owned()));
    NetworkSpec {
        subnets: subnets.iter().copied().map(prefix).collect(),
        options: option.into_iter().collect(),
        ..NetworkSpec::named(name)
    }
}

fn port(host: Option<&str>, host_port: u16) -> PublishedPort {
    let host = host.map(|host| host.parse().unwrap());
    PublishedPort { host, host_port, container_port: 80, protocol: Protocol::Tcp }
}

fn publish(
    driver: &BridgeDriver,
    network: &NetworkState,
    container: &str,
    other: &Other,
    port: PublishedPort,
) -> Result<EndpointState> {
    let wanted = EndpointSpec { container: container.to_owned(), ports: vec![port], ..Default::default() };
    driver.attach(network, &wanted, &other.netns)
}

fn listed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Rules of ours, in both.
fn rules() -> [bool; 2] {
    let nft = listed("nft", &["list", "tables"]).contains("tinyd-");
    [nft, listed("iptables-save", &[]).contains("tinyd-")]
}

#[test]
fn root_the_first_firewall_that_the_host_has_is_chosen_and_recorded() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let with = |first: &'static str, second: Option<&'static str>| {
            let driver = BridgeDriver::new(folder.path(), |_| Box::new(Absent(first)));
            match second {
                Some(name) => driver.or_firewall(|_| Box::new(Absent(name))),
                None => driver.or_firewall(|table| Box::new(Nftables::new(table))),
            }
        };
        let wanted = spec("web", &["10.99.0.0/24"], None);
        let second = with("stone", None);
        second.validate(&wanted).unwrap();
        let network = second.create(&wanted).unwrap();
        assert_eq!(network.spec.options["firewall"], "nftables");
        second.delete(&network).unwrap();
        let neither = with("stone", Some("sand"));
        for error in [neither.validate(&wanted).unwrap_err(), neither.create(&wanted).unwrap_err()] {
            assert!(matches!(error, Error::Unavailable { .. }));
            let said = "network \"web\": a firewall (stone is not here: install it; sand is not here: install it) \
                is not there";
            assert_eq!(error.to_string(), said);
        }
        // One that is asked for is not replaced by another.
        let error = second.create(&spec("web", &[], Some("stone"))).unwrap_err().to_string();
        assert!(error.contains("what the firewall stone needs (stone is not here: install it)"), "{error}");
        // A program that lacks the firewall of a network says so, and does nothing.
        let error = neither.delete(&network).unwrap_err().to_string();
        assert!(error.contains("\"nftables\"") && error.contains("stone and sand"), "{error}");
        assert!(!rules()[0]);
    });
}

#[test]
fn root_a_network_has_the_firewall_that_it_asked_for_until_it_goes() {
    root_only!();
    iptables_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let [one, other] = [Other::new(), Other::new()];
        for (word, expected) in
            [(None, [true, false]), (Some("nftables"), [true, false]), (Some("iptables"), [false, true])]
        {
            let driver = || driver(folder.path());
            let network = driver().create(&spec("web", &["10.99.0.0/24", "fd00:99::/64"], word)).unwrap();
            assert_eq!(network.spec.options["firewall"], word.unwrap_or("nftables"));
            assert_eq!(rules(), expected, "{word:?}");
            let first = publish(&driver(), &network, "aaaa", &one, port(None, 8080)).unwrap();
            let error = publish(&driver(), &network, "bbbb", &other, port(None, 8080)).unwrap_err();
            assert!(error.to_string().contains("it leads to the container at 10.99.0.2"), "{error}");
            driver().detach(&network, &first).unwrap();
            let again = publish(&driver(), &network, "bbbb", &other, port(None, 8080)).unwrap();
            driver().detach(&network, &again).unwrap();
            driver().delete(&network).unwrap();
            assert_eq!(rules(), [false, false], "{word:?}");
        }
        let error = driver(folder.path()).validate(&spec("web", &[], Some("pf"))).unwrap_err().to_string();
        assert_eq!(error, "network \"web\": the firewall \"pf\" is none: there are nftables and iptables");
        assert!(driver(folder.path()).create(&spec("web", &[], Some("pf"))).is_err());
    });
    assert!(!folder.path().exists(), "the last network took everything with it, the lock too");
}

#[test]
fn root_both_firewalls_keep_the_drivers_contract() {
    root_only!();
    iptables_only!();
    for word in ["nftables", "iptables"] {
        let folder = tempfile::tempdir().unwrap();
        in_a_namespace(|| {
            let wanted = spec("web", &["10.99.0.0/24", "fd00:99::/64"], Some(word));
            tinyd_net::testing::conformance(&|| Box::new(driver(folder.path())), &wanted);
        });
        assert!(!folder.path().exists(), "{word}");
    }
}

#[test]
fn root_a_port_that_one_firewall_leads_somewhere_the_other_refuses() {
    root_only!();
    iptables_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        // (An address of a link that is switched off is none of the host's.)
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        let driver = driver(folder.path());
        let nft = driver.create(&spec("nft", &["10.98.0.0/24"], None)).unwrap();
        let iptables = driver.create(&spec("ipt", &["10.99.0.0/24"], Some("iptables"))).unwrap();
        let [one, two] = [Other::new(), Other::new()];
        let cases = [(None, None), (None, Some("127.0.0.1")), (Some("127.0.0.1"), None)];
        for (first, second) in [(&nft, &iptables), (&iptables, &nft)] {
            for (there, wanted) in cases {
                let held = publish(&driver, first, "aaaa", &one, port(there, 8080)).unwrap();
                let error = publish(&driver, second, "bbbb", &two, port(wanted, 8080)).unwrap_err();
                assert!(matches!(error, Error::Published { .. }), "{error}");
                let to = held.interfaces[0].addresses[0].address.to_string();
                assert!(error.to_string().contains("8080/tcp") && error.to_string().contains(&to), "{error}");
                assert!(driver.held_for(second).unwrap().is_empty(), "a refusal left something");
                driver.detach(first, &held).unwrap();
            }
            // Addresses that do not meet.
            let held = publish(&driver, first, "aaaa", &one, port(Some("127.0.0.1"), 8080)).unwrap();
            let beside = publish(&driver, second, "bbbb", &two, port(Some("127.0.0.2"), 8080)).unwrap();
            driver.detach(first, &held).unwrap();
            driver.detach(second, &beside).unwrap();
        }
        driver.delete(&nft).unwrap();
        driver.delete(&iptables).unwrap();
        assert_eq!(rules(), [false, false]);
    });
}

/// A firewall takes both, and whoever comes by the one address is led to the second.
#[test]
fn root_a_port_of_one_address_and_of_all_has_one_place_in_one_firewall() {
    root_only!();
    iptables_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        let driver = driver(folder.path());
        for word in ["nftables", "iptables"] {
            let web = driver.create(&spec("web", &["10.98.0.0/24"], Some(word))).unwrap();
            let back = driver.create(&spec("back", &["10.99.0.0/24"], Some(word))).unwrap();
            let [one, two] = [Other::new(), Other::new()];
            for (there, wanted) in [(None, Some("127.0.0.1")), (Some("127.0.0.1"), Some("0.0.0.0"))] {
                let held = publish(&driver, &web, "aaaa", &one, port(there, 8080)).unwrap();
                let error = publish(&driver, &back, "bbbb", &two, port(wanted, 8080)).unwrap_err();
                let to = held.interfaces[0].addresses[0].address;
                let said = format!("port 8080/tcp is published already: it leads to the container at {to}");
                assert_eq!(error.to_string(), said, "{word}");
                assert!(driver.held_for(&back).unwrap().is_empty(), "a refusal left something");
                // So is one that runs.
                let beside = publish(&driver, &back, "bbbb", &two, port(Some("127.0.0.2"), 8081)).unwrap();
                let error = driver.publish(&back, &beside, &[port(wanted, 8080)]).unwrap_err();
                assert_eq!(error.to_string(), said, "{word}");
                // It may itself change between them.
                let changed = driver.publish(&web, &held, &[port(wanted, 8080)]).unwrap();
                driver.detach(&web, &changed).unwrap();
                driver.detach(&back, &beside).unwrap();
            }
            driver.delete(&web).unwrap();
            driver.delete(&back).unwrap();
        }
    });
}

#[test]
fn root_ports_that_cannot_be_changed_stay_as_they_were() {
    root_only!();
    iptables_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        let driver = driver(folder.path());
        for (word, list) in [("nftables", "nft"), ("iptables", "iptables-save")] {
            let web = driver.create(&spec("web", &["10.98.0.0/24"], Some(word))).unwrap();
            let one = Other::new();
            let held = publish(&driver, &web, "aaaa", &one, port(None, 8080)).unwrap();
            let rules = || {
                let arguments: &[&str] = if list == "nft" { &["list", "ruleset"] } else { &["-t", "nat"] };
                let listed = listed(list, arguments);
                ["8080", "8081"].map(|number| listed.contains(number))
            };
            assert_eq!(rules(), [true, false], "{word}");
            // The step behind the one that takes ports away fails: somebody took the link.
            let mut broken = held.clone();
            broken.interfaces[0].host_link = Some("nosuch0".to_owned());
            driver.publish(&web, &broken, &[port(None, 8081)]).unwrap_err();
            assert_eq!(rules(), [true, false], "{word}: what went did not come back");
            let changed = driver.publish(&web, &held, &[port(None, 8081)]).unwrap();
            assert_eq!(rules(), [false, true], "{word}");
            driver.detach(&web, &changed).unwrap();
            driver.delete(&web).unwrap();
        }
    });
}

#[test]
fn root_a_network_that_was_made_before_there_was_a_choice_has_the_first() {
    root_only!();
    iptables_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(folder.path());
        let mut old = driver.create(&spec("old", &["10.98.0.0/24"], None)).unwrap();
        old.spec.options.clear();
        let bridges = folder.path().join("bridges");
        for record in std::fs::read_dir(&bridges).unwrap() {
            std::fs::write(record.unwrap().path(), "").unwrap();
        }
        let [one, two] = [Other::new(), Other::new()];
        let held = publish(&driver, &old, "aaaa", &one, port(None, 8080)).unwrap();
        let iptables = driver.create(&spec("ipt", &["10.99.0.0/24"], Some("iptables"))).unwrap();
        assert!(publish(&driver, &iptables, "bbbb", &two, port(None, 8080)).is_err());
        driver.detach(&old, &held).unwrap();
        driver.delete(&old).unwrap();
        driver.delete(&iptables).unwrap();
        assert_eq!(rules(), [false, false]);
    });
}

#[test]
fn root_what_a_killed_maker_left_is_taken_away_by_whoever_knows_what_it_was_asked_for() {
    root_only!();
    iptables_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        // A host without nf_tables.
        let driver = || {
            let lock = folder.path().join("iptables.lock");
            BridgeDriver::new(folder.path(), |_| Box::new(Absent("nftables")))
                .or_firewall(|table| Box::new(Iptables::new(&table, lock)))
        };
        let asked = NetworkSpec { ipv6: Some(true), ..NetworkSpec::named("web") };
        for others in [false, true] {
            let other = others.then(|| driver().create(&spec("other", &["10.98.0.0/24"], None)).unwrap());
            let made = driver().create(&asked).unwrap();
            assert_eq!(made.spec.options["firewall"], "iptables");
            let known = NetworkState { spec: asked.clone(), links: Vec::new(), ..made.clone() };
            driver().delete(&known).unwrap();
            for program in ["iptables-save", "ip6tables-save"] {
                assert!(!listed(program, &[]).contains(&made.links[0]), "{program}");
            }
            if let Some(other) = other {
                driver().delete(&other).unwrap();
            }
            assert_eq!(rules(), [false, false]);
        }
    });
}
