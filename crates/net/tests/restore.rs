//! What somebody took away comes back: rules, ports, addresses, settings and links, with each firewall.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test; clippy.toml does not see its helpers")]

mod ground;

use std::fs;
use std::path::Path;
use std::process::Command;

use ground::{Other, in_a_namespace, prefix, root_only};
use tinyd_net::firewall::{Firewall, Iptables, Nftables, Programs, Variant};
use tinyd_net::link::Links;
use tinyd_net::{
    BridgeDriver, EndpointSpec, EndpointState, Error, NetworkDriver, NetworkSpec, NetworkState, Protocol,
    PublishedPort,
};

/// A firewall, and how somebody flushes all of its kind.
struct Kind {
    make: fn(String, &Path) -> Box<dyn Firewall>,
    flush: &'static str,
    list: &'static str,
}

const NFT: Kind = Kind {
    make: |table, _| Box::new(Nftables::new(table)),
    flush: "nft flush ruleset",
    list: "nft list ruleset",
};

macro_rules! iptables {
    ($variant:ident, $suffix:literal) => {
        Kind {
            make: |table, folder| {
                let programs = Programs::find(Variant::$variant).unwrap();
                Box::new(Iptables::new(&table, folder.join("lock")).with_programs(programs))
            },
            flush: concat!(
                "for family in iptables ip6tables; do for table in nat mangle; do $family-",
                $suffix,
                " -t $table -F; $family-",
                $suffix,
                " -t $table -X; done; done"
            ),
            list: concat!(
                "for family in iptables ip6tables; do $family-",
                $suffix,
                "-save | grep -v '^#' | sed 's/ \\[.*//'; done"
            ),
        }
    };
}

/// Every kind that can be had here.
fn kinds() -> Vec<Kind> {
    let mut all = vec![NFT];
    for (variant, kind) in
        [(Variant::Nft, iptables!(Nft, "nft")), (Variant::Legacy, iptables!(Legacy, "legacy"))]
    {
        match Programs::find(variant) {
            Ok(_) => all.push(kind),
            Err(error) => {
                assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{error}");
                eprintln!("SKIPPED ({error})");
            }
        }
    }
    all
}

fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn driver(kind: &Kind, folder: &Path) -> BridgeDriver {
    BridgeDriver::new(folder, |table| (kind.make)(table, folder))
}

fn spec(name: &str, subnets: &[&str]) -> NetworkSpec {
    NetworkSpec { subnets: subnets.iter().copied().map(prefix).collect(), ..NetworkSpec::named(name) }
}

fn port(host: Option<&str>, host_port: u16, protocol: Protocol) -> PublishedPort {
    PublishedPort { host: host.map(|host| host.parse().unwrap()), host_port, container_port: 80, protocol }
}

fn on(
    driver: &BridgeDriver,
    network: &NetworkState,
    container: &str,
    other: &Other,
    ports: &[PublishedPort],
) -> EndpointState {
    let wanted =
        EndpointSpec { container: container.to_owned(), ports: ports.to_vec(), ..Default::default() };
    driver.attach(network, &wanted, &other.netns).unwrap()
}

