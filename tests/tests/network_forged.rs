//! Containers that lie about who they are: forged routers (to the host), hardware addresses and addresses of others. (D5, D7)
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket, sockopt};
use tinyd_tests::ground::{self, Ground, HOST, SERVER, inside, machine, say, start};
use tinyd_tests::{Env, Machine, require, wait_until};

const STAY: &str = "exec sleep 1000";

/// A host with the networks `web`, 10.77.0.0/24 and fd00:77::/64, and `back`, 10.78.0.0/24 and fd00:78::/64.
fn on_two(work: impl FnOnce(&Ground, &Env) + Send) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24", "fd00:77::/64"], &[]);
        ground::network(env, "back", &["10.78.0.0/24", "fd00:78::/64"], &[]);
        work(ground, env);
        ground.holds_nothing(env);
    });
}

/// Says to all on a machine's link that it is their router, and that 2001:db8:bad::/64 is theirs.
fn advertise(machine: &Machine) {
    machine.within(|| {
        let raw = socket(AddressFamily::INET6, SocketType::RAW, Some(ipproto::ICMPV6)).unwrap();
        // Nobody believes one that came through a router.
        sockopt::set_ipv6_multicast_hops(&raw, 255).unwrap();
        let link = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
        let link = link.lines().find(|line| line.ends_with("eth0")).unwrap();
        let index = u32::from_str_radix(link.split_whitespace().nth(1).unwrap(), 16).unwrap();
        // RFC 4861, 4.2 and 4.6.2: a router for 1,800 s, and a prefix that is on the link and to make addresses of.
        let mut packet = vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
        packet.extend([3, 4, 64, 0xc0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        packet.extend("2001:db8:bad::".parse::<Ipv6Addr>().unwrap().octets());
        let all = SocketAddrV6::new("ff02::1".parse().unwrap(), 0, 0, index);
        sendto(&raw, &packet, SendFlags::empty(), &all).unwrap();
    });
}

/// All routes and addresses of IPv6 of a machine.
fn six(machine: &Machine) -> String {
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    // Times go by, and addresses come into use.
    let all = words(machine.ip("-6 -o addr")).into_iter().chain(words(machine.ip("-6 route")));
    all.filter(|word| !word.ends_with("sec") && word != "tentative").collect::<Vec<_>>().join(" ")
}

#[test]
fn d5_no_container_becomes_the_router_of_the_host_or_of_its_neighbours() {
    on_two(|ground, env| {
        start(env, &["--net", "web", "--name", "victim"], STAY);
        start(env, &["--net", "web", "--name", "liar", "--cap-add", "NET_RAW"], STAY);
        let liar = machine(env, "liar");
        // A machine on that link that believes: the advertisement is one that is believed by those who do.
        let believer = Machine::new();
        let links = ground.host.ip("-o -4 addr");
        let bridge = links.lines().find(|line| line.contains("10.77.0.1/")).unwrap();
        let bridge = bridge.split_whitespace().nth(1).unwrap().to_owned();
        ground.host.cable(("believes", &[]), &believer, ("eth0", &[]));
        ground.host.ip(&format!("link set believes master {bridge}"));
        let victim = machine(env, "victim");
        let before = (six(&ground.host), six(&victim));
        wait_until("somebody believes it", || {
            advertise(&liar);
            six(&believer).contains("2001:db8:bad:")
        });
        assert_eq!((six(&ground.host), six(&victim)), before);
        // Without that capability nobody can say it: no socket of that kind is given.
        let ping = inside(env, "victim", "ping -6 -c 1 -w 1 fd00:77::1 2>&1 || true");
        assert!(ping.contains("permission denied") || ping.contains("not permitted"), "{ping}");
        drop((liar, victim));
        ground.host.ip("link del believes");
        env.tinyd(["rm", "-f", "victim", "liar"]).ok();
    });
}

#[test]
fn d7_who_takes_anothers_addresses_gets_nothing_across_networks() {
    on_two(|ground, env| {
        start(env, &["--net", "web", "--name", "server"], SERVER);
        start(env, &["--net", "back", "--name", "liar"], STAY);
        let near = "timeout 5 wget -qO- http://10.77.0.2/; timeout 5 wget -qO- 'http://[fd00:77::2]/'";
        wait_until("a neighbour reaches it", || say(env, &["--net", "web"], near) == "hello\nhello");
        let (server, liar) = (machine(env, "server"), machine(env, "liar"));
        let heard = ["10.77.0.2", "fd00:77::2"].map(|address| {
            let socket = server.within(|| UdpSocket::bind((address, 7000)).unwrap());
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            socket
        });
        let silent = |what: &str| {
            let mut buffer = [0; 16];
            for socket in &heard {
                assert!(socket.recv(&mut buffer).is_err(), "{what}: it came");
            }
        };
        let knock = |source: &str, target: &str| {
            liar.within(|| {
                UdpSocket::bind((source, 0)).and_then(|socket| socket.send_to(b"knock", (target, 7000)))
            })
        };
        // As itself.
        knock("10.78.0.2", "10.77.0.2").unwrap();
        knock("fd00:78::2", "fd00:77::2").unwrap();
        silent("from another network");
        // As a neighbour of the server, with the neighbour's addresses and the server's own hardware address.
        let mac = server.run(&["cat", "/sys/class/net/eth0/address"]);
        liar.ip("link set eth0 down");
        liar.ip(&format!("link set eth0 address {}", mac.trim()));
        liar.ip("link set eth0 up");
        for (address, gateway) in [("10.77.0.9/32", "10.78.0.1"), ("fd00:77::9/128", "fd00:78::1")] {
            liar.ip(&format!("addr add {address} dev eth0"));
            let target = if address.contains(':') { "fd00:77::2" } else { "10.77.0.2" };
            liar.ip(&format!("route replace {target} via {gateway} dev eth0 onlink"));
        }
        for (source, target) in [("10.77.0.9", "10.77.0.2"), ("fd00:77::9", "fd00:77::2")] {
            wait_until("the address can be used", || knock(source, target).is_ok());
        }
        silent("with a neighbour's address");
        // Straight to the server's hardware address, as if it were on the link.
        for target in ["10.77.0.2", "fd00:77::2"] {
            liar.ip(&format!("route replace {target} dev eth0"));
            liar.ip(&format!("neigh replace {target} lladdr {} dev eth0 nud permanent", mac.trim()));
            let source = if target.contains(':') { "fd00:77::9" } else { "10.77.0.9" };
            let _ = knock(source, target);
        }
        silent("straight to it");
        // The server itself is where it was, for its neighbours and for the host.
        assert_eq!(say(env, &["--net", "web"], near), "hello\nhello");
        assert_eq!(ground::fetch(&ground.host, "10.77.0.2", 80).as_deref(), Some("hello\n"));
        assert_eq!(ground::fetch(&ground.outside, HOST, 80), None);
        drop((server, liar, heard));
        // A container cannot do any of that by itself.
        for words in [
            "ip link set eth0 address 02:42:00:00:00:99",
            "ip addr add 10.77.0.9/32 dev eth0",
            "arping -c 1 -w 1 10.78.0.1",
        ] {
            let said = inside(env, "liar", &format!("{words} 2>&1 && echo done || true"));
            assert!(said.contains("not permitted") && !said.contains("done"), "{words}: {said}");
        }
        env.tinyd(["rm", "-f", "server", "liar"]).ok();
    });
}
