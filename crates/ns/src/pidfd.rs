//! Processes by descriptor: no signal and no exit is ever taken for another process that got the same number.

use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code (0 to 255).
    Exited(u8),
    /// By this signal.
    Signaled(i32),
}

impl Exit {
    /// The code as shells give it: 128+n for signal n.
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => 128u8.saturating_add(signal as u8),
        }
    }
}

/// A descriptor of a process, closed on exec.
pub fn open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw).ok_or(Errno::INVAL)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// A number that no other process has or will have until the machine starts anew (pidfs, Linux 6.9); `None` where the kernel
/// gives none.
pub fn unique_number(pidfd: impl AsFd) -> Option<u64> {
    // Before that, all descriptors of processes share one inode of another file system.
    let is_pidfs = rustix::fs::fstatfs(&pidfd).is_ok_and(|found| found.f_type == PIDFS_MAGIC);
    is_pidfs.then(|| rustix::fs::fstat(&pidfd).ok()).flatten().map(|found| found.st_ino)
}

/// Magic number of pidfs (linux/magic.h): "PIDF".
const PIDFS_MAGIC: rustix::fs::FsWord = 0x5049_4446;

/// Sends a signal by number. `ESRCH` when the process has ended.
pub fn send_signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let signal = Signal::from_named_raw(signal)
        .or_else(|| real_time_signal(signal))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("there is no signal {signal}")))?;
    Ok(rustix::process::pidfd_send_signal(pidfd, signal)?)
}

fn real_time_signal(number: i32) -> Option<Signal> {
    // Those that the C library keeps to itself (32, 33) are left out.
    if !(34..=64).contains(&number) {
        return None;
    }
    // SAFETY: the number is one of the kernel's real-time signals and none of those the C library uses.
    Some(unsafe { Signal::from_raw_unchecked(number) })
}

/// Waits for a child to end and takes its exit.
pub fn wait(pidfd: impl AsFd) -> io::Result<Exit> {
    wait_with(pidfd, WaitIdOptions::EXITED)
}

/// Waits for a child to end and leaves it as a zombie, so that its exit can be recorded before it is taken.
pub fn peek(pidfd: impl AsFd) -> io::Result<Exit> {
    wait_with(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)
}

/// How a process ended that is no child of the caller's. To be asked once the descriptor, which must have been opened
/// before its parent took the exit, is readable. `None` where the kernel does not say: an exit that a parent has taken is
/// kept since Linux 6.15 (PIDFD_INFO_EXIT of ioctl_pidfd(2)), that of a zombie is told since 6.13. On older ones an
/// [`ExitWatch`](crate::exit_watch::ExitWatch) that listened before hears of it.
pub fn exit_of_other(pidfd: impl AsFd) -> Option<Exit> {
    for pause in PAUSES {
        match look(pidfd.as_fd()) {
            Look::Told(exit) => return exit,
            Look::Passing => std::thread::sleep(Duration::from_millis(pause)),
        }
    }
    None
}

/// How long an exit that is just being taken is waited for, in milliseconds: for an instant the process is a zombie no more, and
/// the kernel has not kept its exit yet. On kernels that keep none it is never found, which costs this once.
const PAUSES: [u64; 7] = [0, 1, 2, 5, 10, 20, 40];

/// What the kernel says of the exit of another's child.
enum Look {
    /// How it ended; `None` while it runs, and where the kernel does not say.
    Told(Option<Exit>),
    /// Its parent is just taking it, or has.
    Passing,
}

fn look(pidfd: BorrowedFd<'_>) -> Look {
    let first = match Info::of(pidfd) {
        Ok(info) => info,
        Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => return Look::Passing,
        Err(_) => return Look::Told(None),
    };
    if let Some(exit) = first.exit() {
        return Look::Told(Some(exit));
    }
    let stat = stat(first.pid);
    // Asked again: had the exit been taken meanwhile, the number might have been another process's.
    match (Info::of(pidfd).map(|second| second.exit()), stat) {
        (Ok(Some(exit)), _) => Look::Told(Some(exit)),
        (Ok(None), Some(Stat::Zombie(exit))) => Look::Told(exit),
        (Ok(None), Some(Stat::Alive)) => Look::Told(None),
        _ => Look::Passing,
    }
}

/// `struct pidfd_info` of the kernel's `pidfd.h`, in its first size.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    pid: u32,
    others: [u32; 10],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;
/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: rustix::ioctl::Opcode = rustix::ioctl::opcode::read_write::<Info>(0xFF, 11);

impl Info {
    fn of(pidfd: BorrowedFd<'_>) -> io::Result<Self> {
        let mut info = Self { mask: PIDFD_INFO_EXIT, ..Self::default() };
        // SAFETY: the kernel reads and writes one `struct pidfd_info` of the size that is part of the request's number.
        unsafe {
            let request = rustix::ioctl::Updater::<PIDFD_GET_INFO, Self>::new(&mut info);
            rustix::ioctl::ioctl(pidfd, request)?;
        }
        Ok(info)
    }

