//! A host, two networks behind it, and a neighbour outside.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::backend::Backend;
use rustix::net;
use tempfile::TempDir;
use tinyd_net::firewall::{Firewall, NetworkRules, Publication};
use tinyd_net::link::{Links, Veth};
use tinyd_net::{Protocol, PublishedPort, Undo};
use tinyd_ns::Namespaces;

/// How long an answer is waited for that should come, on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long an answer is waited for that should not come.
const IN_VAIN: Duration = Duration::from_millis(600);

/// How long an answer by UDP is waited for before it is asked for again.
const AGAIN: Duration = Duration::from_millis(300);

/// A network namespace with a name.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) netns: File,
    /// Its addresses but the loopback's, of both families.
    pub(crate) addresses: [IpAddr; 2],
}

impl Place {
    fn new(name: &'static str, addresses: [&str; 2]) -> Self {
        let make = || {
            tinyd_ns::join::unshare(Namespaces::NET).unwrap();
            assert_eq!(run("ip", &["link", "set", "lo", "up"]), "");
            // Until a bridge's own link-local address is known to be nobody else's, no neighbour is looked for from it.
            fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0").unwrap();
            own()
        };
        let netns = thread::spawn(make).join().unwrap();
        Self { name, netns, addresses: addresses.map(address) }
    }

    /// Does something in there.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            rustix::thread::move_into_link_name_space(self.netns.as_fd(), None).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// Answers everybody on this port with its name and their address, until it is dropped.
    pub(crate) fn serve(&self, protocol: Protocol, port: u16) -> Server {
        let (stop, name) = (Arc::new(AtomicBool::new(false)), self.name);
        let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        let stopped = Arc::clone(&stop);
        let thread = match protocol {
            Protocol::Udp => {
                let socket = self.enter(|| UdpSocket::bind(any).unwrap());
                socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
                thread::spawn(move || {
                    while !stopped.load(Ordering::Relaxed) {
                        if let Ok((_, peer)) = socket.recv_from(&mut [0; 64]) {
                            let _ = socket.send_to(answer(name, peer).as_bytes(), peer);
                        }
                    }
                })
            }
            _ => {
                let listener = self.enter(|| TcpListener::bind(any).unwrap());
                listener.set_nonblocking(true).unwrap();
                thread::spawn(move || {
                    while !stopped.load(Ordering::Relaxed) {
                        match listener.accept() {
                            Ok((mut stream, peer)) => {
                                let _ = stream.write_all(answer(name, peer).as_bytes());
                            }
                            Err(_) => thread::sleep(Duration::from_millis(5)),
                        }
                    }
                })
            }
        };
        Server { stop, thread: Some(thread) }
    }

    /// Who answers at this address and port, and whom he sees; `None` when nobody does.
    pub(crate) fn ask(&self, protocol: Protocol, host: &str, port: u16) -> Option<String> {
        self.ask_for(protocol, host, port, PATIENCE)
    }

    /// The same where nobody should answer, which needs less patience.
    pub(crate) fn ask_in_vain(&self, protocol: Protocol, host: &str, port: u16) -> Option<String> {
        self.ask_for(protocol, host, port, IN_VAIN)
    }

    fn ask_for(&self, protocol: Protocol, host: &str, port: u16, patience: Duration) -> Option<String> {
        let target = SocketAddr::new(address(host), port);
        self.enter(|| match protocol {
            Protocol::Udp => {
                let any = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).unwrap();
                socket.set_read_timeout(Some(AGAIN)).unwrap();
                socket.connect(target).ok()?;
                let until = Instant::now() + patience;
                // (A first packet may wait for the neighbour's hardware address.)
                while Instant::now() < until {
                    socket.send(b"who").ok()?;
                    let mut answer = [0; 64];
                    if let Ok(length) = socket.recv(&mut answer) {
                        return Some(String::from_utf8_lossy(&answer[..length]).into_owned());
                    }
                    // (A refusal comes at once.)
                    thread::sleep(Duration::from_millis(5));
                }
                None
            }
            _ => {
                let mut stream = TcpStream::connect_timeout(&target, patience).ok()?;
                stream.set_read_timeout(Some(patience)).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).ok()?;
                Some(answer)
            }
        })
    }
}

