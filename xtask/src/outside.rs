//! Packages of the repository that are no members of the workspace: built in their own folders, as a stranger would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tinyd_tests::paths;

use crate::workspace::{self, cargo};

/// The build folder that all of them share with the workspace: what they build of others is the same, for it is built in the same way.
pub(crate) fn target() -> PathBuf {
    paths::target()
}

/// The workspace's `profile.dev`, which packages outside do not have.
const PROFILE: [&str; 3] = [
    "profile.dev.panic='abort'",
    "profile.dev.debug='line-tables-only'",
    "profile.dev.package.'*'.debug=false",
];

/// Cargo in such a package's folder. Its lock file begins as the workspace's, so that what is built is what was tested.
pub(crate) fn cargo_in(folder: &Path, words: &[&str]) -> Result<Command> {
    let lock = folder.join("Cargo.lock");
    if !lock.exists() {
        fs::copy(workspace::root().join("Cargo.lock"), &lock)
            .with_context(|| format!("cannot copy the lock file to {}", lock.display()))?;
    }
    let mut command = cargo();
    command.args(PROFILE.iter().flat_map(|line| ["--config", line]));
    command.current_dir(folder).env("CARGO_TARGET_DIR", target()).args(words);
    Ok(command)
}
