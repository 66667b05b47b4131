//! A stream of messages behind a descriptor that can be polled.
//!
//! The messages travel as packets over a pair of sockets: a task of the client's runtime writes them at one end as they come,
//! and whoever owns the other end reads them when he likes. Nothing is kept for a reader who does not read: the stream waits.

use super::background::Background;
use super::{failed, read};
use crate::status;
use crate::wire::Wire;
use prost::Message;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use tinyd_engine::{Error, ErrorKind, Result};
use tokio::net::UnixDatagram;
use tonic::{Status, Streaming};

/// More than most messages of a stream are long.
const MOST_BYTES: usize = 160 * 1024;
/// The first byte of a packet: a message.
const MESSAGE: u8 = 0;
/// The first byte of a packet: why there are no more.
const FAILURE: u8 = 1;

/// The end of a pair of sockets that the client's tasks use.
///
/// It is no socket of datagrams, but packets are sent and received in the same way; and it knows when the other end is closed.
pub(super) struct TaskEnd(UnixDatagram);

/// The end that its owner reads and writes.
pub(super) struct OwnEnd<M> {
    socket: OwnedFd,
    /// What the task at the other end runs on: this may outlive its client.
    _runtime: Arc<Background>,
    buffer: Vec<u8>,
    message: PhantomData<M>,
}

/// A pair of them.
pub(super) fn pair<M>(runtime: &Arc<Background>) -> Result<(OwnEnd<M>, TaskEnd)> {
    let made = || -> io::Result<_> {
        let (own, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // Only one end waits in its system calls.
        let flags = rustix::fs::fcntl_getfl(&theirs)?;
        rustix::fs::fcntl_setfl(&theirs, flags | rustix::fs::OFlags::NONBLOCK)?;
        for end in [&own, &theirs] {
            rustix::net::sockopt::set_socket_send_buffer_size(end, 2 * MOST_BYTES)?;
        }
        let _entered = runtime.enter();
        Ok((own, UnixDatagram::from_std(theirs.into())?))
    };
    let (socket, theirs) = made().map_err(|error| failed("make a pair of sockets", error))?;
    let own = OwnEnd {
        socket,
        _runtime: Arc::clone(runtime),
        buffer: Vec::with_capacity(MOST_BYTES),
        message: PhantomData,
    };
    Ok((own, TaskEnd(theirs)))
}

/// The messages of a stream, by descriptor.
pub(super) fn of_stream<M: Message + Default + 'static>(
    runtime: &Arc<Background>,
    stream: Streaming<M>,
) -> Result<OwnEnd<M>> {
    let (own, task) = pair(runtime)?;
    runtime.spawn(async move {
        tokio::select! {
            // One who has gone away is noticed although nothing comes.
            () = task.hung_up() => {}
            () = task.pass_on(stream) => {}
        }
    })?;
    Ok(own)
}

impl TaskEnd {
    /// Passes a stream on to its end, or until nobody is there to read it.
    pub(super) async fn pass_on<M: Message + Default + 'static>(&self, mut stream: Streaming<M>) {
        loop {
            let packet = match stream.message().await {
                Ok(Some(message)) => packet(MESSAGE, &message),
                Ok(None) => return,
                Err(status) => {
                    self.send(&failure(&status)).await;
                    return;
                }
            };
            if !self.send(&packet).await {
                return;
            }
        }
    }

    /// Waits until the other end is closed: nothing is sent to this end of a stream that only tells.
    async fn hung_up(&self) {
        while let Ok(count) = self.0.recv(&mut [0]).await {
            if count == 0 {
                return;
            }
        }
    }

    /// Sends a packet; false when nobody is there.
    async fn send(&self, packet: &[u8]) -> bool {
        self.0.send(packet).await.is_ok()
    }

    /// The next message of the other end; none when it is closed.
    pub(super) async fn receive<M: Message + Default>(&self, buffer: &mut Vec<u8>) -> Option<M> {
        buffer.clear();
        buffer.reserve(MOST_BYTES);
        self.0.recv_buf(buffer).await.ok()?;
        let (_, message) = buffer.split_first()?;
        M::decode(message).ok()
    }
}

fn packet(kind: u8, message: &impl Message) -> Vec<u8> {
    let mut packet = Vec::with_capacity(1 + message.encoded_len());
    packet.push(kind);
    // Into a vector there is always room.
    let _ = message.encode(&mut packet);
    packet
}

fn failure(status: &Status) -> Vec<u8> {
    packet(FAILURE, &status::failure_of(&status::to_error(status)))
}

impl<M: Message + Default> OwnEnd<M> {
    /// For poll(2).
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// There is a message, or the end.
    pub(super) fn is_readable(&self) -> Result<bool> {
        let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::io::retry_on_intr(|| poll(&mut fds, Some(&at_once)))
            .map(|ready| ready > 0)
            .map_err(|errno| failed("look for messages of the daemon", errno))
    }

    /// The next message, waiting for it; none at the end.
    pub(super) fn receive(&mut self) -> Result<Option<M>> {
        loop {
            self.buffer.clear();
            // How long it is, without taking it.
            let flags = RecvFlags::PEEK | RecvFlags::TRUNC;
            let length = rustix::net::recv(&self.socket, &mut [0; 1][..], flags);
            let received = length.and_then(|(_, length)| {
                self.buffer.reserve(length);
                rustix::net::recv(&self.socket, spare_capacity(&mut self.buffer), RecvFlags::empty())
            });
            match received {
                Ok(_) => break,
                // The task is gone and did not read all that was sent to it, which is told once, before what it had sent.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                Err(errno) => return Err(failed("receive from the daemon", errno)),
            }
        }
        match self.buffer.split_first() {
            None => Ok(None),
            Some((&MESSAGE, message)) => {
                M::decode(message).map(Some).map_err(|error| failed("read a message", error))
            }
            Some((_, failure)) => Err(status::read_failure(failure)),
        }
    }

    /// As [`receive`](Self::receive), as one of the engine's types.
    pub(super) fn receive_as<T: Wire<M>>(&mut self) -> Result<Option<T>> {
        self.receive()?.map(read).transpose()
    }

    /// Sends a message, waiting for room.
    pub(super) fn send(&self, message: &impl Message) -> Result<()> {
        let packet = packet(MESSAGE, message);
        match rustix::io::retry_on_intr(|| rustix::net::send(&self.socket, &packet, SendFlags::NOSIGNAL)) {
            Ok(_) => Ok(()),
            Err(Errno::PIPE | Errno::CONNRESET) => {
                Err(Error::new(ErrorKind::WrongState, "the session has ended"))
            }
            Err(errno) => Err(failed("send to the daemon", errno)),
        }
    }
}
