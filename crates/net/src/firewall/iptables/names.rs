//! What chains are called.

use super::rules::{self, CHAINS};

/// The name of a chain has no more bytes.
const LONGEST: usize = 28;

/// The names of one firewall.
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// Chains begin with the firewall's own name where they can, else with a number that follows from it.
    pub(super) fn of(name: &str) -> Self {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let starts_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
        // (Behind it stand a dash and the ending.)
        let fits = name.len() + 1 + rules::LONGEST <= LONGEST;
        let prefix = match starts_well && fits && name.bytes().all(plain) {
            true => name.to_owned(),
            false => format!("fw-{:08x}", rules::fingerprint(name)),
        };
        Self { prefix }
    }

    /// A chain's whole name.
    pub(super) fn chain(&self, ending: &str) -> String {
        format!("{}-{ending}", self.prefix)
    }

    /// What the comments of our rules in others' chains begin with.
    pub(super) fn mark(&self) -> String {
        format!("{}:", self.prefix)
    }

    pub(super) fn is_own(&self, chain: &str) -> bool {
        let ending = chain.strip_prefix(&self.prefix).and_then(|rest| rest.strip_prefix('-'));
        ending.is_some_and(|ending| CHAINS.iter().any(|(_, endings)| endings.contains(&ending)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_names_that_chains_cannot_have_become_numbers() {
        let prefix = |name: &str| Names::of(name).prefix;
        assert_eq!(prefix("tinyd-0a1b2c3d"), "tinyd-0a1b2c3d");
        for name in ["", "-x", "a b", "a\nb", "tinyd-0a1b2c3d-0a1b2c3d"] {
            let prefix = prefix(name);
            assert!(prefix.starts_with("fw-") && prefix.len() == 11, "{name:?}: {prefix}");
        }
        assert_ne!(prefix("a b"), prefix("a c"));
        let names = Names::of("tinyd-a");
        assert!(names.is_own("tinyd-a-ports"));
        assert!(
            !names.is_own("tinyd-a-b-ports") && !names.is_own("tinyd-aports") && !names.is_own("tinyd-a")
        );
    }
}
