//! The parent's end of the socket to the child.

use super::internal;
use crate::Failure;
use crate::identity::Identity;
use crate::plan::Maker;
use crate::report::{ChildFailure, Order, Report};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::os::fd::{BorrowedFd, OwnedFd};
use tinyd_ns::socket;

/// How the child's part ended.
pub(crate) enum Answer {
    /// The exec succeeded.
    Running { terminal: Option<OwnedFd> },
    /// It waits at its gate.
    Waiting { terminal: Option<OwnedFd> },
    /// A step failed.
    Failed(ChildFailure),
    /// The child ended without a word.
    Died,
}

/// Hears the child out. `assembled` is done when its mounts are in place and its root is not changed yet.
pub(crate) fn listen(
    channel: BorrowedFd<'_>,
    mut assembled: impl FnMut() -> Result<(), Failure>,
) -> Result<Answer, Failure> {
    let (mut ready, mut terminal) = (false, None);
    loop {
        let mut packet = [0; Report::LENGTH];
        let length = socket::receive(channel, &mut packet, |fd| terminal = Some(fd)).map_err(talk)?;
        match Report::from_bytes(&packet[..length]) {
            None if length == 0 && ready => return Ok(Answer::Running { terminal }),
            None if length == 0 => return Ok(Answer::Died),
            None => return Err(talk(Errno::PROTO)),
            Some(Report::Terminal | Report::Turn) => {}
            Some(Report::Ready) => ready = true,
            Some(Report::Assembled) => {
                assembled()?;
                send(channel, &[Order::Pivot as u8], &[])?;
            }
            Some(Report::Waiting) => return Ok(Answer::Waiting { terminal }),
            Some(Report::Failed(failure)) => return Ok(Answer::Failed(failure)),
        }
    }
}

/// Lets the child make its next mounts, or waits until it has. One that failed or died instead waits for nothing more; what it has said
/// is left to be heard.
pub(super) fn take_turns(channel: BorrowedFd<'_>, maker: Maker) -> Result<(), Failure> {
    if maker == Maker::Child {
        return send(channel, &[Order::Turn as u8], &[]);
    }
    let mut packet = [0; Report::LENGTH];
    match rustix::io::retry_on_intr(|| rustix::net::recv(channel, &mut packet[..], RecvFlags::PEEK)) {
        Ok((length, _)) if Report::from_bytes(&packet[..length]) == Some(Report::Turn) => {
            socket::receive(channel, &mut packet, drop).map(drop).map_err(talk)
        }
        Ok(_) | Err(Errno::CONNRESET) => Ok(()),
        Err(errno) => Err(talk(errno)),
    }
}

/// What the child has said so far, when its parent cannot go on: nothing is waited for.
pub(super) fn last_words(channel: BorrowedFd<'_>) -> Answer {
    let nothing = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    let said = || {
        let mut fds = [PollFd::from_borrowed_fd(channel, PollFlags::IN)];
        matches!(poll(&mut fds, Some(&nothing)), Ok(1)) && fds[0].revents().contains(PollFlags::IN)
    };
    while said() {
        let mut packet = [0; Report::LENGTH];
        let Ok(length) = socket::receive(channel, &mut packet, drop) else { break };
        match Report::from_bytes(&packet[..length]) {
            Some(Report::Failed(failure)) => return Answer::Failed(failure),
            Some(_) => {}
            None => break,
        }
    }
    Answer::Died
}

pub(super) fn send_mounts<'fd>(
    channel: BorrowedFd<'_>,
    mounts: impl Iterator<Item = BorrowedFd<'fd>>,
) -> Result<(), Failure> {
    let mounts: Vec<_> = mounts.collect();
    for some in mounts.chunks(socket::MAX_DESCRIPTORS) {
        send(channel, &[Order::Mounts as u8], some)?;
    }
    Ok(())
}

pub(crate) fn send_identity(channel: BorrowedFd<'_>, identity: &Identity) -> Result<(), Failure> {
    let mut packet = vec![Order::Identity as u8];
    packet.extend(identity.encode());
    send(channel, &packet, &[])
}

/// A child that failed has closed its end; why, it has said before, and that is heard next.
pub(super) fn send(
    channel: BorrowedFd<'_>,
    packet: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> Result<(), Failure> {
    match socket::send(channel, packet, descriptors) {
        Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
        Err(errno) => Err(talk(errno)),
    }
}

fn talk(errno: Errno) -> Failure {
    internal("talk to the container's first process", errno)
}
