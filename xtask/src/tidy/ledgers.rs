//! The ledgers tell the truth: known ids, each once, tests that exist, nothing done without a proof.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Text;
use crate::ledger::{self, Entry, State};

/// Each ledger with the list of the ids that it may have.
const LEDGERS: [(&str, &str); 2] =
    [("docs/features.toml", "docs/feature-ids.txt"), ("docs/security.toml", "docs/security-ids.txt")];

pub(super) fn check(texts: &[Text]) -> Vec<String> {
    let find =
        |path: &str| texts.iter().find(|file| file.path == Path::new(path)).map(|file| file.text.as_str());
    let mut problems = Vec::new();
    for (path, list) in LEDGERS {
        let (Some(text), Some(ids)) = (find(path), find(list)) else {
            problems.push(format!("{path} or {list} is missing"));
            continue;
        };
        match ledger::parse(text) {
            Ok(entries) => {
                let found = entries_of(&entries, &ledger::ids(ids), texts);
                problems.extend(found.into_iter().map(|problem| format!("{path}: {problem}")));
            }
            Err(err) => problems.push(format!("{path}: {err:#}")),
        }
    }
    problems
}

fn entries_of(entries: &[Entry], ids: &[String], texts: &[Text]) -> Vec<String> {
    let mut problems = of_all(entries.iter().map(|entry| (&entry.id, &entry.tests)), texts);
    for entry in entries {
        let id = &entry.id;
        if !ids.contains(id) {
            problems.push(format!("{id} is no known id"));
        }
        if entry.state == State::Done && (entry.tests.is_empty() || entry.asserts.trim().is_empty()) {
            problems.push(format!("{id} is done without a test, or without saying what it asserts"));
        }
    }
    problems
}

/// What holds for the entries of every ledger: each id once, and tests that exist.
pub(super) fn of_all<'a>(
    entries: impl Iterator<Item = (&'a String, &'a Vec<String>)>,
    texts: &[Text],
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for (id, tests) in entries {
        if !seen.insert(id) {
            problems.push(format!("{id} stands twice"));
        }
        let missing = tests.iter().filter(|test| !exists(test, texts));
        problems.extend(missing.map(|test| format!("{id} names the test {test}, which is nowhere")));
    }
    problems
}

/// Whether `file::test` is a test in `tests/tests/file.rs` (or below `tests/tests/file/`), or in the crate or the file of
/// that name under `crates/`.
pub(super) fn exists(test: &str, texts: &[Text]) -> bool {
    let Some((file, name)) = test.split_once("::") else { return false };
    let name = name.rsplit("::").next().unwrap_or(name);
    let black_box = PathBuf::from("tests/tests").join(file);
    let own = PathBuf::from("crates").join(file);
    let may_hold = |path: &Path| {
        path == black_box.with_extension("rs")
            || path.starts_with(&black_box)
            || path.starts_with(&own)
            || (path.starts_with("crates") && path.file_stem().is_some_and(|stem| stem == file))
    };
    texts.iter().filter(|text| text.is_rust() && may_hold(&text.path)).any(|text| has_test(&text.text, name))
}

/// Whether a function of this name follows a `#[test]` (other attributes may stand between).
fn has_test(text: &str, name: &str) -> bool {
    let mut marked = false;
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("#[test]") {
            marked = true;
        } else if let Some((_, rest)) = line.split_once("fn ") {
            if marked && rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('(')) {
                return true;
            }
            marked = false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEST: &str = "#[test]\n#[ignore]\nfn works() {}\nfn helper() {}\n";

    fn problems(ledger: &str) -> Vec<String> {
        let texts = [
            Text::sample("docs/features.toml", ledger),
            Text::sample("docs/feature-ids.txt", "M01\nM02\n"),
            Text::sample("docs/security.toml", ""),
            Text::sample("docs/security-ids.txt", "A1\n"),
            Text::sample("tests/tests/run.rs", TEST),
            Text::sample("crates/fs/src/overlay.rs", TEST),
        ];
        check(&texts)
    }

    fn entry(id: &str, tests: &str, asserts: &str) -> String {
        format!("[[feature]]\nid='{id}'\nstate='done'\ntests=[{tests}]\nasserts='{asserts}'\n")
    }

    #[test]
    fn a_true_ledger_is_in_order() {
        let tests = "'run::works', 'fs::tests::works', 'overlay::works'";
        assert_eq!(problems(&entry("M01", tests, "it works")), Vec::<String>::new());
    }

    #[test]
    fn each_untruth_is_found() {
        assert_eq!(problems(&entry("X99", "'run::works'", "x")).len(), 1);
        assert_eq!(problems(&entry("M01", "'run::works'", "")).len(), 1);
        assert_eq!(problems(&entry("M01", "", "x")).len(), 1);
        for test in ["run::gone", "gone::works", "run::helper", "works"] {
            assert_eq!(problems(&entry("M01", &format!("'{test}'"), "x")).len(), 1, "{test}");
        }
        let once = entry("M01", "'run::works'", "x");
        assert_eq!(problems(&format!("{once}{once}")).len(), 1);
        assert_eq!(problems("no toml").len(), 1);
        assert_eq!(check(&[]).len(), 2);
    }
}
