//! Who reaches whom, and with which address, where no port is published.

use crate::ground::{Place, network, on_each, publication, run};
use crate::root_only;
use rustix::net::{AddressFamily, SendFlags, SocketType, ipproto, sendto, socket};
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;
use tinyd_net::Protocol::{Tcp, Udp};

/// Each of a place's addresses, as text.
fn addresses(place: &Place) -> [String; 2] {
    place.addresses.map(|address| address.to_string())
}

#[test]
fn root_what_leaves_a_network_has_the_hosts_address() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        for protocol in [Tcp, Udp] {
            let _servers = [ground.outside.serve(protocol, 80), ground.two.serve(protocol, 80)];
            for (host, seen) in [("192.0.2.2", "192.0.2.1"), ("2001:db8::2", "2001:db8::1")] {
                for asker in [&ground.one, &ground.far] {
                    assert_eq!(
                        asker.ask(protocol, host, 80),
                        Some(format!("outside sees {seen}")),
                        "{}",
                        asker.name
                    );
                }
            }
            // Within the network, and from the host, everybody is seen as he is.
            for (asker, host, seen) in [
                (&ground.one, "10.99.1.3", "10.99.1.2"),
                (&ground.one, "fd00:99:1::3", "fd00:99:1::2"),
                (&ground.host, "10.99.1.3", "10.99.1.1"),
                (&ground.host, "fd00:99:1::3", "fd00:99:1::1"),
            ] {
                assert_eq!(asker.ask(protocol, host, 80), Some(format!("two sees {seen}")), "{host}");
            }
        }
        drop(firewall);
    });
}

#[test]
fn root_a_network_can_have_addresses_of_its_own_to_leave_with() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        let more = "ip addr add 192.0.2.77/24 dev uplink; ip addr add 192.0.2.78/24 dev uplink
            ip addr add 2001:db8::77/64 dev uplink nodad preferred_lft 0";
        assert_eq!(run("sh", &["-c", more]), "");
        let _server = ground.outside.serve(Tcp, 80);
        let ask = |place: &Place, host| place.ask(Tcp, host, 80).unwrap();
        let mut first = network(1);
        first.sources = ["192.0.2.77", "2001:db8::77"].map(|text| text.parse::<IpAddr>().unwrap()).to_vec();
        firewall.open(&first).unwrap();
        assert_eq!(ask(&ground.one, "192.0.2.2"), "outside sees 192.0.2.77");
        assert_eq!(ask(&ground.one, "2001:db8::2"), "outside sees 2001:db8::77");
        assert_eq!(ask(&ground.far, "192.0.2.2"), "outside sees 192.0.2.1");
        // What the host itself sends from the bridge's address does not leave the network.
        let _server_inside = ground.one.serve(Tcp, 80);
        assert_eq!(ask(&ground.host, "10.99.1.2"), "one sees 10.99.1.1");
        let _server_of_the_host = ground.host.serve(Tcp, 8083);
        assert_eq!(ground.host.ask(Tcp, "10.99.1.1", 8083).unwrap(), "host sees 10.99.1.1");
        // Another one, and none of IPv6; and then none at all.
        first.sources = vec!["192.0.2.78".parse().unwrap()];
        firewall.open(&first).unwrap();
        assert_eq!(ask(&ground.one, "192.0.2.2"), "outside sees 192.0.2.78");
        assert_eq!(ask(&ground.one, "2001:db8::2"), "outside sees 2001:db8::1");
        firewall.open(&network(1)).unwrap();
        assert_eq!(ask(&ground.one, "192.0.2.2"), "outside sees 192.0.2.1");
        firewall.open(&first).unwrap();
        (1..=2).for_each(|number| firewall.close(&network(number)).unwrap());
        assert!(!ground.backend.rules().contains("tinyd-test"));
    });
}

