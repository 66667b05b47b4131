//! User and group id maps (user_namespaces(7)).
//!
//! Maps are written directly, by no helper program: what the kernel lets the caller map is what can be mapped. An
//! unprivileged caller may map its own user and group, and must give up setgroups(2) for the latter.
//!
//! ```
//! use tinyd_ns::idmap::{IdMaps, IdRange, parse};
//!
//! assert_eq!("0 1000 1".parse(), Ok(IdRange { inside: 0, outside: 1000, length: 1 }));
//! let users = parse("0 1000 1\n1 100000 65536\n")?;
//! let maps = IdMaps { groups: users.clone(), users };
//! maps.check()?;
//! assert_eq!(maps.root(), Some((1000, 1000)));
//! # Ok::<(), tinyd_ns::idmap::IdMapError>(())
//! ```

use std::fmt;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::str::FromStr;

mod check;
mod error;
mod namespace;

pub use error::IdMapError;
pub use namespace::{maps_of, namespace};

/// A run of ids that a user namespace shows under other numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The first id outside, in the numbers of the parent namespace.
    pub outside: u32,
    /// How many ids.
    pub length: u32,
}

/// The maps of a user namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMaps {
    /// User ids.
    pub users: Vec<IdRange>,
    /// Group ids.
    pub groups: Vec<IdRange>,
}

/// Which of the two maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `uid_map`.
    Users,
    /// `gid_map`.
    Groups,
}

/// Whether setgroups(2) works in a user namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setgroups {
    /// It does, for who has CAP_SETGID inside.
    Allowed,
    /// It never does: the price of a group map that was written without privilege.
    Denied,
}

impl Kind {
    fn file(self) -> &'static str {
        match self {
            Self::Users => "uid_map",
            Self::Groups => "gid_map",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Users => "user",
            Self::Groups => "group",
        })
    }
}

impl IdMaps {
    /// The same run for users and groups, from 0 inside.
    pub fn contiguous(outside: u32, length: u32) -> Self {
        let range = IdRange { inside: 0, outside, length };
        Self { users: vec![range], groups: vec![range] }
    }

    /// One user and one group, which are root inside: what an unprivileged process may map of itself.
    pub fn root_as(uid: u32, gid: u32) -> Self {
        let one = |outside| vec![IdRange { inside: 0, outside, length: 1 }];
        Self { users: one(uid), groups: one(gid) }
    }

    /// The user and group, outside, that are root inside. `None` when root is not mapped.
    pub fn root(&self) -> Option<(u32, u32)> {
        Some((outside(&self.users, 0)?, outside(&self.groups, 0)?))
    }

    /// Gives the user namespace of a child its maps, each of which can be written once. Where the kernel refuses the group
    /// map to an unprivileged caller, setgroups(2) is denied to the namespace and the map is written again.
    ///
    /// # Errors
    /// What [`check`](Self::check) finds, before anything is written; [`IdMapError::Write`] with what the kernel says.
    pub fn write(&self, pid: u32) -> Result<Setgroups, IdMapError> {
        self.check()?;
        write_map(pid, Kind::Users, &self.users)?;
        match write_map(pid, Kind::Groups, &self.groups) {
            // Only a map of one id may be written without privilege; for others the refusal is final.
            Err(IdMapError::Write { ref source, .. })
                if source.raw_os_error() == Some(libc::EPERM)
                    && matches!(self.groups[..], [IdRange { length: 1, .. }]) =>
            {
                deny_setgroups(pid)?;
                write_map(pid, Kind::Groups, &self.groups)?;
                Ok(Setgroups::Denied)
            }
            done => done.map(|()| Setgroups::Allowed),
        }
    }

    /// The maps of a process's user namespace. Ids outside are in the numbers of the caller's own namespace, or of the
    /// parent of that when it is the caller's.
    ///
    /// # Errors
    /// [`IdMapError::Read`] when the process has ended.
    pub fn read(pid: u32) -> Result<Self, IdMapError> {
        let read = |kind: Kind| {
            let path = format!("/proc/{pid}/{}", kind.file());
            match fs::read_to_string(&path) {
                Ok(text) => parse(&text),
                Err(source) => Err(IdMapError::Read { path, source }),
            }
        };
        Ok(Self { users: read(Kind::Users)?, groups: read(Kind::Groups)? })
    }
}

