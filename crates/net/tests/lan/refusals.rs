//! What cannot be is refused in one line that names it, before anything is made.

use crate::ground::{Other, address, prefix, root_only};
use crate::place::{endpoint, leased, links, on, on_a_host, spec};
use std::os::fd::AsFd as _;
use tinyd_net::link::{Links, Veth};
use tinyd_net::{EndpointSpec, Error, LanDriver, NetworkDriver, NetworkSpec, Protocol, PublishedPort};

/// What is said of a network that is refused.
fn refused(driver: &LanDriver, change: impl FnOnce(&mut NetworkSpec)) -> String {
    let mut wanted = spec(&[]);
    change(&mut wanted);
    let said = driver.validate(&wanted).unwrap_err();
    assert_eq!(driver.create(&wanted).unwrap_err().to_string(), said.to_string());
    assert!(matches!(said, Error::Invalid { .. }), "{said}");
    let said = said.to_string();
    assert!(!said.contains('\n'), "{said}");
    said
}

fn parent(name: &str) -> impl FnOnce(&mut NetworkSpec) {
    let name = name.to_owned();
    |spec| drop(spec.options.insert("parent".to_owned(), name))
}

#[test]
fn root_a_parent_that_cannot_be_one_is_refused_and_those_that_can_are_named() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let driver = LanDriver::macvlan(folder.path());
        // A port of a bridge, a bridge, and a link that is switched off.
        let (mut here, other) = (Links::here().unwrap(), Other::new());
        here.make_bridge("br0", [2, 0, 0, 0, 0, 9], 1400).unwrap();
        let bridge = here.find("br0").unwrap().unwrap().index;
        let veth = |name, peer, netns| Veth {
            name,
            bridge,
            hairpin: false,
            mtu: 1400,
            peer,
            mac: [2, 0, 0, 0, 0, 8],
            netns,
        };
        here.make_veth(&veth("port0", "eth0", other.netns.as_fd())).unwrap();
        let host = Other::here();
        here.make_veth(&veth("port1", "off0", host.netns.as_fd())).unwrap();
        let before = links(&host);

        let missing = refused(&driver, |spec| drop(spec.options.remove("parent")));
        let said = "the option \"parent\" is missing: name a link of this host, one of uplink0 and br0, with -o parent=LINK";
        assert_eq!(missing, format!("network \"lan\": {said}"));
        let gone = refused(&driver, parent("eth7"));
        assert!(gone.contains("the parent \"eth7\" is no link of this host: choose one of"), "{gone}");
        assert!(refused(&driver, parent("")).contains("no link of this host"));
        assert!(refused(&driver, parent("lo")).contains("\"lo\" is the loopback device"));
        assert!(refused(&driver, parent("port0")).contains("\"port0\" is a part of br0: choose that"));
        assert!(refused(&driver, parent("off0")).contains("\"ip link set off0 up\""));
        let wide = refused(&driver, |spec| {
            spec.mtu = Some(1450);
            parent("br0")(spec);
        });
        assert!(
            wide.contains("the MTU 1450 is more than the 1400 bytes that its parent br0 carries"),
            "{wide}"
        );
        assert_eq!((links(&host), leased(folder.path()).len()), (before, 0), "a refusal left something");
    });
}

#[test]
fn root_words_and_addresses_that_cannot_be_are_refused() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let driver = LanDriver::macvlan(folder.path());
        let option = |key: &'static str, value: &'static str| {
            move |spec: &mut NetworkSpec| drop(spec.options.insert(key.to_owned(), value.to_owned()))
        };
        assert!(
            refused(&driver, option("mode", "l2")).contains("the mode \"l2\" is none of bridge, private")
        );
        assert!(refused(&driver, option("ipvlan_mode", "l2")).contains("the option \"ipvlan_mode\" is none"));
        let none = refused(&driver, |spec| spec.subnets.clear());
        assert!(none.contains("the subnet is missing") && none.ends_with("--subnet 10.99.0.0/24"), "{none}");
        assert!(refused(&driver, |spec| spec.ipv6 = Some(true)).contains("IPv6 needs a subnet"));
        let outside = refused(&driver, |spec| spec.gateways = vec![address("10.98.0.1")]);
        assert!(outside.contains("the gateway 10.98.0.1"), "{outside}");

        // The host reaches a part of the range by another link than the parent, and knows the parent's network.
        let mut here = Links::here().unwrap();
        here.make_bridge("vpn0", [2, 0, 0, 0, 0, 9], 1400).unwrap();
        let vpn = here.find("vpn0").unwrap().unwrap().index;
        here.add_address(vpn, prefix("10.97.4.1/22")).unwrap();
        let taken = refused(&driver, |spec| spec.subnets = vec![prefix("10.97.5.0/24")]);
        assert!(
            taken.contains("subnet 10.97.5.0/24 is in use already: the route 10.97.4.0/22 by vpn0"),
            "{taken}"
        );
        // Its own it may have, though somebody else has a larger range around it.
        here.add_address(vpn, prefix("10.96.0.1/12")).unwrap();
        driver.delete(&driver.create(&spec(&[])).unwrap()).unwrap();
    });
}

