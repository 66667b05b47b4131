//! The streams of a command that does not get ours: bytes are carried between the two.

use crate::Failure;
use crate::init::Stdio;
use crate::launch::internal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::stdio::{stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// As much as a pipe holds: what a command wrote before its end is no more.
const PIPE: usize = 64 * 1024;

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// The streams for a command without a terminal, and the ways between them and ours. It gets our own, but for a terminal if we stay
/// `in_front`: what a container can reach it can read from, set and lock, so that it has pipes in its place.
pub(super) fn of_ours(preserved: u32, in_front: bool) -> Result<(Stdio, Vec<Way>), Failure> {
    let mut ways = Vec::new();
    let failed = |errno| internal("set the command's streams up", errno);
    let mut one = |stream: BorrowedFd<'static>, direction| -> Result<Option<OwnedFd>, Failure> {
        if !(in_front && rustix::termios::isatty(stream)) {
            // A copy, beyond what the command is promised.
            let copy = rustix::io::fcntl_dupfd_cloexec(stream, 3 + preserved.cast_signed());
            return copy.map(Some).map_err(failed);
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        let ours = rustix::io::fcntl_dupfd_cloexec(stream, 3).map_err(failed)?;
        let (from, to, theirs) = match direction {
            Direction::In => (ours, write, read),
            Direction::Out | Direction::Terminal => (read, ours, write),
        };
        ways.push(Way { from, to, direction, is_full: false });
        Ok(Some(theirs))
    };
    let stdio = Stdio {
        stdin: one(stdin(), Direction::In)?,
        stdout: one(stdout(), Direction::Out)?,
        stderr: one(stderr(), Direction::Out)?,
    };
    Ok((stdio, ways))
}

/// The ways between a command's terminal and our streams.
pub(super) fn of_terminal(terminal: &OwnedFd) -> rustix::io::Result<Vec<Way>> {
    let copy = |fd: BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(fd, 3);
    let way = |from, to, direction| Ok(Way { from: copy(from)?, to: copy(to)?, direction, is_full: false });
    let terminal = terminal.as_fd();
    Ok(vec![way(terminal, stdout(), Direction::Terminal)?, way(stdin(), terminal, Direction::In)?])
}

/// Whose bytes go where.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// Ours, to the command.
    In,
    /// The command's, through a pipe.
    Out,
    /// The command's, through its terminal: when nobody has that open, somebody may open it again.
    Terminal,
}

/// A way that bytes go.
pub(super) struct Way {
    from: OwnedFd,
    to: OwnedFd,
    direction: Direction,
    /// Nobody takes what was carried; no more is read until somebody does.
    is_full: bool,
}

impl Way {
    /// What it waits for.
    pub(super) fn awaited(&self) -> PollFd<'_> {
        match self.is_full {
            true => PollFd::new(&self.to, PollFlags::OUT),
            false => PollFd::new(&self.from, PollFlags::IN),
        }
    }

    /// Goes on when that has come; tells whether there may be more.
    pub(super) fn carry(&mut self) -> bool {
        self.is_full = !is_ready(&self.to, PollFlags::OUT);
        self.is_full || self.read() > 0 || {
            let stays = self.direction == Direction::Terminal;
            if stays {
                std::thread::sleep(Duration::from_millis(5));
            }
            stays
        }
    }

    /// Carries what the command has left behind at its end. Others that it started may go on writing.
    pub(super) fn finish(&mut self) {
        let mut left = if self.direction == Direction::In { 0 } else { PIPE };
        while left > 0 && is_ready(&self.from, PollFlags::IN) {
            match self.read() {
                0 => return,
                count => left = left.saturating_sub(count),
            }
        }
    }

    fn read(&self) -> usize {
        let mut buffer = [0; 4096];
        let count = rustix::io::retry_on_intr(|| rustix::io::read(&self.from, &mut buffer)).unwrap_or(0);
        write_all(&self.to, &buffer[..count]);
        count
    }
}

fn is_ready(fd: &OwnedFd, what: PollFlags) -> bool {
    let mut fds = [PollFd::new(fd, what)];
    matches!(poll(&mut fds, Some(&AT_ONCE)), Ok(1) | Err(Errno::INTR))
}

/// A side that is gone takes nothing more, and the command goes on.
fn write_all(to: &OwnedFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(to, bytes)) {
            Ok(count) => bytes = &bytes[count..],
            Err(_) => return,
        }
    }
}
