//! One connection to a monitor: someone who waits for the exit, or who is attached to the command's streams.
//!
//! Nothing is ever sent to a client in a way that could block. What it does not take at once waits here; how much of that, and
//! what then, is a matter of how it came:
//!
//! - Who *started* the command is its pipe: nothing is lost, and the command waits for it (ADR 33). Once others are attached
//!   too, they have a claim as well: a client that takes nothing for [`PATIENCE`] is then treated like those.
//! - Who *attached* to a command that ran already looks on. Neither the command nor the others wait for it. What does not fit
//!   into its share of [`MAX_BYTES`] is left out, and it is told how much that was, at the place where it is missing.

use crate::frame::{self, Kind};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use serde::Serialize;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Packets that may wait for a client for which the command waits.
const MAX_WAITING: usize = 4;
/// Bytes, and packets, that may wait for one for which it does not.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_PACKETS: usize = 4096;
/// How long a command waits for the client that started it, where others are attached.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// A connection.
pub(crate) struct Client {
    socket: OwnedFd,
    /// Gets the output; otherwise only the exit.
    attached: Option<Attached>,
    waiting: VecDeque<Vec<u8>>,
    /// Bytes of all that waits.
    waiting_bytes: usize,
    gone: bool,
}

/// How a client takes part in the command's streams.
struct Attached {
    /// The command waits until this client has taken what it wrote.
    holds: bool,
    /// More input may come of it.
    input: bool,
    /// It says that the command goes on without it.
    leaves: bool,
    /// Bytes that were left out since it was last told.
    lost: u64,
    /// When it last took something, or had nothing to take.
    taken: Instant,
}

impl Client {
    /// With `attached` it is the one that starts the command.
    pub(crate) fn new(socket: OwnedFd, attached: bool) -> Self {
        let attached = attached.then(|| Attached {
            holds: true,
            input: true,
            leaves: false,
            lost: 0,
            taken: Instant::now(),
        });
        Self { socket, attached, waiting: VecDeque::new(), waiting_bytes: 0, gone: false }
    }

    /// Attaches someone who has waited so far.
    pub(super) fn attach(&mut self, input: bool) {
        if self.attached.is_none() {
            self.attached =
                Some(Attached { holds: false, input, leaves: false, lost: 0, taken: Instant::now() });
            self.push(packet(Kind::Attached, &[]));
            self.flush();
        }
    }

    /// It leaves, and means the command to go on.
    pub(super) fn detach(&mut self) {
        if let Some(attached) = &mut self.attached {
            attached.leaves = true;
        }
        self.gone = true;
    }

    /// It will send no more input.
    pub(super) fn end_input(&mut self) {
        if let Some(attached) = &mut self.attached {
            attached.input = false;
        }
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
    pub(super) fn flush(&mut self) {
        while let Some(packet) = self.waiting.front() {
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, packet, flags)) {
                Ok(_) => {
                    self.waiting_bytes -= packet.len();
                    self.waiting.pop_front();
                    self.has_taken();
                }
                Err(Errno::AGAIN | Errno::NOBUFS) => return,
                Err(_) => {
                    // It takes no more. What it has said before is read still: perhaps that it leaves, and the command goes on.
                    self.waiting.clear();
                    self.waiting_bytes = 0;
                    return;
                }
            }
        }
        if self.tell_lost() {
            self.flush();
        }
    }

    fn has_taken(&mut self) {
        if let Some(attached) = &mut self.attached {
            attached.taken = Instant::now();
        }
    }

    /// Says what was left out, where something was.
    fn tell_lost(&mut self) -> bool {
        let lost = self.attached.as_mut().map_or(0, |attached| std::mem::take(&mut attached.lost));
        if lost > 0 {
            self.push(packet(Kind::Lost, &lost.to_le_bytes()));
        }
        lost > 0
    }

    fn push(&mut self, packet: Vec<u8>) {
        if self.waiting.is_empty() {
            self.has_taken();
        }
        self.waiting_bytes += packet.len();
        self.waiting.push_back(packet);
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty() && !self.gone
    }

    /// Sends a record as JSON, or keeps it until the client can take it.
    pub(super) fn queue(&mut self, kind: Kind, record: &impl Serialize) {
        let json = serde_json::to_vec(record).unwrap_or_default();
        self.tell_lost();
        self.push(packet(kind, &json));
        self.flush();
    }

    /// Passes output on, or counts what it does not get of it.
    pub(super) fn output(&mut self, kind: Kind, bytes: &[u8]) {
        let full = self.waiting_bytes >= MAX_BYTES || self.waiting.len() >= MAX_PACKETS;
        let Some(attached) = &mut self.attached else { return };
        // Once something was left out, what follows waits until that can be told: all that is missing is missing in one place.
        if !attached.holds && (full || attached.lost > 0) {
            attached.lost += bytes.len() as u64;
            return;
        }
        self.push(packet(kind, bytes));
        self.flush();
    }

    /// The command has to wait for it.
    pub(super) fn holds_up(&self) -> bool {
        let holds = self.attached.as_ref().is_some_and(|attached| attached.holds);
        holds && !self.gone && self.waiting.len() >= MAX_WAITING
    }

    /// How long the command still waits for it.
    pub(super) fn patience_left(&self) -> Duration {
        let since = self.attached.as_ref().map_or(Duration::ZERO, |attached| attached.taken.elapsed());
        PATIENCE.saturating_sub(since)
    }

    /// The command waits for it no more.
    pub(super) fn no_longer_holds(&mut self) {
        if let Some(attached) = &mut self.attached {
            attached.holds = false;
        }
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.attached.is_some()
    }

    /// More input may come of it.
    pub(super) fn gives_input(&self) -> bool {
        self.attached.as_ref().is_some_and(|attached| attached.input)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// It went without a word, which ends what depends on it.
    pub(super) fn is_lost(&self) -> bool {
        self.gone && self.attached.as_ref().is_some_and(|attached| !attached.leaves)
    }

    /// The next packet; `None` when there is none now, or never will be.
    pub(super) fn receive<'buffer>(&mut self, buffer: &'buffer mut Vec<u8>) -> Option<&'buffer [u8]> {
        buffer.clear();
        let received = loop {
            match rustix::net::recv(&self.socket, spare_capacity(buffer), RecvFlags::DONTWAIT) {
                // It went without having read all that was sent to it, which is told once, before what it had sent.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                received => break received,
            }
        };
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

