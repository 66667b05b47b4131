//! Reading an archive, entry by entry. It believes nothing: each length is bounded before anything is allocated for it.

use super::header::{BLOCK, Header, kind, padding, until_zero};
use super::options::Limits;
use super::pax;
use super::problem::Problem;
use super::records::{Entry, Extended};
use super::sparse::{Form, Map};
use std::io::{ErrorKind, Read};

pub(super) struct Reader<'a> {
    source: Box<dyn Read + 'a>,
    /// Bytes that were read.
    pub(super) offset: u64,
    limits: Limits,
    entries: u64,
    /// What is left of the entry's contents.
    left: u64,
    /// What fills its last block.
    padding: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: Box<dyn Read + 'a>, limits: Limits) -> Self {
        Self { source, offset: 0, limits, entries: 0, left: 0, padding: 0 }
    }

    /// The next entry; none at the archive's marked end, after which there is nothing.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Problem> {
        self.skip()?;
        let mut extended = Extended::default();
        loop {
            let header = Header(self.block()?.ok_or(Problem::Truncated)?);
            if header.is_end() {
                if !extended.is_empty() {
                    return Err(Problem::Ambiguous("a header that belongs to no entry"));
                }
                return self.end().map(|()| None);
            }
            header.check()?;
            match header.kind() {
                kind::PAX => Self::once(&mut extended.records, self.extension(&header)?)?,
                kind::GNU_NAME => {
                    let name = self.extension(&header)?;
                    Self::once(&mut extended.name, until_zero(&name).to_vec())?;
                }
                kind::GNU_LINK => {
                    let link = self.extension(&header)?;
                    Self::once(&mut extended.link, until_zero(&link).to_vec())?;
                }
                kind::PAX_GLOBAL => {
                    let records = self.extension(&header)?;
                    // `git archive` tells the commit that way.
                    let records = pax::parse(&records)?;
                    if let Some((key, _)) = records.iter().find(|(key, _)| *key != b"comment") {
                        return Err(Problem::Global(String::from_utf8_lossy(key).into_owned()));
                    }
                }
                kind::GNU_LABEL => drop(self.extension(&header)?),
                _ => return self.entry(&header, extended).map(Some),
            }
        }
    }

    /// What is left of the entry's contents, into a buffer; 0 at their end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Problem> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = self.fill(&mut buffer[..most], false)?;
        self.left -= read as u64;
        Ok(read)
    }

    fn once(place: &mut Option<Vec<u8>>, value: Vec<u8>) -> Result<(), Problem> {
        if place.replace(value).is_some() {
            return Err(Problem::Ambiguous("two headers of one kind"));
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header, extended: Extended) -> Result<Entry, Problem> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Problem::Limit { what: "entries", most: self.limits.entries });
        }
        let (mut entry, form) = extended.apply(header)?;
        self.left = entry.size;
        self.padding = padding(entry.size);
        if header.kind() == kind::GNU_SPARSE {
            // These blocks are a part of the header: they are not counted in its size.
            let map = Map::old(header, || self.block()?.ok_or(Problem::Truncated))?;
            map.check(entry.size)?;
            entry.map = Some(map);
            return Ok(entry);
        }
        entry.map = match form {
            Form::Plain => None,
            Form::Known(map) => {
                map.check(entry.size)?;
                Some(map)
            }
            Form::Leading(size) => {
                let mut left = self.left;
                let (map, taken) = Map::leading(size, || {
                    left = left.checked_sub(BLOCK as u64).ok_or(Problem::Sparse)?;
                    self.block()?.ok_or(Problem::Truncated)
                })?;
                self.left -= taken;
                map.check(self.left)?;
                Some(map)
            }
        };
        Ok(entry)
    }

    /// The contents of a header that says something of another.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>, Problem> {
        let size = header.number(super::header::SIZE, "size")?;
        let size = u64::try_from(size).ok().filter(|size| *size <= pax::MOST);
        let size = size.ok_or(Problem::Extension { most: pax::MOST })?;
        (self.left, self.padding) = (size, padding(size));
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
        let mut done = 0;
        while done < bytes.len() {
            done += self.read(&mut bytes[done..])?;
        }
        self.skip()?;
        Ok(bytes)
    }

    /// Reads over the rest of the entry.
    fn skip(&mut self) -> Result<(), Problem> {
        let mut buffer = [0; 16 << 10];
        while self.left > 0 {
            self.read(&mut buffer)?;
        }
        let padding = std::mem::take(&mut self.padding);
        self.fill(&mut buffer[..padding], true).map(drop)
    }

    /// After the first empty block: there may be more of them, and nothing else. Reading to the end is what finds out that
    /// a compressed archive is whole.
    fn end(&mut self) -> Result<(), Problem> {
        while let Some(block) = self.block()? {
            if block.iter().any(|byte| *byte != 0) {
                return Err(Problem::Trailing);
            }
        }
        Ok(())
    }

    /// One block; none at the end of all.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, Problem> {
        let mut block = [0; BLOCK];
        let mut done = 0;
        while done < BLOCK {
            match self.source.read(&mut block[done..]) {
                Ok(0) if done == 0 => return Ok(None),
                Ok(0) => return Err(Problem::Truncated),
                Ok(read) => {
                    done += read;
                    self.count(read)?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(Some(block))
    }

    /// Reads something, or (`all`) as much as there is room for.
    fn fill(&mut self, buffer: &mut [u8], all: bool) -> Result<usize, Problem> {
        let mut done = 0;
        while done < buffer.len() {
            match self.source.read(&mut buffer[done..]) {
                Ok(0) => return Err(Problem::Truncated),
                Ok(read) => {
                    done += read;
                    self.count(read)?;
                    if !all {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(done)
    }

    fn count(&mut self, read: usize) -> Result<(), Problem> {
        self.offset += read as u64;
        if self.offset > self.limits.bytes {
            return Err(Problem::Limit { what: "bytes", most: self.limits.bytes });
        }
        Ok(())
    }
}

/// Decompressors have a word of their own for it.
fn failed(error: std::io::Error) -> Problem {
    if error.kind() == ErrorKind::UnexpectedEof { Problem::Truncated } else { Problem::Read(error) }
}
