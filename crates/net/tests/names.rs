//! The name server, asked over the loopback device of a network namespace, with the host's server played by the test.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test; clippy.toml does not see that its helpers are one"
)]

mod ground;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ground::{in_a_namespace, prefix, root_only};
use tinyd_net::link::Links;
use tinyd_net::names::{Entry, Lookup, Server, ServerSpec, Sockets};

const A: u16 = 1;
const NS: u16 = 2;
const SOA: u16 = 6;
const PTR: u16 = 12;
const AAAA: u16 = 28;
const DS: u16 = 43;
const NO_SUCH_NAME: u8 = 3;
const SERVER_FAILED: u8 = 2;

/// A question as clients write it.
fn ask(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len() as u8);
        packet.extend(label.as_bytes());
    }
    packet.push(0);
    packet.extend(kind.to_be_bytes());
    packet.extend(1u16.to_be_bytes());
    packet
}

/// The answer to a question, with one address.
fn reply(question: &[u8], address: [u8; 4]) -> Vec<u8> {
    let mut packet = question.to_vec();
    packet[2..4].copy_from_slice(&[0x81, 0x80]);
    packet[7] = 1;
    packet.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    packet.extend(address);
    packet
}

/// What an answer says: its code, and the last four bytes where it has records.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    code: u8,
    count: u8,
    end: Vec<u8>,
}

fn read(answer: &[u8]) -> Said {
    Said { code: answer[3] & 15, count: answer[7], end: answer[answer.len() - 4..].to_vec() }
}

struct Client(UdpSocket);

impl Client {
    fn of(server: SocketAddr) -> Client {
        Client::at("127.0.0.1", server)
    }

    /// One with an address of its own.
    fn at(address: &str, server: SocketAddr) -> Client {
        let socket = UdpSocket::bind((address, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.connect(server).unwrap();
        Client(socket)
    }

    fn ask(&self, name: &str, kind: u16) -> Said {
        let question = ask(0x4242, name, kind);
        self.0.send(&question).unwrap();
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..2], question[..2], "an answer to another question");
        read(&buffer[..length])
    }
}

fn ask_stream(server: SocketAddr, name: &str) -> Said {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let question = ask(7, name, A);
    // In two pieces: a message need not come whole.
    stream.write_all(&(question.len() as u16).to_be_bytes()).unwrap();
    thread::sleep(Duration::from_millis(5));
    stream.write_all(&question).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut answer).unwrap();
    read(&answer)
}

/// What the host's server was asked: numbers and ports.
type Heard = Arc<Mutex<Vec<(u16, u16)>>>;

/// Plays the host's server until the namespace goes: it knows one address for every name, and sends a forged answer first.
fn host_server(at: &str) -> Heard {
    let heard = Heard::default();
    let (packets, streams) = (UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap());
    let notes = Arc::clone(&heard);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = packets.recv_from(&mut buffer) {
            let question = &buffer[..length];
            if length < 12 {
                return;
            }
            notes.lock().unwrap().push((u16::from_be_bytes([question[0], question[1]]), from.port()));
            let mut forged = reply(question, [6, 6, 6, 6]);
            forged[0] ^= 0x55;
            packets.send_to(&forged, from).unwrap();
            packets.send_to(&reply(question, [9, 9, 9, 9]), from).unwrap();
        }
    });
    thread::spawn(move || {
        while let Ok((mut stream, _)) = streams.accept() {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).unwrap();
            let answer = reply(&question, [9, 9, 9, 10]);
            stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
            stream.write_all(&answer).unwrap();
        }
    });
    heard
}

