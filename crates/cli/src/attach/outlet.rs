//! One of the client's output streams, written without ever blocking the session.

use rustix::event::PollFlags;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// A pipe that poll(2) calls writable takes this much without blocking (PIPE_BUF, pipe(7)).
const SAFE: usize = 4096;

/// A stream with what is still to be written to it.
pub(super) struct Outlet<'a> {
    stream: BorrowedFd<'a>,
    /// The most that one write may carry.
    piece: usize,
    pending: Vec<u8>,
    written: usize,
    closed: bool,
    failure: Option<Errno>,
}

impl<'a> Outlet<'a> {
    pub(super) fn new(stream: BorrowedFd<'a>) -> Self {
        let is_file = rustix::fs::fstat(stream)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        let piece = if is_file { usize::MAX } else { SAFE };
        Self { stream, piece, pending: Vec::new(), written: 0, closed: false, failure: None }
    }

    /// The stream when it has to be polled, and for what.
    pub(super) fn wants(&self) -> Option<(BorrowedFd<'a>, PollFlags)> {
        (!self.is_idle()).then_some((self.stream, PollFlags::OUT))
    }

    /// Everything has been written.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes bytes to write. Once the reader is gone they are let go: the command runs on, and its exit code counts.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.pending.extend_from_slice(bytes);
        }
    }

    /// Writes a piece; to be called when the stream is ready.
    pub(super) fn write(&mut self) {
        let rest = &self.pending[self.written..];
        match rustix::io::write(self.stream, &rest[..rest.len().min(self.piece)]) {
            Ok(written) => self.written += written,
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => {
                self.closed = true;
                self.failure = (errno != Errno::PIPE).then_some(errno);
            }
        }
        if self.closed || self.written == self.pending.len() {
            self.pending.clear();
            self.written = 0;
        }
    }

    /// Why output was lost, when it was not for want of a reader.
    pub(super) fn failure(&self) -> Option<Errno> {
        self.failure
    }
}
