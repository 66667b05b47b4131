//! A network whose packets leave with an address of its own (`--snat`), seen from outside.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::io::Write as _;
use std::net::TcpListener;

use tinyd_tests::{Env, Machine, require, roots};

#[test]
fn what_leaves_a_network_has_the_address_that_it_was_given() {
    require!(root);
    require!(command "iptables-save");
    let (host, outside) = (Machine::new(), Machine::new());
    host.cable(
        ("uplink0", &["198.51.100.1/24", "198.51.100.77/24", "2001:db8::77/64", "2001:db8::1/64"]),
        &outside,
        ("eth0", &["198.51.100.2/24", "2001:db8::2/64"]),
    );
    host.ip("route add default via 198.51.100.2");
    host.ip("-6 route add default via 2001:db8::2");
    // Tells each client as whom it came.
    for address in ["198.51.100.2:7777", "[2001:db8::2]:7777"] {
        let mirror = outside.within(|| TcpListener::bind(address).unwrap());
        std::thread::spawn(move || {
            for client in mirror.incoming() {
                let _ = client.and_then(|mut client| {
                    let seen = client.peer_addr()?.ip();
                    writeln!(client, "{seen}")
                });
            }
        });
    }
    host.within(|| {
        let env = Env::new();
        let image = roots::busybox().to_str().unwrap().to_owned();
        let create = |words: &[&str]| {
            let first = ["network", "create", "--subnet", "10.77.0.0/24", "--subnet", "fd00:77::/64"];
            env.tinyd(first.iter().chain(words).chain(&["web"]))
        };
        let seen = |to: &str| {
            let ask = format!("nc -w 2 {to} 7777 < /dev/null");
            env.tinyd(["run", "--rm", "--net", "web", &image, "sh", "-c", &ask]).ok().text()
        };
        let (four, six) = ("198.51.100.2", "2001:db8::2");
        for firewall in ["firewall=nftables", "firewall=iptables"] {
            create(&["-o", firewall, "--snat", "198.51.100.77,2001:db8::77"]).ok();
            assert_eq!([seen(four), seen(six)], ["198.51.100.77", "2001:db8::77"], "{firewall}");
            let shown = env.tinyd(["network", "inspect", "web"]).ok().json();
            assert_eq!(shown[0]["Options"]["snat"], "198.51.100.77,2001:db8::77");
            env.tinyd(["network", "rm", "web"]).ok();
            create(&["-o", firewall]).ok();
            assert_eq!([seen(four), seen(six)], ["198.51.100.1", "2001:db8::1"], "{firewall}, without");
            env.tinyd(["network", "rm", "web"]).ok();
        }
        // Docker's word for it.
        create(&["-o", "com.docker.network.host_ipv4=198.51.100.77"]).ok();
        assert_eq!([seen(four), seen(six)], ["198.51.100.77", "2001:db8::1"]);
        env.tinyd(["network", "rm", "web"]).ok();
        let refused = |words: &[&str], part: &str| {
            let said = create(words).fails(1);
            assert!(
                said.stderr().lines().count() == 1 && said.stderr().contains(part),
                "no {part:?}: {said}"
            );
        };
        refused(&["--snat", "198.51.100.9"], "\"198.51.100.9\" is no address of this machine");
        refused(&["--snat", "127.0.0.1"], "is no address of this machine that answers");
        refused(&["--snat", "many"], "\"many\" is no address");
        refused(&["--snat", "198.51.100.77,198.51.100.1"], "one too many");
        refused(&["--snat", "198.51.100.77", "--internal"], "no way out");
        assert!(!env.tinyd(["network", "ls"]).ok().stdout().contains("web"), "a refusal left something");
        env.assert_clean();
    });
}
