//! The process that holds a new scope open. systemd makes no scope without a process and ends one that is empty, and
//! the process that the group is for does not exist yet.
//!
//! It waits for one thing: that nobody holds the [`Hold`] any more. That is so when the group's maker has let go **and**
//! the process that joined has become its command, for the other end of the socket is closed by an exec. So the scope is
//! never empty in between, whoever is first.
//!
//! It counts as one of the group's processes. Where these are limited the limit is one higher as long as it is there, and
//! its last act is to write the true one: it counts itself until it is gone, so there is never room for one too many.

use super::fault::BusError;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What it is called in lists of processes.
const NAME: &CStr = c"tinyd:stand-in";

/// The longest order: two numbers and a path.
const ORDER: usize = 8192;

/// The end that keeps a stand-in, and a scope, alive. Closed by an exec.
#[derive(Debug)]
pub(super) struct Hold(OwnedFd);

impl Hold {
    pub(super) fn into_fd(self) -> OwnedFd {
        self.0
    }

    /// What it shall do at its end: put `after` in the place of `before` in a file.
    pub(super) fn restore(&self, file: &Path, before: &str, after: &str) -> Result<(), BusError> {
        let text = [before.as_bytes(), b"\0", after.as_bytes(), b"\0", file.as_os_str().as_bytes(), b"\0"];
        let text = text.concat();
        if text.len() > ORDER {
            return Err(failed(rustix::io::Errno::NAMETOOLONG));
        }
        rustix::net::send(&self.0, &text, SendFlags::NOSIGNAL).map(drop).map_err(failed)
    }
}

/// Starts one: its process id, and the end that holds it. It is nobody's child here, so that nobody need wait for it.
#[allow(unsafe_code, reason = "what must be there is a process, not a program")]
pub(super) fn start() -> Result<(u32, Hold), BusError> {
    let (ours, theirs) =
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(failed)?;
    // SAFETY: the child calls nothing but system calls, and ends with _exit.
    let child = match unsafe { fork() } {
        -1 => return Err(BusError::StandIn { source: io::Error::last_os_error() }),
        0 => be_between(theirs.as_raw_fd()),
        child => child,
    };
    drop(theirs);
    if let Some(child) = i32::try_from(child).ok().and_then(rustix::process::Pid::from_raw) {
        // Where the caller ignores SIGCHLD the kernel has reaped it.
        let _ = rustix::io::retry_on_intr(|| {
            rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())
        });
    }
    let mut pid = [0; 4];
    let (_, count) = rustix::io::retry_on_intr(|| rustix::net::recv(&ours, &mut pid[..], RecvFlags::empty()))
        .map_err(failed)?;
    match (count, u32::from_ne_bytes(pid)) {
        (4, pid) if pid > 0 => Ok((pid, Hold(ours))),
        _ => Err(failed(rustix::io::Errno::AGAIN)),
    }
}

/// fork(2) as the kernel has it, without what the C library does around it with locks that other threads may hold.
///
/// # Safety
/// The child may only make system calls, and must not return.
#[allow(unsafe_code, reason = "no library offers it")]
unsafe fn fork() -> libc::c_long {
    // SAFETY: no memory is shared and no new stack is asked for; the arguments behind the flags are all nothing.
    unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }
}

fn failed(errno: rustix::io::Errno) -> BusError {
    BusError::StandIn { source: errno.into() }
}

/// The child: makes the stand-in, and leaves it to the system's first process.
#[allow(unsafe_code, reason = "between fork and _exit")]
fn be_between(socket: RawFd) -> ! {
    // SAFETY: system calls with arguments by value, in the only thread of this process.
    unsafe {
        libc::setsid();
        if fork() == 0 {
            be_stand_in(socket);
        }
        libc::_exit(0)
    }
}