#[test]
fn root_an_unpublished_port_is_not_reached_from_outside() {
    root_only!();
    on_each(|ground| {
        // The neighbour has a route to the containers, and nothing of the host's drops what is forwarded: he reaches them …
        let servers =
            || [Tcp, Udp].map(|protocol| (ground.one.serve(protocol, 80), ground.two.serve(protocol, 80)));
        let held = servers();
        for host in addresses(&ground.one) {
            assert!(ground.outside.ask(Tcp, &host, 80).is_some(), "{host}");
        }
        // … until there is a firewall.
        let firewall = ground.opened();
        for protocol in [Tcp, Udp] {
            for host in addresses(&ground.one).iter().chain(&addresses(&ground.two)) {
                assert_eq!(ground.outside.ask_in_vain(protocol, host, 80), None, "{protocol} {host}");
            }
        }
        drop((held, firewall));
    });
}

#[test]
fn root_networks_do_not_reach_each_other() {
    root_only!();
    on_each(|ground| {
        let _servers =
            [Tcp, Udp].map(|protocol| (ground.one.serve(protocol, 80), ground.far.serve(protocol, 80)));
        for host in addresses(&ground.far) {
            assert!(ground.one.ask(Tcp, &host, 80).is_some(), "{host}");
        }
        let _firewall = ground.opened();
        for protocol in [Tcp, Udp] {
            for (asker, target) in [(&ground.one, &ground.far), (&ground.far, &ground.one)] {
                for host in addresses(target) {
                    assert_eq!(
                        asker.ask_in_vain(protocol, &host, 80),
                        None,
                        "{} {protocol} {host}",
                        asker.name
                    );
                }
            }
        }
    });
}

#[test]
fn root_an_internal_network_has_no_way_out_and_none_in() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.firewall();
        let mut internal = network(1);
        internal.internal = true;
        firewall.open(&internal).unwrap();
        firewall.open(&network(2)).unwrap();
        let _servers = [Tcp, Udp].map(|protocol| {
            [&ground.one, &ground.two, &ground.far, &ground.outside].map(|place| place.serve(protocol, 80))
        });
        firewall.publish(&crate::ground::both(8080, Tcp, &ground.one)).unwrap();
        firewall.publish(&crate::ground::both(8081, Tcp, &ground.far)).unwrap();
        for protocol in [Tcp, Udp] {
            for host in addresses(&ground.outside).iter().chain(&addresses(&ground.far)) {
                assert_eq!(ground.one.ask_in_vain(protocol, host, 80), None, "{protocol} {host}");
            }
            for host in addresses(&ground.one) {
                assert_eq!(ground.outside.ask_in_vain(protocol, &host, 80), None, "{protocol} {host}");
            }
            for host in addresses(&ground.two) {
                assert!(
                    ground.one.ask(protocol, &host, 80).unwrap().starts_with("two "),
                    "{protocol} {host}"
                );
            }
        }
        // Not even a packet that wants no answer gets out.
        let listener = ground.outside.enter(|| UdpSocket::bind("0.0.0.0:8084").unwrap());
        listener.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let send = |place: &Place| {
            let socket = place.enter(|| UdpSocket::bind("0.0.0.0:0").unwrap());
            socket.send_to(b"out", "192.0.2.2:8084").unwrap();
            listener.recv_from(&mut [0; 8]).is_ok()
        };
        assert!(send(&ground.far) && !send(&ground.one));
        // … or in, by a port that is published all the same.
        let inside = ground.one.enter(|| UdpSocket::bind("0.0.0.0:8086").unwrap());
        inside.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut port = crate::ground::publication(None, 8085, Udp, ground.one.addresses[0]);
        port.port.container_port = 8086;
        firewall.publish(&[port]).unwrap();
        let reaches = |place: &Place| {
            let socket = place.enter(|| UdpSocket::bind("0.0.0.0:0").unwrap());
            socket.send_to(b"in", "192.0.2.1:8085").unwrap();
            inside.recv_from(&mut [0; 8]).is_ok()
        };
        assert!(reaches(&ground.host) && !reaches(&ground.outside));
        // … or to another network by a port of that one.
        let inside = ground.far.enter(|| UdpSocket::bind("0.0.0.0:8088").unwrap());
        inside.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let mut port = crate::ground::publication(None, 8087, Udp, ground.far.addresses[0]);
        port.port.container_port = 8088;
        firewall.publish(&[port]).unwrap();
        let reaches = |place: &Place| {
            let socket = place.enter(|| UdpSocket::bind("0.0.0.0:0").unwrap());
            socket.send_to(b"in", "192.0.2.1:8087").unwrap();
            inside.recv_from(&mut [0; 8]).is_ok()
        };
        assert!(reaches(&ground.outside) && !reaches(&ground.one));
        // Not by published ports either, its own or another's.
        assert_eq!(ground.outside.ask_in_vain(Tcp, "192.0.2.1", 8080), None);
        assert_eq!(ground.one.ask_in_vain(Tcp, "192.0.2.1", 8081), None);
        assert!(ground.outside.ask(Tcp, "192.0.2.1", 8081).is_some());
        // It can become one like others.
        firewall.open(&network(1)).unwrap();
        assert!(ground.one.ask(Tcp, "192.0.2.2", 80).is_some());
        assert!(ground.outside.ask(Tcp, "192.0.2.1", 8080).is_some());
    });
}

