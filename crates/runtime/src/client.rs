//! The engine's side: starts `tinyd-runtime` and talks to it.

use crate::frame::{self, Kind, MAX_PAYLOAD};
use crate::program::{self, PROTECT};
use crate::restart::WAKE_SOCKET;
use crate::state::{ExitRecord, SOCKET_FILE};
use crate::{Connected, Failure, FailureKind, Request};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tinyd_fs::mount::DetachedMount;

/// How long a container's network namespace may take to be made, which is some milliseconds.
const NAMESPACE: Timespec = Timespec { tv_sec: 60, tv_nsec: 0 };

/// Why a monitor could not be talked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The program could not be started.
    #[error("start {program}")]
    Spawn {
        /// `tinyd-runtime`.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The conversation broke off.
    #[error("{operation} the container's monitor")]
    Talk {
        /// `send to`, `receive from`, `connect to`.
        operation: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It went away before it said whether the command runs.
    #[error("tinyd-runtime ended before the command ran ({status})")]
    Died {
        /// How it ended.
        status: String,
    },
    /// It could not start the command; nothing is left of it.
    #[error(transparent)]
    Failed(Failure),
}

impl ClientError {
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Talk { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// A packet from a monitor.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Bytes that the command wrote.
    Stdout(&'a [u8]),
    /// Bytes that it wrote to its standard error.
    Stderr(&'a [u8]),
    /// Output comes from here on; the first message to whoever asked for it.
    Attached,
    /// So many bytes of output were left out here, because they were not taken in time.
    Lost(u64),
    /// It has ended; the last message.
    Exited(ExitRecord),
}

/// A conversation with a monitor or an exec.
pub struct Connection {
    socket: OwnedFd,
    buffer: Vec<u8>,
    /// The program at the other end, when it is a child that ends with the session.
    program: Option<Child>,
    /// Whether it has said its last.
    ended: bool,
}

/// Programs that nobody should wait for, as those that have said their last and may take some more microseconds to end. Whoever
/// comes next reaps them; when nobody comes, their parent has ended and init does.
static LEAVING: Mutex<Vec<Child>> = Mutex::new(Vec::new());

fn leaving() -> MutexGuard<'static, Vec<Child>> {
    LEAVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits for a program neither now nor at its end, which may be far away.
pub fn leave(program: Child) {
    leaving().push(program);
}

fn reap_leaving() {
    leaving().retain_mut(|program| matches!(program.try_wait(), Ok(None)));
}

impl Drop for Connection {
    fn drop(&mut self) {
        let Some(mut program) = self.program.take() else { return };
        if self.ended {
            leaving().push(program);
            return;
        }
        // The end of the session is what the program waits for.
        let _ = net::shutdown(&self.socket, net::Shutdown::Both);
        let _ = program.wait();
    }
}

/// A command that runs.
pub struct Launched {
    /// Its first process, as the host numbers it.
    pub pid: u32,
    /// The conversation with it.
    pub connection: Connection,
}

/// What the sender of a [`Request::Start`] does with the container's network namespace, while the program makes it; gives what
/// undoes it and what serves it, or `None` when it could not: then there is no container.
pub type Connect<'a> = &'a mut dyn FnMut(Wait<'_>) -> Option<Connected>;

/// Waits for a namespace, for whoever [`Connect`]s it, once. It fails where there will be none; why is what [`launch`] tells.
pub type Wait<'a> = &'a mut dyn FnMut() -> io::Result<OwnedFd>;

/// What the sender of a request does while the program, which is not told yet what it is for, comes up: that takes it longer than
/// a folder or two take to make. Whatever fails in it is of no account.
pub type Meanwhile<'a> = &'a mut dyn FnMut();

/// Starts `program` (`tinyd-runtime`) with a request, and waits until the command runs or has failed to.
///
/// `keep` is inherited and held open until the command runs: a locked file there stays locked that long even if this
/// process dies. What is done `meanwhile` is done before the program knows of the request. A failure leaves nothing behind.
pub fn launch(
    program: &Path,
    request: &Request,
    keep: Option<BorrowedFd<'_>>,
    connect: Option<Connect<'_>>,
    meanwhile: Meanwhile<'_>,
) -> Result<Launched, ClientError> {
    let (verb, id, protect) = match request {
        Request::Start(start) | Request::TakeOver(start) => ("monitor", &start.id, start.protect_program),
        Request::Exec(exec) => ("enter", &exec.id, exec.protect_program),
        Request::Mount(mount) => ("mount", &mount.id, false),
    };
    reap_leaving();
    let talk =
        |operation| move |source: rustix::io::Errno| ClientError::Talk { operation, source: source.into() };
    let (ours, theirs) =
        net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(talk("make a socket for"))?;
    // Without pre_exec, a new user or folder the standard library uses posix_spawn: a large process is not copied (in a
    // static program a new folder alone makes it fork). The socket is the child's standard input; what else it inherits it
    // closes at once, and what it must hold travels over the socket.
    let protected = if protect { protected(program) } else { None };
    let executed = match &protected {
        Some(mount) => PathBuf::from(format!("/proc/self/fd/{}", mount.as_fd().as_raw_fd())),
        None => program.to_owned(),
    };
    let mut child = Command::new(executed)
        .arg0(program)
        .args([verb, "--id", id])
        .args(protect.then_some(PROTECT))
        .env_clear()
        .envs(crate::defence::passed_on())
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| ClientError::Spawn { program: program.to_owned(), source })?;
    let mut status = Ok(String::new());
    let mut connection = Connection::new(ours);
    meanwhile();
    let sent = connection.send_request(request, keep);
    if sent.is_err() {
        // The program must not wait for the rest.
        let _ = net::shutdown(&connection.socket, net::Shutdown::Write);
    }
    let answer = match connect.filter(|_| sent.is_ok()) {
        Some(connect) => connection.connect(connect).and_then(|()| connection.receive_start()),
        None => connection.receive_start(),
    };
    // A monitor, and a further command that nobody waits for, go on in a process of their own; a session's program ends
    // with the session, and is waited for then.
    let session = matches!(request, Request::Exec(exec) if !exec.detach);
    if session && matches!(answer, Ok(Some(_))) {
        connection.program = Some(child);
    } else {
        // A monitor is not the process that was started: that one ends well when it has made the monitor.
        status = child.wait().map(|status| match status.success() {
            true => "its monitor was killed".to_owned(),
            false => status.to_string(),
        });
    }
    // What was started to connect it has ended by now.
    reap_leaving();
    match (answer, sent) {
        // It ended in the middle of the request: what it says of that comes first.
        (Err(answer), Err(error)) if error.is_broken_pipe() => Err(answer),
        (_, Err(error)) => Err(error),
        (Ok(Some(pid)), Ok(())) => Ok(Launched { pid, connection }),
        (Err(error), Ok(())) => Err(error),
        (Ok(None), Ok(())) => {
            Err(ClientError::Died { status: status.unwrap_or_else(|error| error.to_string()) })
        }
    }
}

/// A mount from which the program is executed, so that it need not execute itself once more; `None` leaves that to it: where
/// this process may not mount, and where a test has switched defences off, which only the program knows of.
fn protected(program: &Path) -> Option<DetachedMount> {
    match crate::defence::passed_on() {
        Some(_) => None,
        None => program::protected(program).ok(),
    }
}

/// Connects to the monitor of a container that runs; `None` when it has none.
pub fn connect(run_dir: &Path) -> Result<Option<Connection>, ClientError> {
    let talk =
        |source: rustix::io::Errno| ClientError::Talk { operation: "connect to", source: source.into() };
    // A socket's address holds 108 bytes, too few for some folders: the folder is named by its descriptor.
    let folder =
        match rustix::fs::open(run_dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(folder) => folder,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(talk(errno)),
        };
    let path = format!("/proc/self/fd/{}/{SOCKET_FILE}", folder.as_raw_fd());
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .map_err(talk)?;
    match net::connect(&socket, &net::SocketAddrUnix::new(path).map_err(talk)?) {
        Ok(()) => Ok(Some(Connection::new(socket))),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::CONNREFUSED) => Ok(None),
        Err(errno) => Err(talk(errno)),
    }
}

/// Makes a monitor look that waits to start its container again, if one does.
pub fn wake(run_dir: &Path) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(folder) = rustix::fs::open(run_dir, flags, Mode::empty()) else { return };
    let path = format!("/proc/self/fd/{}/{WAKE_SOCKET}", folder.as_raw_fd());
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    if let (Ok(socket), Ok(address)) = (
        net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None),
        net::SocketAddrUnix::new(path),
    ) {
        // One that does not listen looks before it does.
        let _ = net::connect(&socket, &address);
    }
}

/// Sends what may be larger than a packet: all pieces but the last one are of the first kind.
fn in_pieces(
    json: &[u8],
    [part, last]: [Kind; 2],
    mut send: impl FnMut(&[u8]) -> Result<(), ClientError>,
) -> Result<(), ClientError> {
    let mut pieces = json.chunks(MAX_PAYLOAD).peekable();
    while let Some(piece) = pieces.next() {
        let kind = if pieces.peek().is_some() { part } else { last };
        let mut packet = Vec::with_capacity(piece.len() + 1);
        packet.push(kind as u8);
        packet.extend_from_slice(piece);
        send(&packet)?;
    }
    Ok(())
}

impl Connection {
    fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: frame::buffer(), program: None, ended: false }
    }

    fn send_request(&self, request: &Request, keep: Option<BorrowedFd<'_>>) -> Result<(), ClientError> {
        let talk = |source: io::Error| ClientError::Talk { operation: "send to", source };
        let json = serde_json::to_vec(request).map_err(|error| talk(error.into()))?;
        let mut keep = keep;
        in_pieces(&json, [Kind::RequestPart, Kind::Request], |packet| {
            tinyd_ns::socket::send(self.socket.as_fd(), packet, keep.take().as_slice())
                .map_err(|errno| talk(errno.into()))
        })
    }

    /// Does the sender's part of a start. Whatever it is told instead of its turn is for `receive_start`.
    fn connect(&mut self, connect: Connect<'_>) -> Result<(), ClientError> {
        let mut namespace = None;
        let connected = connect(&mut || {
            let received = self.namespace();
            namespace = Some(received.is_ok());
            received
        });
        // Whoever did without: it is in the way of the answer.
        let is_there = namespace.unwrap_or_else(|| self.namespace().is_ok());
        let Some(connected) = connected.filter(|_| is_there) else {
            // The monitor need not wait for steps that will not come: it takes back what it made, and says why where the reason is
            // its own.
            let _ = net::shutdown(&self.socket, net::Shutdown::Write);
            return Ok(());
        };
        let talk = |source: io::Error| ClientError::Talk { operation: "send to", source };
        let json = serde_json::to_vec(&connected).map_err(|error| talk(error.into()))?;
        // A container may have a thousand ports, each with what undoes it.
        let sent =
            in_pieces(&json, [Kind::ConnectedPart, Kind::Connected], |packet| self.send_packet(packet));
        match sent {
            // It has failed meanwhile, and said why.
            Err(error) if !error.is_broken_pipe() => Err(error),
            _ => Ok(()),
        }
    }

    /// Waits for the container's network namespace, for a bounded time: whoever asks may hold a lock. Any other packet is left
    /// where it is. `InvalidData` is one of a namespace that there was, and that could not be received.
    fn namespace(&self) -> io::Result<OwnedFd> {
        let mut socket = [PollFd::new(&self.socket, PollFlags::IN)];
        if rustix::io::retry_on_intr(|| poll(&mut socket, Some(&NAMESPACE)))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut first = [0; 1];
        rustix::io::retry_on_intr(|| {
            net::recv(&self.socket, &mut first[..], RecvFlags::PEEK | RecvFlags::TRUNC)
        })?;
        if first[0] != Kind::Namespace as u8 {
            return Err(io::Error::other("the start has failed before it was made"));
        }
        let mut namespace = None;
        let received = tinyd_ns::socket::receive(self.socket.as_fd(), &mut first, |fd| namespace = Some(fd));
        received.map_err(|errno| io::Error::new(io::ErrorKind::InvalidData, errno))?;
        namespace.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn receive_start(&mut self) -> Result<Option<u32>, ClientError> {
        let talk = |source: io::Error| ClientError::Talk { operation: "receive from", source };
        let packet = self.receive_packet().map_err(|errno| talk(errno.into()))?;
        match frame::parse(packet) {
            None if packet.is_empty() => Ok(None),
            Some((Kind::Started, payload)) if payload.len() == 4 => {
                Ok(Some(u32::from_le_bytes([payload[0], payload[1], payload[2], payload[3]])))
            }
            Some((Kind::Failed, payload)) => Err(ClientError::Failed(
                serde_json::from_slice(payload)
                    .unwrap_or_else(|error| Failure::new(FailureKind::Internal, "start").caused_by(&error)),
            )),
            _ => Err(talk(io::Error::new(io::ErrorKind::InvalidData, "not a packet of this version"))),
        }
    }

    /// Receives a packet into the buffer; an empty one is the end.
    fn receive_packet(&mut self) -> rustix::io::Result<&[u8]> {
        loop {
            self.buffer.clear();
            match net::recv(&self.socket, spare_capacity(&mut self.buffer), RecvFlags::empty()) {
                // The other end was closed with something of ours unread, which is told once, before what it had sent.
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNRESET) => {}
                Err(errno) => return Err(errno),
                Ok(_) => return Ok(&self.buffer),
            }
        }
    }

    /// For poll(2).
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a packet.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), ClientError> {
        let mut packet = Vec::with_capacity(payload.len() + 1);
        packet.push(kind as u8);
        packet.extend_from_slice(payload);
        self.send_packet(&packet)
    }

    /// Leaves, and what the conversation is about goes on, also where it would end with it.
    pub fn detach(&mut self) -> Result<(), ClientError> {
        self.send(Kind::Detach, &[])?;
        // A program that was ours to wait for goes on without us.
        self.ended = true;
        Ok(())
    }

    fn send_packet(&self, packet: &[u8]) -> Result<(), ClientError> {
        rustix::io::retry_on_intr(|| net::send(&self.socket, packet, SendFlags::NOSIGNAL))
            .map(drop)
            .map_err(|errno| ClientError::Talk { operation: "send to", source: errno.into() })
    }

    /// The next packet, waiting for it; `None` when the monitor went away.
    pub fn receive(&mut self) -> Result<Option<Message<'_>>, ClientError> {
        let talk = |source: io::Error| ClientError::Talk { operation: "receive from", source };
        if self.receive_packet().map_err(|errno| talk(errno.into()))?.is_empty() {
            return Ok(None);
        }
        match frame::parse(&self.buffer) {
            Some((Kind::Stdout, bytes)) => Ok(Some(Message::Stdout(bytes))),
            Some((Kind::Stderr, bytes)) => Ok(Some(Message::Stderr(bytes))),
            Some((Kind::Attached, _)) => Ok(Some(Message::Attached)),
            Some((Kind::Lost, count)) if count.len() == 8 => {
                let count = count.iter().rev().fold(0, |count, byte| count << 8 | u64::from(*byte));
                Ok(Some(Message::Lost(count)))
            }
            Some((Kind::Exited, json)) => {
                self.ended = true;
                Ok(Some(Message::Exited(serde_json::from_slice(json).map_err(|error| talk(error.into()))?)))
            }
            _ => Err(talk(io::Error::new(io::ErrorKind::InvalidData, "not a packet of this version"))),
        }
    }
}