/// Serves a network with `web` and `db` while `work` runs; the server ends with the last of them. One that asks nobody else has no
/// file of its own.
fn serving(resolv_conf: Option<&str>, subnet: &str, work: impl FnOnce(SocketAddr, &Path) + Send) {
    let place = tempfile::tempdir().unwrap();
    in_a_namespace(|| {
        let mut links = Links::here().unwrap();
        let lo = links.find("lo").unwrap().unwrap().index;
        links.switch_on(lo).unwrap();
        let (folder, file) = (place.path().join("zone"), place.path().join("resolv.conf"));
        for (id, address, names) in
            [("aaaa", "10.0.0.2", ["web", "www"]), ("bbbb", "10.0.0.3", ["db", "www"])]
        {
            let entry = Entry {
                addresses: vec![address.parse::<IpAddr>().unwrap()],
                names: names.map(str::to_owned).to_vec(),
                ..Entry::default()
            };
            entry.write(&folder, id).unwrap();
        }
        let of_host = "nameserver 127.0.0.53\nsearch corp.example\n";
        fs::write(&file, resolv_conf.unwrap_or(of_host)).unwrap();
        let spec = ServerSpec {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            folder: folder.clone(),
            subnets: vec![prefix(subnet), prefix("10.0.0.0/24")],
            resolv_conf: file,
            internal: resolv_conf.is_none(),
        };
        let mut server = Server::new(&spec, Sockets::bind(&spec.listen).unwrap()).unwrap();
        let address = server.addresses().unwrap()[0];
        thread::scope(|scope| {
            let runs = scope.spawn(move || server.run(|_| true).unwrap());
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(address, &folder)));
            for id in ["aaaa", "bbbb", "cccc", "dddd"] {
                let _ = fs::remove_file(folder.join(id));
            }
            runs.join().unwrap();
            if let Err(panic) = done {
                std::panic::resume_unwind(panic);
            }
        });
    });
}

#[test]
fn root_names_of_the_network_are_known_and_others_are_asked_of_the_host() {
    root_only!();
    serving(Some("nameserver 127.0.0.53\nsearch corp.example\n"), "127.0.0.0/8", |server, folder| {
        let heard = host_server("127.0.0.53:53");
        let client = Client::of(server);
        assert_eq!(client.ask("web", A), Said { code: 0, count: 1, end: vec![10, 0, 0, 2] });
        assert_eq!(client.ask("WWW", A).count, 2);
        assert_eq!(client.ask("web", AAAA), Said { code: 0, count: 0, end: vec![0, 28, 0, 1] });
        // As a client writes it that tries the host's domains first.
        assert_eq!(client.ask("db.corp.example", A).end, [10, 0, 0, 3]);
        assert_eq!(client.ask("nobody", A).code, NO_SUCH_NAME);
        assert_eq!(client.ask("9.0.0.10.in-addr.arpa", 12).code, NO_SUCH_NAME);
        assert!(heard.lock().unwrap().is_empty(), "a name of the network's was asked of others");

        assert_eq!(client.ask("example.org", A).end, [9, 9, 9, 9], "the forged answer came first");
        assert_eq!(ask_stream(server, "example.org").end, [9, 9, 9, 10]);
        assert_eq!(ask_stream(server, "web").end, [10, 0, 0, 2]);

        fs::remove_file(folder.join("aaaa")).unwrap();
        assert_eq!(client.ask("web", A).code, NO_SUCH_NAME);
    });
}

/// Puts a container on a network, with its only name.
fn enter(folder: &Path, id: &str, (address, name): (&str, &str), ranges: &[&str], lookup: Lookup) {
    let entry = Entry {
        addresses: vec![address.parse().unwrap()],
        names: vec![name.to_owned()],
        ranges: ranges.iter().map(|range| prefix(range)).collect(),
        lookup,
    };
    entry.write(folder, id).unwrap();
}

/// Gives the namespace another address.
fn be_at(address: &str) {
    let mut links = Links::here().unwrap();
    let lo = links.find("lo").unwrap().unwrap().index;
    links.add_address(lo, prefix(&format!("{address}/32"))).unwrap();
}

fn chosen(servers: &[&str]) -> Lookup {
    Lookup { servers: servers.iter().map(|server| server.parse().unwrap()).collect(), ..Lookup::default() }
}