#[test]
fn root_rules_and_ports_that_were_flushed_come_back_as_they_were() {
    root_only!();
    for kind in kinds() {
        let folder = tempfile::tempdir().unwrap();
        in_a_namespace(|| {
            shell("ip link set lo up");
            let driver = driver(&kind, folder.path());
            let web = driver.create(&spec("web", &["10.99.0.0/24", "fd00:99::/64"])).unwrap();
            let back =
                driver.create(&NetworkSpec { internal: true, ..spec("back", &["10.98.0.0/24"]) }).unwrap();
            let [one, two] = [Other::new(), Other::new()];
            let ports = [
                port(None, 8080, Protocol::Tcp),
                port(Some("127.0.0.1"), 8081, Protocol::Udp),
                port(Some("0.0.0.0"), 8082, Protocol::Tcp),
            ];
            let ends = [on(&driver, &web, "aaaa", &one, &ports), on(&driver, &web, "bbbb", &two, &[])];
            let sorted = || {
                let listed = shell(kind.list);
                let mut lines: Vec<_> = listed.lines().map(|line| line.trim().to_owned()).collect();
                lines.sort();
                lines
            };
            let before = sorted();
            assert_eq!(driver.missing(&web, &ends).unwrap(), [""; 0]);
            shell(kind.flush);
            assert_ne!(sorted(), before);
            let missed = driver.missing(&web, &ends).unwrap().join(", ");
            for part in ["rules of the firewall", "port 8080/tcp", "port 8081/udp", "port 8082/tcp"] {
                assert!(missed.contains(part), "no {part:?} in {missed:?}");
            }
            assert!(!driver.missing(&back, &[]).unwrap().is_empty());
            let noticed = driver.looks_whole(None).unwrap() && driver.looks_whole(Some(&web)).unwrap();
            assert!(!noticed, "a question at once does not tell");
            // In either order, and again.
            for (network, ends) in [(&back, &[][..]), (&web, &ends[..]), (&back, &[]), (&web, &ends)] {
                driver.restore(network, ends).unwrap();
                assert_eq!(driver.missing(network, ends).unwrap(), [""; 0]);
            }
            assert_eq!(sorted(), before);
            assert!(driver.looks_whole(None).unwrap() && driver.looks_whole(Some(&web)).unwrap());
            // A port alone is missed too, and one alone comes back: the others are somebody's who uses them.
            driver.detach(&web, &ends[0]).unwrap();
            assert!(driver.missing(&web, &ends).unwrap().join(", ").contains("port 8080/tcp"));
            driver.detach(&web, &ends[1]).unwrap();
            driver.delete(&back).unwrap();
            driver.delete(&web).unwrap();
            let left = shell(kind.list);
            assert!(!left.contains("tinyd"), "{left}");
        });
        assert!(!folder.path().exists(), "the last network took everything with it");
    }
}

#[test]
fn root_a_port_that_another_was_given_meanwhile_stays_the_others_and_keeps_no_port_from_coming_back() {
    root_only!();
    for kind in kinds() {
        let folder = tempfile::tempdir().unwrap();
        in_a_namespace(|| {
            let driver = driver(&kind, folder.path());
            let web = driver.create(&spec("web", &["10.99.0.0/24"])).unwrap();
            let [one, two] = [Other::new(), Other::new()];
            let ports = [port(None, 8080, Protocol::Tcp), port(None, 8081, Protocol::Tcp)];
            let first = on(&driver, &web, "aaaa", &one, &ports);
            shell(kind.flush);
            driver.restore(&web, &[]).unwrap();
            let second = on(&driver, &web, "bbbb", &two, &ports[..1]);
            let ends = [first, second];
            let error = driver.restore(&web, &ends).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(format!("{error}: {source}").contains("8080/tcp"), "{error}: {source}");
            let missed = driver.missing(&web, &ends).unwrap();
            assert_eq!(missed, ["the port 8080/tcp"], "the other port is back, and nothing else is gone");
            ends.iter().for_each(|end| driver.detach(&web, end).unwrap());
            driver.delete(&web).unwrap();
        });
    }
}

