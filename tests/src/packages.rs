//! Packages of the distribution that the tests and the build tool use.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

/// Installs packages by apt, one installer at a time, and reads the package lists again only when it does not work without.
///
/// # Errors
/// When apt is not there or fails; the error holds the end of what it said.
pub fn install(packages: &[&str]) -> io::Result<()> {
    // A lock of our own: apt's front end waits for its lock, but its list lock does not.
    let lock = File::create(std::env::temp_dir().join("tinyd-tests-apt.lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let mut args = vec!["install", "-y", "-qq", "--no-install-recommends"];
    args.extend(packages);
    if apt(&args).is_ok() {
        return Ok(());
    }
    // A fresh machine has no lists, an old one those of packages that are no longer there.
    apt(&["update", "-qq"])?;
    apt(&args)
}

/// Installs `package` unless a file by one of these names is there.
///
/// # Errors
/// As [`install`].
pub fn ensure(files: &[&str], package: &str) -> io::Result<()> {
    if files.iter().any(|file| Path::new(file).exists()) { Ok(()) } else { install(&[package]) }
}

fn apt(args: &[&str]) -> io::Result<()> {
    let output = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .map_err(|err| io::Error::new(err.kind(), format!("cannot run apt-get: {err}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let tail: Vec<_> = said.lines().rev().take(5).collect();
    let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(io::Error::other(format!("apt-get {} failed ({}):\n{tail}", args.join(" "), output.status)))
}
