//! Counting what the test runners say while the user sees it.

use std::io::{BufRead, BufReader, Read};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result};

use crate::shell;

/// How many tests passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Of those that passed, how many did so at their second try only.
    pub(crate) flaky: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.flaky += other.flaky;
    }
}

/// Runs a test runner; gives whether it succeeded and what it counted.
pub(crate) fn run(command: &mut Command) -> Result<(bool, Tally)> {
    command
        .env("CARGO_TERM_COLOR", "never")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {}", shell::shown(command)))?;
    // nextest sums up on the error stream, cargo test on the other.
    let errors =
        child.stderr.take().map(|stream| thread::spawn(move || follow(stream, |line| eprintln!("{line}"))));
    let mut tally =
        child.stdout.take().map(|stream| follow(stream, |line| println!("{line}"))).unwrap_or_default();
    if let Some(errors) = errors {
        tally += errors.join().unwrap_or_default();
    }
    let status = child.wait().with_context(|| format!("cannot wait for {}", shell::shown(command)))?;
    Ok((status.success(), tally))
}

fn follow(stream: impl Read, show: impl Fn(&str)) -> Tally {
    let mut tally = Tally::default();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        show(&line);
        tally += count(&line);
    }
    tally
}

/// Reads a closing line of cargo test or nextest.
fn count(line: &str) -> Tally {
    // nextest shows, set in, what a test that failed has said, which has such a line, too.
    let own = line.starts_with("test result:");
    let line = line.trim_start();
    let closes = own || (line.starts_with("Summary [") && line.contains(" run:"));
    let mut tally = Tally::default();
    if closes {
        let words: Vec<_> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let Ok(number) = pair[0].trim_start_matches('(').parse::<u64>() else { continue };
            match pair[1].trim_end_matches([',', ';', ')']) {
                "passed" => tally.passed += number,
                "flaky" => tally.flaky += number,
                "failed" | "timed" => tally.failed += number,
                _ => {}
            }
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_both_runners() {
        let cargo = "test result: FAILED. 26 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(count(cargo), Tally { passed: 26, failed: 1, flaky: 0 });
        let nextest = "     Summary [   1.2s] 9 tests run: 5 passed (1 slow, 1 flaky), 3 failed, 1 timed out, 2 skipped";
        assert_eq!(count(nextest), Tally { passed: 5, failed: 4, flaky: 1 });
        for other in ["test a ... ok, 3 passed", "    test result: FAILED. 0 passed; 1 failed"] {
            assert_eq!(count(other), Tally::default());
        }
    }

    #[test]
    fn both_streams_count_and_a_failure_is_told() {
        let script = "echo 'test result: ok. 2 passed; 0 failed'; echo 'Summary [ 1s] 1 test run: 1 passed' >&2; exit 1";
        let (ok, tally) = run(Command::new("sh").args(["-c", script])).unwrap();
        assert!(!ok);
        assert_eq!(tally, Tally { passed: 3, ..Tally::default() });
    }
}
