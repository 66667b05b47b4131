//! `cargo xtask weakened`: takes the defences away one by one, and requires that the attack tests notice.
//!
//! It builds the programs with the feature `weakened` into a folder of their own. With all defences up each test must pass
//! there as well, so that what makes it fail afterwards is the missing defence and nothing else.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tinyd_tests::paths;

use crate::shell;
use crate::workspace::cargo;

/// Where the cases are, below the workspace.
pub(crate) const CASES: &str = "xtask/src/weakened/cases.toml";

/// The variable that says what is off; no released program knows it.
pub(crate) const VARIABLE: &str = concat!("TINYD", "_WEAKEN");

/// An attack, and what stands in its way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Its id in the security brief.
    pub(crate) id: String,
    /// The defences without which it succeeds.
    pub(crate) off: Vec<String>,
    /// The tests that notice, as `file::test`.
    pub(crate) tests: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    case: Vec<Case>,
}

/// Reads the cases.
pub(crate) fn parse(text: &str) -> Result<Vec<Case>> {
    let file: File = toml::from_str(text).context("these are no cases")?;
    Ok(file.case)
}

/// Runs the cases whose id is `filter`, or all; `false` when a defence was not missed.
pub(crate) fn run(filter: Option<&str>) -> Result<bool> {
    let mut cases = parse(include_str!("weakened/cases.toml"))?;
    cases.retain(|case| filter.is_none_or(|filter| filter == case.id));
    if cases.is_empty() {
        bail!("{CASES} has no such case");
    }
    let folder = paths::target().join("weakened");
    let mut build = cargo();
    build.args(["build", "--package", "tinyd", "--package", "tinyd-program", "--bins"]);
    build.args(["--features", "tinyd/weakened,tinyd-program/weakened"]);
    shell::run(build.env("CARGO_TARGET_DIR", &folder))?;
    let program = folder.join("debug/tinyd");

    let files: BTreeSet<&str> = all_tests(&cases).filter_map(|test| Some(test.split_once("::")?.0)).collect();
    let mut compile = cargo();
    compile.args(["test", "--package", "tinyd-tests", "--no-run"]);
    shell::run(compile.args(files.iter().flat_map(|file| ["--test", file])))?;

    println!("\n== with all defences: each attack fails");
    let mut ok = true;
    for test in all_tests(&cases).collect::<BTreeSet<_>>() {
        ok &= expect(Ending::Passed, "", test, &program, "")?;
    }
    println!("\n== without them: each attack succeeds, and its test says so");
    for (test, off, ids) in runs(&cases) {
        ok &= expect(Ending::Failed, &ids, &test, &program, &off)?;
    }
    Ok(ok)
}

/// Each test with what is off and the cases that want it so: one test may be of two attacks.
fn runs(cases: &[Case]) -> Vec<(String, String, String)> {
    let mut runs: Vec<(String, String, String)> = Vec::new();
    for case in cases {
        let off = case.off.join(",");
        for test in &case.tests {
            match runs.iter_mut().find(|(known, without, _)| known == test && *without == off) {
                Some((_, _, ids)) => *ids = format!("{ids}+{}", case.id),
                None => runs.push((test.clone(), off.clone(), case.id.clone())),
            }
        }
    }
    runs
}

fn all_tests(cases: &[Case]) -> impl Iterator<Item = &str> {
    cases.iter().flat_map(|case| case.tests.iter().map(String::as_str))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Passed,
    Failed,
}

/// Runs one test and says in a line how it ended; `false` (and the test's words) when not as it should.
fn expect(wanted: Ending, id: &str, test: &str, program: &Path, off: &str) -> Result<bool> {
    let begin = Instant::now();
    let (file, name) = test.split_once("::").with_context(|| format!("{test} is not FILE::TEST"))?;
    let mut command = cargo();
    command.args(["test", "--quiet", "--package", "tinyd-tests", "--test", file, "--", "--exact", name]);
    let output = command
        .env("TINYD_BIN", program)
        .env(VARIABLE, off)
        .output()
        .with_context(|| format!("cannot start {}", shell::shown(&command)))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let ending = ending(&said).with_context(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("{test} was not run:\n{said}{errors}")
    })?;
    let ok = ending == wanted;
    let verdict = if ok { "ok" } else { "NOT AS IT SHOULD BE" };
    let without = if off.is_empty() { String::new() } else { format!("without {off} ") };
    let took = begin.elapsed().as_secs_f64();
    println!("{id:<6}{verdict:<4}{test} {without}{ending:?} {took:.1} s");
    if !ok {
        println!("{said}");
    }
    Ok(ok)
}

/// How the only test of a run ended, by the closing line of the test runner.
fn ending(said: &str) -> Option<Ending> {
    let line = said.lines().find(|line| line.starts_with("test result: "))?;
    match (line.contains(" 1 passed;"), line.contains(" 1 failed;")) {
        (true, false) => Some(Ending::Passed),
        (false, true) => Some(Ending::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cases_can_be_read_and_name_tests() {
        let cases = parse(include_str!("weakened/cases.toml")).unwrap();
        assert!(cases.iter().all(|case| !case.off.is_empty() && !case.tests.is_empty()));
        assert!(all_tests(&cases).all(|test| test.split_once("::").is_some()));
    }

    #[test]
    fn a_test_of_two_attacks_is_run_once() {
        let case = |id: &str, off: &str| format!("[[case]]\nid='{id}'\noff=['{off}']\ntests=['a::b']\n");
        let cases = parse(&(case("A4", "x") + &case("A5", "x") + &case("A5", "y"))).unwrap();
        let found = runs(&cases);
        let found: Vec<_> = found.iter().map(|(_, off, ids)| (off.as_str(), ids.as_str())).collect();
        assert_eq!(found, [("x", "A4+A5"), ("y", "A5")]);
    }

    #[test]
    fn one_test_passes_or_fails_or_was_not_there() {
        let line =
            |passed, failed| format!("x\ntest result: x. {passed} passed; {failed} failed; 0 ignored;\n");
        assert_eq!(ending(&line(1, 0)), Some(Ending::Passed));
        assert_eq!(ending(&line(0, 1)), Some(Ending::Failed));
        assert_eq!(ending(&line(0, 0)), None);
        assert_eq!(ending("error: no such test"), None);
    }
}