#[test]
fn root_d9_a_container_has_domains_and_servers_of_its_own() {
    root_only!();
    serving(Some("nameserver 127.0.0.53\nsearch corp.example\n"), "127.0.0.0/8", |server, folder| {
        ["192.0.2.53", "198.51.100.53"].into_iter().for_each(be_at);
        let (of_host, own) = (host_server("127.0.0.53:53"), host_server("192.0.2.53:53"));
        let there = host_server("198.51.100.53:53");
        let heard = || [&of_host, &own, &there].map(|heard| heard.lock().unwrap().len());
        let me = ("127.0.0.9", "me");
        let lookup = Lookup { search: Some(vec!["lab.example".to_owned()]), ..chosen(&["192.0.2.53"]) };
        enter(folder, "cccc", me, &[], lookup);
        let (client, other) = (Client::at("127.0.0.9", server), Client::of(server));
        assert_eq!(client.ask("db.lab.example", A).end, [10, 0, 0, 3]);
        assert_eq!(heard(), [0, 0, 0], "a name of the network's was asked of others");
        assert_eq!(client.ask("db.corp.example", A).end, [9, 9, 9, 9], "what it does not search is outside");
        assert_eq!(heard(), [0, 1, 0]);
        assert_eq!(other.ask("db.lab.example", A).end, [9, 9, 9, 9]);
        assert_eq!(other.ask("db.corp.example", A).end, [10, 0, 0, 3]);
        assert_eq!(heard(), [1, 1, 0], "another one's choice");
        // What this host reaches for itself, it does not ask for a container: itself, and networks that the container is not on.
        let beside = folder.parent().unwrap().join("beside");
        enter(&beside, "eeee", ("198.51.100.7", "job"), &["198.51.100.0/24"], Lookup::default());
        for servers in [
            ["0.0.0.0", "::ffff:0.0.0.0"],
            ["127.0.0.53", "198.51.100.53"],
            ["::ffff:127.0.0.53", "::ffff:198.51.100.53"],
        ] {
            enter(folder, "cccc", me, &[], chosen(&servers));
            assert_eq!(client.ask("example.org", A).code, SERVER_FAILED, "{servers:?}");
            assert_eq!(heard(), [1, 1, 0], "{servers:?}");
        }
        enter(&beside, "cccc", ("198.51.100.8", "me"), &["198.51.100.0/24"], Lookup::default());
        assert_eq!(client.ask("example.org", A).end, [9, 9, 9, 9]);
        assert_eq!(heard(), [1, 1, 1]);
    });
}

#[test]
fn root_d8_whose_an_address_of_a_network_is_nobody_outside_is_asked() {
    root_only!();
    serving(Some("nameserver 127.0.0.53\n"), "127.0.0.0/8", |server, folder| {
        let heard = host_server("127.0.0.53:53");
        let beside = folder.parent().unwrap().join("beside");
        for (id, address, name) in [("cccc", "10.9.0.2", "me"), ("eeee", "10.9.0.7", "job")] {
            enter(&beside, id, (address, name), &["10.9.0.0/24"], Lookup::default());
        }
        enter(folder, "cccc", ("127.0.0.9", "me"), &[], Lookup::default());
        let (client, other) = (Client::at("127.0.0.9", server), Client::of(server));
        assert_eq!(
            client.ask("7.0.9.10.in-addr.arpa", PTR),
            Said { code: 0, count: 1, end: b"job\0".to_vec() }
        );
        for (asker, name, kind) in [
            (&client, "8.0.9.10.in-addr.arpa", PTR),
            (&client, "7.0.9.10.in-addr.arpa", SOA),
            (&client, "0.9.10.in-addr.arpa", NS),
            (&client, "lb._dns-sd._udp.0.0.9.10.in-addr.arpa", PTR),
            (&other, "7.0.9.10.in-addr.arpa", PTR),
            (&other, "2.0.0.10.in-addr.arpa", SOA),
        ] {
            assert_eq!(asker.ask(name, kind).code, NO_SUCH_NAME, "{name}");
        }
        assert!(heard.lock().unwrap().is_empty());
        assert_eq!(client.ask("7.0.8.10.in-addr.arpa", PTR).end, [9, 9, 9, 9], "nobody's here");
    });
}

