//! The differences that are accepted although they count as looser, each with its reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::lines::{Line, Verdict};

/// One entry of the list.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The subject of its lines.
    pub subject: String,
    /// Their keys; of calls the names alone, for all ABIs.
    pub keys: Vec<String>,
    /// What ours is. Another value is not accepted.
    pub ours: String,
    /// Why it is no weakness.
    pub reason: String,
}

impl Entry {
    fn is_of(&self, line: &Line) -> bool {
        let named = |key: &String| match line.key.split_once(' ') {
            Some((_, name)) if line.subject == "calls" => name == key,
            _ => line.key == *key,
        };
        line.subject == self.subject && line.ours.as_ref() == Some(&self.ours) && self.keys.iter().any(named)
    }
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Accepted(Vec<Entry>);

impl Accepted {
    /// Reads the list.
    ///
    /// # Panics
    /// When it cannot be read, or an entry lacks something.
    #[track_caller]
    pub fn read(path: &Path) -> Accepted {
        let text = fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
        Accepted::parse(&text)
    }

    #[track_caller]
    fn parse(text: &str) -> Accepted {
        let list: Value = toml::from_str(text).expect("the list of accepted differences is TOML");
        let entries = list["accepted"].as_array().expect("it is a list of `accepted`");
        Accepted(entries.iter().map(Accepted::entry).collect())
    }

    #[track_caller]
    fn entry(entry: &Value) -> Entry {
        let word =
            |name: &str| entry[name].as_str().unwrap_or_else(|| panic!("{entry} has no {name}")).to_owned();
        let keys = entry["keys"].as_array().unwrap_or_else(|| panic!("{entry} has no keys"));
        let keys: Vec<String> = keys.iter().filter_map(|key| key.as_str().map(str::to_owned)).collect();
        let entry = Entry { subject: word("subject"), keys, ours: word("ours"), reason: word("reason") };
        assert!(!entry.keys.is_empty() && !entry.reason.trim().is_empty(), "{entry:?} says nothing");
        entry
    }

    /// The entries, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The entry that accepts a line, by its place in the list.
    pub fn of(&self, line: &Line) -> Option<usize> {
        self.0.iter().position(|entry| entry.is_of(line))
    }

    /// The lines that are looser and not accepted.
    pub fn refused<'a>(&self, lines: &'a [Line]) -> Vec<&'a Line> {
        lines.iter().filter(|line| line.verdict == Verdict::Looser && self.of(line).is_none()).collect()
    }

    /// The keys of entries that no line has: what is not needed must not stay.
    pub fn unused(&self, lines: &[Line]) -> Vec<String> {
        let looser: Vec<&Line> = lines.iter().filter(|line| line.verdict == Verdict::Looser).collect();
        let mut unused = BTreeSet::new();
        for entry in &self.0 {
            for key in &entry.keys {
                let alone = Entry { keys: vec![key.clone()], ..entry.clone() };
                if !looser.iter().any(|line| alone.is_of(line)) {
                    unused.insert(format!("{} {key}", entry.subject));
                }
            }
        }
        unused.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(subject: &str, key: &str, ours: &str) -> Line {
        let (docker, ours) = (None, Some(ours.to_owned()));
        Line { subject: subject.into(), key: key.into(), docker, ours, verdict: Verdict::Looser }
    }

    #[test]
    fn only_what_is_named_with_its_value_is_accepted() {
        let list = Accepted::parse(
            "[[accepted]]\nsubject = \"calls\"\nkeys = [\"statx\", \"mseal\"]\nours = \"allow\"\nreason = \"r\"\n",
        );
        let lines = [
            line("calls", "x32 statx", "allow"),
            line("calls", "i386 statx", "allow or EPERM"),
            line("calls", "i386 open", "allow"),
            line("attempts", "statx", "allow"),
        ];
        let refused: Vec<&str> = list.refused(&lines).iter().map(|line| line.key.as_str()).collect();
        assert_eq!(refused, ["i386 statx", "i386 open", "statx"]);
        assert_eq!(list.unused(&lines), ["calls mseal"]);
    }

    #[test]
    #[should_panic = "has no reason"]
    fn nothing_is_accepted_without_a_reason() {
        let _ = Accepted::parse("[[accepted]]\nsubject = \"calls\"\nkeys = [\"statx\"]\nours = \"allow\"\n");
    }
}
