//! The floor: a small C program that does only the system calls that any engine must do.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::build_folder;
use crate::{shell, workspace};

/// Compiles it, statically, and gives its path.
pub(super) fn build() -> Result<PathBuf> {
    let program = build_folder()?.join("floor");
    let source = workspace::root().join("xtask/src/bench/floor.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o"]).arg(&program).arg(source);
    shell::run(&mut compiler)?;
    Ok(program)
}
