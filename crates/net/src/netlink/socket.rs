//! The conversation.

use super::{Message, Replies, Reply};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::{BorrowedFd, OwnedFd};

/// How often a list that changes while it is read is asked for again.
const PATIENCE: usize = 32;

/// What a socket takes at once without being told to (`net.core.wmem_default` of most hosts), less what the kernel adds.
const USUAL: usize = 128 << 10;

/// One of a batch was refused, and so all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Which one, from 0.
    pub(crate) index: usize,
    /// Why.
    pub(crate) errno: Errno,
}

/// A socket to the kernel of one network namespace, which it stays with wherever its process goes.
pub(crate) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

/// Does something in another network namespace. A thread enters it and ends, for a thread cannot always come back.
pub(crate) fn entered<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, Errno> + Send,
) -> Result<T, Errno> {
    let enter = || {
        move_into_link_name_space(netns, Some(LinkNameSpaceType::Network))?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, enter);
        let thread = thread.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        thread.join().unwrap_or(Err(Errno::IO))
    })
}

impl Socket {
    /// One for links, addresses and routes in this thread's network namespace.
    pub(crate) fn open() -> Result<Self, Errno> {
        // NETLINK_ROUTE is 0.
        Self::open_for(None)
    }

    /// One for another network namespace.
    pub(crate) fn open_in(netns: BorrowedFd<'_>) -> Result<Self, Errno> {
        entered(netns, Self::open)
    }

    /// One for rules and connections: of this thread's network namespace, or of another one.
    pub(crate) fn open_netfilter(netns: Option<BorrowedFd<'_>>) -> Result<Self, Errno> {
        let open = || Self::open_for(Some(netlink::NETFILTER));
        netns.map_or_else(open, |netns| entered(netns, open))
    }

    fn open_for(protocol: Option<Protocol>) -> Result<Self, Errno> {
        let fd = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            protocol,
        )?;
        // The kernel gives it a port of its own.
        rustix::net::bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { fd, sequence: 0 })
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

    /// Has all of these done, or none of them. The last one alone is acknowledged where all is well: a socket has no room for
    /// the acknowledgements of hundreds.
    pub(crate) fn batch(&mut self, mut messages: Vec<Message>) -> Result<(), Refused> {
        let whole = |errno| Refused { index: 0, errno };
        let first = self.sequence.wrapping_add(1);
        let count = u32::try_from(messages.len()).map_err(|_| whole(Errno::MSGSIZE))?;
        // The last message is the end of the batch, which older kernels never acknowledge.
        if let Some(last) = messages.iter_mut().rev().nth(1) {
            last.acknowledged();
        }
        let mut bytes = Vec::new();
        for (index, message) in messages.into_iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            bytes.extend(message.finish(self.sequence).map_err(|errno| Refused { index, errno })?);
        }
        if bytes.len() > USUAL {
            // Where this is refused, what it was for is: `EMSGSIZE` says more than `EPERM` would.
            let _ = sockopt::set_socket_send_buffer_size_force(&self.fd, 2 * bytes.len());
        }
        rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, &bytes, SendFlags::empty()))
            .map_err(whole)?;
        self.answers(first, count)
    }

    /// All answers to a batch. They are there when the batch has been sent: the kernel works while its sender waits.
    fn answers(&self, first: u32, count: u32) -> Result<(), Refused> {
        let (mut packet, mut refused, mut done) = (Vec::new(), None::<Refused>, false);
        loop {
            match self.receive_now(&mut packet) {
                // More errors than there was room for: those read before tell enough.
                Ok(()) | Err(Errno::NOBUFS) => {}
                Err(Errno::AGAIN) => break,
                Err(errno) => return Err(Refused { index: 0, errno }),
            }
            let mut replies = Replies::to_batch(&packet, first, count);
            while let Some(reply) = replies.next() {
                match reply {
                    Reply::Answer(Ok(())) => done = true,
                    Reply::Answer(Err(errno)) => {
                        let index = usize::try_from(replies.answered).unwrap_or(0);
                        refused.get_or_insert(Refused { index, errno });
                    }
                    _ => {}
                }
            }
        }
        match refused {
            Some(refused) => Err(refused),
            None if done => Ok(()),
            None => Err(Refused { index: 0, errno: Errno::PROTO }),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), Errno> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = message.finish(self.sequence)?;
        rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, &bytes, SendFlags::empty())).map(drop)
    }

    /// The next packet, whole.
    fn receive(&self, packet: &mut Vec<u8>) -> Result<(), Errno> {
        self.receive_with(packet, RecvFlags::empty())
    }

    /// The next packet, whole; `EAGAIN` where there is none yet.
    fn receive_now(&self, packet: &mut Vec<u8>) -> Result<(), Errno> {
        packet.clear();
        self.receive_with(packet, RecvFlags::DONTWAIT)
    }

    fn receive_with(&self, packet: &mut Vec<u8>, flags: RecvFlags) -> Result<(), Errno> {
        let peek =
            || rustix::net::recv(&self.fd, &mut [0; 0][..], flags | RecvFlags::PEEK | RecvFlags::TRUNC);
        let (_, length) = rustix::io::retry_on_intr(peek)?;
        packet.resize(length, 0);
        let (received, _) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&self.fd, &mut packet[..], flags))?;
        packet.truncate(received);
        Ok(())
    }
}
