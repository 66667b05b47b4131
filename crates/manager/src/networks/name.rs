//! What networks are called.

use crate::error::{Error, Result};
use crate::validate;
pub(crate) use tinyd_engine::DEFAULT_NETWORK as DEFAULT;
pub(crate) use tinyd_engine::network_name as canonical;

/// The network that holds the loopback device alone.
pub(crate) const NONE: &str = "none";
/// The host's own.
pub(crate) const HOST: &str = "host";
/// Those that every host has.
pub(crate) const FIXED: [&str; 2] = [NONE, HOST];

/// Longer ones are hard to read in a table, and no other engine takes them.
const LONGEST: usize = 64;

/// Whether a word means the default network.
pub(crate) fn is_default(word: &str) -> bool {
    canonical(word) == DEFAULT
}

/// A name in the form that names of containers have; with it a file can be called.
pub(crate) fn check(name: &str) -> Result<()> {
    let refuse = |problem| Error::invalid("network name", name, problem);
    match validate::name(name) {
        Err(Error::Invalid { problem, .. }) => Err(refuse(problem)),
        _ if name.len() > LONGEST => Err(refuse("is longer than 64 characters".into())),
        other => other,
    }
}

/// As [`check`], and one that no other network can mean.
pub(crate) fn check_new(name: &str) -> Result<()> {
    check(name)?;
    let problem = if FIXED.contains(&name) {
        "is the name of a network that every host has"
    } else if is_default(name) {
        "is a name of the default network, which is made when it is first needed"
    } else {
        return Ok(());
    };
    Err(Error::invalid("network name", name, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_names_are_those_of_containers_and_no_reserved_ones() {
        for good in ["web", "a.b_c-1", "0", &"x".repeat(64)] {
            assert!(check_new(good).is_ok(), "{good}");
        }
        let id = "0123456789abcdef0123456789abcdef";
        for bad in ["", "-a", "a/b", "..", "a b", id, &"x".repeat(65)] {
            let error = check(bad).unwrap_err().to_string();
            assert!(error.starts_with("network name "), "{bad:?}: {error}");
        }
        for reserved in ["none", "host", "tinyd", "Tiny-docker", "bridge", "default"] {
            assert!(check(reserved).is_ok() && check_new(reserved).is_err(), "{reserved}");
        }
    }

    #[test]
    fn pure_the_default_network_has_several_names() {
        for word in ["tinyd", "Tiny-docker", "bridge", "default"] {
            assert_eq!(canonical(word), "tinyd");
        }
        assert_eq!(canonical("web"), "web");
    }
}
