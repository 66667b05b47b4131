//! The bridge driver in a network namespace of the test's, with containers that are namespaces and no more.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test; clippy.toml does not see that its helpers are one")]

mod ground;

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ground::{Other, address, in_a_namespace, prefix, root_only};
use tinyd_net::firewall::{Firewall, NetworkRules, Publication};
use tinyd_net::link::{Links, Route};
use tinyd_net::{
    BridgeDriver, EndpointSpec, EndpointState, Error, NetworkDriver, NetworkSpec, NetworkState, Prefix, Undo,
};

/// A host that filters nothing: what rules do is the business of other tests.
struct Open;

impl Firewall for Open {
    fn name(&self) -> &'static str {
        "open"
    }

    fn probe(&self) -> io::Result<()> {
        Ok(())
    }

    fn open(&self, _: &NetworkRules) -> io::Result<()> {
        Ok(())
    }

    fn close(&self, _: &NetworkRules) -> io::Result<()> {
        Ok(())
    }

    fn is_open(&self, _: &NetworkRules) -> io::Result<bool> {
        Ok(true)
    }

    fn stands(&self, _: &[String]) -> io::Result<bool> {
        Ok(true)
    }

    fn publish(&self, _: &[Publication]) -> io::Result<Vec<Undo>> {
        Ok(Vec::new())
    }

    fn withdraw_but(&self, _: IpAddr, _: &[Publication]) -> io::Result<()> {
        Ok(())
    }

    fn published(&self) -> io::Result<Vec<Publication>> {
        Ok(Vec::new())
    }
}

fn driver(folder: &Path) -> BridgeDriver {
    BridgeDriver::new(folder, |_| Box::new(Open))
}

fn spec(name: &str, subnets: &[&str]) -> NetworkSpec {
    NetworkSpec { subnets: subnets.iter().copied().map(prefix).collect(), ..NetworkSpec::named(name) }
}

fn on(network: &NetworkState, driver: &BridgeDriver, container: &str, other: &Other) -> EndpointState {
    let wanted = EndpointSpec { container: container.to_owned(), gateway: true, ..Default::default() };
    driver.attach(network, &wanted, &other.netns).unwrap()
}

fn address_of(endpoint: &EndpointState) -> IpAddr {
    endpoint.interfaces[0].addresses[0].address
}

/// Connects from one namespace to a server in another, and gives the client's address as the server sees it.
fn reach(from: &Other, to: &Other, at: IpAddr) -> io::Result<IpAddr> {
    let (from, to) = (from.netns.try_clone().unwrap(), to.netns.try_clone().unwrap());
    thread::scope(|scope| {
        let (ready, bound) = mpsc::channel();
        let server = scope.spawn(move || {
            rustix::thread::move_into_link_name_space(to.as_fd(), None).unwrap();
            let listener = TcpListener::bind(SocketAddr::new(at, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            (0..1_000).find_map(|_| {
                thread::sleep(Duration::from_millis(10));
                listener.accept().ok().map(|(_, client)| client.ip())
            })
        });
        let client = scope.spawn(move || {
            rustix::thread::move_into_link_name_space(from.as_fd(), None).unwrap();
            TcpStream::connect_timeout(&bound.recv().unwrap(), Duration::from_secs(9)).map(drop)
        });
        client.join().unwrap()?;
        server.join().unwrap().ok_or_else(|| io::ErrorKind::TimedOut.into())
    })
}

#[test]
fn root_the_bridge_keeps_the_drivers_contract() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let wanted = spec("web", &["10.99.0.0/24", "fd00:99::/64"]);
        tinyd_net::testing::conformance(&|| Box::new(driver(folder.path())), &wanted);
        let left: Vec<_> = Links::here().unwrap().list().unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(left, ["lo"], "something was left");
    });
    assert!(!folder.path().exists(), "the last network took everything with it, the folder too");
}

