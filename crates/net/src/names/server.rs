//! The loop.

use super::elsewhere::{Elsewhere, is_within};
use super::forward::{Asker, Forward, Outcome};
use super::lookup::Lookup;
use super::message::{self, Code, Data, Question};
use super::stream::Stream;
use super::upstream::{self, PORT, Upstream};
use super::zone::Zone;
use crate::Prefix;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Questions under way, and connections: more are refused. Each is a descriptor.
const MOST_FORWARDS: usize = 1024;
/// Into how many shares those are divided: where half of them are taken, one container has no more than one.
const SHARES: usize = 8;
const MOST_STREAMS: usize = 512;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(10);
/// How often it is looked whether anybody is left.
const LOOK: Duration = Duration::from_secs(1);
/// Packets that are taken from one socket before the others have their turn.
const TURN: usize = 64;
/// How many ports that the system chooses are tried.
const PATIENCE: usize = 16;

/// By which name a container finds the host.
const HOST: &str = "host.tinyd.internal";

/// What a server is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// Where it is asked.
    pub listen: Vec<SocketAddr>,
    /// The folder of its [`Zone`].
    pub folder: PathBuf,
    /// Who may ask: the network's own.
    pub subnets: Vec<Prefix>,
    /// The host's file of servers and of the domains that it searches, which clients put behind names.
    pub resolv_conf: PathBuf,
    /// Nobody else is asked, but for those of whom their entry says that they have another way out.
    pub internal: bool,
}

/// The name server of a network.
#[derive(Debug)]
pub struct Server {
    zone: Zone,
    elsewhere: Elsewhere,
    /// Of the host on this network.
    host: Vec<IpAddr>,
    subnets: Vec<Prefix>,
    upstream: Upstream,
    internal: bool,
    packets: Vec<UdpSocket>,
    listeners: Vec<TcpListener>,
    streams: Vec<Client>,
    forwards: Vec<Forward>,
    next_stream: u64,
}

/// Somebody who asks over TCP.
#[derive(Debug)]
struct Client {
    number: u64,
    address: IpAddr,
    stream: Stream,
    deadline: Instant,
}

/// The sockets of a server. What is asked before it runs waits in them.
#[derive(Debug)]
pub struct Sockets {
    /// Of UDP.
    pub packets: Vec<UdpSocket>,
    /// Of TCP.
    pub listeners: Vec<TcpListener>,
}

impl Sockets {
    /// Opens those that a server wants.
    ///
    /// # Errors
    /// The kernel's: `EADDRINUSE` when somebody else is asked there.
    pub fn bind(addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut all = Self { packets: Vec::new(), listeners: Vec::new() };
        addresses.iter().try_for_each(|address| all.add(*address))?;
        Ok(all)
    }

    /// The same, at another port of an address where somebody else is asked at that one.
    ///
    /// # Errors
    /// The kernel's.
    pub fn bind_beside(addresses: &[SocketAddr]) -> io::Result<Self> {
        let mut all = Self { packets: Vec::new(), listeners: Vec::new() };
        for address in addresses {
            let mut bound = all.add(*address);
            for _ in 0..PATIENCE {
                if !matches!(&bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
                    break;
                }
                // One that the system chooses for packets may be somebody's for connections.
                bound = all.add((address.ip(), 0).into());
            }
            bound?;
        }
        Ok(all)
    }

    /// Where they are asked.
    ///
    /// # Errors
    /// The kernel's.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.packets.iter().map(UdpSocket::local_addr).collect()
    }

    fn add(&mut self, address: SocketAddr) -> io::Result<()> {
        let socket = UdpSocket::bind(address)?;
        // Where the system chose the port, it is the same for both.
        self.listeners.push(TcpListener::bind(socket.local_addr()?)?);
        self.packets.push(socket);
        Ok(())
    }
}

impl Server {
    /// One that is asked at these sockets.
    ///
    /// # Errors
    /// The kernel's.
    pub fn new(spec: &ServerSpec, sockets: Sockets) -> io::Result<Self> {
        let Sockets { packets, listeners } = sockets;
        packets.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
        listeners.iter().try_for_each(|socket| socket.set_nonblocking(true))?;
        Ok(Self {
            zone: Zone::in_folder(&spec.folder),
            elsewhere: Elsewhere::beside(&spec.folder),
            host: spec.listen.iter().map(SocketAddr::ip).collect(),
            subnets: spec.subnets.clone(),
            upstream: Upstream::of(&spec.resolv_conf),
            internal: spec.internal,
            packets,
            listeners,
            streams: Vec::new(),
            forwards: Vec::new(),
            next_stream: 0,
        })
    }

