//! Names of groups, the same below every hierarchy's root.

use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};

/// A group's path below each hierarchy's root, such as `tinyd/0123abcd`.
///
/// Relative, with at least one part; no part is empty, `.` or `..`, longer than 255 bytes, or holds a NUL or a line
/// break (which `/proc/PID/cgroup` could not show).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CgroupPath(String);

impl CgroupPath {
    /// Checks and takes a path.
    ///
    /// # Errors
    /// [`Error::InvalidPath`] with the rule that it breaks.
    pub fn new(path: &str) -> Result<Self> {
        let refuse = |reason| Err(Error::InvalidPath { path: path.to_owned(), reason });
        if path.is_empty() {
            return refuse("it is empty");
        }
        if path.starts_with('/') {
            return refuse("it must be relative to the hierarchy's root");
        }
        if path.bytes().any(|b| b == 0 || b == b'\n') {
            return refuse("it holds a NUL or a line break");
        }
        for part in path.split('/') {
            match part {
                "" => return refuse("it has an empty part"),
                "." | ".." => return refuse("it has a part \".\" or \"..\""),
                _ if part.len() > 255 => return refuse("a part is longer than 255 bytes"),
                _ => {}
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// The group `below` this one; `below` may have several parts.
    ///
    /// # Errors
    /// [`Error::InvalidPath`] as for [`CgroupPath::new`].
    pub fn join(&self, below: &str) -> Result<Self> {
        let below = Self::new(below)?;
        Ok(Self(format!("{}/{}", self.0, below.0)))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The group above, `None` when that is the hierarchy's root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(above, _)| Self(above.to_owned()))
    }

    /// The groups above, from the top down, without this one.
    pub(crate) fn ancestors(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }

    /// The directory of this group where a hierarchy is mounted at `root`.
    pub(crate) fn below(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

impl fmt::Display for CgroupPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CgroupPath {
    type Error = Error;
    fn try_from(path: String) -> Result<Self> {
        Self::new(&path)
    }
}

impl From<CgroupPath> for String {
    fn from(path: CgroupPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_refuses_what_could_leave_the_hierarchy() {
        for bad in
            ["", "/", "/a", "a/", "a//b", "..", "a/../b", ".", "a/./b", "a\0b", "a\nb", &"x".repeat(256)]
        {
            assert!(matches!(CgroupPath::new(bad), Err(Error::InvalidPath { .. })), "{bad:?}");
        }
        let path = CgroupPath::new("tinyd").unwrap();
        assert!(path.join("../x").is_err());
        assert!(path.join("/x").is_err());
    }

    #[test]
    fn pure_parts() {
        let path = CgroupPath::new("tinyd").unwrap().join("a/b").unwrap();
        assert_eq!(path.to_string(), "tinyd/a/b");
        assert_eq!(path.ancestors().collect::<Vec<_>>(), ["tinyd", "tinyd/a"]);
        assert_eq!(path.parent().unwrap().as_str(), "tinyd/a");
        assert_eq!(CgroupPath::new("tinyd").unwrap().parent(), None);
        assert_eq!(path.below(Path::new("/cg")), Path::new("/cg/tinyd/a/b"));
    }

    #[test]
    fn pure_serde_checks_too() {
        let path: CgroupPath = serde_json::from_str("\"tinyd/x\"").unwrap();
        assert_eq!(serde_json::to_string(&path).unwrap(), "\"tinyd/x\"");
        assert!(serde_json::from_str::<CgroupPath>("\"../x\"").is_err());
    }
}
