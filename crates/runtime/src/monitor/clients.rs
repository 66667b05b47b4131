//! Those who are connected to the monitor: one may be attached from the start, others wait for the exit.

use crate::defence::{self, Defence};
use crate::frame::{self, Kind, MAX_PAYLOAD};
use crate::state::ExitRecord;
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use serde::Serialize;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Packets that may wait for a client before no more output is read for its sake.
const MAX_WAITING: usize = 4;

/// A connection.
pub(crate) struct Client {
    socket: OwnedFd,
    /// Gets the output; otherwise only the exit.
    attached: bool,
    waiting: VecDeque<Vec<u8>>,
    gone: bool,
}

impl Client {
    pub(crate) fn new(socket: OwnedFd, attached: bool) -> Self {
        Self { socket, attached, waiting: VecDeque::new(), gone: false }
    }

    /// Sends a packet, waiting if need be. False when the client is gone.
    pub(crate) fn send_now(&self, kind: Kind, payload: &[u8]) -> bool {
        rustix::io::retry_on_intr(|| {
            rustix::net::send(&self.socket, &packet(kind, payload), SendFlags::NOSIGNAL)
        })
        .is_ok()
    }

    /// Sends a record as JSON, waiting if need be. A client that is gone cannot be told.
    pub(crate) fn send_record(&self, kind: Kind, record: &impl Serialize) {
        let json = serde_json::to_vec(record).unwrap_or_default();
        self.send_now(kind, &json);
    }

    /// Sends what waits, as far as the client takes it.
    pub(crate) fn flush(&mut self) {
        while let Some(packet) = self.waiting.front() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, packet, flags)) {
                Ok(_) => drop(self.waiting.pop_front()),
                Err(Errno::AGAIN | Errno::NOBUFS) => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() && !self.gone
    }

    /// Sends a record as JSON, or keeps it until the client can take it.
    fn queue(&mut self, kind: Kind, record: &impl Serialize) {
        let json = serde_json::to_vec(record).unwrap_or_default();
        self.waiting.push_back(packet(kind, &json));
        self.flush();
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.attached
    }

    /// The next packet; `None` when there is none now, or never will be.
    pub(crate) fn receive<'buffer>(&mut self, buffer: &'buffer mut Vec<u8>) -> Option<&'buffer [u8]> {
        buffer.clear();
        let received = rustix::io::retry_on_intr(|| {
            rustix::net::recv(&self.socket, spare_capacity(buffer), RecvFlags::DONTWAIT)
        });
        match received {
            Ok(_) if !buffer.is_empty() => Some(buffer),
            Err(Errno::AGAIN) => None,
            _ => {
                self.gone = true;
                None
            }
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// All connections, and the socket at which new ones come in.
pub(crate) struct Clients {
    listener: Option<OwnedFd>,
    pub(crate) all: Vec<Client>,
    /// No more can be accepted until someone leaves.
    crowded: bool,
}

impl Clients {
    pub(crate) fn new(listener: OwnedFd) -> Self {
        Self { listener: Some(listener), all: Vec::new(), crowded: false }
    }

    /// A single one, and no more to come.
    pub(crate) fn only(client: Client) -> Self {
        Self { listener: None, all: vec![client], crowded: false }
    }

    pub(crate) fn add(&mut self, client: Client) {
        self.all.push(client);
    }

    pub(crate) fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        loop {
            match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
                Ok(socket) if is_own(&socket) => self.all.push(Client::new(socket, false)),
                // Whoever else has got as far as the socket is not answered.
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // No descriptor is left for another one: the next has to wait until someone leaves.
                Err(_) => {
                    self.crowded = true;
                    return;
                }
            }
        }
    }

    /// Where new ones come in, if there is room for them.
    pub(crate) fn open_listener(&self) -> Option<&OwnedFd> {
        self.listener.as_ref().filter(|_| !self.crowded)
    }

    /// Forgets those who have left. True when the last one who was attached is among them.
    pub(crate) fn drop_gone(&mut self) -> bool {
        let before = self.all.len();
        let had_session = self.has_session();
        self.all.retain(|client| !client.gone);
        if self.all.len() < before {
            self.crowded = false;
        }
        had_session && !self.has_session()
    }

    pub(crate) fn has_session(&self) -> bool {
        self.all.iter().any(|client| client.attached)
    }

    /// Tells the exit, behind what was written; those who have taken everything are let go.
    pub(crate) fn tell(&mut self, exit: &ExitRecord) {
        // Whoever has just connected, too; nobody after that.
        self.accept();
        self.listener = None;
        for client in &mut self.all {
            client.queue(Kind::Exited, exit);
        }
        self.all.retain(Client::is_waiting);
    }

    /// Sends everything that waits, however long that takes: those who do not take what was written for them (they are
    /// stopped, or a pager waits) hold up nothing but this process.
    pub(crate) fn deliver(self) {
        for client in self.all {
            for packet in &client.waiting {
                if rustix::io::retry_on_intr(|| {
                    rustix::net::send(&client.socket, packet, SendFlags::NOSIGNAL)
                })
                .is_err()
                {
                    break;
                }
            }
        }
    }

    /// Passes output on.
    pub(crate) fn output(&mut self, kind: Kind, bytes: &[u8]) {
        for piece in bytes.chunks(MAX_PAYLOAD) {
            for client in self.all.iter_mut().filter(|client| client.attached) {
                client.waiting.push_back(packet(kind, piece));
                client.flush();
            }
        }
    }

    /// Someone who is attached does not take what the command writes: nothing more is read until it does, so that the
    /// command waits too.
    pub(crate) fn are_full(&self) -> bool {
        self.all.iter().any(|client| !client.gone && client.waiting.len() >= MAX_WAITING)
    }
}

/// Whether this user is at the other end. Root of a user namespace that was shown the socket is somebody else here.
fn is_own(socket: &OwnedFd) -> bool {
    let peer = rustix::net::sockopt::socket_peercred(socket);
    peer.is_ok_and(|peer| peer.uid == rustix::process::geteuid()) || !defence::on(Defence::PeerCheck)
}

fn packet(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + 1);
    packet.push(kind as u8);
    packet.extend_from_slice(payload);
    packet
}

/// What a client asks of a running command.
pub(crate) enum Wish<'packet> {
    Stdin(&'packet [u8]),
    StdinClosed,
    Resize(u16, u16),
    Signal(i32),
}

impl<'packet> Wish<'packet> {
    /// Reads a packet; `None` for one that no client sends.
    pub(crate) fn parse(packet: &'packet [u8]) -> Option<Self> {
        let (kind, payload) = frame::parse(packet)?;
        match kind {
            Kind::Stdin => Some(Self::Stdin(payload)),
            Kind::StdinClosed => Some(Self::StdinClosed),
            Kind::Resize => frame::parse_resize(payload).map(|(rows, columns)| Self::Resize(rows, columns)),
            Kind::Signal => payload.try_into().ok().map(|bytes| Self::Signal(i32::from_le_bytes(bytes))),
            _ => None,
        }
    }
}
