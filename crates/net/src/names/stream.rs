//! Messages over TCP: each behind its length.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// A connection that never blocks.
#[derive(Debug)]
pub(super) struct Stream {
    socket: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Stream {
    pub(super) fn new(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, input: Vec::new(), output: Vec::new() })
    }

    /// Takes what has come; `false` when no more will.
    pub(super) fn fill(&mut self) -> bool {
        let mut some = [0; 4096];
        match self.socket.read(&mut some) {
            Ok(0) => false,
            Ok(length) => {
                self.input.extend(&some[..length]);
                // One message and the beginning of the next: whoever sends more before it is answered waits.
                self.input.len() <= 2 * usize::from(u16::MAX)
            }
            Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    /// The next message that is whole.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let length = usize::from(u16::from_be_bytes([*self.input.first()?, *self.input.get(1)?]));
        let message = self.input.get(2..2 + length)?.to_vec();
        self.input.drain(..2 + length);
        Some(message)
    }

    /// Sends a message, or keeps what the other side does not take yet. `false` when it is gone.
    pub(super) fn send(&mut self, message: &[u8]) -> bool {
        let Ok(length) = u16::try_from(message.len()) else { return false };
        self.output.extend(length.to_be_bytes());
        self.output.extend(message);
        self.flush()
    }

    /// Sends what is kept; `false` when the other side is gone.
    pub(super) fn flush(&mut self) -> bool {
        while !self.output.is_empty() {
            match self.socket.write(&self.output) {
                Ok(0) => return false,
                Ok(length) => drop(self.output.drain(..length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        true
    }

    pub(super) fn is_full(&self) -> bool {
        !self.output.is_empty()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
