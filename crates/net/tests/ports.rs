//! Which ports of a host are free, and who has the others: asked of the kernel, in network namespaces of the test's own.

#![allow(clippy::unwrap_used, reason = "a test; clippy.toml does not see that its helpers are one")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::thread;
use tinyd_net::port::{Busy, check_free, choose_free};
use tinyd_net::{Protocol, PublishedPort};
use tinyd_ns::Namespaces;

macro_rules! root_only {
    () => {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
    };
}

/// Runs `work` in a thread with a network namespace of its own that has a loopback device.
fn on_loopback(work: impl FnOnce() + Send) {
    let enter = || {
        tinyd_ns::join::unshare(Namespaces::NET).unwrap();
        assert!(Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap().success());
        work();
    };
    thread::scope(|scope| scope.spawn(enter).join().unwrap());
}

fn port(host: Option<&str>, host_port: u16, protocol: Protocol) -> PublishedPort {
    let host = host.map(|host| host.parse::<IpAddr>().unwrap());
    PublishedPort { host, host_port, container_port: 80, protocol }
}

#[test]
fn root_a_port_is_free_until_a_process_uses_it_and_that_process_is_named() {
    root_only!();
    on_loopback(|| {
        let check = |host, protocol| check_free(&port(host, 8080, protocol));
        for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            for host in [None, Some("127.0.0.1"), Some("::1")] {
                check(host, protocol).unwrap();
            }
        }
        let tcp = TcpListener::bind("127.0.0.1:8080").unwrap();
        let error = check(None, Protocol::Tcp).unwrap_err();
        let (text, pid) = (error.to_string(), std::process::id());
        let command = fs::read_to_string("/proc/self/comm").unwrap();
        assert!(text.starts_with("port 8080/tcp is in use by "), "{text}");
        assert!(text.contains(&format!("(process {pid})")) && text.contains(command.trim()), "{text}");
        let Busy::Used { holder: Some(holder), .. } = error else { panic!("{error:?}") };
        assert_eq!((holder.pid, holder.command.as_str()), (pid, command.trim()));
        assert!(
            check(Some("127.0.0.1"), Protocol::Tcp).unwrap_err().to_string().contains("127.0.0.1:8080/tcp")
        );
        // Elsewhere, and of the other protocol, it is free.
        check(Some("127.0.0.2"), Protocol::Tcp).unwrap();
        check(Some("::1"), Protocol::Tcp).unwrap();
        check(None, Protocol::Udp).unwrap();
        drop(tcp);
        check(None, Protocol::Tcp).unwrap();

        let udp = UdpSocket::bind("[::]:8080").unwrap();
        for host in [None, Some("127.0.0.1"), Some("::1")] {
            let text = check(host, Protocol::Udp).unwrap_err().to_string();
            assert!(text.contains(&format!("(process {pid})")), "{text}");
        }
        drop(udp);
        check(None, Protocol::Udp).unwrap();
        assert!(matches!(check(Some("192.0.2.1"), Protocol::Tcp), Err(Busy::NoAddress { .. })));
    });
}

#[test]
fn root_a_connection_that_ended_lately_does_not_hold_its_port() {
    root_only!();
    on_loopback(|| {
        let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
        let mut client = TcpStream::connect("127.0.0.1:8080").unwrap();
        let (mut server, _) = listener.accept().unwrap();
        // The server ends first: its side is the one that waits.
        server.write_all(b"x").unwrap();
        drop((server, listener));
        client.read_to_end(&mut Vec::new()).unwrap();
        drop(client);
        let sockets = fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
        assert!(sockets.contains("0100007F:1F90") && sockets.contains(" 06 "), "{sockets}");
        check_free(&port(None, 8080, Protocol::Tcp)).unwrap();
    });
}

#[test]
fn root_a_chosen_port_is_free_and_of_the_kernels_range() {
    root_only!();
    on_loopback(|| {
        fs::write("/proc/sys/net/ipv4/ip_local_port_range", "40000 40003").unwrap();
        fs::write("/proc/sys/net/ipv4/ip_local_reserved_ports", "40001").unwrap();
        let _used = TcpListener::bind("127.0.0.1:40002").unwrap();
        let choose = |taken: &[u16]| choose_free(None, Protocol::Tcp, &|port| taken.contains(&port));
        for _ in 0..20 {
            assert_eq!(choose(&[40_000]).unwrap(), 40_003);
        }
        let found: std::collections::BTreeSet<_> = (0..200).map(|_| choose(&[]).unwrap()).collect();
        assert_eq!(found, [40_000, 40_003].into());
        let error = choose(&[40_000, 40_003]).unwrap_err();
        assert!(error.to_string().contains("tcp ports 40000 to 40003"), "{error}");
        let nowhere = choose_free(Some("192.0.2.1".parse().unwrap()), Protocol::Tcp, &|_| false);
        assert!(matches!(nowhere, Err(Busy::NoAddress { .. })));
    });
}
