//! Much traffic on every way that there is to and from a container: by TCP and UDP, IPv4 and IPv6, and what arrives is what was
//! sent.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tinyd_tests::ground::{self, Ground, HOST, HOST_SIX, OUTSIDE, OUTSIDE_SIX, inside, machine, start};
use tinyd_tests::{Env, Machine, require};

const STAY: &str = "exec sleep 1000";

/// The ports of the container that are published, by the same number each, for TCP and UDP.
const PORT: u16 = 9000;

/// How much goes over each way in each direction, in bytes.
const MUCH: u64 = 64 << 20;

/// A host with a network `web` of both families, on which the containers `one` (whose ports are published) and `two` live.
fn on_both(options: &[&str], work: impl FnOnce(&Ground, &Env, &Machine, &Machine) + Send) {
    require!(root);
    require!(program);
    require!(command "nft");
    Ground::stand(|ground, env| {
        ground::network(env, "web", &["10.77.0.0/24", "fd00:77::/64"], options);
        let ports = ["-p", "9000:9000", "-p", "9000:9000/udp"];
        start(env, &[&["--net", "web", "--name", "one"], &ports[..]].concat(), STAY);
        start(env, &["--net", "web", "--name", "two"], STAY);
        let (one, two) = (machine(env, "one"), machine(env, "two"));
        work(ground, env, &one, &two);
        drop((one, two));
        env.tinyd(["rm", "-f", "one", "two"]).ok();
        ground.holds_nothing(env);
    });
}

/// One way: where it begins, the address that is called, where that is answered.
struct Way<'a> {
    what: &'static str,
    from: &'a Machine,
    called: &'static str,
    to: &'a Machine,
    /// Which port: one that is published leads to the container, whoever calls it.
    port: u16,
    /// Whom the other end sees.
    seen: &'static str,
}

/// Every way from and to a container, each by both families.
fn ways<'a>(ground: &'a Ground, one: &'a Machine, two: &'a Machine) -> Vec<Way<'a>> {
    let (host, outside) = (&ground.host, &ground.outside);
    let way = |what, from, called, to, seen| Way { what, from, called, to, port: PORT, seen };
    let unpublished = |way: Way<'a>| Way { port: PORT + 1, ..way };
    vec![
        way("out by NAT", one, OUTSIDE, outside, HOST),
        way("out by NAT, IPv6", one, OUTSIDE_SIX, outside, HOST_SIX),
        way("in by a port", outside, HOST, one, OUTSIDE),
        way("in by a port, IPv6", outside, HOST_SIX, one, OUTSIDE_SIX),
        way("between containers", two, "10.77.0.2", one, "10.77.0.3"),
        way("between containers, IPv6", two, "fd00:77::2", one, "fd00:77::3"),
        way("to a neighbour's port", two, HOST, one, ""),
        way("to a neighbour's port, IPv6", two, HOST_SIX, one, ""),
        way("from the host by its loopback", host, "127.0.0.1", one, ""),
        way("from the host by its own address", host, HOST, one, ""),
        way("from the host by its own address, IPv6", host, HOST_SIX, one, ""),
        unpublished(way("to the host", one, "10.77.0.1", host, "10.77.0.2")),
        unpublished(way("to the host, IPv6", one, "fd00:77::1", host, "fd00:77::2")),
    ]
}

/// The address that stands for all of the family of another.
fn all(address: &str) -> IpAddr {
    match address.parse::<IpAddr>().unwrap() {
        IpAddr::V4(_) => IpAddr::from([0; 4]),
        IpAddr::V6(_) => IpAddr::from([0_u16; 8]),
    }
}

