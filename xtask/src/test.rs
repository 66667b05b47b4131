//! `cargo xtask test`: sets the machine up, builds, runs every test, and compares the machine with what it was before.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::geteuid;
use tinyd_tests::leak::{self, Scope, Snapshot};
use tinyd_tests::{paths, proc};

use crate::tally::{self, Tally};
use crate::workspace::cargo;
use crate::{build_cmd, embed, fuzz, setup, shell};

/// The tests of commands, which are run once more, each through a daemon of its own: every command works the same with and
/// without one. Not among them are those that look at how a container is walled off and made, which a daemon has no part in, and
/// those that kill, trace, starve or measure, or start daemons themselves. What of these says nothing through a daemon begins
/// with `unserved!`.
const SERVED: [&str; 58] = [
    "accounts",
    "attach",
    "binds",
    "check",
    "copy",
    "device_rates",
    "devices",
    "docker_words",
    "events",
    "exec",
    "groups",
    "health",
    "image_mounts",
    "init",
    "inspect",
    "lifecycle",
    "limits",
    "logs",
    "logs_kept",
    "names",
    "network",
    "network_cni",
    "network_default",
    "network_life",
    "network_macvlan",
    "network_names",
    "network_ports",
    "network_verbs",
    "options",
    "pause",
    "places",
    "programs",
    "ps",
    "refusals",
    "rename",
    "restart",
    "restart_policy",
    "run",
    "secrets",
    "signals",
    "start_order",
    "stats",
    "storage",
    "streams",
    "terminal",
    "top",
    "ulimits",
    "update",
    "users",
    "volumes",
    "volumes_drivers",
    "volumes_freeze",
    "volumes_moved",
    "volumes_parts",
    "volumes_shared",
    "volumes_sizes",
    "wait",
    "words",
];

/// So many tests may need a second try (docs/adr/0045).
const MOST_FLAKY: u64 = 3;

/// Runs the tests whose name contains `filter`, or all.
pub(crate) fn run(filter: Option<&str>) -> Result<bool> {
    let is_root = geteuid().is_root();
    title("set-up");
    setup::run()?;
    build_cmd::run()?;
    let before = Snapshot::take(&Scope::Machine);
    let mut summary = Summary::default();
    let skips = paths::target().join("skipped-tests");
    forget(&skips)?;

    title("tiers pure and namespace: unit tests, doc tests and examples of every crate");
    summary.add(units(filter, &skips)?);
    summary.add(documented(filter, &skips)?);
    if filter.is_none_or(|filter| "replay".contains(filter)) {
        title("tier pure: the corpus of the fuzz targets");
        summary.add(fuzz::replay()?);
    }
    title("tier root: the built programs on the real kernel");
    if is_root {
        summary.add(black_box(filter, &skips)?);
        title("tier root, served: the tests of commands, each through a daemon of its own");
        summary.add(served(filter, &skips)?);
        if filter.is_none_or(|filter| "embed".contains(filter)) {
            title("tier root: programs outside the workspace that use its crates");
            summary.add(embed::run()?);
        }
    } else {
        println!("SKIPPED tier root (not root)");
        summary.ok &= !shell::is_ci();
    }
    title("the machine, compared with what it was before");
    summary.ok &= compare(&before);
    if is_root {
        remove_shared_cgroups();
    }
    summary.ok &= show_skips(&skips)?;
    if filter.is_some() && summary.tally == Tally::default() {
        bail!("no test has a name like that");
    }
    let Tally { passed, failed, flaky } = summary.tally;
    println!("\n{passed} passed ({flaky} at their second try only), {failed} failed");
    Ok(summary.ok && flaky <= MOST_FLAKY)
}

#[derive(Debug)]
struct Summary {
    ok: bool,
    tally: Tally,
}

impl Default for Summary {
    fn default() -> Summary {
        Summary { ok: true, tally: Tally::default() }
    }
}

impl Summary {
    fn add(&mut self, (ok, tally): (bool, Tally)) {
        self.ok &= ok;
        self.tally += tally;
    }
}

fn title(text: &str) {
    println!("\n== {text}");
}

/// The tests of all crates but the black-box ones.
fn units(filter: Option<&str>, skips: &Path) -> Result<(bool, Tally)> {
    let crates = ["--workspace", "--exclude", "tinyd-tests"];
    let mut command = cargo();
    match has_nextest() {
        true => nextest(&mut command).args(crates).args(filter),
        false => command.args(["test", "--no-fail-fast", "--all-targets"]).args(crates).args(filter),
    };
    tally::run(command.env("TINYD_SKIPS", skips))
}

/// The examples in the documents of all crates, which only cargo test runs.
fn documented(filter: Option<&str>, skips: &Path) -> Result<(bool, Tally)> {
    let mut command = cargo();
    command.args(["test", "--doc", "--workspace", "--exclude", "tinyd-tests", "--no-fail-fast"]).args(filter);
    tally::run(command.env("TINYD_SKIPS", skips))
}

fn has_nextest() -> bool {
    shell::works(cargo().args(["nextest", "--version"]))
}

