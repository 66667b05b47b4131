//! A connection: a socket, who we are, calls and their answers. It blocks, until a time.

use super::address::Bus;
use super::fault::BusError;
use super::wire::{self, Call, FIXED, Kind, Message};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The longest line that is read before the messages begin.
const LINE: usize = 512;

/// How many signals are kept while an answer is waited for. Those of one job are two or three.
const KEPT: usize = 256;

/// When there must have been an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    begin: Instant,
    limit: Duration,
}

impl Deadline {
    pub(super) fn within(limit: Duration) -> Self {
        Self { begin: Instant::now(), limit }
    }

    fn left(self) -> Result<Duration, BusError> {
        let left = self.limit.saturating_sub(self.begin.elapsed());
        if left.is_zero() { Err(self.passed()) } else { Ok(left) }
    }

    fn passed(self) -> BusError {
        BusError::TimedOut { waited: self.limit }
    }

    fn error(self, operation: &'static str, source: io::Error) -> BusError {
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.passed(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => BusError::Closed,
            _ => BusError::Io { operation, source },
        }
    }
}

/// A connection that is ready for calls.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    /// What has come in and is not read.
    buffer: Vec<u8>,
    /// Signals that came while something else was waited for.
    signals: VecDeque<Message>,
    serial: u32,
}

impl Connection {
    /// Connects, and says who we are: the user, whom the other end asks the kernel about (SASL's EXTERNAL).
    pub(super) fn open(bus: &Bus, deadline: Deadline) -> Result<Self, BusError> {
        let socket = connect(bus, deadline)?;
        let mut connection = Self { socket, buffer: Vec::new(), signals: VecDeque::new(), serial: 0 };
        let uid = rustix::process::geteuid().as_raw().to_string();
        let uid: String = uid.bytes().map(|digit| format!("{digit:02x}")).collect();
        // Both lines at once: systemd's own socket looks at what it read together with the last line only when more comes
        // (252; seen as calls of less than 256 bytes that were never answered).
        connection.write(format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").as_bytes(), deadline)?;
        let answer = connection.line(deadline)?;
        if answer != "OK" && !answer.starts_with("OK ") {
            return Err(BusError::Authentication { answer });
        }
        Ok(connection)
    }

    fn line(&mut self, deadline: Deadline) -> Result<String, BusError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            if self.buffer.len() > LINE {
                return Err(BusError::Malformed { reason: "its first line does not end" });
            }
            self.fill(deadline)?;
        }
    }

    /// Calls, and waits for the answer; an answer that is an error is one here too.
    pub(super) fn call(&mut self, call: &Call<'_>, deadline: Deadline) -> Result<Message, BusError> {
        self.serial += 1;
        let serial = self.serial;
        self.write(&call.encode(serial), deadline)?;
        loop {
            let message = self.message(deadline)?;
            match message.kind {
                Kind::Return if message.reply_serial == Some(serial) => return Ok(message),
                Kind::Error if message.reply_serial == Some(serial) => {
                    let message_text = message.text().unwrap_or("no reason").to_owned();
                    let name = message.error_name.unwrap_or_else(|| "an error without a name".to_owned());
                    return Err(BusError::Refused { name, message: message_text });
                }
                Kind::Signal if self.signals.len() < KEPT => self.signals.push_back(message),
                // Who calls us on a connection that offers nothing gets no answer.
                _ => {}
            }
        }
    }

    /// The next signal: one that came before, or the next to come.
    pub(super) fn signal(&mut self, deadline: Deadline) -> Result<Message, BusError> {
        if let Some(message) = self.signals.pop_front() {
            return Ok(message);
        }
        loop {
            let message = self.message(deadline)?;
            if message.kind == Kind::Signal {
                return Ok(message);
            }
        }
    }

    fn message(&mut self, deadline: Deadline) -> Result<Message, BusError> {
        let malformed = |error: wire::Malformed| BusError::Malformed { reason: error.0 };
        loop {
            if let Some(fixed) = self.buffer.first_chunk::<FIXED>() {
                let length = wire::length(fixed).map_err(malformed)?;
                if self.buffer.len() >= length {
                    let message = Message::parse(&self.buffer[..length]).map_err(malformed)?;
                    self.buffer.drain(..length);
                    return Ok(message);
                }
            }
            self.fill(deadline)?;
        }
    }

    fn fill(&mut self, deadline: Deadline) -> Result<(), BusError> {
        let mut chunk = [0; 4096];
        let count = loop {
            set_socket_timeout(&self.socket, Timeout::Recv, Some(deadline.left()?))
                .map_err(|errno| deadline.error("read from", errno.into()))?;
            match rustix::io::read(&self.socket, &mut chunk) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other.map_err(|errno| deadline.error("read from", errno.into()))?,
            }
        };
        if count == 0 {
            return Err(BusError::Closed);
        }
        self.buffer.extend(&chunk[..count]);
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8], deadline: Deadline) -> Result<(), BusError> {
        while !bytes.is_empty() {
            set_socket_timeout(&self.socket, Timeout::Send, Some(deadline.left()?))
                .map_err(|errno| deadline.error("write to", errno.into()))?;
            match rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(count) => bytes = &bytes[count..],
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(deadline.error("write to", errno.into())),
            }
        }
        Ok(())
    }
}

/// Connects to the first socket that answers. One whose queue is full would block for ever without a time limit, which
/// connect(2) takes from that of sending.
fn connect(bus: &Bus, deadline: Deadline) -> Result<OwnedFd, BusError> {
    let failed = |source: io::Error| BusError::Connect { address: bus.text().to_owned(), source };
    let mut last = rustix::io::Errno::NOENT;
    for address in bus.sockets() {
        let socket =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
                .map_err(|errno| failed(errno.into()))?;
        set_socket_timeout(&socket, Timeout::Send, Some(deadline.left()?))
            .map_err(|errno| failed(errno.into()))?;
        match rustix::net::connect(&socket, address) {
            Ok(()) => return Ok(socket),
            Err(rustix::io::Errno::AGAIN) => return Err(deadline.passed()),
            Err(errno) => last = errno,
        }
    }
    Err(failed(last.into()))
}
