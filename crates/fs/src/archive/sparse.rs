//! Files with holes, as GNU tar writes them: in a header of its own (the oldest form), and in extended headers of the
//! versions 0.0, 0.1 and 1.0. All of them are read; 1.0 is written.

use super::header::{BLOCK, Header, number, padding};
use super::pax::decimal;
use super::problem::Problem;
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// So many parts would take a map of 64 MiB.
const MOST_PARTS: usize = 1 << 22;

/// A part of a file that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// Where a file has contents, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Map {
    pub(super) parts: Vec<Part>,
    /// The size of the file, with its holes.
    pub(super) size: u64,
}

impl Map {
    /// What a file has. The size is that of a moment ago: whatever it has got since is left out.
    pub(super) fn of(file: BorrowedFd<'_>, size: u64) -> Result<Self, Errno> {
        let mut parts = Vec::new();
        let mut at = 0;
        while at < size {
            let start = match seek(file, SeekFrom::Data(at)) {
                Ok(start) if start < size => start,
                Ok(_) | Err(Errno::NXIO) => break,
                Err(Errno::INVAL | Errno::NOTSUP) => at,
                Err(errno) => return Err(errno),
            };
            let end = match seek(file, SeekFrom::Hole(start)) {
                Ok(end) => end.min(size),
                Err(Errno::INVAL | Errno::NOTSUP | Errno::NXIO) => size,
                Err(errno) => return Err(errno),
            };
            parts.push(Part { offset: start, size: end - start });
            at = end;
        }
        if at < size || parts.is_empty() {
            // Readers take the file's size from where its last part ends.
            parts.push(Part { offset: size, size: 0 });
        }
        Ok(Self { parts, size })
    }

    /// The bytes that are there.
    pub(super) fn stored(&self) -> u64 {
        self.parts.iter().map(|part| part.size).sum()
    }

    /// The map as version 1.0 puts it in front of the contents, in whole blocks.
    pub(super) fn encoded(&self) -> Vec<u8> {
        let mut text = format!("{}\n", self.parts.len()).into_bytes();
        for part in &self.parts {
            text.extend_from_slice(format!("{}\n{}\n", part.offset, part.size).as_bytes());
        }
        text.resize(text.len() + padding(text.len() as u64), 0);
        text
    }

    /// Whether the parts follow each other inside the file, and come to what the archive has of it.
    pub(super) fn check(&self, stored: u64) -> Result<(), Problem> {
        let (mut end, mut sum) = (0, 0_u64);
        for part in &self.parts {
            if part.offset < end {
                return Err(Problem::Sparse);
            }
            end = part.offset.checked_add(part.size).ok_or(Problem::Sparse)?;
            sum = sum.checked_add(part.size).ok_or(Problem::Sparse)?;
        }
        if end > self.size || sum != stored || i64::try_from(self.size).is_err() {
            return Err(Problem::Sparse);
        }
        Ok(())
    }

    fn push(&mut self, offset: u64, size: u64) -> Result<(), Problem> {
        if self.parts.len() >= MOST_PARTS {
            return Err(Problem::Sparse);
        }
        self.parts.push(Part { offset, size });
        Ok(())
    }

    /// Takes the parts out of a GNU header (four of them), or of a block that follows it (21); says whether one follows.
    fn push_old(&mut self, entries: &[u8], more: u8) -> Result<bool, Problem> {
        for entry in entries.chunks_exact(24) {
            if entry[0] == 0 {
                break;
            }
            let value = |field| number(field).and_then(|value| value.try_into().ok()).ok_or(Problem::Sparse);
            self.push(value(&entry[..12])?, value(&entry[12..])?)?;
        }
        Ok(more != 0)
    }