fn place(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

/// A connection over a way, both ends.
fn connection(way: &Way<'_>) -> (TcpStream, TcpStream) {
    let listener = way.to.within(|| TcpListener::bind((all(way.called), way.port)).unwrap());
    let near =
        way.from.within(|| TcpStream::connect_timeout(&place(way.called, way.port), Duration::from_secs(10)));
    let near = near.unwrap_or_else(|error| panic!("{}: {error}", way.what));
    let (far, from) = listener.accept().unwrap();
    if !way.seen.is_empty() {
        assert_eq!(from.ip().to_canonical().to_string(), way.seen, "{}", way.what);
    }
    (near, far)
}

/// The sum of what a program is given.
fn sum(input: impl Into<Stdio>) -> std::process::Child {
    let mut sum = Command::new("sha256sum");
    sum.stdin(input).stdout(Stdio::piped()).spawn().unwrap()
}

fn said(child: std::process::Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// Sends a file from one end to the other, and gives the sum of what came.
fn send(file: &Path, from: &TcpStream, to: &TcpStream) -> String {
    let receiver = sum(OwnedFd::from(to.try_clone().unwrap()));
    let mut sender = Command::new("cat");
    sender.stdin(File::open(file).unwrap()).stdout(OwnedFd::from(from.try_clone().unwrap()));
    assert!(sender.status().unwrap().success());
    from.shutdown(std::net::Shutdown::Write).unwrap();
    said(receiver)
}

#[test]
fn what_goes_by_tcp_arrives_whole_in_each_direction_of_every_way() {
    on_both(&[], |ground, env, one, two| {
        let file = env.files().join("much");
        let mut random = File::open("/dev/urandom").unwrap().take(MUCH);
        std::io::copy(&mut random, &mut File::create(&file).unwrap()).unwrap();
        let expected = said(sum(File::open(&file).unwrap()));
        for way in ways(ground, one, two) {
            let (near, far) = connection(&way);
            assert_eq!(send(&file, &near, &far), expected, "{}", way.what);
            assert_eq!(send(&file, &far, &near), expected, "{}, backwards", way.what);
        }
    });
}

#[test]
fn what_goes_by_udp_is_answered_on_every_way() {
    on_both(&[], |ground, _, one, two| {
        for way in ways(ground, one, two) {
            let far = way.to.within(|| UdpSocket::bind((all(way.called), way.port)).unwrap());
            let near = way.from.within(|| UdpSocket::bind((all(way.called), 0)).unwrap());
            for socket in [&far, &near] {
                socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            }
            near.connect(place(way.called, way.port)).unwrap();
            let mut buffer = vec![0; 2000];
            // From one byte to as much as a packet takes, and some more, which goes in pieces.
            for length in (1..1900).step_by(61) {
                let packet: Vec<u8> = (0..length).map(|at| (at * 7 + length) as u8).collect();
                near.send(&packet).unwrap();
                let (count, from) =
                    far.recv_from(&mut buffer).unwrap_or_else(|error| panic!("{}: {error}", way.what));
                assert!(buffer[..count] == packet, "{}: {length} bytes came as {count}", way.what);
                if !way.seen.is_empty() {
                    assert_eq!(from.ip().to_canonical().to_string(), way.seen, "{}", way.what);
                }
                // The answer comes from the address that was asked, or a connected socket does not take it.
                far.send_to(&packet, from).unwrap();
                let count =
                    near.recv(&mut buffer).unwrap_or_else(|error| panic!("{}, back: {error}", way.what));
                assert!(buffer[..count] == packet, "{}, back: {length} bytes came as {count}", way.what);
            }
        }
    });
}

#[test]
fn many_connections_at_once_do_not_get_in_each_others_way() {
    on_both(&[], |ground, _, one, _| {
        let listener = one.within(|| TcpListener::bind(("0.0.0.0", PORT)).unwrap());
        let answer = || {
            for _ in 0..200 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut text = [0; 8];
                stream.read_exact(&mut text).unwrap();
                stream.write_all(&text).unwrap();
            }
        };
        let wrong = std::thread::scope(|scope| {
            let server = scope.spawn(answer);
            let wrong = tinyd_tests::crowd(20, 200, |number| {
                ground.outside.within(|| {
                    let mut stream =
                        TcpStream::connect_timeout(&place(HOST, PORT), Duration::from_secs(20)).unwrap();
                    let text = format!("{number:08}");
                    stream.write_all(text.as_bytes()).unwrap();
                    let mut back = [0; 8];
                    stream.read_exact(&mut back).unwrap();
                    if back == text.as_bytes() { Ok(()) } else { Err(text) }
                })
            });
            server.join().unwrap();
            wrong
        });
        assert_eq!(wrong, Vec::<String>::new());
    });
}

#[test]
fn packets_are_as_large_as_the_network_says() {
    on_both(&["--mtu", "1400"], |ground, env, one, two| {
        for name in ["one", "two"] {
            assert_eq!(inside(env, name, "cat /sys/class/net/eth0/mtu"), "1400");
        }
        let links = ground.host.ip("-o link");
        let ours: Vec<_> =
            links.lines().filter(|line| !line.contains(": lo") && !line.contains("uplink0")).collect();
        assert_eq!(ours.len(), 3, "{links}");
        assert!(ours.iter().all(|line| line.contains("mtu 1400 ")), "{links}");
        // A connection knows it from its own link, and one from outside is told by who is on the smaller one.
        let all = ways(ground, one, two);
        for (number, largest) in [(4, 1348), (2, 1348), (0, 1348)] {
            let (near, far) = connection(&all[number]);
            let file = env.file("some", vec![b'x'; 1 << 20]);
            let whole = said(sum(File::open(&file).unwrap()));
            let sockets = all[number].from.run(&["ss", "-tin"]);
            let told = format!(" mss:{largest} ");
            assert!(sockets.contains(&told), "{}: no {told}: {sockets}", all[number].what);
            assert_eq!(send(&file, &near, &far), whole, "{}", all[number].what);
            assert_eq!(send(&file, &far, &near), whole, "{}, backwards", all[number].what);
        }
    });
}
