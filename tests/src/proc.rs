//! Observers: what the kernel says about a process or a container, read from outside.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::wait::eventually;

pub mod cgroups;
pub mod mounts;

/// The inode that identifies a namespace of a process; `kind` as in `/proc/PID/ns` ("net", "mnt", "pid", …).
///
/// # Errors
/// Those of readlink(2): the process is gone, or may not be looked at.
pub fn namespace(pid: i32, kind: &str) -> io::Result<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}"))?;
    let text = link.to_string_lossy().into_owned();
    text.split_once('[')
        .and_then(|(_, rest)| rest.strip_suffix(']'))
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| io::Error::other(format!("{text:?} is no namespace link")))
}

/// The same for this process.
///
/// # Errors
/// As [`namespace`].
pub fn own_namespace(kind: &str) -> io::Result<u64> {
    namespace(own_pid(), kind)
}

/// The process id of the test.
pub fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// A field of `/proc/PID/status` without its name: `status(pid, "CapEff")`. `None` when the process or field is absent.
pub fn status(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}

/// Whether a process has a handler for a signal.
pub fn catches(pid: i32, signal: Signal) -> bool {
    let caught = status(pid, "SigCgt").and_then(|mask| u64::from_str_radix(&mask, 16).ok());
    caught.is_some_and(|mask| mask & (1 << (signal.as_raw() - 1)) != 0)
}

/// The arguments of a process; empty for a zombie and for one that is gone.
pub fn arguments(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// The open descriptors of a process and what they are open on, as `/proc/PID/fd` words it.
pub fn descriptors(pid: i32) -> Vec<(i32, PathBuf)> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?))
        })
        .collect();
    found.sort();
    found
}

/// The descriptors of a process as soon as they are just `numbers`, or as they are after 10 s.
///
/// A program's loader has its libraries open for a moment after the `execve`; what has leaked stays open.
pub fn descriptors_once(pid: i32, numbers: &[i32]) -> Vec<(i32, PathBuf)> {
    eventually(Duration::from_secs(10), || {
        let found = descriptors(pid);
        found.iter().map(|(number, _)| number).eq(numbers).then_some(found)
    })
    .unwrap_or_else(|| descriptors(pid))
}

/// The ids of all processes that `/proc` shows.
pub fn all_pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether a process of this id exists and is not a zombie.
pub fn is_alive(pid: i32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with('Z') && !state.starts_with('X'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let pid = own_pid();
        assert!(is_alive(pid));
        assert!(all_pids().contains(&pid));
        assert_eq!(status(pid, "Tgid"), Some(pid.to_string()));
        assert_eq!(status(pid, "NoSuchField"), None);
        assert!(own_namespace("net").unwrap() > 0);
        assert!(!arguments(pid).is_empty());
        // The standard library has one that reports an overrun stack.
        assert!(catches(pid, Signal::SEGV) && !catches(pid, Signal::USR2));
    }

    #[test]
    fn an_open_file_is_among_the_descriptors() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_owned();
        assert!(descriptors(own_pid()).iter().any(|(_, target)| *target == path));
    }
}