/// The stand-in itself. It allocates nothing and takes no lock: whatever its maker's other threads held stays so here.
#[allow(unsafe_code, reason = "between fork and _exit")]
fn be_stand_in(socket: RawFd) -> ! {
    let mut order = [0u8; ORDER];
    let mut ordered = 0;
    // SAFETY: system calls alone, on buffers of this function's, in the only thread of this process; `order` is not
    // longer than what it is read with.
    unsafe {
        // Whoever waits for the end of its maker's pipes and locks must not wait for this one.
        libc::dup2(socket, 0);
        close_from_one();
        // Its maker may ignore what systemd ends a unit with.
        libc::signal(libc::SIGTERM, libc::SIG_DFL);
        libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
        let pid = libc::getpid().to_ne_bytes();
        libc::send(0, pid.as_ptr().cast(), pid.len(), libc::MSG_NOSIGNAL);
        loop {
            let count = libc::recv(0, order.as_mut_ptr().cast(), order.len(), 0);
            match usize::try_from(count) {
                Ok(0) => break,
                Ok(count) => ordered = count,
                Err(_) if *libc::__errno_location() == libc::EINTR => {}
                Err(_) => break,
            }
        }
    }
    carry_out(&order[..ordered]);
    // SAFETY: it ends this process, and nothing of its maker's with it.
    unsafe { libc::_exit(0) }
}

#[allow(unsafe_code, reason = "no library offers it")]
fn close_from_one() {
    // SAFETY: nothing in this process uses a descriptor but 0.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 1, u32::MAX, 0) == 0 {
            return;
        }
        // Linux before 5.9.
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        for fd in 1..i32::try_from(limit.rlim_cur).unwrap_or(i32::MAX).min(1 << 20) {
            libc::close(fd);
        }
    }
}

/// Writes what [`Hold::restore`] asked for. When the file says something else by now somebody has changed it, and it stays.
#[allow(unsafe_code, reason = "between fork and _exit")]
fn carry_out(order: &[u8]) {
    let mut parts = order.splitn(3, |byte| *byte == 0);
    let (Some(before), Some(after), Some(path)) = (parts.next(), parts.next(), parts.next()) else { return };
    let Ok(path) = CStr::from_bytes_with_nul(path) else { return };
    let mut now = [0u8; 32];
    // SAFETY: system calls on a NUL-terminated path and buffers with their lengths.
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_RDWR);
        let count = libc::pread(file, now.as_mut_ptr().cast(), now.len(), 0);
        let read = usize::try_from(count).ok().and_then(|count| now.get(..count)).unwrap_or_default();
        if read.trim_ascii_end() == before {
            libc::write(file, after.as_ptr().cast(), after.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::{Duration, Instant};

    fn name(pid: u32) -> Option<String> {
        fs::read_to_string(format!("/proc/{pid}/comm")).ok()
    }

    fn wait_for(what: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < end, "never: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn pure_it_stands_until_nobody_holds_it_and_is_no_child() {
        let (pid, hold) = start().unwrap();
        wait_for("it has its name", || name(pid).as_deref() == Some("tinyd:stand-in\n"));
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        assert_eq!(descriptors, 1, "nothing of its maker's is open in it");
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let parent = status.rsplit(')').next().unwrap().split_whitespace().nth(1).unwrap().to_owned();
        assert_ne!(parent, std::process::id().to_string());

        // A child has the end too, until its exec.
        let second = rustix::io::fcntl_dupfd_cloexec(&hold.0, 3).unwrap();
        drop(hold);
        std::thread::sleep(Duration::from_millis(50));
        assert!(name(pid).is_some());
        drop(second);
        wait_for("it ends", || name(pid).is_none());
    }

    #[test]
    fn pure_its_last_act_is_the_one_it_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        for (content, wanted) in [("8\n", "7\n"), ("5\n", "5\n")] {
            let file = folder.path().join("pids.max");
            fs::write(&file, content).unwrap();
            let (pid, hold) = start().unwrap();
            hold.restore(&file, "8", "7").unwrap();
            std::thread::sleep(Duration::from_millis(20));
            assert_eq!(fs::read_to_string(&file).unwrap(), content, "not before its end");
            drop(hold);
            wait_for("it ends", || name(pid).is_none());
            assert_eq!(fs::read_to_string(&file).unwrap(), wanted);
        }
        let path = "x".repeat(9000);
        let (_, hold) = start().unwrap();
        assert!(hold.restore(Path::new(&path), "1", "0").is_err());
    }
}