#[test]
fn root_what_a_container_wants_it_gets_or_is_told_why_not() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let driver = LanDriver::macvlan(folder.path());
        let network = driver.create(&NetworkSpec { mtu: Some(1400), ..spec(&[]) }).unwrap();
        let wanted = EndpointSpec {
            interface: "net7".into(),
            addresses: vec![address("10.99.0.77")],
            mac: Some([2, 1, 2, 3, 4, 5]),
            ..endpoint("aaaa")
        };
        let (one, two) = (Other::new(), Other::new());
        let first = driver.attach(&network, &wanted, &one.netns).unwrap();
        let link = Links::of(one.netns.as_fd()).unwrap().find("net7").unwrap().unwrap();
        assert_eq!((link.mac, link.mtu, link.is_up), (wanted.mac, 1400, true));
        assert_eq!(link.kind.as_deref(), Some("macvlan"));
        assert_eq!(first.interfaces[0].mac, [2, 1, 2, 3, 4, 5]);
        assert_eq!(leased(folder.path()), ["10.99.0.77"]);

        let refused = |change: &dyn Fn(&mut EndpointSpec)| {
            let mut wanted = endpoint("bbbb");
            change(&mut wanted);
            let error = driver.attach(&network, &wanted, &two.netns).unwrap_err();
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error}: {source}")
        };
        let at = |text: &'static str| move |spec: &mut EndpointSpec| spec.addresses = vec![address(text)];
        assert!(refused(&at("10.99.0.77")).contains("the address 10.99.0.77 belongs to aaaa"));
        assert!(refused(&at("10.98.0.1")).contains("10.99.0.0/24"));
        assert!(refused(&at("10.99.0.1")).contains("10.99.0.1 is no address"), "the gateway's");
        assert!(refused(&at("10.99.0.2")).contains("10.99.0.2 is no address"), "the host's own");
        // The link is there by now, and has no place to send to: it goes again.
        let mut inside = Links::of(two.netns.as_fd()).unwrap();
        inside.make_bridge("br0", [2, 0, 0, 0, 0, 9], 1400).unwrap();
        let bridge = inside.find("br0").unwrap().unwrap().index;
        inside.add_default_route_by_link(bridge, false).unwrap();
        let said = refused(&|_| {});
        assert!(said.contains("make the default route through 10.99.0.1: File exists"), "{said}");
        assert_eq!(links(&two), ["lo", "br0"], "a link was left");
        inside.remove(bridge).unwrap();
        let said = refused(&|spec| spec.mac = Some([2, 1, 2, 3, 4, 5]));
        assert!(
            said.contains("the hardware address 02:01:02:03:04:05 belongs to uplink0 or to another"),
            "{said}"
        );
        let port = PublishedPort { host: None, host_port: 80, container_port: 8080, protocol: Protocol::Tcp };
        let said = refused(&|spec| spec.ports = vec![port]);
        assert!(
            said.contains("the port 8080/tcp cannot be published") && said.contains("of its own"),
            "{said}"
        );
        for name in ["longer-than-any-link", "a/b", ".."] {
            let said = refused(&|spec| spec.interface = name.to_owned());
            assert!(said.contains(&format!("the name {name:?} cannot be a link's")), "{said}");
        }
        assert_eq!(
            (links(&two), leased(folder.path()).len()),
            (vec!["lo".to_owned()], 1),
            "something was left"
        );
    });
}

#[test]
fn root_a_parent_is_passed_through_to_one_alone() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let driver = LanDriver::macvlan(folder.path());
        let network = driver.create(&spec(&[("mode", "passthru")])).unwrap();
        let (one, two) = (Other::new(), Other::new());
        let chosen = EndpointSpec { mac: Some([2, 1, 2, 3, 4, 5]), ..endpoint("aaaa") };
        let error = driver.attach(&network, &chosen, &one.netns).unwrap_err().to_string();
        assert!(error.contains("the hardware address cannot be chosen"), "{error}");
        let first = on(&network, &driver, "aaaa", &one);
        assert_eq!(first.interfaces[0].mac, [2, 0x42, 9, 9, 9, 2], "it is the parent's");
        let error = driver.attach(&network, &endpoint("bbbb"), &two.netns).unwrap_err().to_string();
        assert!(error.contains("the parent \"uplink0\" has other containers"), "{error}");
        let shared = driver.create(&NetworkSpec { name: "other".to_owned(), ..spec(&[]) }).unwrap();
        let error = driver.attach(&shared, &endpoint("bbbb"), &two.netns).unwrap_err().to_string();
        assert!(error.contains("the parent \"uplink0\" is passed through to one"), "{error}");
        assert_eq!((links(&two), leased(folder.path()).len()), (vec!["lo".to_owned()], 1));
        driver.detach(&network, &first).unwrap();
        on(&shared, &driver, "bbbb", &two);
    });
}
