//! Connections of an address that is another container's now.

use crate::ground::{both, on_each, publication, run};
use crate::root_only;
use std::net::UdpSocket;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};
use tinyd_net::Protocol::Udp;
use tinyd_net::conntrack;

fn connections() -> String {
    run("cat", &["/proc/thread-self/net/nf_conntrack"])
}

#[test]
fn root_an_addresss_connections_are_forgotten_and_no_others() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        let places = [&ground.one, &ground.two, &ground.outside];
        let _servers = places.map(|place| place.serve(Udp, 80));
        firewall.publish(&both(8080, Udp, &ground.one)).unwrap();
        firewall.publish(&both(8081, Udp, &ground.two)).unwrap();
        for (host, target) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
            for port in [8080, 8081] {
                assert!(ground.outside.ask(Udp, host, port).is_some(), "{host} {port}");
            }
            for asker in [&ground.one, &ground.two] {
                assert!(asker.ask(Udp, target, 80).is_some(), "{target}");
            }
        }
        let of = |text: &str| connections().lines().filter(|line| line.contains(text)).count();
        let ends = ["src=10.99.1.2 ", "src=10.99.1.3 "];
        let v6 = "src=fd00:0099:0001:0000:0000:0000:0000:0002 ";
        assert_eq!((of(ends[0]), of(ends[1]), of(v6)), (2, 2, 2), "{}", connections());
        assert_eq!(conntrack::purge(ground.one.addresses[0]).unwrap(), 2);
        assert_eq!((of(ends[0]), of(ends[1]), of(v6)), (0, 2, 2), "{}", connections());
        let netns = ground.host.netns.as_fd();
        assert_eq!(conntrack::purge_in(netns, ground.one.addresses[1]).unwrap(), 2);
        assert_eq!((of(ends[1]), of(v6)), (2, 0), "{}", connections());
        assert_eq!(conntrack::purge(ground.one.addresses[0]).unwrap(), 0);
    });
}

#[test]
fn root_whoever_goes_on_sending_reaches_the_new_container() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        let _servers = [ground.one.serve(Udp, 80), ground.two.serve(Udp, 80)];
        let [old, new] =
            [&ground.one, &ground.two].map(|place| publication(None, 8080, Udp, place.addresses[0]));
        firewall.publish(&[old]).unwrap();
        // One socket, so that all of it is one connection to the kernel.
        let socket = ground.outside.enter(|| UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let ask = || {
            socket.send_to(b"who", "192.0.2.1:8080").unwrap();
            let mut answer = [0; 64];
            let length = socket.recv(&mut answer).unwrap();
            String::from_utf8_lossy(&answer[..length]).into_owned()
        };
        assert_eq!(ask(), "one sees 192.0.2.2");
        firewall.withdraw(old.to).unwrap();
        firewall.publish(&[new]).unwrap();
        // The kernel remembers where it led, …
        assert_eq!(ask(), "one sees 192.0.2.2");
        // … until it is told to forget.
        conntrack::purge(old.to).unwrap();
        assert_eq!(ask(), "two sees 192.0.2.2");
    });
}

#[test]
fn root_whoever_sent_before_a_port_was_published_reaches_the_container_too() {
    root_only!();
    on_each(|ground| {
        let firewall = ground.opened();
        let _servers = [ground.one.serve(Udp, 80), ground.two.serve(Udp, 80)];
        let socket = ground.outside.enter(|| UdpSocket::bind("0.0.0.0:0").unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let say = |port: u16| socket.send_to(b"who", ("192.0.2.1", port)).map(drop).unwrap();
        let hear = || {
            let mut answer = [0; 64];
            let length = socket.recv(&mut answer).unwrap();
            String::from_utf8_lossy(&answer[..length]).into_owned()
        };
        let [first, second] =
            [&ground.one, &ground.two].map(|place| publication(None, 8080, Udp, place.addresses[0]));
        // At first it is the host itself that does not answer, …
        say(8080);
        say(8081);
        // The first packet waits until the host has said where it is.
        let end = Instant::now() + Duration::from_secs(10);
        while ![8080, 8081].iter().all(|port| connections().contains(&format!(" dport={port} "))) {
            assert!(Instant::now() < end, "they never came: {}", connections());
            std::thread::sleep(Duration::from_millis(2));
        }
        firewall.publish(&[first]).unwrap();
        assert_eq!(conntrack::purge_misled(&[first]).unwrap(), 1, "{}", connections());
        say(8080);
        assert_eq!(hear(), "one sees 192.0.2.2");
        // … and what is led where it should stays.
        assert_eq!(conntrack::purge_misled(&[first]).unwrap(), 0, "{}", connections());
        firewall.withdraw(first.to).unwrap();
        say(8080);
        assert_eq!(hear(), "one sees 192.0.2.2");
        firewall.publish(&[second]).unwrap();
        assert_eq!(conntrack::purge_misled(&[second]).unwrap(), 1, "{}", connections());
        say(8080);
        assert_eq!(hear(), "two sees 192.0.2.2");
        // What came to another address of the host stays too.
        let elsewhere = publication(Some("192.0.2.99"), 8081, Udp, ground.one.addresses[0]);
        assert_eq!(conntrack::purge_misled(&[elsewhere]).unwrap(), 0, "{}", connections());
    });
}
