//! How a container comes and goes, and what is left.

use crate::ground::{Other, address, root_only};
use crate::place::{both_families, endpoint, has_ipvlan, leased, links, on, on_a_host, spec};
use std::fs;
use std::os::fd::AsFd as _;
use tinyd_net::link::Links;
use tinyd_net::{EndpointSpec, EndpointState, LanDriver, NetworkDriver, NetworkSpec, Undo};

/// A setting below `/proc/sys/net` as a namespace has it.
fn setting(other: &Other, name: &str) -> String {
    std::thread::scope(|scope| {
        let read = || {
            rustix::thread::move_into_link_name_space(other.netns.as_fd(), None).unwrap();
            fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap().trim().to_owned()
        };
        scope.spawn(read).join().unwrap()
    })
}

#[test]
fn root_a_container_leaves_a_namespace_that_lives_on_and_the_others_stay() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let driver = LanDriver::macvlan(folder.path());
        let network = driver.create(&both_families(&[])).unwrap();
        let (one, two) = (Other::new(), Other::new());
        let (first, _) = (on(&network, &driver, "aaaa", &one), on(&network, &driver, "bbbb", &two));
        assert_eq!(driver.held_for(&network).unwrap(), ["aaaa", "bbbb"]);
        assert_eq!(links(&Other::here()), ["lo", "uplink0"], "nothing of a container is on the host");
        // Another process, which knows the handles alone.
        LanDriver::macvlan(folder.path()).detach(&network, &first).unwrap();
        assert_eq!((links(&one), links(&two).len()), (vec!["lo".to_owned()], 2));
        assert_eq!(leased(folder.path()), ["10.99.0.4", "fd00:99::3"]);
        on(&network, &driver, "aaaa", &one);
        // And one of which its id alone is known.
        let unknown = EndpointState { container: "aaaa".to_owned(), ..Default::default() };
        driver.detach(&network, &unknown).unwrap();
        assert_eq!(links(&one), ["lo"]);
        driver.delete(&network).unwrap();
        assert!(!folder.path().exists());
    });
}

#[test]
fn root_when_the_namespace_ends_its_link_does_and_the_undo_frees_the_addresses() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let driver = LanDriver::macvlan(folder.path());
        let network = driver.create(&both_families(&[])).unwrap();
        let one = Other::new();
        let endpoint = on(&network, &driver, "aaaa", &one);
        assert_eq!(leased(folder.path()), ["10.99.0.3", "fd00:99::2"]);
        drop(one);
        for step in &endpoint.undo {
            match step {
                Undo::Unlink(path) => fs::remove_file(path).unwrap(),
                other => panic!("{other:?} needs more than a file removed"),
            }
        }
        assert_eq!((endpoint.undo.len(), leased(folder.path()).len()), (2, 0));
        assert!(driver.held_for(&network).unwrap().is_empty());
        driver.detach(&network, &endpoint).unwrap();
        driver.delete(&network).unwrap();
        assert!(!folder.path().exists());
    });
}

#[test]
fn root_the_next_container_may_have_the_address_of_one_whose_namespace_is_still_ending() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let (macvlan, ipvlan) = (LanDriver::macvlan(folder.path()), LanDriver::ipvlan(folder.path()));
        // (Without ipvlan the kernel's refusal is another test's.)
        let last = if has_ipvlan() { (&ipvlan, "l2") } else { (&macvlan, "vepa") };
        for (driver, mode) in [(&macvlan, "bridge"), (&macvlan, "passthru"), last] {
            let network = driver.create(&spec(&[("mode", mode)])).unwrap();
            let wanted = EndpointSpec { addresses: vec![address("10.99.0.9")], ..endpoint("aaaa") };
            for _ in 0..25 {
                let one = Other::new();
                let place = driver.attach(&network, &wanted, &one.netns).unwrap();
                // The monitor's part: the processes are gone, the kernel has not had the time to take the links away.
                drop(one);
                let [Undo::Unlink(lease)] = &place.undo[..] else { panic!("{:?}", place.undo) };
                fs::remove_file(lease).unwrap();
            }
            driver.delete(&network).unwrap();
        }
    });
}

#[test]
fn root_a_hundred_containers_come_and_go_and_each_has_an_address_of_its_own() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let driver = LanDriver::macvlan(folder.path());
        let ranges = vec!["10.99.0.128/28".parse().unwrap()];
        let network = driver.create(&NetworkSpec { ranges, ..spec(&[]) }).unwrap();
        let range: tinyd_net::Prefix = "10.99.0.128/28".parse().unwrap();
        let mut living = Vec::new();
        for number in 0..100 {
            let (name, other) = (format!("c{number}"), Other::new());
            let place = on(&network, &driver, &name, &other);
            let own = place.interfaces[0].addresses[0].address;
            assert!(range.contains(own), "{own}");
            living.push((other, place));
            if living.len() == 16 {
                let error = driver.attach(&network, &endpoint("more"), &Other::new().netns).unwrap_err();
                let source = std::error::Error::source(&error).unwrap().to_string();
                assert_eq!(source, "all 16 addresses of 10.99.0.128/28 are in use");
                assert_eq!(leased(folder.path()).len(), 16);
                for (_, place) in living.drain(..) {
                    driver.detach(&network, &place).unwrap();
                }
            }
        }
        drop(living);
        driver.delete(&network).unwrap();
        assert!(!folder.path().exists());
    });
}

#[test]
fn root_a_router_outside_gives_a_container_no_address_and_no_way_out() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |_| {
        let driver = LanDriver::macvlan(folder.path());
        let (four, six) = (Other::new(), Other::new());
        let network = driver.create(&spec(&[])).unwrap();
        let place = on(&network, &driver, "aaaa", &four);
        assert_eq!(setting(&four, "ipv6/conf/eth0/disable_ipv6"), "1");
        assert_eq!(setting(&four, "ipv6/conf/lo/disable_ipv6"), "0", "its own loopback is its own");
        driver.detach(&network, &place).unwrap();
        driver.delete(&network).unwrap();
        let network = driver.create(&NetworkSpec { internal: true, ..both_families(&[]) }).unwrap();
        let place = on(&network, &driver, "bbbb", &six);
        assert_eq!(setting(&six, "ipv6/conf/eth0/accept_ra"), "0");
        assert!(place.interfaces[0].gateways.is_empty(), "an internal network has no way out");
        let routes = Links::of(six.netns.as_fd()).unwrap().routes().unwrap();
        assert!(routes.iter().all(|route| route.to.length > 0), "{routes:?}");
        assert_eq!(place.interfaces[0].addresses[0].address, address("10.99.0.3"));
    });
}