#[test]
fn root_the_hosts_loopback_is_not_reached_by_containers() {
    root_only!();
    on_each(|ground| {
        let _servers = [Tcp, Udp].map(|protocol| ground.host.serve(protocol, 8082));
        let container = "ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via 10.99.1.1
            echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet";
        assert_eq!(ground.one.enter(|| run("sh", &["-c", container])), "");
        // (The bridge has route_localnet.)
        assert_eq!(ground.one.ask(Tcp, "127.0.0.1", 8082).unwrap(), "host sees 10.99.1.2");
        let _firewall = ground.opened();
        for protocol in [Tcp, Udp] {
            assert_eq!(ground.one.ask_in_vain(protocol, "127.0.0.1", 8082), None, "{protocol}");
            assert!(ground.one.ask(protocol, "10.99.1.1", 8082).is_some(), "{protocol}");
        }
    });
}

#[test]
fn root_no_container_passes_for_the_hosts_loopback() {
    root_only!();
    on_each(|ground| {
        let server = UdpSocket::bind("0.0.0.0:8082").unwrap();
        server.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let received = || server.recv_from(&mut [0; 8]).ok().map(|(_, peer)| peer.ip().to_string());
        let container = "ip addr del 127.0.0.1/8 dev lo; ip addr add 127.5.5.5/32 dev eth0
            echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet";
        assert_eq!(ground.one.enter(|| run("sh", &["-c", container])), "");
        let send = |to: &str| {
            ground.one.enter(|| UdpSocket::bind("127.5.5.5:0").unwrap().send_to(b"trust me", to).unwrap());
        };
        let others = [(&ground.outside, "192.0.2.2:80"), (&ground.far, "10.99.2.2:80")];
        let others = others.map(|(place, address)| {
            let socket = place.enter(|| {
                fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap();
                UdpSocket::bind("0.0.0.0:80").unwrap()
            });
            socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            (socket, address)
        });
        let heard = |socket: &UdpSocket| socket.recv(&mut [0; 8]).ok();
        // (The bridge has route_localnet, and this address is not in its way: nobody has it.)
        send("10.99.1.1:8082");
        assert_eq!(received().as_deref(), Some("127.5.5.5"));
        for (socket, address) in &others {
            // The host would ask for their hardware addresses as 127.5.5.5, which nobody answers.
            UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"here", address).unwrap();
            assert_eq!(heard(socket), Some(4), "{address}");
            send(address);
            assert_eq!(heard(socket), Some(8), "{address}");
        }
        let firewall = ground.opened();
        send("10.99.1.1:8082");
        assert_eq!(received(), None);
        // Nor does it on its way to others, however that leads to them.
        firewall.publish(&[publication(None, 8083, Udp, ground.far.addresses[0])]).unwrap();
        for (socket, address) in &others {
            for to in [address, "10.99.1.1:8083"] {
                send(to);
                assert_eq!(heard(socket), None, "{to}");
            }
        }
    });
}

