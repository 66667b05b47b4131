//! The conversation.

use super::{Message, Replies, Reply};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::{BorrowedFd, OwnedFd};

/// How often a list that changes while it is read is asked for again.
const PATIENCE: usize = 32;

/// A socket to the kernel of one network namespace, which it stays with wherever its process goes.
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    /// One for links, addresses and routes in this thread's network namespace.
    pub(crate) fn open() -> Result<Self, Errno> {
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // NETLINK_ROUTE is 0.
            None,
        )?;
        // The kernel gives it a port of its own.
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { fd, sequence: 0 })
    }

    /// One for another network namespace. A thread enters it and ends, for a thread cannot always come back.
    pub(crate) fn open_in(netns: BorrowedFd<'_>) -> Result<Self, Errno> {
        let enter = || {
            move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?;
            Self::open()
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().spawn_scoped(scope, enter);
            let thread = thread.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
            thread.join().unwrap_or(Err(Errno::IO))
        })
    }

    /// Has something done.
    pub(crate) fn run(&mut self, message: Message) -> Result<(), Errno> {
        self.send(message)?;
        let mut packet = Vec::new();
        loop {
            self.receive(&mut packet)?;
            for reply in Replies::new(&packet, self.sequence) {
                if let Reply::Answer(answer) = reply {
                    return answer;
                }
            }
        }
    }

    /// Asks for one thing, and hands what is said of it to `read`.
    pub(crate) fn get<T>(
        &mut self,
        message: Message,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Errno> {
        self.send(message)?;
        let mut packet = Vec::new();
        loop {
            self.receive(&mut packet)?;
            match Replies::new(&packet, self.sequence).next() {
                Some(Reply::Item { payload, .. }) => return read(payload).ok_or(Errno::PROTO),
                Some(Reply::Answer(Err(errno))) => return Err(errno),
                Some(_) => return Err(Errno::PROTO),
                None => {}
            }
        }
    }

    /// Asks for all of a kind; `message` is made anew when they changed meanwhile. What `read` gives `None` for is left out.
    pub(crate) fn list<T>(
        &mut self,
        message: impl Fn() -> Message,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Errno> {
        for _ in 0..PATIENCE {
            self.send(message())?;
            if let Some(all) = self.receive_list(&read)? {
                return Ok(all);
            }
        }
        Err(Errno::AGAIN)
    }

    /// `None` when what is listed changed meanwhile.
    fn receive_list<T>(&mut self, read: impl Fn(&[u8]) -> Option<T>) -> Result<Option<Vec<T>>, Errno> {
        let (mut packet, mut all, mut changed) = (Vec::new(), Vec::new(), false);
        loop {
            self.receive(&mut packet)?;
            let mut replies = Replies::new(&packet, self.sequence);
            while let Some(reply) = replies.next() {
                changed |= replies.changed;
                match reply {
                    Reply::Item { payload, .. } => all.extend(read(payload)),
                    Reply::Answer(Err(errno)) => return Err(errno),
                    Reply::Done | Reply::Answer(Ok(())) => return Ok((!changed).then_some(all)),
                }
            }
        }
    }

    fn send(&mut self, message: Message) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = message.finish(self.sequence)?;
        rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, &bytes, SendFlags::empty())).map(drop)
    }

    /// The next packet, whole.
    fn receive(&self, packet: &mut Vec<u8>) -> Result<(), Errno> {
        let peek = || rustix::net::recv(&self.fd, &mut [0; 0][..], RecvFlags::PEEK | RecvFlags::TRUNC);
        let (_, length) = rustix::io::retry_on_intr(peek)?;
        packet.resize(length, 0);
        let (received, _) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.fd, &mut packet[..], RecvFlags::empty()))?;
        packet.truncate(received);
        Ok(())
    }
}