#[test]
fn root_a_bridge_its_addresses_settings_and_ports_come_back() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(&NFT, folder.path());
        let web = driver.create(&spec("web", &["10.99.0.0/24", "fd00:99::/64"])).unwrap();
        let bridge = web.links[0].clone();
        let one = Other::new();
        let ends = [on(&driver, &web, "aaaa", &one, &[port(None, 8080, Protocol::Tcp)])];
        let port = ends[0].interfaces[0].host_link.clone().unwrap();
        let setting = format!("/proc/sys/net/ipv4/conf/{bridge}/forwarding");
        let seen = || {
            let mut links = Links::here().unwrap();
            let there = links.find(&bridge).unwrap().unwrap();
            let mut addresses = links.addresses().unwrap();
            addresses.retain(|(index, address)| *index == there.index && *address != prefix("fe80::1/64"));
            let addresses: Vec<_> = addresses.into_iter().map(|(_, address)| address).collect();
            let own =
                addresses.contains(&prefix("10.99.0.1/24")) && addresses.contains(&prefix("fd00:99::1/64"));
            let port = links.find(&port).unwrap().unwrap();
            let details = shell(&format!("ip -d link show {}", port.name));
            (
                own,
                there.is_up,
                port.master == Some(there.index),
                port.is_up,
                details.contains("hairpin on"),
                fs::read_to_string(&setting).unwrap().trim().to_owned(),
            )
        };
        let whole = (true, true, true, true, true, "1".to_owned());
        assert_eq!(seen(), whole);
        let harms = [
            (format!("ip addr flush dev {bridge}"), "address 10.99.0.1/24"),
            (format!("ip link set {bridge} down"), "the bridge"),
            (format!("ip link set {port} nomaster"), port.as_str()),
            (format!("ip link set {port} down"), port.as_str()),
            (format!("echo 0 > {setting}"), "the settings"),
            // A change: where it is what it was, the kernel leaves the links' own settings alone.
            (
                "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 0 > /proc/sys/net/ipv4/ip_forward".to_owned(),
                "the settings",
            ),
            (format!("ip link del {bridge}"), "the bridge"),
        ];
        for (harm, word) in harms {
            shell(&harm);
            let missed = driver.missing(&web, &ends).unwrap().join(", ");
            assert!(missed.contains(word), "after {harm}: {missed:?}");
            driver.restore(&web, &ends).unwrap();
            assert_eq!(driver.missing(&web, &ends).unwrap(), [""; 0], "after {harm}");
            assert_eq!(seen(), whole, "after {harm}");
        }
        // What cannot come back is said, and everything else comes back.
        shell(&format!("ip link del {port}; nft flush ruleset"));
        let error = driver.restore(&web, &ends).unwrap_err();
        assert!(matches!(&error, Error::LinkGone { container, .. } if container == "aaaa"), "{error}");
        assert_eq!(driver.missing(&web, &ends).unwrap(), [format!("the link {port}")]);
        driver.detach(&web, &ends[0]).unwrap();
        driver.delete(&web).unwrap();
    });
}

#[test]
fn root_a_network_that_was_not_made_since_the_machine_started_misses_nothing() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(&NFT, folder.path());
        let web = driver.create(&spec("web", &["10.99.0.0/24"])).unwrap();
        let known = web.clone();
        driver.delete(&web).unwrap();
        assert!(driver.looks_whole(None).unwrap());
        assert_eq!(driver.missing(&known, &[]).unwrap(), [""; 0]);
        driver.restore(&known, &[]).unwrap();
        let links = Links::here().unwrap().list().unwrap();
        assert_eq!(links.len(), 1, "it was made without need: {links:?}");
    });
}

/// Whoever makes a network while somebody flushes makes the table anew, with no other network in it.
#[test]
fn root_a_table_that_was_made_anew_for_one_network_is_not_taken_for_that_of_all() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        shell("ip link set lo up");
        let driver = driver(&NFT, folder.path());
        let first = driver.create(&spec("first", &["10.99.0.0/24"])).unwrap();
        assert!(driver.looks_whole(None).unwrap());
        shell(NFT.flush);
        let second = driver.create(&spec("second", &["10.99.1.0/24"])).unwrap();
        assert!(!driver.looks_whole(None).unwrap(), "the first is closed");
        driver.restore(&first, &[]).unwrap();
        assert!(driver.looks_whole(None).unwrap());
        for network in [&first, &second] {
            driver.delete(network).unwrap();
        }
        assert!(driver.looks_whole(None).unwrap());
    });
}

/// A bridge is there before its rules are: whoever finds it then does not take it for whole.
#[test]
fn root_a_bridge_whose_maker_was_killed_is_made_whole_by_whoever_needs_it() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        shell("ip link set lo up");
        let driver = driver(&NFT, folder.path());
        let network = driver.create(&spec("web", &["10.99.0.0/24"])).unwrap();
        let whole = shell(NFT.list);
        let bridge = shell("ip -o link show type bridge | cut -d: -f2").trim().to_owned();
        // As after a restart of the machine, and a start that came as far as that.
        shell(&format!(
            "nft flush ruleset; ip link del {bridge}; ip link add {bridge} type bridge; ip link set {bridge} up"
        ));
        let other = Other::new();
        let endpoint = on(&driver, &network, "c1", &other, &[]);
        assert_eq!(shell(NFT.list), whole);
        assert!(shell(&format!("ip -o addr show {bridge}")).contains("10.99.0.1/24"));
        driver.detach(&network, &endpoint).unwrap();
        driver.delete(&network).unwrap();
    });
}