#[test]
fn root_containers_reach_their_gateway_and_each_other() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(folder.path());
        let network = driver.create(&spec("web", &["10.99.0.0/24", "fd00:99::/64"])).unwrap();
        let (one, two) = (Other::new(), Other::new());
        let (first, second) = (on(&network, &driver, "aaaa", &one), on(&network, &driver, "bbbb", &two));
        assert_eq!(address_of(&first), address("10.99.0.2"));
        assert_eq!(address_of(&second), address("10.99.0.3"));
        for interface in [&first.interfaces[0], &second.interfaces[0]] {
            assert_eq!(interface.gateways, [address("10.99.0.1"), address("fd00:99::1")]);
        }
        for family in 0..2 {
            let [from, to] = [&first, &second].map(|end| end.interfaces[0].addresses[family].address);
            assert_eq!(reach(&one, &two, to).unwrap(), from);
        }
        // The host is a third namespace, whose address is the gateway.
        let this = Other::here();
        assert_eq!(reach(&one, &this, address("10.99.0.1")).unwrap(), address("10.99.0.2"));

        assert_eq!(driver.held_for(&network).unwrap(), ["aaaa", "bbbb"]);
        driver.detach(&network, &first).unwrap();
        driver.detach(&network, &second).unwrap();
        assert!(driver.held_for(&network).unwrap().is_empty());
        driver.delete(&network).unwrap();
    });
}

#[test]
fn root_what_a_container_wants_it_gets_or_is_told_why_not() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(folder.path());
        let network = driver.create(&spec("web", &["10.99.0.0/24"])).unwrap();
        let wanted = EndpointSpec {
            container: "aaaa".into(),
            interface: "net7".into(),
            addresses: vec![address("10.99.0.77")],
            mac: Some([2, 1, 2, 3, 4, 5]),
            ..Default::default()
        };
        let (one, two) = (Other::new(), Other::new());
        let first = driver.attach(&network, &wanted, &one.netns).unwrap();
        let link = Links::of(one.netns.as_fd()).unwrap().find("net7").unwrap().unwrap();
        assert_eq!((link.mac, link.is_up), (wanted.mac, true));
        assert_eq!(address_of(&first), address("10.99.0.77"));
        assert!(first.interfaces[0].gateways.is_empty(), "it wanted none");

        let links = || Links::here().unwrap().list().unwrap().len();
        let before = links();
        let refused = |addresses: &str| {
            let wanted = EndpointSpec {
                container: "bbbb".into(),
                addresses: vec![address(addresses)],
                ..Default::default()
            };
            let error = driver.attach(&network, &wanted, &two.netns).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error}: {source}")
        };
        assert!(refused("10.99.0.77").contains("aaaa"), "{}", refused("10.99.0.77"));
        assert!(refused("10.98.0.1").contains("10.99.0.0/24"));
        assert!(refused("10.99.0.1").contains("10.99.0.1"));
        assert_eq!(
            (links(), driver.held_for(&network).unwrap().len()),
            (before, 1),
            "a refusal left something"
        );
        driver.detach(&network, &first).unwrap();
        driver.delete(&network).unwrap();
    });
}

#[test]
fn root_a_range_that_the_host_routes_elsewhere_is_refused_and_never_chosen() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let mut links = Links::here().unwrap();
        links.make_bridge("vpn0", [2, 0, 0, 0, 0, 9], 1500).unwrap();
        let vpn = links.find("vpn0").unwrap().unwrap().index;
        links.add_address(vpn, prefix("10.208.1.1/16")).unwrap();
        let driver = driver(folder.path());
        let error = driver.create(&spec("web", &["10.208.9.0/24"])).unwrap_err().to_string();
        assert!(error.contains("the route 10.208.0.0/16 by vpn0"), "{error}");
        let network = driver.create(&NetworkSpec::named("web")).unwrap();
        let chosen: Prefix = network.spec.subnets[0];
        assert!(chosen.size() >= 1024 && !prefix("10.208.0.0/16").overlaps(chosen), "{chosen}");
        driver.delete(&network).unwrap();
        // Where a rule leads to it, as of a VPN.
        links.switch_on(vpn).unwrap();
        for table in ["52", "51820"] {
            let words = ["route", "add", "10.77.0.0/16", "dev", "vpn0", "table", table];
            assert!(Command::new("ip").args(words).status().unwrap().success());
            let error = driver.create(&spec("web", &["10.77.9.0/24"])).unwrap_err().to_string();
            assert!(error.contains(&format!("the route 10.77.0.0/16 by vpn0 in table {table}")), "{error}");
            assert!(Command::new("ip").args(["route", "flush", "table", table]).status().unwrap().success());
        }
        let there: Vec<_> = links.routes().unwrap().iter().map(|route| route.table).collect();
        assert!(there.iter().all(|table| *table == Route::MAIN), "{there:?}");
    });
}

