//! The guest's second disk: the test binaries, the programs under test, what the tests use, and the list of what to run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tinyd_tests::{paths, remove::remove_tree, roots};

use super::chosen::Test;
use super::{disk, guest};
use crate::shell;
use crate::workspace::cargo;

const SCRIPT: &str = include_str!("guest.sh");
const SYSTEMD_SCRIPT: &str = include_str!("systemd.sh");

/// Builds the test binaries; gives the paths of the wanted ones by their names. Cargo is called as the other tiers call it (`test.rs`):
/// with other packages at once their features would be others, and everything would be built once more.
pub(super) fn build(wanted: &BTreeSet<String>) -> Result<BTreeMap<String, PathBuf>> {
    let messages = |more: &[&str]| {
        let mut command = cargo();
        command.args(["test", "--no-run", "--message-format", "json-render-diagnostics"]).args(more);
        shell::read(&mut command).context("the tests cannot be built")
    };
    let of_crates = messages(&["--workspace", "--exclude", "tinyd-tests", "--lib", "--tests"])?;
    let files = paths::workspace().join("tests/tests");
    let black_box = wanted.iter().filter(|name| files.join(format!("{name}.rs")).exists());
    let tests: Vec<&str> = black_box.flat_map(|name| ["--test", name]).collect();
    let black_box = messages(&[&["--package", "tinyd-tests"], &tests[..]].concat())?;
    let mut made = test_binaries(&(of_crates + &black_box));
    made.retain(|name, _| wanted.contains(name));
    Ok(made)
}

/// The test binaries in cargo's messages. Of two with one name it is that of the black-box tests, whichever was built first.
fn test_binaries(messages: &str) -> BTreeMap<String, PathBuf> {
    let mut made = BTreeMap::new();
    for message in messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let (name, path) = (message["target"]["name"].as_str(), message["executable"].as_str());
        if let (Some(name), Some(path), Some(true)) = (name, path, message["profile"]["test"].as_bool()) {
            let is_black_box = message["package_id"].as_str().is_some_and(|id| id.contains("tinyd-tests"));
            if is_black_box || !made.contains_key(name) {
                made.insert(name.to_owned(), PathBuf::from(path));
            }
        }
    }
    made
}

/// The names of all tests in a binary.
pub(super) fn names(binary: &Path) -> Result<Vec<String>> {
    let text = shell::read(Command::new(binary).args(["--list", "--format", "terse"]))?;
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Makes the disk for these tests.
pub(super) fn make(
    folder: &Path,
    binaries: &BTreeMap<String, PathBuf>,
    tests: &[Test],
    variables: &[(&str, &str)],
) -> Result<PathBuf> {
    let tree = folder.join("payload.unfinished");
    remove_tree(&tree).context("an old payload cannot be removed")?;
    let (programs, cache) = (tree.join("bin"), tree.join("test-roots"));
    for path in [&programs, &cache] {
        fs::create_dir_all(path).with_context(|| format!("{} cannot be made", path.display()))?;
    }
    let wanted: BTreeSet<&str> = tests.iter().map(|test| test.binary.as_str()).collect();
    for name in wanted {
        let Some(binary) = binaries.get(name) else { bail!("no test binary {name} is built") };
        strip(binary, &tree.join(name))?;
    }
    strip(&std::env::current_exe().context("this program has no path")?, &programs.join("xtask"))?;
    for program in [paths::tinyd(), paths::tinyd().with_file_name("tinyd-runtime"), "/bin/busybox".into()] {
        let place = programs.join(program.file_name().unwrap_or_default());
        fs::copy(&program, &place).with_context(|| format!("{} cannot be copied", program.display()))?;
    }
    let busybox = roots::busybox();
    shell::run(Command::new("cp").arg("-a").arg(&busybox).arg(&cache))?;
    let list: String = tests.iter().map(guest::listed).collect();
    let variables: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    let scripts = [("guest.sh", SCRIPT), ("systemd.sh", SYSTEMD_SCRIPT)];
    for (name, text) in scripts.into_iter().chain([(guest::LIST, &*list), (guest::VARIABLES, &variables)]) {
        fs::write(tree.join(name), text).with_context(|| format!("{name} cannot be written"))?;
    }
    let place = folder.join("payload.ext4");
    disk::image(&tree, &place)?;
    remove_tree(&tree).context("the payload's folder cannot be removed")?;
    Ok(place)
}

/// Copies a binary without what only a debugger reads: most of it.
fn strip(binary: &Path, place: &Path) -> Result<()> {
    shell::run(Command::new("strip").arg("--strip-debug").arg("-o").arg(place).arg(binary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_binaries_are_taken_from_cargos_messages() {
        let text = r#"{"reason":"compiler-artifact","target":{"name":"tinyd"},"profile":{"test":false},"executable":"/t"}
{"package_id":"path+file:///w/crates/net#tinyd-net@0.1.0","target":{"name":"limits"},"profile":{"test":true},"executable":"/n"}
{"package_id":"path+file:///w/tests#tinyd-tests@0.1.0","target":{"name":"limits"},"profile":{"test":true},"executable":"/l"}
{"package_id":"path+file:///w/crates/net#tinyd-net@0.1.0","target":{"name":"limits"},"profile":{"test":true},"executable":"/n"}
{"reason":"compiler-artifact","target":{"name":"libc"},"profile":{"test":false},"executable":null}
not json
{"reason":"build-finished","success":true}"#;
        let made = test_binaries(text);
        assert_eq!(made.into_iter().collect::<Vec<_>>(), [("limits".to_owned(), PathBuf::from("/l"))]);
    }
}
