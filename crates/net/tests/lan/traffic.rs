//! Packets between containers, and between a container and a neighbour of its host.

use crate::ground::{Other, address, root_only};
use crate::place::{both_families, has_ipvlan, on, on_a_host, spec};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tinyd_net::{EndpointState, LanDriver, NetworkDriver};

/// How many bytes are sent: many packets, of which the sizes differ.
const SIZE: usize = (1 << 20) + 1;

/// Sends from a client in one namespace to a server in another; gives the client's address as the server sees it. Each side
/// sums up what it sent or received by itself.
fn send(from: &Other, to: &Other, at: IpAddr) -> io::Result<IpAddr> {
    let (from, to) = (from.netns.try_clone().unwrap(), to.netns.try_clone().unwrap());
    thread::scope(|scope| {
        let (ready, bound) = mpsc::channel();
        let server = scope.spawn(move || {
            rustix::thread::move_into_link_name_space(to.as_fd(), None).unwrap();
            let listener = TcpListener::bind(SocketAddr::new(at, 0)).unwrap();
            listener.set_nonblocking(true).unwrap();
            ready.send(listener.local_addr().unwrap()).unwrap();
            let (mut stream, client) = (0..1_000).find_map(|_| {
                thread::sleep(Duration::from_millis(10));
                listener.accept().ok()
            })?;
            stream.set_nonblocking(false).unwrap();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            stream.write_all(&sum(&all).to_be_bytes()).unwrap();
            Some((client.ip(), all.len()))
        });
        let client = scope.spawn(move || {
            rustix::thread::move_into_link_name_space(from.as_fd(), None).unwrap();
            let mut stream = TcpStream::connect_timeout(&bound.recv().unwrap(), Duration::from_secs(4))?;
            let bytes: Vec<u8> = (0..SIZE).map(|n| (n.wrapping_mul(2_654_435_761) >> 7) as u8).collect();
            stream.write_all(&bytes)?;
            stream.shutdown(std::net::Shutdown::Write)?;
            let mut answer = [0; 8];
            stream.read_exact(&mut answer)?;
            assert_eq!(u64::from_be_bytes(answer), sum(&bytes), "what arrived is not what was sent");
            Ok::<_, io::Error>(())
        });
        client.join().unwrap()?;
        let (client, length) = server.join().unwrap().ok_or(io::ErrorKind::TimedOut)?;
        assert_eq!(length, SIZE);
        Ok(client)
    })
}

fn sum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn addresses(endpoint: &EndpointState) -> Vec<IpAddr> {
    endpoint.interfaces[0].addresses.iter().map(|address| address.address).collect()
}

/// Two containers reach each other and the neighbour both ways, by both families, under their own addresses.
fn everybody_meets(driver: &LanDriver, neighbour: &Other, mode: &str) {
    let network = driver.create(&both_families(&[("mode", mode)])).unwrap();
    let (one, two) = (Other::new(), Other::new());
    let (first, second) = (on(&network, driver, "aaaa", &one), on(&network, driver, "bbbb", &two));
    assert_eq!(addresses(&first), ["10.99.0.3", "fd00:99::2"].map(address), "the host has 10.99.0.2");
    for (outside, family) in ["10.99.0.1", "fd00:99::1"].into_iter().map(address).zip(0..) {
        let (from, to) = (addresses(&first)[family], addresses(&second)[family]);
        assert_eq!(send(&one, &two, to).unwrap(), from, "{mode}: a neighbour on the same host");
        assert_eq!(send(&one, neighbour, outside).unwrap(), from, "{mode}: out");
        assert_eq!(send(neighbour, &one, from).unwrap(), outside, "{mode}: in");
    }
    for (endpoint, other) in [(&first, one), (&second, two)] {
        driver.detach(&network, endpoint).unwrap();
        drop(other);
    }
    driver.delete(&network).unwrap();
}

#[test]
fn root_containers_and_the_hosts_neighbours_reach_each_other() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |neighbour| everybody_meets(&LanDriver::macvlan(folder.path()), neighbour, "bridge"));
}

#[test]
fn root_by_vepa_containers_meet_where_the_switch_sends_packets_back() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(true, |neighbour| everybody_meets(&LanDriver::macvlan(folder.path()), neighbour, "vepa"));
}