#[test]
fn root_a_hardware_address_is_one_containers_alone() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(folder.path());
        let network = driver.create(&spec("web", &["10.99.0.0/24"])).unwrap();
        let [one, other] = [Other::new(), Other::new()];
        let with = |container: &str, mac: [u8; 6], place: &Other| {
            let wanted = EndpointSpec { container: container.into(), mac: Some(mac), ..Default::default() };
            driver.attach(&network, &wanted, &place.netns)
        };
        let mac = [2, 0, 0, 0, 0, 7];
        let endpoint = with("aaaa", mac, &one).unwrap();
        let error = with("bbbb", mac, &other).unwrap_err().to_string();
        assert!(
            error.contains("the hardware address 02:00:00:00:00:07 belongs to container aaaa"),
            "{error}"
        );
        assert_eq!(driver.held_for(&network).unwrap(), ["aaaa"], "nothing is left of it");
        let error = with("bbbb", [2, 0x42, 10, 99, 0, 1], &other).unwrap_err().to_string();
        assert!(error.contains("belongs to the bridge itself"), "{error}");
        let mut links = Links::here().unwrap();
        let port = endpoint.interfaces[0].host_link.as_deref().unwrap();
        let own = links.find(port).unwrap().unwrap().mac.unwrap();
        let error = with("bbbb", own, &other).unwrap_err().to_string();
        assert!(error.contains("belongs to container aaaa"), "{error}");
        // Of one that has ended, whose namespace the kernel has not come to yet, it is nobody's; nor is it its own.
        for step in &endpoint.undo {
            let Undo::Unlink(path) = step else { panic!("{step:?}") };
            fs::remove_file(path).unwrap();
        }
        with("bbbb", mac, &other).unwrap();
        driver.delete(&network).unwrap();
    });
}

#[test]
fn root_without_ipv6_packets_may_be_as_small_as_ipv4_lets_them() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(folder.path());
        let small = |mtu| NetworkSpec { mtu: Some(mtu), ..spec("web", &["10.99.0.0/24"]) };
        assert!(driver.create(&small(67)).unwrap_err().to_string().contains("68 to 65535"));
        let network = driver.create(&small(600)).unwrap();
        let [one, other] = [Other::new(), Other::new()];
        let [_, second] = [on(&network, &driver, "aaaa", &one), on(&network, &driver, "bbbb", &other)];
        let link = Links::of(one.netns.as_fd()).unwrap().find("eth0").unwrap().unwrap();
        assert_eq!((link.mtu, network.spec.ipv6), (600, Some(false)));
        assert!(reach(&one, &other, address_of(&second)).is_ok());
        assert_eq!(driver.missing(&network, &[]).unwrap(), [""; 0]);
        driver.delete(&network).unwrap();
    });
}

#[test]
fn root_the_settings_of_the_host_come_back_with_the_last_network() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let mut links = Links::here().unwrap();
        links.make_bridge("uplink0", [2, 0, 0, 0, 0, 9], 1500).unwrap();
        let uplink = links.find("uplink0").unwrap().unwrap().index;
        links.add_address(uplink, prefix("192.0.2.2/24")).unwrap();
        links.add_default_route(uplink, address("192.0.2.1")).unwrap();
        let setting = |name: &str| {
            let path = format!("/proc/sys/net/ipv4/{name}");
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")).trim().to_owned()
        };
        let uplink = "conf/uplink0/forwarding";
        fs::write("/proc/sys/net/ipv4/conf/uplink0/forwarding", "0").unwrap();
        let everywhere = setting("ip_forward");

        let driver = driver(folder.path());
        let web = driver.create(&spec("web", &["10.99.0.0/24"])).unwrap();
        // Said once, by the first of all networks.
        let said = driver.changes(&web).unwrap().join("\n");
        assert!(said.ends_with("for which net.ipv4.conf.uplink0.forwarding becomes 1"), "{said}");
        let db = driver.create(&spec("db", &["10.98.0.0/24"])).unwrap();
        assert_eq!(driver.changes(&db).unwrap(), [""; 0]);
        let other = Other::new();
        on(&web, &driver, "aaaa", &other);
        for bridge in [&web.links[0], &db.links[0]] {
            assert_eq!(setting(&format!("conf/{bridge}/forwarding")), "1");
            assert_eq!(setting(&format!("conf/{bridge}/route_localnet")), "1");
        }
        assert_eq!((setting(uplink), setting("ip_forward")), ("1".to_owned(), everywhere.clone()));
        driver.delete(&web).unwrap();
        assert_eq!(setting(uplink), "1", "another network needs it");
        driver.delete(&db).unwrap();
        assert_eq!((setting(uplink), setting("ip_forward")), ("0".to_owned(), everywhere));
    });
}

