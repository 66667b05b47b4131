//! `cargo xtask features`: the ledger of features as a table.

use std::fs;

use anyhow::{Context, Result};

use crate::ledger::{self, Entry, State};
use crate::workspace;

pub(crate) fn run() -> Result<()> {
    let read = |path: &str| {
        fs::read_to_string(workspace::root().join(path)).with_context(|| format!("cannot read {path}"))
    };
    let entries = ledger::parse(&read("docs/features.toml")?).context("docs/features.toml")?;
    print!("{}", table(&entries, &ledger::ids(&read("docs/feature-ids.txt")?)));
    Ok(())
}

/// A row for each id of the list, and the counts.
fn table(entries: &[Entry], ids: &[String]) -> String {
    let mut text = format!("{:<5}{:<9}TESTS\n", "ID", "STATE");
    let mut counts = [0_usize; 3];
    for id in ids {
        let entry = entries.iter().find(|entry| entry.id == *id);
        let state = entry.map_or(State::Open, |entry| entry.state);
        let tests = entry.map(|entry| entry.tests.join(", ")).unwrap_or_default();
        counts[state as usize] += 1;
        text.push_str(format!("{id:<5}{:<9}{tests}", state.name()).trim_end());
        text.push('\n');
    }
    let [done, partial, open] = counts;
    text.push_str(&format!("{} rows: {done} done, {partial} partial, {open} open\n", ids.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_an_entry_is_open() {
        let entries =
            ledger::parse("[[feature]]\nid='M02'\nstate='partial'\ntests=['a::b', 'a::c']\n").unwrap();
        let table = table(&entries, &["M01".into(), "M02".into()]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(
            lines[1..],
            ["M01  open", "M02  partial  a::b, a::c", "2 rows: 0 done, 1 partial, 1 open"]
        );
    }
}
