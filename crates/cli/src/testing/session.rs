//! A session over a socket, and the command at its other end.

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tinyd_engine::{Error, ErrorKind, ExitStatus, Input, Output, Result, Session, WindowSize};

/// The most that a message carries.
const PIECE: usize = 16 * 1024;

/// What the command received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Stdin(Vec<u8>),
    Closed,
    Resize(u16, u16),
    Signal(i32),
    Detached,
}

/// The command's end.
pub(crate) struct Peer {
    socket: OwnedFd,
}

impl Peer {
    pub(crate) fn stdout(&self, bytes: &[u8]) {
        bytes.chunks(PIECE).for_each(|piece| self.send(b'o', piece));
    }

    pub(crate) fn stderr(&self, bytes: &[u8]) {
        bytes.chunks(PIECE).for_each(|piece| self.send(b'e', piece));
    }

    /// Leaves out so many bytes.
    pub(crate) fn lose(&self, bytes: u64) {
        self.send(b'l', &bytes.to_le_bytes());
    }

    pub(crate) fn exit(&self, code: u8) {
        self.send(b'x', &[code]);
    }

    /// The next message; `None` when the client went away.
    pub(crate) fn receive(&self) -> Option<Message> {
        let mut buffer = vec![0; PIECE + 1];
        let (_, length) = recv(&self.socket, &mut buffer[..], RecvFlags::empty()).ok()?;
        let (tag, bytes) = buffer[..length].split_first()?;
        let number = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        Some(match tag {
            b'i' => Message::Stdin(bytes.to_vec()),
            b'c' => Message::Closed,
            b'd' => Message::Detached,
            b'r' => Message::Resize(number(0), number(2)),
            _ => Message::Signal(bytes[0].into()),
        })
    }

    /// All input until its end.
    pub(crate) fn input(&self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(Message::Stdin(bytes)) = self.receive() {
            all.extend(bytes);
        }
        all
    }

    fn send(&self, tag: u8, bytes: &[u8]) {
        let message = [&[tag], bytes].concat();
        let _ = send(&self.socket, &message, SendFlags::NOSIGNAL);
    }
}

/// The client's end.
pub(super) struct FakeSession {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

pub(super) fn pair() -> (FakeSession, Peer) {
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .expect("socketpair");
    (FakeSession { socket: ours, buffer: vec![0; PIECE + 1] }, Peer { socket: theirs })
}

fn failed(what: &str, error: Errno) -> Error {
    Error::with_source(ErrorKind::Internal, what, &std::io::Error::from(error))
}

impl Session for FakeSession {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn send(&mut self, input: Input<'_>) -> Result<()> {
        let message = match input {
            Input::Stdin(bytes) => {
                assert!(bytes.len() <= PIECE, "a piece of {} bytes", bytes.len());
                [b"i", bytes].concat()
            }
            Input::StdinClosed => vec![b'c'],
            Input::Detach => vec![b'd'],
            Input::Resize(WindowSize { rows, columns }) => {
                [&b"r"[..], &rows.to_le_bytes(), &columns.to_le_bytes()].concat()
            }
            Input::Signal(signal) => vec![b's', u8::try_from(signal).expect("a signal")],
        };
        // The relay must have made sure that this does not block.
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        send(&self.socket, &message, flags).map(drop).map_err(|error| failed("send", error))
    }

    fn receive(&mut self) -> Result<Option<Output<'_>>> {
        let length = loop {
            match recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((_, length)) => break length,
                // Said once, when the other end left input unread; what it sent before can still be read.
                Err(Errno::CONNRESET) => {}
                Err(error) => return Err(failed("receive", error)),
            }
        };
        let Some((tag, bytes)) = self.buffer[..length].split_first() else { return Ok(None) };
        Ok(Some(match tag {
            b'o' => Output::Stdout(bytes),
            b'e' => Output::Stderr(bytes),
            b'l' => Output::Lost(u64::from_le_bytes(bytes.try_into().expect("a count"))),
            _ => Output::Exited(ExitStatus {
                code: bytes[0],
                oom_killed: false,
                unknown: false,
                host_restarted: false,
            }),
        }))
    }

    fn max_input(&self) -> usize {
        PIECE
    }
}
