//! Links between network namespaces that the test makes, looked at from `/proc` and used by real traffic.

#![allow(clippy::unwrap_used, reason = "a test; clippy.toml does not see that its helpers are one")]

mod ground;

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ground::{Other, address, in_a_namespace, prefix, root_only};
use rustix::io::Errno;
use tinyd_net::link::{self, Index, Link, Links, Veth};

const MAC: [u8; 6] = [0x02, 0x42, 0x0a, 0x63, 0x00, 0x02];

fn find(links: &mut Links, name: &str) -> Link {
    links.find(name).unwrap().unwrap_or_else(|| panic!("there is no link {name}"))
}

/// A bridge here with these addresses, and a pair from it to there; gives the links of both sides.
fn connected(other: &Other, addresses: [&str; 2]) -> (Links, Links, Index) {
    let mut here = Links::here().unwrap();
    here.make_bridge("br-test", [2, 0x42, 1, 2, 3, 4], 1400).unwrap();
    let bridge = find(&mut here, "br-test").index;
    for address in addresses {
        here.add_address(bridge, prefix(address)).unwrap();
    }
    let veth = Veth {
        name: "veth-test",
        bridge,
        hairpin: true,
        mtu: 1400,
        peer: "eth0",
        mac: MAC,
        netns: other.netns.as_fd(),
    };
    here.make_veth(&veth).unwrap();
    let there = Links::of(other.netns.as_fd()).unwrap();
    (here, there, bridge)
}

#[test]
fn root_a_bridge_and_a_pair_carry_traffic_of_both_families() {
    root_only!();
    in_a_namespace(|| {
        let other = Other::new();
        let (mut here, mut there, bridge) = connected(&other, ["10.99.0.1/24", "fd00:99::1/64"]);
        let inside = find(&mut there, "eth0").index;
        for text in ["10.99.0.2/24", "fd00:99::2/64"] {
            there.add_address(inside, prefix(text)).unwrap();
        }
        there.switch_on(inside).unwrap();
        for gateway in ["10.99.0.1", "fd00:99::1"] {
            there.add_default_route(inside, address(gateway)).unwrap();
        }

        let port = find(&mut here, "veth-test");
        assert_eq!((port.kind.as_deref(), port.master, port.mtu), (Some("veth"), Some(bridge), 1400));
        let end = find(&mut there, "eth0");
        assert_eq!((end.kind.as_deref(), end.mac, end.mtu, end.is_up), (Some("veth"), Some(MAC), 1400, true));
        let routes = there.routes().unwrap();
        for (everywhere, gateway) in [("0.0.0.0/0", "10.99.0.1"), ("::/0", "fd00:99::1")] {
            let route = routes.iter().find(|route| route.to == prefix(everywhere)).unwrap();
            assert_eq!((route.gateway, route.link), (Some(address(gateway)), Some(inside)), "{routes:?}");
        }
        for text in ["10.99.0.2", "fd00:99::2"] {
            assert_eq!(echo(&other, address(text)), "over the bridge");
        }
    });
}

/// What a server in the other namespace answers to a client in this one.
fn echo(other: &Other, server: IpAddr) -> String {
    let netns = other.netns.try_clone().unwrap();
    thread::scope(|scope| {
        let (ready, bound) = mpsc::channel();
        scope.spawn(move || {
            rustix::thread::move_into_link_name_space(netns.as_fd(), None).unwrap();
            let listener = TcpListener::bind(SocketAddr::new(server, 0)).unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            stream.write_all(text.as_bytes()).unwrap();
        });
        let mut stream = TcpStream::connect_timeout(&bound.recv().unwrap(), Duration::from_secs(10)).unwrap();
        stream.write_all(b"over the bridge").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    })
}

