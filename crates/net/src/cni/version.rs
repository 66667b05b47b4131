//! The versions of the specification that are spoken here.

use std::fmt;

/// A version of the CNI specification. What plugins are told and say has the same form in all of them, but for a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    /// 0.4.0: the first with CHECK, and with the result of ADD given to DEL.
    V0_4,
    /// 1.0.0.
    V1_0,
    /// 1.1.0: the first with GC and STATUS.
    V1_1,
}

/// All of them, the newest first.
pub(super) const ALL: [Version; 3] = [Version::V1_1, Version::V1_0, Version::V0_4];

impl Version {
    /// As configurations and plugins word it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::V0_4 => "0.4.0",
            Self::V1_0 => "1.0.0",
            Self::V1_1 => "1.1.0",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        ALL.into_iter().find(|version| version.word() == word)
    }

    /// Whether plugins know the operations GC and STATUS.
    pub(super) fn has_gc_and_status(self) -> bool {
        self >= Self::V1_1
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_version_is_its_own_word_and_nothing_like_it() {
        for version in ALL {
            assert_eq!(Version::parse(version.word()), Some(version));
        }
        for word in ["", "1.0", "0.3.1", "1.2.0", "1.1.0 "] {
            assert_eq!(Version::parse(word), None, "{word:?}");
        }
        assert!(ALL.is_sorted_by(|newer, older| newer > older));
    }
}
