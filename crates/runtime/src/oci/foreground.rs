//! A command in the foreground: it gets our signals, its terminal is shown in ours, and we end as it does.

use super::notify::Relay;
use crate::Failure;
use crate::launch::internal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tinyd_ns::{pidfd, process, pty};

/// How often is looked for what nothing wakes us for.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Lets signals wait until they are asked for: those that come while there is no command yet are for it as well.
pub(super) fn hold_signals() {
    process::block_signals();
}

/// Stays until its end, with signals [held](hold_signals); gives its exit code.
pub(super) fn stay(
    command: &OwnedFd,
    terminal: Option<OwnedFd>,
    relay: Option<Relay>,
) -> Result<u8, Failure> {
    let code = match terminal {
        None => pass_signals_on(command, relay),
        Some(terminal) => {
            let _raw = Raw::begin();
            resize(&terminal);
            show(command, &terminal, relay)
        }
    };
    code.map_err(|error| internal("wait for the command", error))
}

fn pass_signals_on(command: &OwnedFd, mut relay: Option<Relay>) -> std::io::Result<u8> {
    loop {
        if super::store::has_ended(command) {
            return Ok(pidfd::wait(command)?.code());
        }
        relay = relay.filter(|relay| !relay.pass());
        match process::next_signal(relay.as_ref().map(|_| GLANCE)) {
            Ok(libc::SIGCHLD | libc::SIGTTIN | libc::SIGTTOU | libc::SIGURG)
            | Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(signal) => drop(pidfd::send_signal(command, signal)),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Carries bytes between the two terminals until the command has ended and all it wrote is shown.
fn show(command: &OwnedFd, terminal: &OwnedFd, mut relay: Option<Relay>) -> std::io::Result<u8> {
    let mut buffer = [0; 4096];
    let (mut reads, mut size) = (true, window());
    loop {
        relay = relay.filter(|relay| !relay.pass());
        // A new size is looked for now and then: signals wait.
        let mut fds = vec![PollFd::new(terminal, PollFlags::IN), PollFd::new(command, PollFlags::IN)];
        if reads {
            fds.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
        }
        rustix::io::retry_on_intr(|| poll(&mut fds, Some(&GLANCE)))?;
        let ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[0] {
            match rustix::io::read(terminal, &mut buffer) {
                Ok(0) | Err(_) if super::store::has_ended(command) => return Ok(pidfd::wait(command)?.code()),
                Ok(0) | Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
                Ok(count) => write_all(stdout(), &buffer[..count]),
            }
        } else if ready[1] {
            return Ok(pidfd::wait(command)?.code());
        }
        if ready.get(2) == Some(&true) {
            match rustix::io::read(stdin(), &mut buffer) {
                Ok(0) | Err(_) => reads = false,
                Ok(count) => write_all(terminal.as_fd(), &buffer[..count]),
            }
        }
        if window() != size {
            size = window();
            resize(terminal);
        }
    }
}

/// A side that is gone takes nothing more, and the command goes on.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match rustix::io::retry_on_intr(|| rustix::io::write(to, bytes)) {
            Ok(count) => bytes = &bytes[count..],
            Err(_) => return,
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
