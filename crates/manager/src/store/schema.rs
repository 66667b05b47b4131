//! Which schema a store has: how its records and folders are to be read.
//!
//! `ROOT/schema` is a link that holds the number. One system call makes it whole, and one reads it: every command does, before
//! its first effect. A store without it is of the time before there were numbers, which is the first schema.

use crate::error::{Error, Result};
use rustix::io::Errno;
use std::path::Path;

/// Name of the link.
const LINK: &str = "schema";
/// What this version reads and writes. It grows when an older version would misread what is written, and not before.
const KNOWN: u32 = 1;

/// Whether the store is there and marked. One that this version does not know is an error.
pub(super) fn is_marked(root: &Path) -> Result<bool> {
    let link = root.join(LINK);
    let found = match rustix::fs::readlink(&link, Vec::new()) {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(Errno::NOENT) => return Ok(false),
        Err(errno) => return Err(Error::file("read the schema in", link, errno)),
    };
    match found.parse::<u32>() {
        Ok(KNOWN) => Ok(true),
        _ => Err(Error::Schema { root: root.to_owned(), found, known: KNOWN }),
    }
}

/// Marks a store whose folders are there. Where there is no room for that, it is as readable without.
pub(super) fn mark(root: &Path) -> Result<()> {
    let link = root.join(LINK);
    match rustix::fs::symlink(KNOWN.to_string(), &link) {
        Ok(()) | Err(Errno::EXIST | Errno::NOSPC | Errno::DQUOT | Errno::ROFS) => Ok(()),
        Err(errno) => Err(Error::file("write the schema to", link, errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_store_is_marked_once_and_one_of_another_schema_refused() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path();
        assert!(!is_marked(root).unwrap());
        mark(root).unwrap();
        mark(root).unwrap();
        assert!(is_marked(root).unwrap());
        for found in ["2", "4294967296", "0", "one", " "] {
            let link = root.join(LINK);
            std::fs::remove_file(&link).unwrap();
            std::os::unix::fs::symlink(found, &link).unwrap();
            let refused = is_marked(root).unwrap_err();
            assert!(matches!(&refused, Error::Schema { known: KNOWN, .. }), "{found:?}: {refused}");
        }
        std::fs::remove_file(root.join(LINK)).unwrap();
        std::fs::write(root.join(LINK), "1").unwrap();
        assert!(is_marked(root).is_err(), "a file is no link");
    }
}