#[test]
fn root_private_containers_reach_the_neighbour_and_not_each_other() {
    root_only!();
    // By a switch that would send their packets back, too.
    for reflects in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        on_a_host(reflects, |neighbour| {
            let driver = LanDriver::macvlan(folder.path());
            let network = driver.create(&spec(&[("macvlan_mode", "private")])).unwrap();
            let (one, two) = (Other::new(), Other::new());
            let (first, second) = (on(&network, &driver, "aaaa", &one), on(&network, &driver, "bbbb", &two));
            let apart = send(&one, &two, addresses(&second)[0]).unwrap_err();
            assert!(
                matches!(apart.kind(), io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable),
                "{apart}"
            );
            for (other, endpoint) in [(&one, &first), (&two, &second)] {
                let outside = address("10.99.0.1");
                assert_eq!(send(other, neighbour, outside).unwrap(), addresses(endpoint)[0]);
            }
        });
    }
}

#[test]
fn root_what_is_for_nobody_here_goes_to_the_gateway() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |neighbour| {
        let mut there = tinyd_net::link::Links::of(neighbour.netns.as_fd()).unwrap();
        let switch = there.find("switch").unwrap().unwrap().index;
        there.add_address(switch, "192.0.2.1/32".parse().unwrap()).unwrap();
        let driver = LanDriver::macvlan(folder.path());
        let network = driver.create(&spec(&[])).unwrap();
        let one = Other::new();
        let first = on(&network, &driver, "aaaa", &one);
        assert_eq!(first.interfaces[0].gateways, [address("10.99.0.1")]);
        assert_eq!(send(&one, neighbour, address("192.0.2.1")).unwrap(), addresses(&first)[0]);
    });
}

#[test]
fn root_by_ipvlan_containers_and_neighbours_reach_each_other_where_the_kernel_has_it() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |neighbour| {
        let driver = LanDriver::ipvlan(folder.path());
        if has_ipvlan() {
            everybody_meets(&driver, neighbour, "l2");
        } else {
            // Without the kernel's part no container gets on, and nothing says that it did.
            assert!(driver.create(&spec(&[])).unwrap_err().to_string().contains("modprobe ipvlan"));
        }
    });
}

#[test]
fn root_by_ipvlan_l3_the_hosts_routes_are_the_way_where_the_kernel_has_it() {
    root_only!();
    let folder = tempfile::tempdir().unwrap();
    on_a_host(false, |neighbour| {
        let driver = LanDriver::ipvlan(folder.path());
        if !has_ipvlan() {
            let error = driver.validate(&spec(&[("mode", "l3")])).unwrap_err().to_string();
            return assert!(error.contains("modprobe ipvlan"), "{error}");
        }
        // The range is of the host's own making: the neighbour knows that the way there leads by the host.
        let mut there = tinyd_net::link::Links::of(neighbour.netns.as_fd()).unwrap();
        let switch = there.find("switch").unwrap().unwrap().index;
        there.add_default_route(switch, address("10.99.0.2")).unwrap();
        for mode in ["l3", "l3s"] {
            let mut wanted = spec(&[("mode", mode)]);
            wanted.subnets = vec!["10.98.0.0/24".parse().unwrap()];
            let network = driver.create(&wanted).unwrap();
            assert!(network.spec.gateways.is_empty());
            let error = driver.validate(&tinyd_net::NetworkSpec { name: "other".to_owned(), ..spec(&[]) });
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("the mode \"l2\" is not that of the network lan on the same parent"),
                "{error}"
            );
            let (one, two) = (Other::new(), Other::new());
            let (first, second) = (on(&network, &driver, "aaaa", &one), on(&network, &driver, "bbbb", &two));
            assert!(first.interfaces[0].gateways.is_empty());
            assert_eq!(addresses(&first), [address("10.98.0.1")]);
            assert_eq!(send(&one, &two, addresses(&second)[0]).unwrap(), addresses(&first)[0], "{mode}");
            assert_eq!(send(&one, neighbour, address("10.99.0.1")).unwrap(), addresses(&first)[0], "{mode}");
            assert_eq!(send(neighbour, &two, addresses(&second)[0]).unwrap(), address("10.99.0.1"), "{mode}");
            for endpoint in [&first, &second] {
                driver.detach(&network, endpoint).unwrap();
            }
            driver.delete(&network).unwrap();
        }
    });
}
