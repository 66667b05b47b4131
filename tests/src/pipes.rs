//! The three pipes of a child, served by one poll loop, so that no thread or descriptor outlives a command.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Our ends of a child's pipes and what has come through them.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    input: Option<OwnedFd>,
    pending: Vec<u8>,
    close_when_sent: bool,
    output: Option<OwnedFd>,
    errors: Option<OwnedFd>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

impl Pipes {
    pub(crate) fn of(child: &mut Child) -> io::Result<Pipes> {
        let pipes = Pipes {
            input: child.stdin.take().map(OwnedFd::from),
            output: child.stdout.take().map(OwnedFd::from),
            errors: child.stderr.take().map(OwnedFd::from),
            ..Pipes::default()
        };
        for end in [&pipes.input, &pipes.output, &pipes.errors].into_iter().flatten() {
            set_nonblocking(end.as_fd())?;
        }
        Ok(pipes)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    pub(crate) fn close_input(&mut self) {
        self.close_when_sent = true;
    }

    /// Whether somebody still has the other end of one of the outputs.
    pub(crate) fn are_open(&self) -> bool {
        self.output.is_some() || self.errors.is_some()
    }

    /// Waits until a pipe or `exited` has something to say, or until `end`, and moves what can be moved.
    pub(crate) fn step(&mut self, exited: Option<BorrowedFd<'_>>, end: Instant) -> io::Result<()> {
        if self.pending.is_empty() && self.close_when_sent {
            self.input = None;
        }
        let mut fds = Vec::new();
        if let Some(input) = self.input.as_ref().filter(|_| !self.pending.is_empty()) {
            fds.push(PollFd::new(input, PollFlags::OUT));
        }
        fds.extend(
            [&self.output, &self.errors].into_iter().flatten().map(|fd| PollFd::new(fd, PollFlags::IN)),
        );
        fds.extend(exited.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        wait(&mut fds, end)?;
        drop(fds);
        self.write_pending()?;
        read_into(&mut self.output, &mut self.stdout)?;
        read_into(&mut self.errors, &mut self.stderr)
    }

    fn write_pending(&mut self) -> io::Result<()> {
        let Some(input) = &self.input else { return Ok(()) };
        if self.pending.is_empty() {
            return Ok(());
        }
        match rustix::io::write(input, &self.pending) {
            Ok(sent) => {
                self.pending.drain(..sent);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            // The other side wants no more; that is its right.
            Err(rustix::io::Errno::PIPE) => {
                self.input = None;
                self.pending.clear();
            }
            Err(err) => return Err(err.into()),
        }
        Ok(())
    }
}

pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)?)
}

/// poll(2) until `end`.
pub(crate) fn wait(fds: &mut [PollFd<'_>], end: Instant) -> io::Result<()> {
    let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let timeout = Timespec {
        tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: left.subsec_nanos().into(),
    };
    match poll(fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(err) => Err(err.into()),
    }
}

/// Reads what is there; at the end of the file the descriptor is closed.
pub(crate) fn read_into(from: &mut Option<OwnedFd>, into: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 64 * 1024];
    while let Some(fd) = from {
        // EIO is how a terminal says that its other side is gone: ptmx has no end of file. What was written just before that
        // comes at a second read: the kernel looks for input first, and then whether the other side is there.
        let read = match rustix::io::read(&*fd, &mut buffer) {
            Err(rustix::io::Errno::IO) => rustix::io::read(&*fd, &mut buffer),
            first => first,
        };
        match read {
            Ok(0) | Err(rustix::io::Errno::IO) => *from = None,
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(rustix::io::Errno::AGAIN) => break,
            Err(rustix::io::Errno::INTR) => {}
            Err(err) => return Err(err.into()),
        }
    }
    Ok(())
}
