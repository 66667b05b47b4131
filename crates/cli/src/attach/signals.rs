//! The client's signals as something that can be polled.

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Those that are passed on to the command.
const FORWARDED: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The terminal has another size.
    Resized,
    /// To be passed on.
    Signal(i32),
}

/// Signals that are held back from their default action and read instead.
///
/// They stay held back for the rest of the process: one that comes while it ends must not change its exit code.
pub(super) struct Signals {
    source: SignalFd,
}

impl Signals {
    /// Catches them from now on, the change of the terminal's size as well when `window` is set.
    pub(super) fn catch(window: bool) -> nix::Result<Self> {
        let mut set: SigSet = FORWARDED.into_iter().collect();
        if window {
            set.add(Signal::SIGWINCH);
        }
        set.thread_block()?;
        let source = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { source })
    }

    /// Readable when [`next`](Self::next) has something.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }

    /// The next one, if there is one.
    pub(super) fn next(&self) -> Option<Event> {
        loop {
            let signal = i32::try_from(self.source.read_signal().ok()??.ssi_signo).ok()?;
            if signal == Signal::SIGWINCH as i32 {
                return Some(Event::Resized);
            }
            if !is_ignored(signal) {
                return Some(Event::Signal(signal));
            }
        }
    }
}

/// Whether the client was started with the signal ignored (nohup(1), a shell's background job). A signalfd shows such
/// signals too; they are not meant for us, and so not for the command. Looked up only when one has come.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

/// Counts Ctrl-C: who presses it three times in a row wants an end, whatever the command makes of the signal.
#[derive(Default)]
pub(super) struct Impatience {
    pressed: Vec<Instant>,
}

impl Impatience {
    const WITHIN: Duration = Duration::from_secs(3);

    /// The signal to send for one that came at this moment.
    pub(super) fn turn(&mut self, signal: i32, now: Instant) -> i32 {
        if signal != Signal::SIGINT as i32 {
            return signal;
        }
        self.pressed.retain(|&earlier| now.duration_since(earlier) <= Self::WITHIN);
        self.pressed.push(now);
        if self.pressed.len() >= 3 { Signal::SIGKILL as i32 } else { signal }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_ctrl_c_in_a_row_kills() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut impatience = Impatience::default();
        let sent: Vec<i32> = [0, 2, 6, 7].into_iter().map(|s| impatience.turn(2, at(s))).collect();
        assert_eq!(sent, [2, 2, 2, 2]);
        assert_eq!(impatience.turn(15, at(7)), 15);
        assert_eq!(impatience.turn(2, at(8)), 9);
    }
}
