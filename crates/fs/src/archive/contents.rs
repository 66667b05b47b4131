//! What is written, in pieces that are worth a system call.

use super::header::padding;
use super::problem::Problem;
use super::stream::Sink;
use rustix::io::{pread, retry_on_intr};
use std::io::Write;
use std::os::fd::OwnedFd;

const BUFFER: usize = 256 << 10;

/// The archive's end, as it is written.
pub(super) struct Output<W: Write> {
    sink: Sink<W>,
    pub(super) buffer: Vec<u8>,
    /// Bytes that left the buffer.
    flushed: u64,
}

impl<W: Write> Output<W> {
    pub(super) fn new(sink: Sink<W>) -> Self {
        Self { sink, buffer: Vec::with_capacity(BUFFER * 2), flushed: 0 }
    }

    /// Bytes of the archive so far.
    pub(super) fn offset(&self) -> u64 {
        self.flushed + self.buffer.len() as u64
    }

    /// Writes the buffer where it is full.
    pub(super) fn settle(&mut self) -> Result<(), Problem> {
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Problem> {
        self.sink.write(&self.buffer).map_err(Problem::Write)?;
        self.flushed += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Writes a part of a file; what it does not have any more as zeros. `false` where that happened.
    pub(super) fn part(&mut self, file: &OwnedFd, mut at: u64, size: u64) -> Result<bool, Problem> {
        let end = at + size;
        let mut whole = true;
        while at < end {
            let start = self.buffer.len();
            let most = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
            self.buffer.resize(start + most, 0);
            let mut read = most;
            if whole {
                let room = &mut self.buffer[start..];
                read = retry_on_intr(|| pread(file, &mut *room, at)).map_err(Problem::file("read"))?;
                if read == 0 {
                    (whole, read) = (false, most);
                }
            }
            self.buffer.truncate(start + read);
            at += read as u64;
            self.settle()?;
        }
        Ok(whole)
    }

    /// Fills the last block of an entry.
    pub(super) fn pad(&mut self, size: u64) -> Result<(), Problem> {
        self.buffer.resize(self.buffer.len() + padding(size), 0);
        self.settle()
    }

    /// Marks the end.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        self.buffer.resize(self.buffer.len() + 2 * super::header::BLOCK, 0);
        self.flush()?;
        self.sink.finish().map_err(Problem::Write)
    }
}