fn answer(name: &str, peer: SocketAddr) -> String {
    format!("{name} sees {}", peer.ip().to_canonical())
}

/// Ends with it.
pub(crate) struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// This thread's network namespace.
fn own() -> File {
    File::open("/proc/thread-self/ns/net").unwrap()
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Runs a program in this thread's network namespace; gives both of its outputs.
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// Has nft(8) read this.
pub(crate) fn load(rules: &str) {
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success(), "{rules}");
}

/// What others have in the host's rules, and must keep.
const FOREIGN: &str = "table ip foreign {
    set peers { type ipv4_addr; elements = { 198.51.100.1, 198.51.100.2 }; }
    chain seen { type filter hook forward priority filter; policy accept; ip saddr @peers counter drop; }
}";

/// All of it. The thread that made it is on the host.
pub(crate) struct Ground {
    pub(crate) backend: Backend,
    files: TempDir,
    pub(crate) host: Place,
    /// On the first network.
    pub(crate) one: Place,
    pub(crate) two: Place,
    /// On the second network.
    pub(crate) far: Place,
    pub(crate) outside: Place,
}

/// The networks as a firewall is told of them.
pub(crate) fn network(number: u8) -> NetworkRules {
    NetworkRules {
        bridge: format!("br-{number}"),
        subnets: vec![
            format!("10.99.{number}.0/24").parse().unwrap(),
            format!("fd00:99:{number}::/64").parse().unwrap(),
        ],
        internal: false,
        sources: Vec::new(),
    }
}

/// What a place is told apart by on the host, with its addresses.
const PLACES: [(&str, &str, [&str; 2]); 4] = [
    ("one", "br-1", ["10.99.1.2/24", "fd00:99:1::2/64"]),
    ("two", "br-1", ["10.99.1.3/24", "fd00:99:1::3/64"]),
    ("far", "br-2", ["10.99.2.2/24", "fd00:99:2::2/64"]),
    ("outside", "uplink", ["192.0.2.2/24", "2001:db8::2/64"]),
];

/// The host's links, with its addresses there: the bridges of two networks, and the one that the neighbour is behind.
const BRIDGES: [(&str, [&str; 2]); 3] = [
    ("br-1", ["10.99.1.1/24", "fd00:99:1::1/64"]),
    ("br-2", ["10.99.2.1/24", "fd00:99:2::1/64"]),
    ("uplink", ["192.0.2.1/24", "2001:db8::1/64"]),
];

impl Ground {
    /// The firewall, of another process each time.
    pub(crate) fn firewall(&self) -> Box<dyn Firewall> {
        self.firewall_called("tinyd-test")
    }

    pub(crate) fn firewall_called(&self, name: &str) -> Box<dyn Firewall> {
        self.backend.firewall(self.host.netns.as_fd(), name, &self.files.path().join(name))
    }

    /// The firewall with both networks open.
    pub(crate) fn opened(&self) -> Box<dyn Firewall> {
        let firewall = self.firewall();
        (1..=2).for_each(|number| firewall.open(&network(number)).unwrap());
        firewall
    }

    /// No lock is left where no network is.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.files.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

/// Runs `work` on hosts of their own, one for each firewall that this machine has.
pub(crate) fn on_each(work: impl Fn(&Ground) + Sync) {
    thread::scope(|scope| {
        for backend in Backend::all() {
            let work = &work;
            scope.spawn(move || {
                let told =
                    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| on_ground(backend, work)));
                told.unwrap_or_else(|trouble| {
                    eprintln!("this was with {backend:?}");
                    std::panic::resume_unwind(trouble)
                });
            });
        }
    });
}

