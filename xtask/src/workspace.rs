//! Where things are in the repository, and what cargo says of it.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// The workspace folder.
pub(crate) fn root() -> PathBuf {
    tinyd_tests::paths::workspace()
}

/// A cargo of the toolchain that built this program, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// `cargo metadata` with the whole resolved graph.
pub(crate) fn metadata() -> Result<Value> {
    let text = shell::read(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    serde_json::from_str(&text).context("cargo metadata does not print JSON")
}

/// The files of the repository, as paths below its root: those that git knows and those that it would add.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let text = shell::read(&mut git)?;
    let mut files: Vec<PathBuf> = text.split_terminator('\0').map(PathBuf::from).collect();
    // One that is deleted but not committed so is still listed.
    files.retain(|path| root().join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}
