//! Archives, byte by byte.

use super::super::header::{Header, LINK, MODE, MTIME, NAME, SIZE, kind, padding};
use super::super::pax;

/// A header as nobody honest need write it.
pub(super) struct Entry<'a> {
    pub(super) kind: u8,
    pub(super) name: &'a [u8],
    pub(super) link: &'a [u8],
    pub(super) data: &'a [u8],
    pub(super) mode: u64,
    /// Another size than that of the data.
    pub(super) size: Option<u64>,
}

pub(super) fn entry(kind: u8, name: &str) -> Entry<'_> {
    Entry { kind, name: name.as_bytes(), link: b"", data: b"", mode: 0o755, size: None }
}

pub(super) fn file<'a>(name: &'a str, data: &'a str) -> Entry<'a> {
    Entry { data: data.as_bytes(), mode: 0o644, ..entry(kind::FILE, name) }
}

pub(super) fn link<'a>(kind: u8, name: &'a str, target: &'a str) -> Entry<'a> {
    Entry { link: target.as_bytes(), ..entry(kind, name) }
}

pub(super) fn symlink<'a>(name: &'a str, target: &'a str) -> Entry<'a> {
    link(kind::SYMLINK, name, target)
}

pub(super) fn hard_link<'a>(name: &'a str, target: &'a str) -> Entry<'a> {
    link(kind::HARD_LINK, name, target)
}

pub(super) fn folder(name: &str) -> Entry<'_> {
    entry(kind::FOLDER, name)
}

impl Entry<'_> {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut header = Header::new(self.kind);
        header.put(NAME, self.name);
        header.put(LINK, self.link);
        header.put_number(MODE, self.mode);
        header.put_number(MTIME, 1_000_000_000);
        header.put_number(SIZE, self.size.unwrap_or(self.data.len() as u64));
        header.seal();
        let mut bytes = header.0.to_vec();
        bytes.extend_from_slice(self.data);
        bytes.resize(bytes.len() + padding(self.data.len() as u64), 0);
        bytes
    }
}

/// An extended header of these records.
pub(super) fn extended(kind: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut data = Vec::new();
    for (key, value) in records {
        pax::put(&mut data, key.as_bytes(), value);
    }
    Entry { data: &data, ..entry(kind, "PaxHeaders/x") }.bytes()
}

/// Puts parts together, and marks the end.
pub(super) fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat()[..], &[0; 1024]].concat()
}

pub(super) fn entries(parts: &[Entry<'_>]) -> Vec<u8> {
    archive(&parts.iter().map(Entry::bytes).collect::<Vec<_>>())
}