/// nextest, which gives each test a process of its own and ends one that hangs (.config/nextest.toml).
fn nextest(command: &mut Command) -> &mut Command {
    command.args(["nextest", "run", "--no-fail-fast", "--no-tests", "pass"]);
    if shell::is_ci() {
        // One that needs it is listed as flaky, and is a defect all the same (docs/adr/0045).
        command.args(["--retries", "1"]);
    }
    command
}

/// All black-box tests.
fn black_box(filter: Option<&str>, skips: &Path) -> Result<(bool, Tally)> {
    tally::run(&mut built(None, filter, skips))
}

/// Those of commands, through daemons; says which of them would say nothing so, and why.
fn served(filter: Option<&str>, skips: &Path) -> Result<(bool, Tally)> {
    let unserved = paths::target().join("unserved-tests");
    forget(&unserved)?;
    let mut command = built(Some(&SERVED), filter, skips);
    let (ok, mut tally) =
        tally::run(command.env("TINYD_TESTS_SERVED", "1").env("TINYD_UNSERVED", &unserved))?;
    let text = fs::read_to_string(&unserved).unwrap_or_default();
    let count = text.lines().count();
    println!("{count} of them say nothing through a daemon, and do not count:\n{text}");
    tally.passed = tally.passed.saturating_sub(u64::try_from(count)?);
    Ok((ok, tally))
}

/// Black-box tests, of some files or of all.
fn built(files: Option<&[&str]>, filter: Option<&str>, skips: &Path) -> Command {
    let threads = threads().to_string();
    let files = files.unwrap_or_default();
    let mut command = cargo();
    if has_nextest() {
        nextest(&mut command).args(["--package", "tinyd-tests", "--test-threads", &threads]).args(filter);
        let some: Vec<String> = files.iter().map(|file| format!("binary({file})")).collect();
        if !some.is_empty() {
            command.args(["-E", &some.join(" | ")]);
        }
    } else {
        command.args(["test", "--package", "tinyd-tests", "--no-fail-fast"]);
        if files.is_empty() {
            command.args(["--lib", "--tests"]);
        }
        command.args(files.iter().flat_map(|file| ["--test", file]));
        command.args(filter).args(["--", "--test-threads", &threads]);
    }
    command.env("TINYD_BIN", paths::tinyd()).env("TINYD_SKIPS", skips);
    command
}

/// A container's life is mostly the kernel's waiting: two tests a processor, unless `TINYD_TEST_THREADS` says otherwise.
fn threads() -> usize {
    let wanted = std::env::var("TINYD_TEST_THREADS").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or_else(|| 2 * std::thread::available_parallelism().map_or(1, usize::from))
}

/// Whether nothing is on the machine that was not there before the tests.
fn compare(before: &Snapshot) -> bool {
    let left = leak::left_over(before, &Scope::Machine, Duration::from_secs(10));
    if left.is_empty() {
        println!("nothing was left behind");
    } else {
        println!("LEFT BEHIND by the tests as a whole:\n{}", leak::describe(&left));
    }
    left.is_empty()
}

/// The two folders that all containers share stay as long as the machine is used; after the tests they go.
fn remove_shared_cgroups() {
    for hierarchy in proc::cgroups::hierarchies() {
        for name in ["tinyd/monitor", "tinyd"] {
            // Not there, or in use by a container that is not the tests': both are as they should be.
            let _ = fs::remove_dir(hierarchy.mount.join(name));
        }
    }
}

fn forget(skips: &Path) -> Result<()> {
    match fs::remove_file(skips) {
        Err(err) if err.kind() != std::io::ErrorKind::NotFound => {
            Err(err).with_context(|| format!("cannot remove {}", skips.display()))
        }
        _ => Ok(()),
    }
}

/// Shows what was skipped; in CI that is a failure.
fn show_skips(skips: &Path) -> Result<bool> {
    let text = match fs::read_to_string(skips) {
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        other => other.with_context(|| format!("cannot read {}", skips.display()))?,
    };
    title("skipped");
    print!("{text}");
    Ok(!shell::is_ci())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_shown_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let skips = dir.path().join("skips");
        forget(&skips).unwrap();
        assert!(show_skips(&skips).unwrap());
        fs::write(&skips, "SKIPPED it (why)\n").unwrap();
        assert_eq!(show_skips(&skips).unwrap(), !shell::is_ci());
        forget(&skips).unwrap();
        assert!(!skips.exists());
    }

    #[test]
    fn what_is_served_are_files_of_tests() {
        for file in SERVED {
            assert!(paths::workspace().join(format!("tests/tests/{file}.rs")).is_file(), "{file}");
        }
        let words: Vec<String> = built(Some(&["run"]), Some("x"), Path::new("/s"))
            .get_args()
            .map(|word| word.display().to_string())
            .collect();
        let only = |word: &str| words.iter().any(|other| other.contains(word));
        assert!(only("binary(run)") || (only("run") && only("--test")), "{words:?}");
    }

    #[test]
    fn there_is_at_least_one_thread() {
        assert!(threads() >= 1);
    }
}
