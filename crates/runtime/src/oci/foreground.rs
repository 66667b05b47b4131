//! A command in the foreground: it gets our signals, what it writes is shown, what we are given it reads, and we end as it does.

use super::notify::Relay;
use super::store::has_ended;
use super::streams::{self, Way};
use crate::Failure;
use crate::launch::internal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::os::fd::{AsFd as _, OwnedFd};
use tinyd_ns::{pidfd, process, pty};

/// How often is looked for what nothing wakes us for.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Lets signals wait until they are asked for: those that come while there is no command yet are for it as well.
pub(super) fn hold_signals() {
    process::block_signals();
}

/// Stays until its end, with signals [held](hold_signals); gives its exit code. Its streams are a terminal, which is shown in ours, or go
/// these ways.
pub(super) fn stay(
    command: &OwnedFd,
    terminal: Option<&OwnedFd>,
    mut ways: Vec<Way>,
    relay: Option<Relay>,
) -> Result<u8, Failure> {
    let _raw = terminal.map(|_| Raw::begin());
    let mut begin = || {
        if let Some(terminal) = terminal {
            resize(terminal);
            ways = streams::of_terminal(terminal)?;
        }
        process::waiting_signals()
    };
    let code = begin()
        .map_err(std::io::Error::from)
        .and_then(|signals| accompany(command, terminal, &signals, ways, relay));
    code.map_err(|error| internal("wait for the command", error))
}

fn accompany(
    command: &OwnedFd,
    terminal: Option<&OwnedFd>,
    signals: &OwnedFd,
    mut ways: Vec<Way>,
    mut relay: Option<Relay>,
) -> std::io::Result<u8> {
    loop {
        relay = relay.filter(|relay| !relay.pass());
        let ready: Vec<_> = {
            let mut fds: Vec<_> = ways.iter().map(Way::awaited).collect();
            fds.extend([command, signals].map(|fd| PollFd::new(fd, PollFlags::IN)));
            rustix::io::retry_on_intr(|| poll(&mut fds, relay.as_ref().map(|_| &GLANCE)))?;
            fds.iter().map(|fd| !fd.revents().is_empty()).collect()
        };
        pass_signals_on(command, terminal)?;
        if has_ended(command) {
            ways.iter_mut().for_each(Way::finish);
            return Ok(pidfd::wait(command)?.code());
        }
        let mut ready = ready.into_iter();
        ways.retain_mut(|way| ready.next() != Some(true) || way.carry());
    }
}

fn pass_signals_on(command: &OwnedFd, terminal: Option<&OwnedFd>) -> std::io::Result<()> {
    loop {
        match (process::next_signal(Some(AT_ONCE)), terminal) {
            (Ok(libc::SIGWINCH), Some(terminal)) => resize(terminal),
            (Ok(libc::SIGCHLD | libc::SIGTTIN | libc::SIGTTOU | libc::SIGURG) | Err(Errno::INTR), _) => {}
            (Ok(signal), _) => drop(pidfd::send_signal(command, signal)),
            (Err(Errno::AGAIN), _) => return Ok(()),
            (Err(errno), _) => return Err(errno.into()),
        }
    }
}

/// The size of our terminal, if there is one.
pub(super) fn window() -> Option<(u16, u16)> {
    tcgetwinsize(stdin()).ok().map(|size| (size.ws_row, size.ws_col))
}

fn resize(terminal: &OwnedFd) {
    if let Some((rows, columns)) = window() {
        let _ = pty::resize(terminal.as_fd(), rows, columns);
    }
}

/// Our terminal leaves every key to the command's, until this goes.
struct Raw(Option<Termios>);

impl Raw {
    fn begin() -> Self {
        if !isatty(stdin()) {
            return Self(None);
        }
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.make_raw();
            let _ = tcsetattr(stdin(), OptionalActions::Now, &raw);
        }
        Self(before)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
