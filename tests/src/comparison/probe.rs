//! Building the probe, and what it is told.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::paths;

/// The kinds of namespaces, as `/proc/self/ns` calls them.
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// Builds the probe as `folder/probe`: static, so that it runs in any root. Its words are explained in `tests/probe/main.c`.
///
/// # Panics
/// When there is no C compiler, or the probe cannot be compiled.
#[track_caller]
pub fn build(folder: &Path) -> PathBuf {
    let program = folder.join("probe");
    let sources = paths::workspace().join("tests/probe");
    let mut files: Vec<PathBuf> = fs::read_dir(&sources)
        .expect("the probe's sources are there")
        .map(|entry| entry.expect("the probe's sources can be listed").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    files.sort();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-std=gnu11", "-D_GNU_SOURCE", "-O1", "-static", "-no-pie", "-o"])
        .arg(&program)
        .args(files);
    let output = compiler.stdin(Stdio::null()).output().expect("cc can be started");
    assert!(output.status.success(), "the probe: {}", String::from_utf8_lossy(&output.stderr));
    program
}

/// The words by which the probe knows the host's namespaces from its own: `net=4026531840`.
pub fn host_namespaces() -> Vec<String> {
    let number = |kind: &str| {
        let link = fs::read_link(format!("/proc/self/ns/{kind}")).ok()?;
        let number: String = link.to_str()?.chars().filter(char::is_ascii_digit).collect();
        Some(format!("{kind}={number}"))
    };
    NAMESPACES.iter().filter_map(|kind| number(kind)).collect()
}