#[test]
fn root_what_is_made_is_seen_by_the_kernels_own_files() {
    root_only!();
    in_a_namespace(|| {
        let other = Other::new();
        let (mut here, _there, bridge) = connected(&other, ["10.99.0.1/24", "fd00:99::1/64"]);
        let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        for name in ["br-test:", "veth-test:"] {
            assert!(devices.contains(name), "{devices}");
        }
        let broadcasts = fs::read_to_string("/proc/thread-self/net/fib_trie").unwrap();
        assert!(broadcasts.contains("10.99.0.255"), "{broadcasts}");
        // Usable at once: no flag of an address that is still being looked for elsewhere (0x40) or was found there (0x08).
        let v6 = fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
        let line = v6.lines().find(|line| line.starts_with("fd000099")).unwrap();
        assert_eq!(line.split_whitespace().nth(4), Some("82"), "{v6}");
        let listed = here.addresses().unwrap();
        for text in ["10.99.0.1/24", "fd00:99::1/64"] {
            assert!(listed.contains(&(bridge, prefix(text))), "{listed:?}");
        }

        // (The files below /sys are those of the machine's own namespace.)
        let seen = Command::new("ip").args(["-details", "link", "show", "veth-test"]).output().unwrap();
        let seen = String::from_utf8(seen.stdout).unwrap();
        assert!(seen.contains("hairpin on"), "{seen}");
        assert!(seen.contains("numtxqueues 1 ") && seen.contains("numrxqueues 1 "), "{seen}");
        // It has no address that anybody could ask for.
        assert_eq!(v6.lines().filter(|line| line.ends_with(" veth-test")).count(), 0, "{v6}");
        let port = find(&mut here, "veth-test").index;
        here.remove(port).unwrap();
        here.remove(port).unwrap();
        assert_eq!(here.find("veth-test").unwrap(), None);
        here.remove(bridge).unwrap();
        let names: Vec<_> = here.list().unwrap().into_iter().map(|link| link.name).collect();
        assert!(names.iter().all(|name| !name.ends_with("-test")), "{names:?}");
    });
}

#[test]
fn root_a_way_out_goes_to_a_gateway_or_to_the_link_where_there_is_none() {
    root_only!();
    in_a_namespace(|| {
        let other = Other::new();
        let (_here, mut there, _) = connected(&other, ["10.99.0.1/24", "fd00:99::1/64"]);
        let inside = find(&mut there, "eth0").index;
        for text in ["10.99.0.2/24", "fd00:99::2/64"] {
            there.add_address(inside, prefix(text)).unwrap();
        }
        there.switch_on(inside).unwrap();
        let subnets = ["10.99.0.0/24", "fd00:99::/64"].map(prefix);
        for _ in 0..2 {
            link::lead_out(other.netns.as_fd(), "eth0", &[address("10.99.0.1")], &subnets).unwrap();
            let mut ways: Vec<_> =
                there.routes().unwrap().into_iter().filter(|route| route.to.length == 0).collect();
            ways.sort_by_key(|route| route.to.address);
            let ways: Vec<_> =
                ways.iter().map(|route| (route.to.to_string(), route.gateway, route.link)).collect();
            let wanted = [("0.0.0.0/0", Some(address("10.99.0.1"))), ("::/0", None)]
                .map(|(to, gateway)| (to.to_owned(), gateway, Some(inside)));
            assert_eq!(ways, wanted);
        }
    });
}

#[test]
fn root_the_other_end_goes_with_its_namespace() {
    root_only!();
    in_a_namespace(|| {
        let other = Other::new();
        let (mut here, there, _) = connected(&other, ["10.99.0.1/24", "fd00:99::1/64"]);
        // A socket holds its namespace too.
        drop((there, other));
        let gone = (0..200).any(|_| {
            thread::sleep(Duration::from_millis(10));
            here.find("veth-test").unwrap().is_none()
        });
        assert!(gone, "the pair outlived one of its ends");
    });
}

#[test]
fn root_what_the_kernel_refuses_is_an_error_that_changes_nothing() {
    root_only!();
    in_a_namespace(|| {
        let other = Other::new();
        let (mut here, mut there, bridge) = connected(&other, ["10.99.0.1/24", "fd00:99::1/64"]);
        let errno = |result: std::io::Result<()>| Errno::from_io_error(&result.unwrap_err()).unwrap();
        let before = here.list().unwrap();
        assert_eq!(errno(here.make_bridge("br-test", [2, 0, 0, 0, 0, 1], 1500)), Errno::EXIST);
        let mut veth = Veth {
            name: "veth-test",
            bridge,
            hairpin: true,
            mtu: 1400,
            peer: "eth1",
            mac: MAC,
            netns: other.netns.as_fd(),
        };
        assert_eq!(errno(here.make_veth(&veth)), Errno::EXIST);
        veth.name = "veth-two";
        veth.peer = "eth0";
        assert_eq!(errno(here.make_veth(&veth)), Errno::EXIST);
        veth.peer = "longer-than-any-link";
        assert_eq!(errno(here.make_veth(&veth)), Errno::RANGE);
        assert_eq!(errno(here.add_address(bridge, prefix("10.99.0.1/24"))), Errno::EXIST);
        assert_eq!(here.list().unwrap(), before);
        // No address has the gateway in its subnet.
        let inside = find(&mut there, "eth0").index;
        there.switch_on(inside).unwrap();
        assert_eq!(errno(there.add_default_route(inside, address("10.99.0.1"))), Errno::NETUNREACH);
        let no_namespace = File::open("/proc/self/exe").unwrap();
        assert!(Links::of(no_namespace.as_fd()).is_err());
    });
}