    /// The oldest form. `next` gives the following blocks.
    pub(super) fn old(
        header: &Header,
        mut next: impl FnMut() -> Result<[u8; BLOCK], Problem>,
    ) -> Result<Self, Problem> {
        let size = header.number(483..495, "size with holes")?;
        let mut map = Self { parts: Vec::new(), size: size.try_into().map_err(|_| Problem::Sparse)? };
        let mut more = map.push_old(&header.0[386..482], header.0[482])?;
        while more {
            let block = next()?;
            more = map.push_old(&block[..504], block[504])?;
        }
        Ok(map)
    }

    /// The map in front of the contents (version 1.0). Gives the bytes that it took, too.
    pub(super) fn leading(
        size: u64,
        mut next: impl FnMut() -> Result<[u8; BLOCK], Problem>,
    ) -> Result<(Self, u64), Problem> {
        let mut map = Self { parts: Vec::new(), size };
        let (mut block, mut at, mut taken) = ([0; BLOCK], BLOCK, 0);
        let mut line = || {
            let mut value = 0_u64;
            for digits in 0..20 {
                if at == BLOCK {
                    (block, at) = (next()?, 0);
                    taken += BLOCK as u64;
                }
                let byte = block[at];
                at += 1;
                value = match byte {
                    b'\n' if digits > 0 => return Ok(value),
                    b'0'..=b'9' => {
                        value.checked_mul(10).and_then(|value| value.checked_add(u64::from(byte - b'0')))
                    }
                    _ => None,
                }
                .ok_or(Problem::Sparse)?;
            }
            Err(Problem::Sparse)
        };
        for _ in 0..line()? {
            let (offset, size) = (line()?, line()?);
            map.push(offset, size)?;
        }
        Ok((map, taken))
    }
}

/// What extended headers say of holes.
#[derive(Default)]
pub(super) struct Records {
    /// `GNU.sparse.major` and `.minor`.
    version: (Option<u64>, Option<u64>),
    size: Option<u64>,
    pub(super) name: Option<Vec<u8>>,
    map: Map,
    /// Where the next part begins (version 0.0 has two records for one).
    offset: Option<u64>,
    any: bool,
}

/// What is to be done with an entry's contents.
pub(super) enum Form {
    Plain,
    /// The map is known.
    Known(Map),
    /// The map comes before the contents, of a file of this size.
    Leading(u64),
}

impl Records {
    /// Takes a record whose key begins with `GNU.sparse.`, given without that.
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), Problem> {
        self.any = true;
        let number = || decimal(value).ok_or(Problem::Sparse);
        match key {
            b"major" => self.version.0 = Some(number()?),
            b"minor" => self.version.1 = Some(number()?),
            b"size" | b"realsize" => self.size = Some(number()?),
            b"name" => self.name = Some(value.to_vec()),
            b"numblocks" => {}
            b"offset" if self.offset.is_none() => self.offset = Some(number()?),
            b"numbytes" => {
                let offset = self.offset.take().ok_or(Problem::Sparse)?;
                self.map.push(offset, number()?)?;
            }
            b"map" => {
                self.map.parts.clear();
                let mut numbers = value.split(|byte| *byte == b',').filter(|text| !text.is_empty());
                while let Some(offset) = numbers.next() {
                    let size = numbers.next().and_then(decimal);
                    let (offset, size) = decimal(offset).zip(size).ok_or(Problem::Sparse)?;
                    self.map.push(offset, size)?;
                }
            }
            _ => return Err(Problem::Sparse),
        }
        Ok(())
    }

    pub(super) fn form(&mut self) -> Result<Form, Problem> {
        if !self.any {
            return Ok(Form::Plain);
        }
        let size = self.size.ok_or(Problem::Sparse)?;
        match self.version {
            (None, None) | (Some(0), Some(0 | 1)) if self.offset.is_none() => {
                self.map.size = size;
                Ok(Form::Known(std::mem::take(&mut self.map)))
            }
            (Some(1), Some(0)) if self.map.parts.is_empty() => Ok(Form::Leading(size)),
            _ => Err(Problem::Sparse),
        }
    }
}
