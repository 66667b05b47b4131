//! The child's end of the socket to its parent.

use crate::report::{ChildFailure, Order, Report};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use tinyd_ns::{process, socket};

/// Room for every descriptor that a plan may name.
const MAX: usize = 2 * crate::plan::MAX_PREPARED;

/// Descriptors that came from the parent, handed out in the order in which they came.
pub(super) struct Descriptors {
    all: [Option<OwnedFd>; MAX],
    count: usize,
    next: usize,
}

impl Descriptors {
    pub(super) fn new() -> Self {
        Self { all: [const { None }; MAX], count: 0, next: 0 }
    }

    fn push(&mut self, fd: OwnedFd) {
        if let Some(place) = self.all.get_mut(self.count) {
            *place = Some(fd);
            self.count += 1;
        }
    }

    pub(super) fn take(&mut self) -> Result<OwnedFd, Errno> {
        let fd = self.all.get_mut(self.next).and_then(Option::take).ok_or(Errno::PROTO)?;
        self.next += 1;
        Ok(fd)
    }
}

/// *Child-side.* Says something over a socket or a pipe.
pub(super) fn tell(over: BorrowedFd<'_>, report: Report) -> Result<(), Errno> {
    match socket::send(over, &report.to_bytes(), &[]) {
        Err(Errno::NOTSOCK) => rustix::io::write(over, &report.to_bytes()).map(drop),
        sent => sent,
    }
}

/// The socket; or, when the parent is gone, the pipe of a [gate](super::Gate).
pub(crate) struct Channel(OwnedFd);

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self(socket)
    }

    pub(super) fn as_raw(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Waits for a packet without a payload.
    pub(crate) fn expect(&self, order: Order) -> Result<(), Errno> {
        let mut packet = [0; 1];
        match socket::receive(self.0.as_fd(), &mut packet, drop)? {
            1 if packet[0] == order as u8 => Ok(()),
            // The parent is gone.
            0 => Err(Errno::PIPE),
            _ => Err(Errno::PROTO),
        }
    }

    /// Takes descriptors until the packet with the identity comes, and gives that packet's length.
    pub(super) fn receive_mounts(&self, all: &mut Descriptors, packet: &mut [u8]) -> Result<usize, Errno> {
        loop {
            let length = socket::receive(self.0.as_fd(), packet, |fd| all.push(fd))?;
            match packet.first() {
                _ if length == 0 => return Err(Errno::PIPE),
                Some(order) if *order == Order::Identity as u8 => return Ok(length),
                Some(order) if *order == Order::Mounts as u8 => {}
                _ => return Err(Errno::PROTO),
            }
        }
    }

    /// Takes the packet with the identity.
    pub(crate) fn receive_identity(&self, packet: &mut [u8]) -> Result<usize, Errno> {
        match socket::receive(self.0.as_fd(), packet, drop)? {
            0 => Err(Errno::PIPE),
            length if packet.first() == Some(&(Order::Identity as u8)) => Ok(length),
            _ => Err(Errno::PROTO),
        }
    }

    /// Sends the master's end of the command's terminal.
    pub(crate) fn send_terminal(&self, master: BorrowedFd<'_>) -> Result<(), Errno> {
        self.send(Report::Terminal, &[master])
    }

    pub(super) fn send(&self, report: Report, descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        match descriptors {
            [] => tell(self.0.as_fd(), report),
            _ => socket::send(self.0.as_fd(), &report.to_bytes(), descriptors),
        }
    }

    /// Tells the parent and ends the process.
    pub(crate) fn fail(&self, failure: ChildFailure) -> ! {
        // A parent that is gone cannot be told.
        let _ = self.send(Report::Failed(failure), &[]);
        process::exit_now(1)
    }
}
