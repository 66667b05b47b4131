//! The floor: a small C program that does only the system calls that any engine must do.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tinyd_tests::Env;
use tinyd_tests::proc::cgroups::hierarchies;

use super::contender::{FRESH, Words};
use super::{build_folder, word};
use crate::{shell, workspace};

/// The controllers whose cgroups tinyd makes.
const CONTROLLERS: [&str; 6] = ["cpu", "cpuacct", "memory", "pids", "blkio", "devices"];

/// Its command line for a program of an image; `network` is `none`, or the bridge, address, prefix and gateway.
pub(super) fn words(env: &Env, image: &Path, program: &str, network: &str) -> Result<Words> {
    let scratch = env.files().join(format!("floor-{FRESH}"));
    let mut line = vec![word(&build()?), word(image), word(&scratch), program.into(), network.into()];
    let used = |name: &String| CONTROLLERS.contains(&name.as_str());
    let mounted = hierarchies().into_iter().filter(|one| one.v2 || one.controllers.iter().any(used));
    let mut mounts: Vec<PathBuf> = mounted.map(|one| one.mount).collect();
    // cpu and cpuacct may be one hierarchy.
    mounts.dedup();
    line.extend(mounts.iter().map(|mount| word(mount)));
    Ok(line)
}

/// Compiles it, statically, and gives its path.
fn build() -> Result<PathBuf> {
    let program = build_folder()?.join("floor");
    let sources = ["floor.c", "floor_net.c"].map(|name| workspace::root().join("xtask/src/bench").join(name));
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o"]).arg(&program).args(sources);
    shell::run(&mut compiler)?;
    Ok(program)
}