fn packet(kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::with_capacity(payload.len() + 1);
    packet.push(kind as u8);
    packet.extend_from_slice(payload);
    packet
}

/// What a client asks of a running command.
pub(crate) enum Wish<'packet> {
    Attach { input: bool, window: Option<(u16, u16)> },
    Detach,
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
            Kind::Attach => {
                frame::parse_attach(payload).map(|(input, window)| Self::Attach { input, window })
            }
            Kind::Detach => Some(Self::Detach),
            Kind::Stdin => Some(Self::Stdin(payload)),
            Kind::StdinClosed => Some(Self::StdinClosed),
            Kind::Resize => frame::parse_resize(payload).map(|(rows, columns)| Self::Resize(rows, columns)),
            Kind::Signal => payload.try_into().ok().map(|bytes| Self::Signal(i32::from_le_bytes(bytes))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType};

    fn pair() -> (Client, OwnedFd) {
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        (Client::new(ours, false), theirs)
    }

    /// All packets that have arrived.
    fn arrived(socket: &OwnedFd) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        let mut buffer = vec![0; 70_000];
        while let Ok((_, length)) = rustix::net::recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            all.push(buffer[..length].to_vec());
        }
        all
    }

    #[test]
    fn what_a_slow_looker_on_misses_is_counted_and_told_where_it_is_missing() {
        let (mut client, theirs) = pair();
        client.attach(false);
        let piece = [b'x'; 10_000];
        for _ in 0..200 {
            client.output(Kind::Stdout, &piece);
        }
        assert!(!client.holds_up() && client.waiting_bytes < MAX_BYTES + piece.len() + 1);
        let mut seen = arrived(&theirs);
        // As it takes something, the rest comes, and then the count.
        while client.is_waiting() {
            client.flush();
            seen.extend(arrived(&theirs));
        }
        client.output(Kind::Stderr, b"after");
        seen.extend(arrived(&theirs));
        assert_eq!(seen[0], [Kind::Attached as u8]);
        let (last, rest) = seen[1..].split_last().unwrap();
        assert_eq!(last, &[&[Kind::Stderr as u8], &b"after"[..]].concat());
        let (lost, pieces) = rest.split_last().unwrap();
        assert!(pieces.iter().all(|one| one[0] == Kind::Stdout as u8 && one[1..] == piece));
        assert_eq!(lost[0], Kind::Lost as u8);
        let lost = u64::from_le_bytes(lost[1..].try_into().unwrap());
        assert_eq!(lost + 10_000 * pieces.len() as u64, 2_000_000);
    }

    #[test]
    fn who_started_the_command_loses_nothing_until_it_holds_up_nobody() {
        let (waiting, _theirs) = pair();
        let mut client = Client::new(waiting.socket, true);
        while !client.holds_up() {
            client.output(Kind::Stdout, &[b'x'; 10_000]);
        }
        assert!(client.patience_left() > Duration::ZERO);
        client.output(Kind::Stdout, b"kept");
        assert_eq!(client.attached.as_ref().unwrap().lost, 0);
        client.no_longer_holds();
        assert!(!client.holds_up());
    }

    #[test]
    fn who_goes_without_having_read_all_is_heard_to_the_end() {
        let (mut client, theirs) = pair();
        client.attach(true);
        client.output(Kind::Stdout, b"unread");
        for said in [packet(Kind::Stdin, b"x"), packet(Kind::Detach, &[])] {
            rustix::net::send(&theirs, &said, SendFlags::empty()).unwrap();
        }
        drop(theirs);
        // What cannot be sent any more is no end either.
        client.output(Kind::Stdout, b"more");
        assert!(!client.is_gone() && !client.is_waiting());
        let mut buffer = frame::buffer();
        let mut said = || client.receive(&mut buffer).map(<[u8]>::to_vec);
        assert_eq!(said(), Some(packet(Kind::Stdin, b"x")));
        assert_eq!(said(), Some(packet(Kind::Detach, &[])));
        assert_eq!(said(), None);
        assert!(client.is_gone());
    }

    #[test]
    fn who_detaches_is_not_lost() {
        let (mut client, _theirs) = pair();
        client.attach(true);
        assert!(client.gives_input());
        client.detach();
        assert!(client.is_gone() && !client.is_lost());
        let (mut client, theirs) = pair();
        client.attach(true);
        drop(theirs);
        assert!(client.receive(&mut frame::buffer()).is_none());
        assert!(client.is_lost());
    }
}
