//! What a program or library says it needs (elf(5)): its interpreter, its libraries, and where to look for them.
//!
//! The files come from images: every offset and size in them may lie. Nothing is read but by offset into buffers of our own
//! size, every sum is checked, and every list has an end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt as _;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;

const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_STRSZ: u64 = 10;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;

/// As much as the kernel accepts for the program headers.
const MAX_HEADERS: usize = 64 << 10;
const MAX_DYNAMIC: u64 = 1 << 20;
const MAX_NEEDED: usize = 1024;
const MAX_STRING: u64 = 4096;

/// What the dynamic linker needs to know of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Elf {
    pub(super) kind: Kind,
    /// `PT_INTERP`
    pub(super) interpreter: Option<OsString>,
    /// `DT_NEEDED`
    pub(super) needed: Vec<OsString>,
    /// `DT_RPATH`
    pub(super) rpath: Option<OsString>,
    /// `DT_RUNPATH`
    pub(super) runpath: Option<OsString>,
}

/// What must be the same of a program and its libraries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// 64 bits.
    pub(super) wide: bool,
    pub(super) big_endian: bool,
    /// `EM_…`
    pub(super) machine: u16,
}

/// Why a file is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("it is no ELF file")]
    NotElf,
    #[error("{0} lies outside of the file")]
    Outside(&'static str),
    #[error("{0} is not as elf(5) says")]
    Malformed(&'static str),
    #[error("{0} is larger than any honest one")]
    TooLarge(&'static str),
    #[error("it cannot be read")]
    Io(#[source] io::Error),
}

/// Bytes by offset.
pub(super) trait Source {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

impl Source for [u8] {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

/// A program header.
#[derive(Clone, Copy)]
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

pub(super) fn read(source: &(impl Source + ?Sized)) -> Result<Elf, Problem> {
    let mut header = [0; 64];
    let length = fill(source, 0, &mut header)?;
    // The header of 32 bits is 52 bytes long; what is missing of the longer one is noticed below.
    if length < 52 || header[..4] != *b"\x7fELF" {
        return Err(Problem::NotElf);
    }
    let (wide, big_endian) = match (header[4], header[5]) {
        (class @ (1 | 2), data @ (1 | 2)) => (class == 2, data == 2),
        _ => return Err(Problem::Malformed("its header")),
    };
    let header = Fields { bytes: &header[..length], wide, big_endian };
    // ET_EXEC, ET_DYN
    if !matches!(header.u16(16)?, 2 | 3) {
        return Err(Problem::Malformed("its type (neither a program nor a shared library)"));
    }
    let kind = Kind { wide, big_endian, machine: header.u16(18)? };
    let segments = segments(source, &header)?;
    let mut elf = Elf { kind, interpreter: None, needed: Vec::new(), rpath: None, runpath: None };
    if let Some(segment) = segments.iter().find(|segment| segment.kind == PT_INTERP) {
        elf.interpreter = Some(string(source, segment.offset, segment.size, "its interpreter's name")?);
    }
    if let Some(segment) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) {
        dynamic(source, &header, &segments, segment, &mut elf)?;
    }
    Ok(elf)
}

fn segments(source: &(impl Source + ?Sized), header: &Fields<'_>) -> Result<Vec<Segment>, Problem> {
    const WHAT: &str = "its table of program headers";
    let (offset, entry_at, entry) =
        if header.wide { (header.u64(32)?, 54, 56) } else { (header.u32(28)?.into(), 42, 32) };
    let count = usize::from(header.u16(entry_at + 2)?);
    if count == 0 {
        return Ok(Vec::new());
    }
    if usize::from(header.u16(entry_at)?) != entry {
        return Err(Problem::Malformed(WHAT));
    }
    if count * entry > MAX_HEADERS {
        return Err(Problem::TooLarge(WHAT));
    }
    let mut table = vec![0; count * entry];
    if fill(source, offset, &mut table)? != table.len() {
        return Err(Problem::Outside(WHAT));
    }
    table
        .chunks_exact(entry)
        .map(|bytes| {
            let fields = Fields { bytes, ..*header };
            Ok(if header.wide {
                Segment {
                    kind: fields.u32(0)?,
                    offset: fields.u64(8)?,
                    address: fields.u64(16)?,
                    size: fields.u64(32)?,
                }
            } else {
                Segment {
                    kind: fields.u32(0)?,
                    offset: fields.u32(4)?.into(),
                    address: fields.u32(8)?.into(),
                    size: fields.u32(16)?.into(),
                }
            })
        })
        .collect()
}

fn dynamic(
    source: &(impl Source + ?Sized),
    header: &Fields<'_>,
    segments: &[Segment],
    segment: &Segment,
    elf: &mut Elf,
) -> Result<(), Problem> {
    const WHAT: &str = "its dynamic section";
    if segment.size > MAX_DYNAMIC {
        return Err(Problem::TooLarge(WHAT));
    }
    let mut table = vec![0; segment.size as usize];
    if fill(source, segment.offset, &mut table)? != table.len() {
        return Err(Problem::Outside(WHAT));
    }
    let (mut strings, mut size) = (None, 0);
    let (mut needed, mut rpath, mut runpath) = (Vec::new(), None, None);
    for bytes in table.chunks_exact(if header.wide { 16 } else { 8 }) {
        let fields = Fields { bytes, ..*header };
        let (tag, value) = if header.wide {
            (fields.u64(0)?, fields.u64(8)?)
        } else {
            (fields.u32(0)?.into(), fields.u32(4)?.into())
        };
        match tag {
            DT_NULL => break,
            DT_NEEDED if needed.len() == MAX_NEEDED => {
                return Err(Problem::TooLarge("its list of libraries"));
            }
            DT_NEEDED => needed.push(value),
            DT_STRTAB => strings = Some(value),
            DT_STRSZ => size = value,
            DT_RPATH => rpath = Some(value),
            DT_RUNPATH => runpath = Some(value),
            _ => {}
        }
    }
    if needed.is_empty() && rpath.is_none() && runpath.is_none() {
        return Ok(());
    }
    let strings = strings
        .and_then(|address| offset_of(segments, address))
        .ok_or(Problem::Outside("its table of strings"))?;
    let text = |at: u64| {
        const WHAT: &str = "a name in its dynamic section";
        let left = size.checked_sub(at).ok_or(Problem::Outside(WHAT))?;
        let offset = strings.checked_add(at).ok_or(Problem::Outside(WHAT))?;
        string(source, offset, left, WHAT)
    };
    elf.needed = needed.into_iter().map(text).collect::<Result<_, _>>()?;
    elf.rpath = rpath.map(text).transpose()?;
    elf.runpath = runpath.map(text).transpose()?;
    Ok(())
}

/// Where in the file lies what is loaded at an address.
fn offset_of(segments: &[Segment], address: u64) -> Option<u64> {
    segments.iter().filter(|segment| segment.kind == PT_LOAD).find_map(|segment| {
        let into = address.checked_sub(segment.address)?;
        if into < segment.size { segment.offset.checked_add(into) } else { None }
    })
}

/// A string that ends with a zero byte, within `size` bytes.
fn string(
    source: &(impl Source + ?Sized),
    offset: u64,
    size: u64,
    what: &'static str,
) -> Result<OsString, Problem> {
    let mut bytes = vec![0; size.min(MAX_STRING) as usize];
    let length = fill(source, offset, &mut bytes)?;
    bytes.truncate(length);
    match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => {
            bytes.truncate(end);
            Ok(OsString::from_vec(bytes))
        }
        None if length as u64 == MAX_STRING => Err(Problem::TooLarge(what)),
        None => Err(Problem::Outside(what)),
    }
}

/// Reads as much as there is.
fn fill(source: &(impl Source + ?Sized), offset: u64, buffer: &mut [u8]) -> Result<usize, Problem> {
    let mut done = 0;
    while done < buffer.len() {
        // Beyond what a file can be long, there is nothing.
        let Some(at) = offset.checked_add(done as u64).filter(|at| i64::try_from(*at).is_ok()) else { break };
        match source.read_at(at, &mut buffer[done..]) {
            Ok(0) => break,
            Ok(length) => done += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Problem::Io(error)),
        }
    }
    Ok(done)
}

/// Numbers of a file, in its byte order.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    wide: bool,
    big_endian: bool,
}

impl Fields<'_> {
    fn get<const SIZE: usize>(&self, at: usize) -> Result<[u8; SIZE], Problem> {
        let bytes = self.bytes.get(at..).and_then(|bytes| bytes.first_chunk::<SIZE>());
        bytes.copied().ok_or(Problem::Outside("its header"))
    }

    fn u16(&self, at: usize) -> Result<u16, Problem> {
        let bytes = self.get(at)?;
        Ok(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32(&self, at: usize) -> Result<u32, Problem> {
        let bytes = self.get(at)?;
        Ok(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u64(&self, at: usize) -> Result<u64, Problem> {
        let bytes = self.get(at)?;
        Ok(if self.big_endian { u64::from_be_bytes(bytes) } else { u64::from_le_bytes(bytes) })
    }
}

#[cfg(test)]
mod tests;
