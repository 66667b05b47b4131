//! Processes of the host, by descriptor.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};
use tinyd_runtime::state::ProcessId;

/// It runs: a zombie, whose parent may never take its exit, does not. Where nobody can tell, for want of a descriptor, it does:
/// what is done to who has ended must not be done to who runs.
pub(crate) fn runs(process: ProcessId) -> bool {
    match tinyd_ns::pidfd::open(process.pid) {
        Ok(fd) => !has_ended(&fd) && !process.is_other(&fd),
        // A number that is a thread's, and no process's, is `ENOENT` to later kernels and `EINVAL` to earlier ones, as 0 is.
        Err(error) => {
            !matches!(Errno::from_io_error(&error), Some(Errno::SRCH | Errno::NOENT | Errno::INVAL))
        }
    }
}

/// A monitor is at work. Its second thread does nothing but write to the disk, and may end long after the first one was killed.
pub(crate) fn is_at_work(monitor: ProcessId) -> bool {
    runs(monitor) && !matches!(letter(monitor.pid).as_deref(), Some("Z" | "X" | "x"))
}

/// A descriptor of it, if it runs.
pub(crate) fn open(process: ProcessId) -> Option<OwnedFd> {
    let fd = tinyd_ns::pidfd::open(process.pid).ok()?;
    // Looked at after opening: from here on the descriptor cannot come to mean another process.
    (!has_ended(&fd) && process.is_of(&fd)).then_some(fd)
}

/// All of its threads have ended. (A first thread that ended before the others looks like a zombie in /proc.)
fn has_ended(process: &OwnedFd) -> bool {
    readable_by(process, Some(Instant::now())).is_ok_and(|ended| ended)
}

/// The letter of its state: `D` for one that no signal reaches. `gone` when there is no such process.
pub(crate) fn state(pid: u32) -> String {
    letter(pid).unwrap_or_else(|| GONE.to_owned())
}

/// What there is no process of has for its state.
const GONE: &str = "gone";

/// Field 3 of proc_pid_stat(5).
fn letter(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets, which may itself hold brackets and blanks.
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_ascii_whitespace().next().map(str::to_owned)
}

/// Waits until a descriptor is readable (a process has ended, a message is there). `false` when the time is up; `None`
/// waits for ever.
pub(crate) fn readable_by(fd: impl AsFd, deadline: Option<Instant>) -> rustix::io::Result<bool> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(errno),
        }
    }
}

/// Asks again and again, at growing distances, until the answer is there or the time is up.
pub(crate) fn until<T, E>(
    limit: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let deadline = Instant::now() + limit;
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn pure_a_zombie_does_not_run() {
        let mut child = Command::new("sleep").arg("100").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let fd = open(id).unwrap();
        let early = readable_by(&fd, Some(Instant::now() + Duration::from_millis(5)));
        child.kill().unwrap();
        let ended = readable_by(&fd, Some(Instant::now() + Duration::from_secs(10)));
        // Not waited for yet: a zombie.
        let (alive, running) = (id.is_alive(), runs(id));
        child.wait().unwrap();
        assert_eq!(early, Ok(false));
        assert_eq!(ended, Ok(true));
        assert!(alive && !running);
        assert!(open(id).is_none());
    }

    #[test]
    fn pure_a_number_that_became_a_threads_is_no_process() {
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            let _ = ended.recv();
        });
        let pid = told.recv().unwrap().cast_unsigned();
        let id = ProcessId { pid, start_time: 1, unique: None };
        let seen = (runs(id), is_at_work(id), open(id).is_some());
        drop(end);
        thread.join().unwrap();
        assert_eq!(seen, (false, false, false));
        assert!(!runs(ProcessId { pid: 0, ..id }));
    }

    #[test]
    fn pure_asking_ends() {
        let mut asked = 0;
        let answer = until::<(), ()>(Duration::from_millis(3), || {
            asked += 1;
            Ok(None)
        });
        assert_eq!(answer, Ok(None));
        assert!(asked > 1);
        assert_eq!(until::<_, ()>(Duration::ZERO, || Ok(Some(7))), Ok(Some(7)));
    }
}
