//! `cargo xtask replay`: the corpus of the fuzz targets through their bodies, on stable Rust and without libFuzzer.

use anyhow::Result;

use crate::tally::{self, Tally};
use crate::{outside, shell, workspace};

/// Replays all of it.
pub(crate) fn replay() -> Result<(bool, Tally)> {
    let folder = workspace::root().join("fuzz");
    shell::run(&mut outside::cargo_in(&folder, &["fmt", "--check"])?)?;
    tally::run(&mut outside::cargo_in(
        &folder,
        &["test", "--quiet", "--no-default-features", "--no-fail-fast"],
    )?)
}