/// Runs `work` on a host of its own, which goes with it.
pub(crate) fn on_ground(backend: Backend, work: impl FnOnce(&Ground) + Send) {
    let enter = || {
        let host = Place::new("host", ["192.0.2.1", "2001:db8::1"]);
        rustix::thread::move_into_link_name_space(host.netns.as_fd(), None).unwrap();
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            fs::write(format!("/proc/sys/net/{setting}"), "1").unwrap();
        }
        let mut links = Links::here().unwrap();
        for (number, (name, addresses)) in (1..).zip(BRIDGES) {
            links.make_bridge(name, [2, 0x42, 0, 0, 0, number], 1500).unwrap();
            let bridge = links.find(name).unwrap().unwrap().index;
            let _ = addresses.map(|text| links.add_address(bridge, text.parse().unwrap()).unwrap());
            if name != "uplink" {
                fs::write(format!("/proc/sys/net/ipv4/conf/{name}/route_localnet"), "1").unwrap();
            }
        }
        let [one, two, far, outside] = PLACES.map(|(name, bridge, addresses)| {
            let place = Place::new(name, addresses.map(|text| text.split_once('/').unwrap().0));
            connect(&mut links, &place, bridge, addresses);
            place
        });
        load(FOREIGN);
        backend.load_foreign();
        work(&Ground { backend, files: tempfile::tempdir().unwrap(), host, one, two, far, outside });
    };
    thread::scope(|scope| scope.spawn(enter).join().unwrap());
}

fn connect(links: &mut Links, place: &Place, bridge: &str, addresses: [&str; 2]) {
    let bridge_index = links.find(bridge).unwrap().unwrap().index;
    let IpAddr::V4(own) = place.addresses[0] else { panic!("{} has no address", place.name) };
    let [_, _, third, fourth] = own.octets();
    let mac = [2, 0x42, 1, 0, third, fourth];
    let veth = Veth {
        name: place.name,
        bridge: bridge_index,
        hairpin: true,
        mtu: 1500,
        peer: "eth0",
        mac,
        netns: place.netns.as_fd(),
    };
    links.make_veth(&veth).unwrap();
    let mut inside = Links::of(place.netns.as_fd()).unwrap();
    let eth0 = inside.find("eth0").unwrap().unwrap().index;
    let _ = addresses.map(|text| inside.add_address(eth0, text.parse().unwrap()).unwrap());
    inside.switch_on(eth0).unwrap();
    let (_, gateways) = BRIDGES.into_iter().find(|(name, _)| *name == bridge).unwrap();
    for gateway in gateways {
        inside.add_default_route(eth0, address(gateway.split_once('/').unwrap().0)).unwrap();
    }
}

/// A port of the host that leads to port 80 of an address.
pub(crate) fn publication(host: Option<&str>, port: u16, protocol: Protocol, to: IpAddr) -> Publication {
    let host = host.map(address);
    Publication { port: PublishedPort { host, host_port: port, container_port: 80, protocol }, to }
}

/// A port of both families that leads to a place's port 80.
pub(crate) fn both(port: u16, protocol: Protocol, to: &Place) -> Vec<Publication> {
    to.addresses.iter().map(|to| publication(None, port, protocol, *to)).collect()
}

/// Does what a firewall gave to be done, as a process would that knows nothing of firewalls.
pub(crate) fn undo(steps: &[Undo]) {
    for step in steps {
        match step {
            Undo::Netlink { protocol, packet } => {
                let protocol = NonZeroU32::new(protocol.cast_unsigned()).map(net::Protocol::from_raw);
                let (family, sort) = (net::AddressFamily::NETLINK, net::SocketType::RAW);
                let socket = net::socket_with(family, sort, net::SocketFlags::CLOEXEC, protocol).unwrap();
                net::send(socket, packet, net::SendFlags::empty()).unwrap();
            }
            Undo::Run { program, arguments, environment, stdin, .. } => {
                let mut command = Command::new(program);
                command.args(arguments).env_clear().envs(environment.iter().cloned());
                let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
                child.stdin.take().unwrap().write_all(stdin).unwrap();
                child.wait().unwrap();
            }
            other => panic!("{other:?} is none of a firewall's"),
        }
    }
}
