//! What a container wrote.

use crate::Result;
use serde::{Deserialize, Serialize};
use std::os::fd::BorrowedFd;
use std::time::SystemTime;

/// Which part of the log is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsRequest {
    /// Only so many of the last lines.
    pub tail: Option<usize>,
    /// Only what was written at or after this moment.
    pub since: Option<SystemTime>,
    /// Only what was written before this moment.
    pub until: Option<SystemTime>,
    /// Goes on with what is written from now on, until the container ends.
    pub follow: bool,
}

/// Which stream a piece of the log came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSource {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A piece of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When it was written.
    pub time: SystemTime,
    /// Its stream.
    pub source: LogSource,
    /// The bytes, with the line feed that ended them. A piece without one is continued by the next of the same stream.
    pub data: Vec<u8>,
}

/// A log that is being read.
pub trait Logs: Send {
    /// Readable when [`next`](Logs::next) may have something new, for poll(2) only; `None` when nothing has to be
    /// waited for.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// The next piece, waiting for it when the log is followed; `None` at the end.
    fn next(&mut self) -> Result<Option<LogEntry>>;

    /// How many bytes the command wrote in its last run that are in no log, because there was no room for them, as far as that was
    /// known when the reading began.
    fn unlogged(&self) -> u64 {
        0
    }

    /// How many bytes of the log, with what stands before each line, were put away and dropped before they could be read; at least
    /// one where that is not known. More may be missing after each piece.
    fn missed(&self) -> u64 {
        0
    }
}
