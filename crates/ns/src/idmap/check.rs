//! What the kernel would refuse with a bare EINVAL, said before anything is written.

use super::{IdMapError, IdMaps, IdRange, Kind};

/// `UID_GID_MAP_MAX_EXTENTS` of the kernel, since Linux 4.15.
const MOST_RANGES: usize = 340;
/// The id -1 means "none" in many system calls and can never be mapped.
const NO_ID: u64 = u32::MAX as u64;

impl IdMaps {
    /// Whether the kernel could take the maps, whoever writes them.
    ///
    /// # Errors
    /// [`IdMapError`] for an empty map, too many ranges, ranges of no id, past the last id, or that overlap on either side.
    pub fn check(&self) -> Result<(), IdMapError> {
        check(Kind::Users, &self.users)?;
        check(Kind::Groups, &self.groups)
    }
}

fn check(kind: Kind, ranges: &[IdRange]) -> Result<(), IdMapError> {
    if ranges.is_empty() {
        return Err(IdMapError::Empty(kind));
    }
    if ranges.len() > MOST_RANGES {
        return Err(IdMapError::TooManyRanges { kind, count: ranges.len(), most: MOST_RANGES });
    }
    let past_the_end = |first: u32, length: u32| u64::from(first) + u64::from(length) > NO_ID;
    for range in ranges {
        let IdRange { inside, outside, length } = *range;
        if length == 0 || past_the_end(inside, length) || past_the_end(outside, length) {
            return Err(IdMapError::Range { kind, range: text(range) });
        }
    }
    for (position, second) in ranges.iter().enumerate() {
        for first in &ranges[..position] {
            if overlap(first.inside, first.length, second.inside, second.length)
                || overlap(first.outside, first.length, second.outside, second.length)
            {
                return Err(IdMapError::Overlap { kind, first: text(first), second: text(second) });
            }
        }
    }
    Ok(())
}

/// Of ranges that end before [`NO_ID`], so that no sum wraps.
fn overlap(a: u32, a_length: u32, b: u32, b_length: u32) -> bool {
    a < b + b_length && b < a + a_length
}

fn text(range: &IdRange) -> String {
    format!("{} {} {}", range.inside, range.outside, range.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn maps(users: &str) -> IdMaps {
        IdMaps { users: super::super::parse(users).unwrap(), ..IdMaps::contiguous(0, 1) }
    }

    #[test]
    fn what_the_kernel_would_refuse_is_named() {
        let error = |users| maps(users).check().unwrap_err().to_string();
        assert!(error("").contains("user id map is empty"));
        assert!(error("0 0 0").contains("\"0 0 0\""));
        assert!(error("4294967294 0 2").contains("4294967294"));
        assert!(error("0 4294967295 1").contains("past the last id"));
        assert!(error("0 0 10\n9 100 1").contains("overlap"));
        assert!(error("0 0 10\n20 9 1").contains("overlap"));
        let many: String = (0..341).map(|id| format!("{id} {id} 1\n")).collect();
        assert!(error(&many).contains("341 ranges"));
        let groups = IdMaps { groups: vec![], ..IdMaps::contiguous(0, 1) };
        assert_eq!(groups.check(), Err(IdMapError::Empty(Kind::Groups)));
    }

    #[test]
    fn what_it_takes_passes() {
        for users in ["0 1000 1", "0 0 4294967295", "0 0 10\n10 100 1", "5 9 1\n4 8 1"] {
            maps(users).check().unwrap();
        }
        let most: String = (0..340).map(|id| format!("{id} {} 1\n", 1000 - id)).collect();
        maps(&most).check().unwrap();
    }
}
