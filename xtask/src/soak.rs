//! `cargo xtask soak` and `cargo xtask engines`: the tests that take minutes or hours. They are ignored by `cargo xtask test`, and
//! their names begin with the word and `_`; each prints what it measured.

use std::time::Duration;

use anyhow::{Result, bail};
use tinyd_tests::leak::{self, Scope, Snapshot};
use tinyd_tests::paths;

use crate::tally;
use crate::workspace::cargo;
use crate::{build_cmd, setup};

/// Those that go on until something shows.
pub(crate) const SOAK: &str = "soak_";
/// Those with other engines.
pub(crate) const ENGINES: &str = "engines_";

/// Runs those of a kind whose name contains `filter`, or all; `false` when one failed or the machine is not as it was before.
pub(crate) fn run(kind: &str, filter: Option<&str>) -> Result<bool> {
    setup::run()?;
    // Another build than this one's can be tried by naming it.
    let program = paths::tinyd();
    if std::env::var_os("TINYD_BIN").is_none() {
        build_cmd::run()?;
    }
    let before = Snapshot::take(&Scope::Machine);
    let mut command = cargo();
    command.args(["test", "--package", "tinyd-tests", "--tests", "--no-fail-fast", "--", "--ignored"]);
    // One at a time: what they measure is their own.
    command.args(["--nocapture", "--test-threads", "1", &words(kind, filter)]).env("TINYD_BIN", program);
    let (ok, tally) = tally::run(&mut command)?;
    if tally == tally::Tally::default() {
        bail!("no test has a name like that");
    }
    let left = leak::left_over(&before, &Scope::Machine, Duration::from_secs(10));
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    if !left.is_empty() {
        println!("LEFT BEHIND:\n{}", leak::describe(&left));
    }
    Ok(ok && left.is_empty())
}

/// What the names must contain.
fn words(kind: &str, filter: Option<&str>) -> String {
    format!("{kind}{}", filter.unwrap_or_default().trim_start_matches(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tests_of_the_kind_are_meant() {
        assert_eq!(words(SOAK, None), "soak_");
        assert_eq!(words(SOAK, Some("kills")), "soak_kills");
        assert_eq!(words(ENGINES, Some("engines_swarm")), "engines_swarm");
    }
}
