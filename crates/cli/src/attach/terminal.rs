//! The client's terminal in raw mode.

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// A terminal that passes on every byte as it is typed. Dropping it gives the terminal back as it was.
pub(super) struct RawMode {
    saved: Arc<Saved>,
}

struct Saved {
    terminal: OwnedFd,
    attributes: Termios,
}

impl Saved {
    fn restore(&self) {
        // At once: waiting for output to drain could last for ever on a stopped terminal.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.attributes);
    }
}

impl RawMode {
    /// Sets the terminal raw.
    pub(super) fn enter(terminal: BorrowedFd<'_>) -> std::io::Result<Self> {
        let attributes = tcgetattr(terminal)?;
        let mut raw = attributes.clone();
        raw.make_raw();
        let saved = Arc::new(Saved { terminal: terminal.try_clone_to_owned()?, attributes });
        tcsetattr(saved.terminal.as_fd(), OptionalActions::Now, &raw)?;
        // A panic aborts this program without dropping anything.
        let at_panic = Arc::clone(&saved);
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            at_panic.restore();
            former(info);
        }));
        Ok(Self { saved })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        self.saved.restore();
        if !std::thread::panicking() {
            // Another thread may panic later: the terminal is no longer ours to set then.
            drop(std::panic::take_hook());
        }
    }
}