    /// Where it is asked.
    ///
    /// # Errors
    /// The kernel's.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.packets.iter().map(UdpSocket::local_addr).collect()
    }

    /// Answers until nobody is left in its zone, as `may_end` is asked then.
    ///
    /// # Errors
    /// The kernel's, of poll(2).
    pub fn run(&mut self, mut may_end: impl FnMut(&mut Zone) -> bool) -> io::Result<()> {
        let mut look = Instant::now() + LOOK;
        loop {
            self.wait(look)?;
            for index in 0..self.packets.len() {
                self.take_packets(index);
            }
            self.accept();
            self.take_from_streams();
            self.proceed();
            if Instant::now() >= look {
                look = Instant::now() + LOOK;
                if self.zone.is_empty() && may_end(&mut self.zone) {
                    return Ok(());
                }
            }
        }
    }

    fn wait(&self, look: Instant) -> io::Result<()> {
        let mut sources = Vec::new();
        sources.extend(self.packets.iter().map(|socket| PollFd::new(socket, PollFlags::IN)));
        sources.extend(self.listeners.iter().map(|socket| PollFd::new(socket, PollFlags::IN)));
        for client in &self.streams {
            let out = if client.stream.is_full() { PollFlags::OUT } else { PollFlags::IN };
            sources.push(PollFd::from_borrowed_fd(client.stream.as_fd(), out));
        }
        for forward in &self.forwards {
            let (socket, sending) = forward.waits();
            let flags = if sending { PollFlags::OUT } else { PollFlags::IN };
            sources.push(PollFd::from_borrowed_fd(socket, flags));
        }
        let forwards = self.forwards.iter().map(|forward| forward.deadline);
        let next = forwards.chain(self.streams.iter().map(|client| client.deadline)).chain([look]).min();
        let left = next.unwrap_or(look).saturating_duration_since(Instant::now());
        let left = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(1),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut sources, Some(&left)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn take_packets(&mut self, index: usize) {
        let mut buffer = [0; 4096];
        for _ in 0..TURN {
            let Ok((length, from)) = self.packets[index].recv_from(&mut buffer) else { return };
            if !self.may_ask(from.ip()) {
                continue;
            }
            if let Some(answer) = self.hear(Asker::Packet(index, from), from.ip(), &buffer[..length]) {
                // Whoever does not get it asks again.
                let _ = self.packets[index].send_to(&answer, from);
            }
        }
    }

    fn accept(&mut self) {
        for index in 0..self.listeners.len() {
            while let Ok((socket, from)) = self.listeners[index].accept() {
                if !self.may_ask(from.ip()) {
                    continue;
                }
                if self.streams.len() >= MOST_STREAMS {
                    // Whoever has been silent for longest makes room.
                    let oldest = self.streams.iter().enumerate().min_by_key(|(_, client)| client.deadline);
                    if let Some((oldest, _)) = oldest {
                        self.streams.swap_remove(oldest);
                    }
                }
                let Ok(stream) = Stream::new(socket) else { continue };
                self.next_stream += 1;
                let deadline = Instant::now() + SILENCE;
                self.streams.push(Client { number: self.next_stream, address: from.ip(), stream, deadline });
            }
        }
    }

    fn take_from_streams(&mut self) {
        let now = Instant::now();
        for mut client in std::mem::take(&mut self.streams) {
            let mut open = client.stream.flush() && client.deadline > now;
            // Whoever does not take answers is asked for no more questions.
            open = open && (client.stream.is_full() || client.stream.fill());
            while open
                && !client.stream.is_full()
                && let Some(message) = client.stream.next()
            {
                client.deadline = now + SILENCE;
                if let Some(answer) = self.hear(Asker::Stream(client.number), client.address, &message) {
                    open &= client.stream.send(&answer);
                }
            }
            // (One that closes its side after its question still wants the answers that are under way: none does so in
            // practice, and RFC 7766 lets us.)
            if open {
                self.streams.push(client);
            }
        }
    }

    /// Answers a message, or sends it on.
    fn hear(&mut self, asker: Asker, from: IpAddr, packet: &[u8]) -> Option<Vec<u8>> {
        let question = match Question::read(packet) {
            Ok(question) => question,
            Err(code) => return Some(message::answer(packet, None, code?, &[])),
        };
        let (code, records) = match self.known(&question, from) {
            Some(records) => (Code::Good, records),
            None => match self.forward(asker, from, &question, packet) {
                None => return None,
                Some(code) => (code, Vec::new()),
            },
        };
        let answer = message::answer(packet, Some(&question), code, &records);
        Some(match asker {
            Asker::Packet(..) => message::cut(answer, &question),
            Asker::Stream(_) => answer,
        })
    }

    /// What is known of a name of the network; nothing may be known of the kind that was asked for.
    fn known(&mut self, question: &Question, from: IpAddr) -> Option<Vec<Data>> {
        let records = match question.reverse() {
            Some(address) => vec![Data::Name(self.name_of(address, from)?)],
            None => {
                let name = question.name.as_str();
                let addresses = self.look_up(name, from).or_else(|| {
                    // A client that has no dot in its name tries the domains that it searches first.
                    let own = self.zone.lookup(from).and_then(|lookup| lookup.search.as_deref());
                    let bare = upstream::without(own.unwrap_or_else(|| self.upstream.search()), name);
                    bare.iter().find_map(|bare| self.look_up(bare, from))
                });
                addresses?.into_iter().map(Data::Address).collect()
            }
        };
        Some(records.into_iter().filter(|record| question.wants(record)).collect())
    }

    /// The addresses of whoever has a name on a network of whoever asks.
    fn look_up(&mut self, name: &str, from: IpAddr) -> Option<Vec<IpAddr>> {
        if name == HOST {
            return Some(self.host.clone());
        }
        if let Some(addresses) = self.zone.addresses(name) {
            return Some(addresses.to_vec());
        }
        let container = self.zone.owner(from)?.to_owned();
        self.elsewhere.addresses(&container, name)
    }

    /// The name of whoever has an address on a network of whoever asks.
    fn name_of(&mut self, address: IpAddr, from: IpAddr) -> Option<String> {
        if let Some(name) = self.zone.name(address) {
            return Some(name.to_owned());
        }
        let container = self.zone.owner(from)?.to_owned();
        self.elsewhere.name(&container, address)
    }

    /// Asks the host's servers, or the asker's own; or says why not.
    fn forward(&mut self, asker: Asker, from: IpAddr, question: &Question, packet: &[u8]) -> Option<Code> {
        let is_ours = |range| is_within(range, &self.subnets) || self.elsewhere.has(range);
        if !question.may_leave() || question.range().is_some_and(is_ours) {
            return Some(Code::NoSuchName);
        }
        let servers = self.servers_for(from);
        if servers.is_empty() && self.internal {
            return Some(Code::NoSuchName);
        }
        // Nobody takes the others' share, where there is not enough for all.
        let own = self.forwards.iter().filter(|forward| forward.from == from).count();
        let scarce = self.forwards.len() >= MOST_FORWARDS / 2;
        if self.forwards.len() >= MOST_FORWARDS || (scarce && own >= MOST_FORWARDS / SHARES) {
            return Some(Code::ServerFailed);
        }
        match Forward::start(asker, from, question.clone(), packet.to_vec(), servers) {
            Some(forward) => {
                self.forwards.push(forward);
                None
            }
            None => Some(Code::ServerFailed),
        }
    }

    /// Who is asked for a container. Not whom it could not reach by itself: another network's server would tell this host what that
    /// container is not to know, what listens on this host's loopback device is for this host, and whoever is on internal networks
    /// alone reaches nobody but those who are there.
    fn servers_for(&mut self, from: IpAddr) -> Vec<SocketAddr> {
        let Lookup { servers, open, .. } = self.zone.lookup(from).cloned().unwrap_or_default();
        let is_sealed = self.internal && !open;
        if servers.is_empty() && !is_sealed {
            return self.upstream.servers().to_vec();
        }
        let container = self.zone.owner(from).unwrap_or_default().to_owned();
        // An address of IPv4 that is written as one of IPv6 is the same server.
        let servers = servers.into_iter().map(|server| server.to_canonical());
        let reachable = servers.filter(|server| match is_sealed {
            true => self.may_ask(*server) || self.elsewhere.reaches(&container, *server),
            false => is_elsewhere(*server) && !self.elsewhere.is_strange(&container, *server),
        });
        reachable.map(|server| SocketAddr::new(server, PORT)).collect()
    }

    fn proceed(&mut self) {
        let now = Instant::now();
        for mut forward in std::mem::take(&mut self.forwards) {
            match forward.proceed() {
                Outcome::Answered(answer) => self.tell(forward.asker, &forward.question, answer),
                Outcome::Waiting if forward.deadline > now => self.forwards.push(forward),
                Outcome::Waiting | Outcome::Failed => match forward.next() {
                    Ok(forward) => self.forwards.push(forward),
                    Err((asker, question, packet)) => {
                        let answer = message::answer(&packet, Some(&question), Code::ServerFailed, &[]);
                        self.tell(asker, &question, answer);
                    }
                },
            }
        }
    }

    fn tell(&mut self, asker: Asker, question: &Question, answer: Vec<u8>) {
        match asker {
            Asker::Packet(index, to) => {
                let _ = self.packets[index].send_to(&message::cut(answer, question), to);
            }
            Asker::Stream(number) => {
                if let Some(client) = self.streams.iter_mut().find(|client| client.number == number) {
                    client.deadline = Instant::now() + SILENCE;
                    client.stream.send(&answer);
                }
            }
        }
    }

    fn may_ask(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(address))
    }
}

/// Whether an address is not this host's own by its kind: who asks at an unspecified one asks on the loopback device.
fn is_elsewhere(server: IpAddr) -> bool {
    !server.is_loopback() && !server.is_unspecified()
}
