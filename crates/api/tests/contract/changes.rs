//! What has become of the lines of a lock.

use std::collections::BTreeSet;

/// What is different.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Locked lines that a client relies on, and what they are now.
    pub(crate) broken: Vec<String>,
    /// Lines that the lock does not have.
    pub(crate) new: Vec<String>,
    /// Locked fields and values that are gone as they should, with number and name reserved.
    pub(crate) retired: Vec<String>,
}

/// Compares a lock with the contract's lines. Empty lines of the lock and those that begin with `#` say nothing.
pub(crate) fn changes(lock: &str, now: &BTreeSet<String>) -> Changes {
    let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let locked: BTreeSet<&str> = lock.lines().map(str::trim).filter(is_line).collect();
    let mut found = Changes {
        new: now.iter().filter(|line| !locked.contains(line.as_str())).cloned().collect(),
        ..Changes::default()
    };
    for line in locked.into_iter().filter(|line| !now.contains(*line)) {
        let same_name = |other: &&String| subject(other) == subject(line) && !is_reserved(other);
        if is_retired(line, now) {
            found.retired.push(line.to_owned());
        } else if let Some(other) = now.iter().find(same_name).filter(|_| !is_reserved(line)) {
            found.broken.push(format!("{line}, is now: {other}"));
        } else {
            found.broken.push(format!("{line}, is no more"));
        }
    }
    found
}

/// The name that a line is about.
fn subject(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

fn is_reserved(line: &str) -> bool {
    line.split(' ').nth(1) == Some("reserved")
}

/// Whether a field or value that is gone (`OWNER.NAME = NUMBER …`) has left its number and its name reserved.
fn is_retired(line: &str, now: &BTreeSet<String>) -> bool {
    let mut words = line.split(' ');
    let (Some(subject), Some("="), Some(number)) = (words.next(), words.next(), words.next()) else {
        return false;
    };
    let Some((owner, name)) = subject.rsplit_once('.') else { return false };
    [number, name].iter().all(|word| now.contains(&format!("{owner} reserved {word}")))
}
