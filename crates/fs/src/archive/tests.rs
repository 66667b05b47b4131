//! Against GNU tar, against those who mean ill, and against faults.

use super::*;
use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Command;

mod build;
mod faults;
mod gnu;
mod holes;
mod hostile;
mod race;
mod same;
mod speed;

fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED (needs root)");
    }
    root
}

/// Folders `from` and `to` of a folder that is gone with the first.
fn two() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("to"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    (folder, from, to)
}

/// Everything is kept.
fn faithful() -> Unpack<'static> {
    Unpack { privileges: true, devices: Devices::Make, ..Unpack::default() }
}

fn packed(from: &Path, options: &Pack<'_>) -> (Vec<u8>, Summary) {
    let mut bytes = Vec::new();
    let summary = pack(File::open(from).unwrap().as_fd(), &[], &mut bytes, options).unwrap();
    (bytes, summary)
}

fn unpacked(bytes: &[u8], to: &Path, options: &Unpack<'_>) -> Result<Summary> {
    unpack(bytes, File::open(to).unwrap().as_fd(), options)
}

fn problem(result: Result<Summary>) -> Problem {
    match result {
        Err(Error::Archive { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

/// GNU tar; what it says on standard error must be nothing.
#[track_caller]
fn tar(arguments: &[&str]) {
    let output = Command::new("tar").args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && errors.is_empty(), "tar {arguments:?}: {errors}");
}
