//! `cargo xtask soak`: the tests that take minutes or hours. They are ignored by `cargo xtask test`, and their names begin
//! with `soak_`; each prints what it measured.

use std::time::Duration;

use anyhow::{Result, bail};
use tinyd_tests::leak::{self, Scope, Snapshot};
use tinyd_tests::paths;

use crate::tally;
use crate::workspace::cargo;
use crate::{build_cmd, setup};

/// Runs those whose name contains `filter`, or all; `false` when one failed or the machine is not as it was before.
pub(crate) fn run(filter: Option<&str>) -> Result<bool> {
    setup::run()?;
    build_cmd::run()?;
    let before = Snapshot::take(&Scope::Machine);
    let mut command = cargo();
    command.args(["test", "--package", "tinyd-tests", "--tests", "--no-fail-fast", "--", "--ignored"]);
    // One at a time: what they measure is their own.
    command.args(["--nocapture", "--test-threads", "1", &words(filter)]).env("TINYD_BIN", paths::tinyd());
    let (ok, tally) = tally::run(&mut command)?;
    if tally == tally::Tally::default() {
        bail!("no soak test has a name like that");
    }
    let left = leak::left_over(&before, &Scope::Machine, Duration::from_secs(10));
    println!("\n{} passed, {} failed", tally.passed, tally.failed);
    if !left.is_empty() {
        println!("LEFT BEHIND:\n{}", leak::describe(&left));
    }
    Ok(ok && left.is_empty())
}

/// What the names must contain.
fn words(filter: Option<&str>) -> String {
    match filter {
        None => "soak_".to_owned(),
        Some(filter) => format!("soak_{}", filter.trim_start_matches("soak_")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_soak_tests_are_meant() {
        assert_eq!(words(None), "soak_");
        assert_eq!(words(Some("kills")), "soak_kills");
        assert_eq!(words(Some("soak_kills")), "soak_kills");
    }
}
