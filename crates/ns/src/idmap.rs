//! User and group id maps (user_namespaces(7)).

use std::fmt::Write as _;
use std::fs;
use std::io;

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

impl IdMaps {
    /// The same run for users and groups, from 0 inside.
    pub fn contiguous(outside: u32, length: u32) -> Self {
        let range = IdRange { inside: 0, outside, length };
        Self { users: vec![range], groups: vec![range] }
    }

    /// The user and group, outside, that are root inside. `None` when root is not mapped.
    pub fn root(&self) -> Option<(u32, u32)> {
        Some((outside(&self.users, 0)?, outside(&self.groups, 0)?))
    }

    /// Gives the user namespace of a child its maps. The caller needs CAP_SETUID and CAP_SETGID in the parent namespace;
    /// each map can be written once.
    pub fn write(&self, pid: u32) -> io::Result<()> {
        fs::write(format!("/proc/{pid}/uid_map"), lines(&self.users))?;
        fs::write(format!("/proc/{pid}/gid_map"), lines(&self.groups))
    }
}

/// What an id inside is called outside; `None` when it is not mapped.
pub fn outside(ranges: &[IdRange], inside: u32) -> Option<u32> {
    let range =
        ranges.iter().find(|range| inside.checked_sub(range.inside).is_some_and(|n| n < range.length))?;
    range.outside.checked_add(inside - range.inside)
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
    }

    #[test]
    fn root_needs_both_maps() {
        assert_eq!(IdMaps::contiguous(65536, 65536).root(), Some((65536, 65536)));
        let users = IdMaps { groups: Vec::new(), ..IdMaps::contiguous(1, 1) };
        assert_eq!(users.root(), None);
    }
}