/// What goes on between two sockets of the host at 127.0.0.1 and 127.5.5.5 is tracked by the kernel as everything is: a container
/// can send what belongs to it.
#[test]
fn root_no_container_has_a_part_in_what_the_host_says_to_itself() {
    root_only!();
    on_each(|ground| {
        let container = "ip addr del 127.0.0.1/8 dev lo; ip addr add 127.5.5.5/32 dev eth0
            ip route add 127.0.0.1/32 via 10.99.1.1; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet";
        assert_eq!(ground.one.enter(|| run("sh", &["-c", container])), "");
        let talk = || {
            let server = UdpSocket::bind("127.5.5.5:5353").unwrap();
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.connect("127.5.5.5:5353").unwrap();
            for (from, to) in [(&client, &server), (&server, &client)] {
                from.send_to(b"by myself", to.local_addr().unwrap()).unwrap();
                to.recv(&mut [0; 16]).unwrap();
            }
            client.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            (client, server)
        };
        let heard = |client: &UdpSocket| client.recv(&mut [0; 16]).map_err(|error| error.kind());
        let answer = |client: &UdpSocket| {
            let to = client.local_addr().unwrap();
            ground.one.enter(|| UdpSocket::bind("127.5.5.5:5353").unwrap().send_to(b"a lie", to).unwrap());
        };
        let end = |client: &UdpSocket| ground.one.enter(|| unreachable("127.0.0.1", client));
        let (client, server) = talk();
        answer(&client);
        assert_eq!(heard(&client), Ok(5));
        end(&client);
        assert_eq!(heard(&client), Err(ErrorKind::ConnectionRefused));
        drop((client, server));
        let _firewall = ground.opened();
        let (client, _server) = talk();
        answer(&client);
        assert_eq!(heard(&client), Err(ErrorKind::WouldBlock));
        end(&client);
        assert_eq!(heard(&client), Err(ErrorKind::WouldBlock));
    });
}

/// Says to a host that nobody listens where one of its sockets sends: RFC 792, with the headers of what it is about.
fn unreachable(host: &str, about: &UdpSocket) {
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(four) => four.octets(),
        IpAddr::V6(_) => unreachable!("it is of IPv4"),
    };
    let (from, to) = (about.local_addr().unwrap(), about.peer_addr().unwrap());
    let mut packet = vec![3, 3, 0, 0, 0, 0, 0, 0];
    packet.extend([0x45, 0, 0, 36, 0, 1, 0x40, 0, 64, 17, 0, 0]);
    packet.extend([octets(from), octets(to)].concat());
    packet.extend([from.port().to_be_bytes(), to.port().to_be_bytes(), [0, 16], [0, 0]].concat());
    let words = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let sum: u32 = words.sum();
    let sum = !(sum + (sum >> 16)) as u16;
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)).unwrap();
    let to: SocketAddr = (host.parse::<IpAddr>().unwrap(), 0).into();
    sendto(&raw, &packet, SendFlags::empty(), &to).unwrap();
}

#[test]
fn root_what_is_not_of_a_network_passes_as_before() {
    root_only!();
    on_each(|ground| {
        // The second network is somebody else's.
        let firewall = ground.firewall();
        firewall.open(&network(1)).unwrap();
        let _servers =
            [Tcp, Udp].map(|protocol| (ground.far.serve(protocol, 80), ground.outside.serve(protocol, 80)));
        for protocol in [Tcp, Udp] {
            for ((host, seen), (back, seen_back)) in [
                (("10.99.2.2", "192.0.2.2"), ("192.0.2.2", "10.99.2.2")),
                (("fd00:99:2::2", "2001:db8::2"), ("2001:db8::2", "fd00:99:2::2")),
            ] {
                assert_eq!(ground.outside.ask(protocol, host, 80).unwrap(), format!("far sees {seen}"));
                assert_eq!(ground.far.ask(protocol, back, 80).unwrap(), format!("outside sees {seen_back}"));
            }
        }
    });
}
