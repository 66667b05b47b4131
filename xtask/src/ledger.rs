//! The ledgers in `docs/`: which rows of the mission are done, and which test shows it.

use anyhow::{Context, Result};
use serde::Deserialize;

/// How far a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    Done,
    Partial,
    Open,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Partial => "partial",
            State::Open => "open",
        }
    }
}

/// One entry.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// The id of the row.
    pub(crate) id: String,
    pub(crate) state: State,
    /// The tests that show it, as `file::test_name`.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// What they assert, in words.
    #[serde(default)]
    pub(crate) asserts: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, alias = "attack", alias = "case")]
    feature: Vec<Entry>,
}

/// How far a rule of a specification is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kept {
    Done,
    Partial,
    Cannot,
    NotOurs,
}

/// How much a specification insists on a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Must,
    Should,
    May,
    Property,
}

/// A rule of a specification.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) id: String,
    /// `document, section`.
    #[serde(rename = "where")]
    pub(crate) place: String,
    #[serde(rename = "level")]
    pub(crate) _level: Level,
    /// What it asks for, in our words.
    pub(crate) says: String,
    pub(crate) state: Kept,
    /// The tests that pass for it, as `file::test_name`.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// Why it is not kept, or not all of it.
    #[serde(default)]
    pub(crate) why: String,
}

/// Reads a ledger of rules.
pub(crate) fn parse_rules(text: &str) -> Result<Vec<Rule>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        rule: Vec<Rule>,
    }
    let file: File = toml::from_str(text).context("this is no ledger of rules")?;
    Ok(file.rule)
}

/// Reads a ledger.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>> {
    let file: File = toml::from_str(text).context("this is no ledger")?;
    Ok(file.feature)
}

/// The ids of a list: one a line, `#` begins a comment.
pub(crate) fn ids(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_with_all_and_one_with_little() {
        let text = "[[feature]]\nid='M01'\nstate='done'\ntests=['a::b']\nasserts='x'\n[[feature]]\nid='M02'\nstate='open'\n";
        let entries = parse(text).unwrap();
        assert_eq!((entries[0].state, entries[1].state), (State::Done, State::Open));
        assert_eq!(entries[0].tests, ["a::b"]);
        assert!(parse("[[feature]]\nid='M01'\nstate='nearly'\n").is_err());
        assert!(parse("[[feature]]\nid='M01'\nstate='done'\ntest=['a']\n").is_err());
    }

    #[test]
    fn a_list_of_ids_has_comments() {
        assert_eq!(ids("# part 1\nM01\n\nM02 # x\n"), ["M01", "M02"]);
    }
}
