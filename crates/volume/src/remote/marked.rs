//! Processes of a volume: a program that mounts, and what it started, which may have left its process group or lost its
//! parent. Each has a word in its environment that says for which volume it was started, and which nothing of theirs removes.

use crate::patience::within;
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// The word's name; its value is the place of the mount.
pub(super) const NAME: &str = "TINYD_VOLUME";

/// What a look at all processes may take; it takes milliseconds.
const LONGEST: Duration = Duration::from_secs(1);

/// Those of a volume, held by descriptors: a number may pass to another process at any moment.
///
/// An environment lies in its process's memory, and the kernel may hold up who reads it, as long as the process waits for a
/// page of a file system that does not answer. So only our own user's processes are looked at, as helpers are, and not for long.
fn all(mark: &Path) -> Vec<OwnedFd> {
    let word = [NAME.as_bytes(), b"=", mark.as_os_str().as_bytes()].concat();
    let (found, marked) = mpsc::channel();
    within(Instant::now() + LONGEST, move || {
        let Ok(entries) = std::fs::read_dir("/proc") else { return };
        let ours = geteuid().as_raw();
        let are_ours =
            entries.flatten().filter(|entry| entry.metadata().is_ok_and(|data| data.uid() == ours));
        for pid in are_ours.filter_map(|entry| number(&entry.file_name())) {
            if let Some(held) = held(pid, &word) {
                // Who is not listened to any more has taken too long.
                let _ = found.send(held);
            }
        }
    });
    marked.try_iter().collect()
}

/// A process, if it bears the word.
fn held(pid: Pid, word: &[u8]) -> Option<OwnedFd> {
    // First the descriptor, then the look: who is looked at is who is held, for it still lives after the look.
    let held = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let environment = std::fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).ok()?;
    environment.split(|byte| *byte == 0).any(|other| other == word).then_some(held)
}

fn number(name: &OsStr) -> Option<Pid> {
    Pid::from_raw(name.to_str()?.parse().ok()?)
}

/// There is one that has not ended.
pub(super) fn exist(mark: &Path) -> bool {
    // A zombie has no environment.
    !all(mark).is_empty()
}

/// Sends all of them a signal.
pub(super) fn end(mark: &Path, signal: Signal) {
    for process in all(mark) {
        // One that has ended meanwhile is what is wanted.
        let _ = pidfd_send_signal(&process, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::helper::Helper;
    use std::process::Stdio;

    #[test]
    fn pure_who_left_the_group_is_found_and_others_are_not() {
        let place = tempfile::tempdir().unwrap();
        let (mark, other) = (place.path().join("a"), place.path().join("ab"));
        let start = |mark: &Path| {
            let args = ["-c".to_owned(), "setsid sleep 600 & sleep 0.1; exit 0".to_owned()];
            Helper::start(Path::new("/bin/sh"), &args, Stdio::null(), mark).unwrap()
        };
        let (mut one, mut two) = (start(&mark), start(&other));
        while one.ended().unwrap().is_none() || two.ended().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(exist(&mark) && exist(&other));
        one.end();
        let until = Instant::now() + Duration::from_secs(10);
        while exist(&mark) {
            assert!(Instant::now() < until, "it lives on");
        }
        assert!(exist(&other));
        two.end();
    }
}
