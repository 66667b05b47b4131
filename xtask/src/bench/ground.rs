//! A network namespace for the benchmarks that need one: whatever engines do to links and rules ends with it.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell;

/// Says to this program that it is inside.
const INSIDE: &str = "TINYD_BENCH_GROUND";

/// Runs this program once more, with these words, in a new network namespace.
pub(super) fn again(words: &[&str]) -> Result<()> {
    let own = std::env::current_exe().context("this program has no path")?;
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"]).arg(own).args(words);
    let status = command.env(INSIDE, "1").status().context("cannot start unshare")?;
    match status.success() {
        true => Ok(()),
        false => bail!("the benchmark inside the namespace failed"),
    }
}

/// Whether this is the program inside.
pub(super) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Makes a bridge that has an address.
pub(super) fn bridge(name: &str, address: &str) -> Result<()> {
    let steps: [&[&str]; 3] = [
        &["link", "add", name, "type", "bridge"],
        &["addr", "add", address, "dev", name],
        &["link", "set", name, "up"],
    ];
    steps.iter().try_for_each(|words| shell::run(Command::new("ip").args(*words)).map(drop))
}