#[test]
fn root_the_root_and_domains_are_asked_of_others_and_names_of_one_word_are_not() {
    root_only!();
    serving(Some("nameserver 127.0.0.53\n"), "127.0.0.0/8", |server, _| {
        let heard = host_server("127.0.0.53:53");
        let client = Client::of(server);
        for kind in [A, AAAA, PTR, 16, 255] {
            assert_eq!(client.ask("com", kind).code, NO_SUCH_NAME, "{kind}");
        }
        assert!(heard.lock().unwrap().is_empty());
        for (name, kind) in [("", NS), ("", A), ("com", DS), ("com", NS), ("com", SOA), ("com", 48)] {
            assert_eq!(client.ask(name, kind).end, [9, 9, 9, 9], "{name} {kind}");
        }
        assert_eq!(client.ask("db", NS), Said { code: 0, count: 0, end: vec![0, 2, 0, 1] }, "one of ours");
    });
}

#[test]
fn root_d8_an_internal_network_asks_others_for_those_alone_who_have_another_way_out() {
    root_only!();
    serving(None, "127.0.0.0/8", |server, folder| {
        ["192.0.2.53", "10.0.0.7"].into_iter().for_each(be_at);
        let (of_host, outside) = (host_server("127.0.0.53:53"), host_server("192.0.2.53:53"));
        let inside = host_server("10.0.0.7:53");
        let heard = || [&of_host, &outside, &inside].map(|heard| heard.lock().unwrap().len());
        enter(folder, "cccc", ("127.0.0.9", "both"), &[], Lookup { open: true, ..Lookup::default() });
        enter(folder, "dddd", ("127.0.0.8", "shut"), &[], chosen(&["192.0.2.53"]));
        let (both, shut) = (Client::at("127.0.0.9", server), Client::at("127.0.0.8", server));
        assert_eq!(both.ask("example.org", A).end, [9, 9, 9, 9]);
        assert_eq!(both.ask("db", A).end, [10, 0, 0, 3]);
        assert_eq!(heard(), [1, 0, 0]);
        for name in ["example.org", "", "com"] {
            assert_eq!(shut.ask(name, NS).code, NO_SUCH_NAME, "{name}");
            assert_eq!(Client::of(server).ask(name, NS).code, NO_SUCH_NAME, "{name}");
        }
        assert_eq!(heard(), [1, 0, 0]);
        // One that is on the network itself it could ask as well.
        enter(folder, "dddd", ("127.0.0.8", "shut"), &[], chosen(&["192.0.2.53", "10.0.0.7"]));
        assert_eq!(shut.ask("example.org", A).end, [9, 9, 9, 9]);
        assert_eq!(heard(), [1, 0, 1]);
        enter(folder, "cccc", ("127.0.0.9", "both"), &[], Lookup { open: true, ..chosen(&["192.0.2.53"]) });
        assert_eq!(both.ask("example.org", A).end, [9, 9, 9, 9]);
        assert_eq!(heard(), [1, 1, 1]);
        enter(folder, "cccc", ("127.0.0.9", "both"), &[], Lookup::default());
        assert_eq!(both.ask("example.org", A).code, NO_SUCH_NAME, "it has lost its way out");
    });
}

#[test]
fn root_each_question_to_the_host_has_a_number_and_a_port_of_its_own() {
    root_only!();
    serving(Some("nameserver 127.0.0.53\n"), "127.0.0.0/8", |server, _| {
        let heard = host_server("127.0.0.53:53");
        let client = Client::of(server);
        for number in 0..64 {
            assert_eq!(client.ask(&format!("n{number}.example.org"), A).end, [9, 9, 9, 9]);
        }
        let heard = heard.lock().unwrap();
        let numbers: BTreeSet<_> = heard.iter().map(|(number, _)| number).collect();
        let ports: BTreeSet<_> = heard.iter().map(|(_, port)| port).collect();
        assert!(numbers.len() > 60 && ports.len() > 48, "{heard:?}");
    });
}

