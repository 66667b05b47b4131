//! The headers of an entry, as they are written.

use super::header::{GID, Header, LINK, MAJOR, MINOR, MODE, MTIME, NAME, SIZE, UID, kind, padding};
use super::pax;
use crate::copy::Owner;

/// What the headers say.
pub(super) struct Meta<'a> {
    pub(super) kind: u8,
    pub(super) path: &'a [u8],
    /// Of links.
    pub(super) link: &'a [u8],
    pub(super) mode: u32,
    pub(super) owner: Owner,
    pub(super) mtime: (i64, u32),
    /// Bytes in the archive.
    pub(super) size: u64,
    /// Of a file with holes: its size with them.
    pub(super) with_holes: Option<u64>,
    /// The major and minor number of a device.
    pub(super) device: (u32, u32),
    pub(super) xattrs: &'a [(Vec<u8>, Vec<u8>)],
}

/// Appends the headers of an entry. An extended one is written only where the plain one does not do.
pub(super) fn encode(meta: &Meta<'_>, out: &mut Vec<u8>) {
    let mut records = Vec::new();
    let mut header = Header::new(meta.kind);
    if let Some(size) = meta.with_holes {
        pax::put(&mut records, b"GNU.sparse.major", b"1");
        pax::put(&mut records, b"GNU.sparse.minor", b"0");
        pax::put(&mut records, b"GNU.sparse.name", meta.path);
        pax::put(&mut records, b"GNU.sparse.realsize", size.to_string().as_bytes());
        // A program that does not know of holes gets a file that says what it is.
        header.put(NAME, &[b"GNUSparseFile.0/", last(meta.path)].concat());
    } else if !header.put(NAME, meta.path) || !meta.path.is_ascii() {
        pax::put(&mut records, b"path", meta.path);
    }
    if !header.put(LINK, meta.link) || !meta.link.is_ascii() {
        pax::put(&mut records, b"linkpath", meta.link);
    }
    header.put_number(MODE, u64::from(meta.mode & 0o7777));
    let mut number = |field, key: &[u8], value: u64| {
        if !header.put_number(field, value) {
            pax::put(&mut records, key, value.to_string().as_bytes());
        }
    };
    number(UID, b"uid", u64::from(meta.owner.uid));
    number(GID, b"gid", u64::from(meta.owner.gid));
    number(SIZE, b"size", meta.size);
    let (seconds, nanoseconds) = meta.mtime;
    let whole = u64::try_from(seconds).is_ok_and(|seconds| header.put_number(MTIME, seconds));
    if !whole || nanoseconds != 0 {
        if !whole {
            header.put_number(MTIME, 0);
        }
        pax::put(&mut records, b"mtime", pax::time(seconds, nanoseconds).as_bytes());
    }
    header.put_number(MAJOR, u64::from(meta.device.0));
    header.put_number(MINOR, u64::from(meta.device.1));
    for (name, value) in meta.xattrs {
        pax::put(&mut records, &[b"SCHILY.xattr.", &pax::keyword(name)[..]].concat(), value);
    }
    if !records.is_empty() {
        extended(&records, meta.path, out);
    }
    header.seal();
    out.extend_from_slice(&header.0);
}

fn extended(records: &[u8], path: &[u8], out: &mut Vec<u8>) {
    let mut header = Header::new(kind::PAX);
    header.put(NAME, &[b"PaxHeaders/", last(path)].concat());
    header.put_number(MODE, 0o644);
    for field in [UID, GID, MTIME, MAJOR, MINOR] {
        header.put_number(field, 0);
    }
    header.put_number(SIZE, records.len() as u64);
    header.seal();
    out.extend_from_slice(&header.0);
    out.extend_from_slice(records);
    out.resize(out.len() + padding(records.len() as u64), 0);
}

fn last(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'/').rfind(|name| !name.is_empty()).unwrap_or(b".")
}
