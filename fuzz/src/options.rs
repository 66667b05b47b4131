//! Command lines, and the words of files and options that leaf crates read.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use tinyd::fuzzing;
use tinyd_cgroup::{CgroupPath, DeviceRule};
use tinyd_engine::ContainerSpec;
use tinyd_ns::caps::Capability;
use tinyd_ns::idmap::{self, IdMaps};
use tinyd_ns::rlimit::{Resource, Rlimit};

/// The verbs; the first byte of the input says which.
const VERBS: [&str; 8] = ["create", "run", "exec", "ps", "logs", "stop", "update", "kill"];

/// Reads a command line: a word a line, the first of which is the verb or any other.
pub fn options(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut lines = text.split('\n').map(str::to_owned);
    let first = lines.next().unwrap_or_default();
    words(&first);
    let verb = VERBS.iter().find(|verb| **verb == first).copied().unwrap_or(VERBS[0]);
    let words: Vec<String> = lines.collect();
    let normal = fuzzing::normalise(verb, words.clone()).expect("the verb is known");
    assert_eq!(
        fuzzing::normalise(verb, normal.clone()),
        Some(normal.clone()),
        "a second reading changes nothing"
    );
    if let Some(end) = normal.iter().position(|word| word == "--") {
        // Whatever follows is the command's own: the last words of what was given.
        assert!(words.ends_with(&normal[end + 1..]), "{words:?} became {normal:?}");
    }
    let understood = fuzzing::is_understood(verb, words.clone());
    assert_eq!(fuzzing::is_understood(verb, normal), understood, "both spellings are understood, or neither");
    if let Some(spec) = fuzzing::container(words) {
        let json = serde_json::to_vec(&spec).expect("a specification can be written");
        assert_eq!(serde_json::from_slice::<ContainerSpec>(&json).expect("and read again"), spec);
    }
}

/// Reads a text as each kind of word.
fn words(text: &str) {
    same_again::<DeviceRule>(text);
    same_again::<Capability>(text);
    if let Ok(path) = CgroupPath::new(text) {
        assert_eq!(CgroupPath::new(path.as_str()).expect("a path is one"), path);
        assert!(!path.as_str().split('/').any(|part| part == ".." || part == "."), "{path}");
    }
    if let Ok(users) = idmap::parse(text) {
        // As large as it may be: the check must not overflow.
        let maps = IdMaps { groups: users.clone(), users };
        let root = maps.root();
        assert!(
            maps.check().is_err() || root.is_none_or(|(user, group)| user != u32::MAX && group != u32::MAX)
        );
    }
    let _ = text.parse::<Resource>();
    if let Ok(limit) = text.parse::<Rlimit>() {
        let _ = (limit.soft, limit.hard);
    }
    let _ = tinyd_runtime::sysctl::check(text, "1", true, true);
}

/// A word that is understood is written as one that means the same.
fn same_again<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        let written = value.to_string();
        assert!(written.parse::<T>().is_ok_and(|again| again == value), "{text:?} became {written:?}");
    }
}
