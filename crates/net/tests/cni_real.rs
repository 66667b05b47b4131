//! The driver of CNI's plugins with those of the package `containernetworking-plugins`, in a network namespace of the test's.

#![cfg(feature = "testing")]
#![allow(clippy::unwrap_used, reason = "a test; clippy.toml does not see that its helpers are one")]

mod ground;
mod plugins;

use std::fs;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;

use ground::{Other, address, in_a_namespace, root_only};
use plugins::Plugins;
use tinyd_net::link::Links;
use tinyd_net::{
    EndpointSpec, EndpointState, NetworkDriver as _, NetworkSpec, Protocol, PublishedPort, testing,
};

const BIN: &str = "/usr/lib/cni";

macro_rules! plugins_only {
    () => {
        root_only!();
        let there = [BIN, "/usr/sbin/iptables"].iter().all(|path| Path::new(path).exists());
        // A machine that runs all tests installs it (`cargo xtask test`).
        if !there && std::env::var("CI").as_deref() != Ok("true") {
            eprintln!("SKIPPED (containernetworking-plugins or iptables is not installed)");
            return;
        }
    };
}

/// A bridge that masquerades, with ports, whose leases lie in the test's folder.
fn web(place: &Plugins, version: &str) -> NetworkSpec {
    let data = place.path().join("leases");
    let bridge = format!(
        r#"{{"type": "bridge", "bridge": "web0", "isGateway": true, "ipMasq": true, "ipam": {{"type": "host-local",
           "dataDir": "{}", "ranges": [[{{"subnet": "10.99.0.0/24"}}], [{{"subnet": "fd00:99::/64"}}]],
           "routes": [{{"dst": "0.0.0.0/0"}}]}}}}, {{"type": "portmap", "capabilities": {{"portMappings": true}}}}"#,
        data.display()
    );
    place.list("web", version, "", &bridge);
    let mut spec = place.spec("web");
    spec.options.insert("bin-dir".into(), BIN.into());
    spec
}

/// The addresses that are leased.
fn leases(place: &Plugins) -> Vec<String> {
    let Ok(entries) = fs::read_dir(place.path().join("leases/web")) else { return Vec::new() };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(|c: char| c.is_ascii_digit()) || name.contains(':')).collect()
}

/// Rules that name a container or its address.
fn rules() -> String {
    let mut text = String::new();
    for program in ["/usr/sbin/iptables", "/usr/sbin/ip6tables"] {
        let output = Command::new(program).args(["-t", "nat", "-S"]).output().unwrap();
        text += &String::from_utf8(output.stdout).unwrap();
    }
    let of_somebody = |line: &&str| ["aaaa", "10.99.0.", "fd00:99:"].iter().any(|part| line.contains(part));
    text.lines().filter(of_somebody).map(|line| format!("{line}\n")).collect()
}

fn links() -> Vec<String> {
    Links::here().unwrap().list().unwrap().into_iter().map(|link| link.name).collect()
}

#[test]
fn root_a_list_of_real_plugins_keeps_the_drivers_contract() {
    plugins_only!();
    for version in ["0.4.0", "1.0.0"] {
        let place = Plugins::new(&[]);
        in_a_namespace(|| {
            let spec = web(&place, version);
            testing::conformance(&|| Box::new(place.driver()), &spec);
            // The plugin's bridge stays by design; the container was this namespace itself.
            assert_eq!(links(), ["lo", "web0"]);
        });
        assert_eq!(leases(&place), Vec::<String>::new());
        place.assert_nothing_left();
    }
}

