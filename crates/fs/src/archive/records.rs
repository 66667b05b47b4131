//! An entry, out of its header and of those that went before it.

use super::header::{GID, Header, LINK, MAJOR, MINOR, MODE, MTIME, SIZE, UID, kind};
use super::pax::{attribute, decimal, parse, parse_time};
use super::problem::Problem;
use super::sparse::{Form, Map, Records};
use crate::copy::Owner;
use std::collections::BTreeMap;

/// What an entry is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    File,
    Folder,
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
    Fifo,
    Device { block: bool, major: u32, minor: u32 },
}

/// One entry, without its contents.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: Vec<u8>,
    pub(super) what: What,
    pub(super) mode: u32,
    pub(super) owner: Owner,
    /// Seconds and nanoseconds.
    pub(super) mtime: (i64, u32),
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys of what was not understood and should have been.
    pub(super) unread: Vec<String>,
    /// Bytes in the archive.
    pub(super) size: u64,
    /// Of a file with holes.
    pub(super) map: Option<Map>,
}

/// The headers in front of an entry's own.
#[derive(Default)]
pub(super) struct Extended {
    pub(super) records: Option<Vec<u8>>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
}

/// What the records of an extended header say.
#[derive(Default)]
struct Said {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    /// A map, for a header has room for a hundred thousand of them.
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    unread: Vec<String>,
    sparse: Records,
}

impl Said {
    /// Of two records with one key the last one counts (pax(1)).
    fn read(records: &[u8]) -> Result<Self, Problem> {
        let mut said = Self::default();
        for (key, value) in parse(records)? {
            let number = |what| decimal(value).map(Some).ok_or(Problem::Number(what));
            match key {
                // An empty one takes back what was said before.
                b"path" => said.path = (!value.is_empty()).then(|| value.to_vec()),
                b"linkpath" => said.link = (!value.is_empty()).then(|| value.to_vec()),
                b"size" => said.size = number("size")?,
                b"uid" => said.uid = number("user")?,
                b"gid" => said.gid = number("group")?,
                b"mtime" => said.mtime = Some(parse_time(value).ok_or(Problem::Number("time"))?),
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        said.xattrs.insert(attribute(name), value.to_vec());
                    } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                        said.sparse.take(key, value)?;
                    } else if key.starts_with(b"SCHILY.acl.") {
                        said.unread.push(String::from_utf8_lossy(key).into_owned());
                    }
                }
            }
        }
        Ok(said)
    }
}

impl Extended {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_none() && self.name.is_none() && self.link.is_none()
    }

    /// The entry that `header` begins, and what its contents are.
    pub(super) fn apply(self, header: &Header) -> Result<(Entry, Form), Problem> {
        let mut said = Said::read(self.records.as_deref().unwrap_or_default())?;
        let form = said.sparse.form()?;
        let path = one(said.path, self.name, "two long names")?;
        let path = said.sparse.name.take().or(path).unwrap_or_else(|| header.name());
        let link = one(said.link, self.link, "two names of what it is a link to")?;
        let link = link.unwrap_or_else(|| header.text(LINK).to_vec());
        let positive =
            |field, what| header.number(field, what)?.try_into().map_err(|_| Problem::Number(what));
        let size: u64 = said.size.map_or_else(|| positive(SIZE, "size"), Ok)?;
        let id = |said: Option<u64>, field, what| {
            let id = said.map_or_else(|| positive(field, what), Ok)?;
            u32::try_from(id).map_err(|_| Problem::Number(what))
        };
        let owner = Owner { uid: id(said.uid, UID, "user")?, gid: id(said.gid, GID, "group")? };
        let device =
            |field, what| u32::try_from(header.number(field, what)?).map_err(|_| Problem::Number(what));
        let what = match header.kind() {
            // Before there was a kind for folders, a slash at the end told them.
            kind::FILE | 0 if path.ends_with(b"/") => What::Folder,
            kind::FILE | 0 | kind::CONTIGUOUS | kind::GNU_SPARSE => What::File,
            kind::HARD_LINK => What::HardLink(link),
            kind::SYMLINK => What::Symlink(link),
            kind::FOLDER => What::Folder,
            kind::FIFO => What::Fifo,
            kind @ (kind::CHARACTER | kind::BLOCK) => What::Device {
                block: kind == kind::BLOCK,
                major: device(MAJOR, "device")?,
                minor: device(MINOR, "device")?,
            },
            other => return Err(Problem::Kind(other)),
        };
        // Some programs skip contents here, and some take them for the next header.
        if what != What::File && size != 0 {
            return Err(Problem::Ambiguous("it has contents, and is no file"));
        }
        if !matches!(form, Form::Plain) && (what != What::File || header.kind() == kind::GNU_SPARSE) {
            return Err(Problem::Sparse);
        }
        let mtime = match said.mtime {
            Some(time) => time,
            None => (header.number(MTIME, "time")?, 0),
        };
        let mode = header.number(MODE, "mode")? as u32 & 0o7777;
        let entry = Entry {
            path,
            what,
            mode,
            owner,
            mtime,
            xattrs: said.xattrs.into_iter().collect(),
            unread: said.unread,
            size,
            map: None,
        };
        Ok((entry, form))
    }
}

fn one(pax: Option<Vec<u8>>, gnu: Option<Vec<u8>>, what: &'static str) -> Result<Option<Vec<u8>>, Problem> {
    match (pax, gnu) {
        (Some(_), Some(_)) => Err(Problem::Ambiguous(what)),
        (pax, gnu) => Ok(pax.or(gnu)),
    }
}