#[test]
fn root_an_internal_network_asks_nobody() {
    root_only!();
    serving(None, "127.0.0.0/8", |server, _| {
        let heard = host_server("127.0.0.53:53");
        let client = Client::of(server);
        for name in ["example.org", "www.example.org", "nobody", "1.2.3.4.in-addr.arpa"] {
            assert_eq!(client.ask(name, A).code, NO_SUCH_NAME, "{name}");
        }
        assert_eq!(client.ask("db", A).end, [10, 0, 0, 3]);
        assert_eq!(client.ask("db.corp.example", A).end, [10, 0, 0, 3], "as the host's domains are searched");
        assert!(heard.lock().unwrap().is_empty());
    });
}

#[test]
fn root_a_server_that_does_not_answer_is_not_waited_for_by_others() {
    root_only!();
    // The first of them takes questions and says nothing; nobody is at the second; the third answers.
    let servers = "nameserver 127.0.0.51\nnameserver 127.0.0.52\nnameserver 127.0.0.53\n";
    serving(Some(servers), "127.0.0.0/8", |server, _| {
        let _silent = UdpSocket::bind("127.0.0.51:53").unwrap();
        let _heard = host_server("127.0.0.53:53");
        let begin = Instant::now();
        thread::scope(|scope| {
            let slow = scope.spawn(|| Client::of(server).ask("example.org", A));
            thread::sleep(Duration::from_millis(100));
            let client = Client::of(server);
            assert_eq!(client.ask("web", A).end, [10, 0, 0, 2]);
            assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
            assert_eq!(slow.join().unwrap().end, [9, 9, 9, 9]);
        });
    });
    serving(Some("nameserver 127.0.0.52\n"), "127.0.0.0/8", |server, _| {
        assert_eq!(Client::of(server).ask("example.org", A).code, SERVER_FAILED);
        assert_eq!(ask_stream(server, "example.org").code, SERVER_FAILED);
    });
}

#[test]
fn root_d9_idle_connections_keep_nobody_waiting() {
    root_only!();
    serving(None, "127.0.0.0/8", |server, _| {
        let idle: Vec<_> = (0..200).map(|_| TcpStream::connect(server).unwrap()).collect();
        let mut half = TcpStream::connect(server).unwrap();
        half.write_all(&[0]).unwrap();
        let client = Client::of(server);
        let mut times: Vec<_> = (0..500)
            .map(|_| {
                let begin = Instant::now();
                assert_eq!(client.ask("web", A).count, 1);
                begin.elapsed()
            })
            .collect();
        times.sort();
        assert!(times[495] < Duration::from_millis(50), "{:?}", times[495]);
        assert_eq!(ask_stream(server, "web").count, 1);
        // More of them than there is room for: the ones that have been silent for longest go.
        let more: Vec<_> = (0..600).map(|_| TcpStream::connect(server).unwrap()).collect();
        assert_eq!(ask_stream(server, "db").count, 1);
        drop((idle, more));
    });
}

#[test]
fn root_whoever_is_not_of_the_network_gets_no_answer() {
    root_only!();
    serving(None, "192.0.2.0/24", |server, _| {
        let client = Client::of(server);
        client.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        client.0.send(&ask(1, "web", A)).unwrap();
        assert!(client.0.recv(&mut [0; 512]).is_err());
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0, "it is closed");
    });
}

#[test]
fn root_noise_is_answered_or_not_and_ends_nothing() {
    root_only!();
    serving(Some("nameserver 127.0.0.52\n"), "127.0.0.0/8", |server, _| {
        let client = Client::of(server);
        client.0.set_nonblocking(true).unwrap();
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        for round in 0..5_000 {
            let mut packet = ask(round as u16, "a.example.org", A);
            for _ in 0..1 + round % 5 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = state as usize % packet.len();
                packet[at] = (state >> 32) as u8;
            }
            packet.truncate(packet.len() - state as usize % 8);
            client.0.send(&packet).unwrap();
            if round % 50 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        assert_eq!(Client::of(server).ask("web", A).count, 1);
    });
}
