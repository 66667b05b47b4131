//! A question that somebody else has to answer.

use super::message::{HEADER, Question};
use super::stream::Stream;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// How long a server is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often each server is asked.
const ROUNDS: usize = 2;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// By which of our sockets, and from where.
    Packet(usize, SocketAddr),
    /// Over which connection.
    Stream(u64),
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Forward {
    pub(super) asker: Asker,
    /// The address of who asked.
    pub(super) from: IpAddr,
    pub(super) question: Question,
    /// As it came.
    pub(super) packet: Vec<u8>,
    wire: Wire,
    /// The number that it has on its way: the asker's own would be known to others.
    id: [u8; 2],
    /// Who is asked, in turn.
    servers: Vec<SocketAddr>,
    tries: usize,
    pub(super) deadline: Instant,
}

#[derive(Debug)]
enum Wire {
    Packet(UdpSocket),
    Stream { stream: Stream, connected: bool },
}

/// What has become of a question.
pub(super) enum Outcome {
    Waiting,
    Answered(Vec<u8>),
    /// This server does not answer.
    Failed,
}

impl Forward {
    /// Asks the first server that can be asked at all; `None` when there is none.
    pub(super) fn start(
        asker: Asker,
        from: IpAddr,
        question: Question,
        packet: Vec<u8>,
        servers: Vec<SocketAddr>,
    ) -> Option<Self> {
        Self::ask(asker, from, question, packet, servers, 0)
    }

    /// Asks the next server.
    pub(super) fn next(self) -> Result<Self, (Asker, Question, Vec<u8>)> {
        let Self { asker, from, question, packet, servers, tries, .. } = self;
        let again = (asker, question.clone(), packet.clone());
        Self::ask(asker, from, question, packet, servers, tries).ok_or(again)
    }

    fn ask(
        asker: Asker,
        from: IpAddr,
        question: Question,
        packet: Vec<u8>,
        servers: Vec<SocketAddr>,
        mut tries: usize,
    ) -> Option<Self> {
        while tries < servers.len() * ROUNDS {
            let server = servers[tries % servers.len()];
            tries += 1;
            let mut id = [0; 2];
            let chance = rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty());
            let mut ours = packet.clone();
            ours[..2].copy_from_slice(&id);
            let wire = match asker {
                Asker::Packet(..) => send_packet(server, &ours),
                Asker::Stream(_) => open_stream(server, &ours),
            };
            if let (Ok(wire), Ok(_)) = (wire, chance) {
                let deadline = Instant::now() + PATIENCE;
                return Some(Self { asker, from, question, packet, wire, id, servers, tries, deadline });
            }
        }
        None
    }

    /// Its socket, and whether it waits to send.
    pub(super) fn waits(&self) -> (BorrowedFd<'_>, bool) {
        match &self.wire {
            Wire::Packet(socket) => (socket.as_fd(), false),
            Wire::Stream { stream, connected } => (stream.as_fd(), !connected || stream.is_full()),
        }
    }

    /// Looks at what has come.
    pub(super) fn proceed(&mut self) -> Outcome {
        let answer = match &mut self.wire {
            Wire::Packet(socket) => {
                let mut buffer = [0; u16::MAX as usize];
                match socket.recv(&mut buffer) {
                    Ok(length) => Some(buffer[..length].to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
                    // Nobody listens there.
                    Err(_) => return Outcome::Failed,
                }
            }
            Wire::Stream { stream, connected } => {
                *connected = true;
                if !stream.flush() || !stream.fill() {
                    return Outcome::Failed;
                }
                stream.next()
            }
        };
        match answer {
            None => Outcome::Waiting,
            // What does not belong to the question is nobody's: the right answer may still come.
            Some(answer) if answer.get(..2) != Some(&self.id) || !self.question.is_answered_by(&answer) => {
                Outcome::Waiting
            }
            Some(mut answer) => {
                answer[..2].copy_from_slice(&self.packet[..2]);
                debug_assert!(answer.len() >= HEADER);
                Outcome::Answered(answer)
            }
        }
    }
}

/// From a new port, which the kernel chooses by chance.
fn send_packet(server: SocketAddr, packet: &[u8]) -> io::Result<Wire> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    socket.set_nonblocking(true)?;
    socket.send(packet)?;
    Ok(Wire::Packet(socket))
}

fn open_stream(server: SocketAddr, packet: &[u8]) -> io::Result<Wire> {
    let family = if server.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    match connect(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut stream = Stream::new(TcpStream::from(socket))?;
    stream.send(packet);
    Ok(Wire::Stream { stream, connected: false })
}
