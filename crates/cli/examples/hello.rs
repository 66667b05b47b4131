//! Drives `tinyd` from another program: a container's output and exit code are those of any command.
//!
//! Run it as root: `cargo build && cargo run --example hello`. `TINYD` names another program than the one beside it.

use std::io::{Error, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> Result<ExitCode, Error> {
    let output = Command::new(tinyd()?)
        .args(["run", "--rm", "--memory", "64m", "host", "sh", "-c", "echo Hello from $(hostname); exit 7"])
        .output()?;
    let mut screen = std::io::stdout().lock();
    screen.write_all(&output.stdout)?;
    screen.write_all(&output.stderr)?;
    match output.status.code() {
        Some(7) => writeln!(screen, "the command's exit code came through").map(|()| ExitCode::SUCCESS),
        other => writeln!(screen, "expected 7, got {other:?}").map(|()| ExitCode::FAILURE),
    }
}

/// The program in the folder above the examples', where cargo builds it, or the one that is installed.
fn tinyd() -> Result<PathBuf, Error> {
    if let Some(named) = std::env::var_os("TINYD") {
        return Ok(named.into());
    }
    let here = std::env::current_exe()?;
    let built = here.ancestors().nth(2).map(|folder| folder.join("tinyd"));
    Ok(built.filter(|path| path.is_file()).unwrap_or_else(|| "tinyd".into()))
}
