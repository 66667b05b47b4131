//! What goes on for as long as a command runs: its streams and its exit.

mod collect;

pub use collect::Collected;

use crate::{ExitStatus, Result, WindowSize};
use serde::{Deserialize, Serialize};
use std::os::fd::BorrowedFd;

/// A message to the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Bytes for its standard input.
    Stdin(&'a [u8]),
    /// No more input will come.
    StdinClosed,
    /// The terminal's new size.
    Resize(WindowSize),
    /// A signal, by number, for the command.
    Signal(i32),
    /// This side leaves, and the command goes on: one that would end with its session does so no more, and an input that others
    /// may still give does not end. The last message.
    Detach,
}

/// A message from the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Bytes of its standard output; with a terminal, all that it writes.
    Stdout(&'a [u8]),
    /// Bytes of its standard error.
    Stderr(&'a [u8]),
    /// So many bytes of output are missing here: who attaches to a command and does not take its output in time loses some of
    /// it, and holds up nobody.
    Lost(u64),
    /// It has ended, and everything that it wrote has been received. The last message.
    Exited(ExitStatus),
}

/// A conversation with a running command.
///
/// Dropping it leaves the command running, but for one of `exec`, which ends with its session unless [`Input::Detach`] was sent.
/// Input that nobody else gives ends with it.
pub trait Session: Send {
    /// Readable when [`receive`](Session::receive) has something to give; for poll(2) only.
    fn as_fd(&self) -> BorrowedFd<'_>;

    /// Sends a message. Pieces of input longer than [`max_input`](Session::max_input) bytes are refused.
    ///
    /// It may block while the command does not read; poll the descriptor for writing first where that matters.
    fn send(&mut self, input: Input<'_>) -> Result<()>;

    /// The next message, waiting for it; `None` when the other side went away without an exit.
    fn receive(&mut self) -> Result<Option<Output<'_>>>;

    /// The most bytes that one [`Input::Stdin`] may carry.
    fn max_input(&self) -> usize;
}

/// What of a container is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitCondition {
    /// It does not run. One that was never started does not.
    NotRunning,
    /// The end of the run that is under way, or else of the next one.
    NextExit,
    /// It runs.
    Running,
    /// It is there no more.
    Removed,
}

/// Waits for a container's exit, or for something else that becomes of it.
pub trait Waiter: Send {
    /// Readable when the container has ended, or may have come to what is waited for; for poll(2) only. `None` when that has come
    /// already.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// How it ended, waiting for that. Of what is no end, and of one that never ran, the code is 0.
    fn wait(&mut self) -> Result<ExitStatus>;

    /// The same without waiting for long; none where it has not come to that. Then it is [`as_fd`](Self::as_fd) that tells when to
    /// look again, which may be another descriptor by now, and a second later in any case. One that cannot look waits.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        self.wait().map(Some)
    }
}
