//! The contents of a file, by the cheapest way that the two file systems have.

use super::Fault;
use rustix::fs::{SeekFrom, Stat, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use std::os::fd::OwnedFd;

/// So much is read at once, and below it a read and a write are cheaper than asking for something better.
const BUFFER: usize = 128 << 10;

/// So much is left to the kernel at once, so that a signal is heard.
const RANGE: u64 = 1 << 30;

/// Copies contents; what the file systems cannot do is asked for once.
pub(super) struct Contents {
    clones: bool,
    ranges: bool,
    buffer: Vec<u8>,
}

impl Contents {
    pub(super) fn new() -> Self {
        Self { clones: true, ranges: true, buffer: Vec::new() }
    }

    /// Copies what `from` had when `stat` was taken into the empty file `to`. Holes stay holes.
    pub(super) fn copy(&mut self, from: &OwnedFd, stat: &Stat, to: &OwnedFd) -> Result<(), Fault> {
        let size = stat.st_size.try_into().unwrap_or(0);
        if size == 0 || self.clone(from, to) {
            return Ok(());
        }
        let blocks: u64 = stat.st_blocks.try_into().unwrap_or(0);
        if blocks.saturating_mul(512) >= size {
            return self.range(from, to, 0, size).map(drop);
        }
        let mut at = 0;
        while at < size {
            let start = match seek(from, SeekFrom::Data(at)) {
                Ok(start) if start < size => start,
                // Nothing but a hole is left.
                Ok(_) | Err(Errno::NXIO) => break,
                // It does not know its holes: then there are none.
                Err(Errno::INVAL | Errno::NOTSUP) => at,
                Err(errno) => return Err(Fault::of("read")(errno)),
            };
            let end = match seek(from, SeekFrom::Hole(start)) {
                Ok(end) => end.min(size),
                Err(Errno::INVAL | Errno::NOTSUP | Errno::NXIO) => size,
                Err(errno) => return Err(Fault::of("read")(errno)),
            };
            if !self.range(from, to, start, end)? {
                // It was cut off meanwhile: nothing is made up for what it had.
                return Ok(());
            }
            at = end;
        }
        if at < size {
            ftruncate(to, size).map_err(Fault::of("write"))?;
        }
        Ok(())
    }

    /// Whether the two share their contents now.
    fn clone(&mut self, from: &OwnedFd, to: &OwnedFd) -> bool {
        if !self.clones {
            return false;
        }
        match ioctl_ficlone(to, from) {
            Ok(()) => return true,
            Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS) => self.clones = false,
            // Of this file alone: whatever is wrong, copying shows it.
            Err(_) => {}
        }
        false
    }

    /// Copies a part; `false` where the source ends before.
    fn range(&mut self, from: &OwnedFd, to: &OwnedFd, mut at: u64, end: u64) -> Result<bool, Fault> {
        while self.ranges && end - at > BUFFER as u64 {
            let (mut read, mut written) = (at, at);
            let length = (end - at).min(RANGE).try_into().unwrap_or(usize::MAX);
            match retry_on_intr(|| copy_file_range(from, Some(&mut read), to, Some(&mut written), length)) {
                // Some file systems say so where they cannot.
                Ok(0) => break,
                Ok(copied) => at += copied as u64,
                Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                    self.ranges = false;
                }
                Err(errno) => return Err(Fault::of("write")(errno)),
            }
        }
        self.buffer.resize(BUFFER, 0);
        while at < end {
            let most = (end - at).min(BUFFER as u64) as usize;
            let read =
                retry_on_intr(|| pread(from, &mut self.buffer[..most], at)).map_err(Fault::of("read"))?;
            if read == 0 {
                return Ok(false);
            }
            let mut done = 0;
            while done < read {
                let part = &self.buffer[done..read];
                done += retry_on_intr(|| pwrite(to, part, at + done as u64)).map_err(Fault::of("write"))?;
            }
            at += read as u64;
        }
        Ok(true)
    }
}