    fn exit(&self) -> Option<Exit> {
        (self.mask & PIDFD_INFO_EXIT != 0).then(|| from_status(self.exit_code)).flatten()
    }
}

/// What proc_pid_stat(5) says of a process.
enum Stat {
    Alive,
    /// How it ended: the last field.
    Zombie(Option<Exit>),
    /// Taken by its parent, and not gone yet.
    Dead,
}

/// None where there is no such process.
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, which may itself hold brackets and blanks.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    Some(match fields.next()? {
        "Z" => Stat::Zombie(fields.nth(48).and_then(|status| from_status(status.parse().ok()?))),
        "X" | "x" => Stat::Dead,
        _ => Stat::Alive,
    })
}

/// Reads a status as wait(2) gives it.
pub(crate) fn from_status(status: i32) -> Option<Exit> {
    if libc::WIFEXITED(status) {
        return Some(Exit::Exited(libc::WEXITSTATUS(status) as u8));
    }
    libc::WIFSIGNALED(status).then(|| Exit::Signaled(libc::WTERMSIG(status)))
}

fn wait_with(pidfd: impl AsFd, options: WaitIdOptions) -> io::Result<Exit> {
    let status =
        rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options))?
            .ok_or(Errno::CHILD)?;
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ok(Exit::Exited(code as u8)),
        (None, Some(signal)) => Ok(Exit::Signaled(signal)),
        (None, None) => Err(Errno::CHILD.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_ends_a_child_and_its_exit_can_be_looked_at_twice() {
        #[expect(clippy::zombie_processes, reason = "it is waited for by its descriptor")]
        let child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let pidfd = open(child.id()).unwrap();
        send_signal(&pidfd, 15).unwrap();
        assert_eq!(peek(&pidfd).unwrap(), Exit::Signaled(15));
        assert_eq!(wait(&pidfd).unwrap().code(), 143);
        assert!(wait(&pidfd).is_err());
    }

    /// A shell, and its child: `child` in the background once the shell's input ends, beside which the shell does `meanwhile`.
    fn childs_parent(child: &str, meanwhile: &str) -> (std::process::Child, OwnedFd) {
        // A command in the background has no input but one that it is given by another number.
        let text = format!("exec 3<&0; sh -c 'read x; {child}' <&3 & echo $!; {meanwhile}");
        let mut parent = std::process::Command::new("sh")
            .args(["-c", &text])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = parent.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
        (parent, open(line.trim().parse().unwrap()).unwrap())
    }

    /// Lets the child end; gives what is told of its exit as soon as it has.
    fn told_at_its_end(parent: &mut std::process::Child, pidfd: &OwnedFd) -> Option<Exit> {
        drop(parent.stdin.take());
        let mut fds = [rustix::event::PollFd::new(pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, None).unwrap();
        let told = exit_of_other(pidfd);
        parent.kill().unwrap();
        parent.wait().unwrap();
        told
    }

    /// Its parent is a shell that has gone on to be another program, and so never takes the exit.
    #[test]
    fn the_exit_of_another_s_child_is_told_where_the_kernel_does() {
        for (command, exit) in [("exit 7", Exit::Exited(7)), ("kill -9 $$", Exit::Signaled(9))] {
            let (mut parent, pidfd) = childs_parent(command, "exec sleep 60");
            assert_eq!(exit_of_other(&pidfd), None, "it runs");
            let told = told_at_its_end(&mut parent, &pidfd);
            match Info::of(pidfd.as_fd()) {
                Ok(_) => assert_eq!(told, Some(exit)),
                // A kernel before 6.13 says nothing, and nothing is invented.
                Err(_) => assert!(told.is_none() || told == Some(exit)),
            }
        }
    }

    /// However the looks fall between the end of a process and the moment when its parent has taken it.
    #[test]
    fn an_exit_that_is_being_taken_is_told() {
        for _ in 0..300 {
            let (mut parent, pidfd) = childs_parent("exit 7", "wait; exec sleep 60");
            let told = told_at_its_end(&mut parent, &pidfd);
            match crate::exit_watch::ExitWatch::is_needed() {
                // What has been taken such a kernel does not tell.
                true => assert!(told.is_none() || told == Some(Exit::Exited(7))),
                false => assert_eq!(told, Some(Exit::Exited(7))),
            }
        }
    }

    #[test]
    fn numbers_that_are_no_signals_are_refused() {
        let me = open(std::process::id()).unwrap();
        for number in [-1, 0, 32, 33, 65] {
            assert_eq!(send_signal(&me, number).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{number}");
        }
    }
}
