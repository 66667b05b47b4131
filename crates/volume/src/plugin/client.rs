//! One question to a plugin and its answer, within a time.

use super::http::{self, Answer};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody listens, or the connection broke.
    Io(&'static str, io::Error),
    /// The time is over.
    Slow,
    /// The connection ended before the answer did.
    Early,
    /// It is no answer.
    Wrong(&'static str),
}

/// Asks, and waits for the answer until then.
pub(super) fn ask(socket: &Path, path: &str, body: &[u8], until: Instant) -> Result<Answer, Trouble> {
    let mut stream = reach(socket, until)?;
    tell(&stream, &http::question(path, body), until)?;
    let (mut said, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let allowed = stream.set_read_timeout(Some(left(until)?));
        allowed.map_err(|error| Trouble::Io("limit the time of", error))?;
        let length = match stream.read(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Trouble::Slow),
            // One that dies with something unread resets the connection.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(Trouble::Early),
            Err(error) => return Err(Trouble::Io("read from", error)),
        };
        said.extend_from_slice(buffer.get(..length).unwrap_or_default());
        match http::parse(&said, length == 0) {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) if length == 0 => return Err(Trouble::Early),
            Ok(None) if said.len() > 2 * http::MOST => return Err(Trouble::Wrong(http::TOO_LONG)),
            Ok(None) => {}
            Err(problem) => return Err(Trouble::Wrong(problem)),
        }
    }
}

/// What is left of the time; a timeout of zero would be none.
fn left(until: Instant) -> Result<Duration, Trouble> {
    match until.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(Trouble::Slow),
        left => Ok(left),
    }
}

/// Connects. One that accepts nobody lets the queue fill, where a plain connect(2) would wait for ever.
fn reach(socket: &Path, until: Instant) -> Result<UnixStream, Trouble> {
    let failed = |errno: Errno| Trouble::Io("reach", errno.into());
    let address = SocketAddrUnix::new(socket).map_err(failed)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(failed)?;
    loop {
        match connect(&stream, &address) {
            Ok(()) => break,
            Err(Errno::AGAIN) => std::thread::sleep(left(until)?.min(Duration::from_millis(20))),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    let stream = UnixStream::from(stream);
    stream.set_nonblocking(false).map_err(|error| Trouble::Io("use", error))?;
    Ok(stream)
}

/// Writes. One that reads nothing lets the buffer fill; one that is gone must not end us by SIGPIPE.
fn tell(stream: &UnixStream, mut words: &[u8], until: Instant) -> Result<(), Trouble> {
    while !words.is_empty() {
        let allowed = stream.set_write_timeout(Some(left(until)?));
        allowed.map_err(|error| Trouble::Io("limit the time of", error))?;
        match send(stream, words, SendFlags::NOSIGNAL) {
            Ok(length) => words = words.get(length..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(Trouble::Slow),
            Err(Errno::PIPE | Errno::CONNRESET) => return Err(Trouble::Early),
            Err(errno) => return Err(Trouble::Io("write to", errno.into())),
        }
    }
    Ok(())
}