/// Denies setgroups(2) to the user namespace of a process, for ever. Its group map must not be written yet.
///
/// # Errors
/// [`IdMapError::Setgroups`]: `EPERM` where the map is written, or without rights over the process.
pub fn deny_setgroups(pid: u32) -> Result<(), IdMapError> {
    fs::write(format!("/proc/{pid}/setgroups"), "deny")
        .map_err(|source| IdMapError::Setgroups { pid, source })
}

/// Whether setgroups(2) works in the user namespace of a process.
///
/// # Errors
/// Those of reading `/proc/<pid>/setgroups`.
pub fn setgroups(pid: u32) -> io::Result<Setgroups> {
    let text = fs::read_to_string(format!("/proc/{pid}/setgroups"))?;
    Ok(if text.trim_end() == "deny" { Setgroups::Denied } else { Setgroups::Allowed })
}

/// Reads a map as the kernel and newuidmap(1) have it: `inside outside length`, a range a line. Empty lines are none.
///
/// # Errors
/// [`IdMapError::Form`] for the first line that is no range.
pub fn parse(text: &str) -> Result<Vec<IdRange>, IdMapError> {
    text.lines().filter(|line| !line.trim().is_empty()).map(str::parse).collect()
}

impl FromStr for IdRange {
    type Err = IdMapError;

    /// Reads `inside outside length`, with blanks or colons between (`0:100000:65536`, as command lines have it).
    fn from_str(text: &str) -> Result<Self, IdMapError> {
        let bad = || IdMapError::Form(text.to_owned());
        let mut words =
            text.split(|c: char| c == ':' || c.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let mut number = || -> Option<u32> {
            let word = words.next()?;
            // `parse` would take a leading plus sign.
            word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok())?
        };
        let range = number().zip(number()).zip(number());
        let ((inside, outside), length) = range.ok_or_else(bad)?;
        if words.next().is_some() { Err(bad()) } else { Ok(Self { inside, outside, length }) }
    }
}

/// What an id inside is called outside; `None` when it is not mapped.
pub fn outside(ranges: &[IdRange], inside: u32) -> Option<u32> {
    let range =
        ranges.iter().find(|range| inside.checked_sub(range.inside).is_some_and(|n| n < range.length))?;
    range.outside.checked_add(inside - range.inside)
}

fn write_map(pid: u32, kind: Kind, ranges: &[IdRange]) -> Result<(), IdMapError> {
    // In one write: the kernel takes no second.
    fs::write(format!("/proc/{pid}/{}", kind.file()), lines(ranges)).map_err(|source| IdMapError::Write {
        kind,
        pid,
        map: lines(ranges).trim_end().to_owned(),
        source,
    })
}

fn lines(ranges: &[IdRange]) -> String {
    ranges.iter().fold(String::new(), |mut text, range| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {}", range.inside, range.outside, range.length);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_translated_within_their_ranges_only() {
        let ranges = [
            IdRange { inside: 0, outside: 100_000, length: 10 },
            IdRange { inside: 1000, outside: 7, length: 1 },
        ];
        assert_eq!(outside(&ranges, 0), Some(100_000));
        assert_eq!(outside(&ranges, 9), Some(100_009));
        assert_eq!(outside(&ranges, 10), None);
        assert_eq!(outside(&ranges, 1000), Some(7));
        assert_eq!(lines(&ranges), "0 100000 10\n1000 7 1\n");
        assert_eq!(parse(&lines(&ranges)).unwrap(), ranges);
    }

    #[test]
    fn root_needs_both_maps() {
        assert_eq!(IdMaps::contiguous(65536, 65536).root(), Some((65536, 65536)));
        assert_eq!(IdMaps::root_as(1000, 100).root(), Some((1000, 100)));
        let users = IdMaps { groups: Vec::new(), ..IdMaps::contiguous(1, 1) };
        assert_eq!(users.root(), None);
    }

    #[test]
    fn ranges_are_read_in_the_forms_people_write() {
        let range = IdRange { inside: 0, outside: 1000, length: 1 };
        for text in ["0 1000 1", "0:1000:1", "         0       1000          1"] {
            assert_eq!(text.parse(), Ok(range), "{text}");
        }
        for text in ["", "0", "0 1000", "0 1000 1 1", "0 -1 1", "0 +1 1", "a b c", "0 4294967296 1"] {
            assert_eq!(text.parse::<IdRange>(), Err(IdMapError::Form(text.to_owned())), "{text}");
        }
        assert!(parse("0 0 1\n\nx").is_err());
    }
}
