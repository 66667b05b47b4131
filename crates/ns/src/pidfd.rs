//! Processes by descriptor: no signal and no exit is ever taken for another process that got the same number.

use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code (0 to 255).
    Exited(u8),
    /// By this signal.
    Signaled(i32),
}

impl Exit {
    /// The code as shells give it: 128+n for signal n.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128u8.saturating_add(signal as u8),
        }
    }
}

/// A descriptor of a process, closed on exec.
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or(Errno::INVAL)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// Sends a signal by number. `ESRCH` when the process has ended.
pub fn send_signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let signal = Signal::from_named_raw(signal)
        .or_else(|| real_time_signal(signal))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("there is no signal {signal}")))?;
    Ok(rustix::process::pidfd_send_signal(pidfd, signal)?)
}

fn real_time_signal(number: i32) -> Option<Signal> {
    // Those that the C library keeps to itself (32, 33) are left out.
    if !(34..=64).contains(&number) {
        return None;
    }
    // SAFETY: the number is one of the kernel's real-time signals and none of those the C library uses.
    Some(unsafe { Signal::from_raw_unchecked(number) })
}

/// Waits for a child to end and takes its exit.
pub fn wait(pidfd: impl AsFd) -> io::Result<Exit> {
    wait_with(pidfd, WaitIdOptions::EXITED)
}

/// Waits for a child to end and leaves it as a zombie, so that its exit can be recorded before it is taken.
pub fn peek(pidfd: impl AsFd) -> io::Result<Exit> {
    wait_with(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
}

fn wait_with(pidfd: impl AsFd, options: WaitIdOptions) -> io::Result<Exit> {
    let status =
        rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options))?
            .ok_or(Errno::CHILD)?;
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ok(Exit::Exited(code as u8)),
        (None, Some(signal)) => Ok(Exit::Signaled(signal)),
        (None, None) => Err(Errno::CHILD.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_ends_a_child_and_its_exit_can_be_looked_at_twice() {
        #[expect(clippy::zombie_processes, reason = "it is waited for by its descriptor")]
        let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pidfd = open(child.id()).unwrap();
        send_signal(&pidfd, 15).unwrap();
        assert_eq!(peek(&pidfd).unwrap(), Exit::Signaled(15));
        assert_eq!(wait(&pidfd).unwrap().code(), 143);
        assert!(wait(&pidfd).is_err());
    }

    #[test]
    fn numbers_that_are_no_signals_are_refused() {
        let me = open(std::process::id()).unwrap();
        for number in [-1, 0, 32, 33, 65] {
            assert_eq!(send_signal(&me, number).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{number}");
        }
    }
}