/// Another engine, or an administrator, makes a router of the host while there are networks: he goes on needing it.
#[test]
fn root_forwarding_that_somebody_else_switched_on_meanwhile_stays() {
    root_only!();
    for (before, meanwhile, expected) in [("0", "1", "1"), ("0", "0", "0"), ("1", "1", "0")] {
        let folder = tempfile::tempdir().unwrap();
        in_a_namespace(|| {
            let mut links = Links::here().unwrap();
            let conf = |link: &str| format!("/proc/sys/net/ipv4/conf/{link}/forwarding");
            fs::write(conf("all"), before).unwrap();
            links.make_bridge("uplink0", [2, 0, 0, 0, 0, 9], 1500).unwrap();
            let uplink = links.find("uplink0").unwrap().unwrap().index;
            links.add_address(uplink, prefix("192.0.2.2/24")).unwrap();
            links.add_default_route(uplink, address("192.0.2.1")).unwrap();
            fs::write(conf("uplink0"), "0").unwrap();
            let driver = driver(folder.path());
            let web = driver.create(&spec("web", &["10.99.0.0/24"])).unwrap();
            on(&web, &driver, "aaaa", &Other::new());
            assert_eq!(fs::read_to_string(conf("uplink0")).unwrap().trim(), "1");
            if before != meanwhile {
                fs::write(conf("all"), meanwhile).unwrap();
            }
            driver.delete(&web).unwrap();
            let now = fs::read_to_string(conf("uplink0")).unwrap();
            assert_eq!(now.trim(), expected, "{before} {meanwhile}");
        });
    }
}

#[test]
fn root_a_bridge_that_is_gone_comes_back_with_the_next_container() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(folder.path());
        let network = driver.create(&spec("web", &["10.99.0.0/24"])).unwrap();
        let mut links = Links::here().unwrap();
        let bridge = links.find(&network.links[0]).unwrap().unwrap();
        links.remove(bridge.index).unwrap();
        let (one, two) = (Other::new(), Other::new());
        on(&network, &driver, "aaaa", &one);
        let second = on(&network, &driver, "bbbb", &two);
        assert_eq!(reach(&one, &two, address_of(&second)).unwrap(), address("10.99.0.2"));
        driver.delete(&network).unwrap();
    });
}

#[test]
fn root_a_bridge_that_is_full_says_so() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let driver = driver(folder.path());
        let network = driver.create(&spec("web", &["10.96.0.0/16"])).unwrap();
        let others: Vec<_> = (0..64).map(|_| Other::new()).collect();
        let attach = |number: usize| {
            let wanted = EndpointSpec {
                container: format!(
                    "{:032x}",
                    (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
                ),
                interface: format!("net{number}"),
                ..Default::default()
            };
            driver.attach(&network, &wanted, &others[number % others.len()].netns)
        };
        for number in 0..1023 {
            attach(number).unwrap_or_else(|error| panic!("container {number}: {error}"));
        }
        let error = attach(1023).unwrap_err();
        assert!(matches!(error, Error::Full { .. }), "{error}");
        assert_eq!(driver.held_for(&network).unwrap().len(), 1023, "the refusal kept an address");
        driver.delete(&network).unwrap();
    });
}
