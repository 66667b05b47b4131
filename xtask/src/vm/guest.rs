//! `xtask vm-guest`: what runs inside the guest. Each test gets a process of its own and a time limit, and each result is
//! a line in the shared folder as soon as it is known.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use super::chosen::Test;
use super::report::{Line, Outcome};

/// On the payload disk: a test a line, `binary TAB name`.
pub(super) const LIST: &str = "tests";
/// On the payload disk: a variable of the tests' environment a line.
pub(super) const VARIABLES: &str = "variables";
/// In the shared folder: that the guest is up; a result a line; the output of each test that did not pass.
pub(super) const BOOTED: &str = "booted";
pub(super) const RESULTS: &str = "results";
pub(super) const OUTPUT: &str = "output";

/// How long one test may take. An emulated machine is some twenty times slower than the one below it.
pub(super) const LIMIT: Duration = Duration::from_secs(120);
/// Tests side by side. A container's life is mostly the kernel's waiting.
const THREADS: usize = 2;

/// The last word of the line of a test beside which no other runs.
const ALONE: &str = "alone";

/// The line of a test in the list.
pub(super) fn listed(test: &Test) -> String {
    let alone = if test.alone { ALONE } else { "" };
    format!("{}\t{}\t{alone}\n", test.binary, test.name)
}

/// Runs all tests of the list in `payload`, writing to `share`.
pub(crate) fn run(payload: &Path, share: &Path) -> Result<bool> {
    let read =
        |name| fs::read_to_string(payload.join(name)).with_context(|| format!("no {name} on the disk"));
    let (list, variables) = (read(LIST)?, read(VARIABLES)?);
    let tests: Vec<(&str, &str, bool)> = list
        .lines()
        .filter_map(|line| {
            let (binary, rest) = line.split_once('\t')?;
            let (name, alone) = rest.split_once('\t')?;
            Some((binary, name, alone == ALONE))
        })
        .collect();
    let variables: Vec<(&str, &str)> = variables.lines().filter_map(|line| line.split_once('=')).collect();
    fs::create_dir(share.join(OUTPUT)).context("the shared folder cannot be written to")?;
    let results = Mutex::new(File::create(share.join(RESULTS)).context("no results can be written")?);
    fs::write(share.join(BOOTED), "").context("the shared folder cannot be written to")?;
    let next = AtomicUsize::new(0);
    let run = |alone: bool| -> Result<bool> {
        let mut ok = true;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((binary, name, is_alone)) = tests.get(number) else { return Ok(ok) };
            if *is_alone != alone {
                continue;
            }
            let output = Path::new("/run").join(format!("output-{number}"));
            let start = Instant::now();
            let outcome = one(&payload.join(binary), name, &variables, &output)?;
            let line = Line { number, outcome, time: start.elapsed() };
            if outcome != Outcome::Passed {
                let place = share.join(OUTPUT).join(number.to_string());
                fs::copy(&output, &place).with_context(|| format!("no output of {name} can be kept"))?;
            }
            ok &= outcome.is_fine();
            let mut results = results.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            // One write each: the host reads while this is written.
            results.write_all(line.to_string().as_bytes()).context("no result can be written")?;
        }
    };
    let done: Vec<Result<bool>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| run(false))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or(Ok(false))).collect()
    });
    next.store(0, Ordering::Relaxed);
    done.into_iter().chain([run(true)]).try_fold(true, |all, ok| Ok(all & ok?))
}

/// Runs one test; what it and its children print goes to the file `output`.
fn one(binary: &Path, name: &str, variables: &[(&str, &str)], output: &PathBuf) -> Result<Outcome> {
    let file = File::create(output).with_context(|| format!("{} cannot be made", output.display()))?;
    let errors = file.try_clone().context("no second descriptor")?;
    let mut command = Command::new(binary);
    command
        .args(["--exact", name, "--include-ignored", "--test-threads=1", "--nocapture"])
        .envs(variables.iter().copied());
    command.current_dir("/").process_group(0).stdin(Stdio::null()).stdout(file).stderr(errors);
    let mut child = command.spawn().with_context(|| format!("{} cannot be started", binary.display()))?;
    let end = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = child.try_wait().context("a test cannot be waited for")? {
            break Some(status);
        }
        if Instant::now() > end {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            child.wait().context("a test that took too long cannot be waited for")?;
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    let text = fs::read(output).unwrap_or_default();
    Ok(outcome(status.map(|status| status.success()), &String::from_utf8_lossy(&text)))
}

/// What an exit (none when time was up) and an output mean.
fn outcome(success: Option<bool>, output: &str) -> Outcome {
    match success {
        None => Outcome::TimedOut,
        Some(false) => Outcome::Failed,
        // A name that no longer fits would "succeed" too.
        Some(true) if !output.contains("1 passed") => Outcome::Failed,
        Some(true) if output.lines().any(|line| line.contains("SKIPPED")) => Outcome::Skipped,
        Some(true) => Outcome::Passed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_counts_only_when_a_test_ran() {
        let ran = "test result: ok. 1 passed; 0 failed";
        assert_eq!(outcome(Some(true), ran), Outcome::Passed);
        assert_eq!(outcome(Some(true), &format!("SKIPPED it (why)\n{ran}")), Outcome::Skipped);
        assert_eq!(outcome(Some(true), "test result: ok. 0 passed; 0 failed"), Outcome::Failed);
        assert_eq!(outcome(Some(false), ran), Outcome::Failed);
        assert_eq!(outcome(None, ran), Outcome::TimedOut);
    }

    #[test]
    fn a_list_is_run_to_its_end_and_what_failed_is_kept() {
        let (payload, share) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let own = std::env::current_exe().unwrap();
        std::os::unix::fs::symlink(own, payload.path().join("own")).unwrap();
        let test =
            |name: &str, alone| listed(&Test { binary: "own".to_owned(), name: name.to_owned(), alone });
        let list = test("shell::tests::an_error_says_what_was_run_and_what_it_said", true)
            + &test("no::such::test", false);
        fs::write(payload.path().join(LIST), list).unwrap();
        fs::write(payload.path().join(VARIABLES), "A=b\n").unwrap();
        assert!(!run(payload.path(), share.path()).unwrap());
        let mut lines: Vec<Line> = fs::read_to_string(share.path().join(RESULTS))
            .unwrap()
            .lines()
            .map(|line| Line::parse(line).unwrap())
            .collect();
        lines.sort_by_key(|line| line.number);
        let outcomes: Vec<_> = lines.iter().map(|line| line.outcome).collect();
        assert_eq!(outcomes, [Outcome::Passed, Outcome::Failed]);
        assert!(share.path().join(OUTPUT).join("1").is_file() && share.path().join(BOOTED).is_file());
    }
}
