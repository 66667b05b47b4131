//! Published ports: who reaches them, and whom the container then sees.

use crate::ground::{both, on_each, publication, run, undo};
use crate::root_only;
use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;
use tinyd_net::Protocol::{self, Tcp, Udp};

#[test]
fn root_a_published_port_is_reached_from_everywhere() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        for protocol in [Tcp, Udp] {
            let server = ground.one.serve(protocol, 80);
            firewall.publish(&both(8080, protocol, &ground.one)).unwrap();
            // Who asks, where, and whom the container sees: the asker himself wherever the answer finds back to him.
            let cases = [
                (&ground.outside, "192.0.2.1", "192.0.2.2"),
                (&ground.outside, "2001:db8::1", "2001:db8::2"),
                (&ground.outside, "10.99.1.1", "192.0.2.2"),
                (&ground.host, "192.0.2.1", "192.0.2.1"),
                (&ground.host, "2001:db8::1", "2001:db8::1"),
                (&ground.host, "127.0.0.1", "10.99.1.1"),
                (&ground.host, "127.0.0.9", "10.99.1.1"),
                (&ground.one, "192.0.2.1", "10.99.1.1"),
                (&ground.one, "10.99.1.1", "10.99.1.1"),
                (&ground.one, "fd00:99:1::1", "fd00:99:1::1"),
                (&ground.two, "192.0.2.1", "10.99.1.1"),
                (&ground.two, "10.99.1.1", "10.99.1.1"),
                (&ground.two, "2001:db8::1", "fd00:99:1::1"),
                (&ground.far, "192.0.2.1", "10.99.1.1"),
                (&ground.far, "2001:db8::1", "fd00:99:1::1"),
            ];
            for (asker, host, seen) in cases {
                let answer = asker.ask(protocol, host, 8080);
                assert_eq!(answer, Some(format!("one sees {seen}")), "{} {protocol} {host}", asker.name);
            }
            // Who asks there is to learn at once that he must ask at 127.0.0.1.
            let refused = TcpStream::connect_timeout(&"[::1]:8080".parse().unwrap(), Duration::from_secs(5));
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
            drop(server);
        }
        // What the container says of a packet finds back to the host's own 127.0.0.1 as well.
        let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
        asker.connect("127.0.0.1:8080").unwrap();
        asker.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        asker.send(b"anybody?").unwrap();
        assert_eq!(asker.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn root_a_port_of_one_address_is_reached_there_alone_and_counts_there() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        let _servers = [ground.one.serve(Tcp, 80), ground.two.serve(Tcp, 80)];
        let at_address = [
            publication(Some("192.0.2.1"), 8080, Tcp, ground.one.addresses[0]),
            publication(Some("2001:db8::1"), 8080, Tcp, ground.one.addresses[1]),
        ];
        firewall.publish(&at_address).unwrap();
        for host in ["192.0.2.1", "2001:db8::1"] {
            assert!(ground.outside.ask(Tcp, host, 8080).unwrap().starts_with("one "), "{host}");
        }
        for host in ["127.0.0.1", "10.99.1.1", "::1", "fd00:99:1::1"] {
            assert_eq!(ground.host.ask_in_vain(Tcp, host, 8080), None, "{host}");
        }
        firewall.publish(&both(8080, Tcp, &ground.two)).unwrap();
        let cases =
            [("192.0.2.1", "one "), ("127.0.0.1", "two "), ("2001:db8::1", "one "), ("fd00:99:1::1", "two ")];
        for (host, name) in cases {
            assert!(ground.host.ask(Tcp, host, 8080).unwrap().starts_with(name), "{host}");
        }
    });
}

#[test]
fn root_a_port_of_the_loopback_is_for_the_host_alone() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        let neighbour = "ip addr del 127.0.0.1/8 dev lo; ip route add 127.0.0.0/8 via 192.0.2.1
            echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet";
        assert_eq!(ground.outside.enter(|| run("sh", &["-c", neighbour])), "");
        for protocol in [Tcp, Udp] {
            let _server = ground.one.serve(protocol, 80);
            let port = publication(Some("127.0.0.1"), 8080, protocol, ground.one.addresses[0]);
            firewall.publish(&[port]).unwrap();
            assert_eq!(ground.host.ask(protocol, "127.0.0.1", 8080).unwrap(), "one sees 10.99.1.1");
            // By the address that it is published on, by others of the host, and straight.
            for host in ["127.0.0.1", "192.0.2.1", "10.99.1.2"] {
                let port = if host == "10.99.1.2" { 80 } else { 8080 };
                assert_eq!(ground.outside.ask_in_vain(protocol, host, port), None, "{protocol} {host}");
            }
            for asker in [&ground.two, &ground.far] {
                assert_eq!(asker.ask_in_vain(protocol, "192.0.2.1", 8080), None, "{} {protocol}", asker.name);
            }
        }
        // The neighbour's way to 127.0.0.1 is there: a host that has no rules and takes what it is sent answers.
        ground.backend.flush();
        std::fs::write("/proc/sys/net/ipv4/conf/uplink/route_localnet", "1").unwrap();
        let _server = ground.host.serve(Tcp, 8081);
        assert_eq!(ground.outside.ask(Tcp, "127.0.0.1", 8081).unwrap(), "host sees 192.0.2.2");
    });
}

#[test]
fn root_what_is_withdrawn_is_reached_no_longer() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        let _servers = [ground.one.serve(Tcp, 80), ground.two.serve(Tcp, 80)];
        let ask = |port| ground.outside.ask(Tcp, "192.0.2.1", port);
        let vain = |port| ground.outside.ask_in_vain(Tcp, "192.0.2.1", port);
        let steps = firewall.publish(&both(8080, Tcp, &ground.one)).unwrap();
        firewall.publish(&both(8081, Tcp, &ground.two)).unwrap();
        assert!(ask(8080).is_some());
        undo(&steps);
        assert_eq!(vain(8080), None);
        assert_eq!(ground.outside.ask_in_vain(Tcp, "2001:db8::1", 8080), None);
        assert_eq!(firewall.published().unwrap(), both(8081, Tcp, &ground.two));
        firewall.withdraw(ground.two.addresses[0]).unwrap();
        assert_eq!(vain(8081), None);
        assert!(ground.outside.ask(Tcp, "2001:db8::1", 8081).is_some());
        assert_eq!(firewall.published().unwrap(), both(8081, Protocol::Tcp, &ground.two)[1..]);
    });
}
