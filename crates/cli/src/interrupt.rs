//! Signals that end this program, as something that can be polled: for a verb that has to tidy up before it ends.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

const ENDING: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// Signals that are held back from ending this program, to the end of the process: the verb ends by itself.
pub(crate) struct Interrupt {
    source: SignalFd,
}

impl Interrupt {
    /// Holds them back from now on.
    pub(crate) fn catch() -> nix::Result<Self> {
        let set: SigSet = ENDING.into_iter().collect();
        set.thread_block()?;
        let source = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { source })
    }

    /// From now on they end this program as always: whoever sends a second one does not want to wait.
    pub(crate) fn release(&self) {
        let set: SigSet = ENDING.into_iter().collect();
        // What cannot be taken back stays, and the verb ends by itself.
        let _ = set.thread_unblock();
    }

    /// Readable when one has come.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    /// The exit code that tells of the signal that came: 128 and its number.
    pub(crate) fn exit_code(&self) -> u8 {
        let number = self.source.read_signal().ok().flatten().map_or(0, |signal| signal.ssi_signo);
        u8::try_from(number).map_or(128, |number| 128_u8.saturating_add(number))
    }
}