#[test]
fn root_what_real_plugins_give_is_known_and_taken_away_also_without_the_container() {
    plugins_only!();
    let place = Plugins::new(&[]);
    in_a_namespace(|| {
        let driver = place.driver();
        let network = driver.create(&web(&place, "1.0.0")).unwrap();
        let wanted = EndpointSpec {
            container: "aaaa".into(),
            addresses: vec![address("10.99.0.77")],
            ports: vec![PublishedPort {
                host: None,
                host_port: 8080,
                container_port: 80,
                protocol: Protocol::Tcp,
            }],
            ..Default::default()
        };
        for _ in 0..2 {
            let other = Other::new();
            let endpoint = driver.attach(&network, &wanted, &other.netns).unwrap();
            let link = &endpoint.interfaces[0];
            let inside = Links::of(other.netns.as_fd()).unwrap().find("eth0").unwrap().unwrap();
            assert_eq!((link.name.as_str(), Some(link.mac)), ("eth0", inside.mac));
            assert_eq!(link.addresses[0].to_string(), "10.99.0.77/24");
            assert!(link.addresses[1].to_string().starts_with("fd00:99::"), "{link:?}");
            assert_eq!(
                link.gateways,
                [address("10.99.0.1")],
                "the list has a default route of version 4 alone"
            );
            assert!(links().contains(link.host_link.as_ref().unwrap()));
            assert_eq!((leases(&place).len(), rules().contains("10.99.0.77:80")), (2, true), "{}", rules());
            // All processes of the container are dead, and so was who attached it: nothing but its id is known.
            drop(other);
            let unknown = EndpointState { container: "aaaa".into(), ..Default::default() };
            driver.detach(&network, &unknown).unwrap();
            assert_eq!((leases(&place), rules().as_str()), (Vec::new(), ""));
            assert_eq!(links(), ["lo", "web0"]);
            place.assert_nothing_left();
        }
        driver.delete(&network).unwrap();
    });
}

#[test]
fn root_after_a_restart_of_the_machine_nothing_stands_in_the_way() {
    plugins_only!();
    let place = Plugins::new(&[]);
    let driver = place.driver();
    let network = driver.create(&web(&place, "1.0.0")).unwrap();
    let wanted = EndpointSpec { container: "aaaa".into(), ..Default::default() };
    let run_until_the_power_fails = || {
        in_a_namespace(|| {
            driver.attach(&network, &wanted, &Other::new().netns).unwrap();
            assert_eq!(leases(&place).len(), 2);
        });
        // No namespace, no rule, nothing of /run, but all that lies on disks.
        let pin = place.pins().join("web/aaaa@eth0");
        assert!(Command::new("umount").arg("-l").arg(&pin).status().unwrap().success());
        fs::remove_file(&pin).unwrap();
        fs::remove_dir(pin.parent().unwrap()).unwrap();
        assert_eq!((driver.held_for(&network).unwrap(), leases(&place).len()), (vec!["aaaa".to_owned()], 2));
    };
    run_until_the_power_fails();
    // The same container starts again: host-local by itself would say that it has an address already.
    run_until_the_power_fails();
    in_a_namespace(|| {
        let unknown = EndpointState { container: "aaaa".into(), ..Default::default() };
        driver.detach(&network, &unknown).unwrap();
        assert_eq!((leases(&place), rules().as_str()), (Vec::new(), ""));
        driver.delete(&network).unwrap();
    });
    place.assert_nothing_left();
}

#[test]
fn root_a_container_that_lives_on_can_leave_and_its_plugins_notice_what_is_gone() {
    plugins_only!();
    let place = Plugins::new(&[]);
    in_a_namespace(|| {
        let driver = place.driver();
        let network = driver.create(&web(&place, "0.4.0")).unwrap();
        let (one, wanted) = (Other::new(), EndpointSpec { container: "aaaa".into(), ..Default::default() });
        let endpoint = driver.attach(&network, &wanted, &one.netns).unwrap();
        let mut inside = Links::of(one.netns.as_fd()).unwrap();
        driver.detach(&network, &endpoint).unwrap();
        assert_eq!(inside.find("eth0").unwrap(), None, "the link is gone from a namespace that is there");

        let places = [driver.attach(&network, &wanted, &one.netns).unwrap()];
        driver.check(&network, "aaaa").unwrap();
        assert_eq!(driver.missing(&network, &places).unwrap(), [""; 0]);
        driver.restore(&network, &places).unwrap();
        let link = inside.find("eth0").unwrap().unwrap();
        inside.remove(link.index).unwrap();
        let error = driver.check(&network, "aaaa").unwrap_err();
        let said = std::error::Error::source(&error).unwrap().to_string();
        assert!(said.contains("the plugin bridge refused CHECK"), "{said}");
        let missing = driver.missing(&network, &places).unwrap();
        assert!(missing.len() == 1 && missing[0].starts_with("the place of container aaaa ("), "{missing:?}");
        assert!(missing[0].contains(&said), "{missing:?}");
        let error = driver.restore(&network, &places).unwrap_err().to_string();
        assert!(error.contains("aaaa") && error.contains("or disconnect and connect it"), "{error}");
        driver.delete(&network).unwrap();
        assert_eq!((leases(&place), links()), (Vec::new(), vec!["lo".to_owned(), "web0".to_owned()]));
    });
}
