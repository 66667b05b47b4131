//! What goes on for as long as a command runs: its streams and its exit.

mod collect;

pub use collect::Collected;

use crate::{ExitStatus, Result, WindowSize};
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
}

/// A message from the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Bytes of its standard output; with a terminal, all that it writes.
    Stdout(&'a [u8]),
    /// Bytes of its standard error.
    Stderr(&'a [u8]),
    /// It has ended, and everything that it wrote has been received. The last message.
    Exited(ExitStatus),
}

/// A conversation with a running command.
///
/// Dropping it detaches: the command goes on. An `exec` with a session ends when its session does.
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

/// Waits for a container's exit.
pub trait Waiter: Send {
    /// Readable when the container has ended; for poll(2) only. `None` when it had ended already.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// How it ended, waiting for that.
    fn wait(&mut self) -> Result<ExitStatus>;
}
