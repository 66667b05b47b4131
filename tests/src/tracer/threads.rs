//! The calls of a program of many threads that is there already: a daemon, while it works for a client.
//!
//! Its threads share the work as it comes, so a point here is the Nth call *of all of them*. What the program starts is not
//! traced.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{ANY, Point, Role, name};

/// What was seen of a program while somebody had work done by it.
#[derive(Debug)]
pub struct Watched<T> {
    /// What the work gave.
    pub result: T,
    /// The program's calls meanwhile, in their order.
    pub points: Vec<Point>,
    /// Whether it was killed.
    pub met: bool,
}

/// Does the work while the program is traced, and kills it before the call at `fatal`, where it comes to that. The program may be a
/// child of this process: it is left to its parent to wait for its end.
pub fn watch<T>(program: i32, fatal: Option<Point>, work: impl FnOnce() -> T) -> Watched<T> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (ready, is_ready) = mpsc::channel();
        let over = &over;
        let watcher = scope.spawn(move || Watcher::new(program, fatal).run(&ready, over));
        is_ready.recv().expect("the tracer reports its trouble");
        let done = Over(over);
        let result = work();
        drop(done);
        let (points, met) = watcher.join().expect("the tracer reports its trouble");
        Watched { result, points, met }
    })
}

/// Says that the work is done, also where it panics.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Watcher {
    program: Pid,
    fatal: Option<Point>,
    counts: BTreeMap<u64, usize>,
    points: Vec<Point>,
    /// Those that are still to stop for the first time.
    to_stop: usize,
    letting_go: bool,
}

impl Watcher {
    fn new(program: i32, fatal: Option<Point>) -> Watcher {
        let (program, counts) = (Pid::from_raw(program), BTreeMap::new());
        Watcher { program, fatal, counts, points: Vec::new(), to_stop: 0, letting_go: false }
    }

    /// The calls, and whether it was killed.
    fn run(mut self, ready: &Sender<()>, over: &AtomicBool) -> (Vec<Point>, bool) {
        let options = Options::PTRACE_O_TRACESYSGOOD | Options::PTRACE_O_TRACECLONE;
        for thread in self.threads() {
            // One may have ended.
            if ptrace::seize(thread, options).is_ok() && ptrace::interrupt(thread).is_ok() {
                self.to_stop += 1;
            }
        }
        let mut is_told = false;
        loop {
            if !is_told && self.to_stop == 0 {
                // Whoever waits for this may be gone with a panic of its own.
                let _ = ready.send(());
                is_told = true;
            }
            if over.load(Ordering::Relaxed) && !self.letting_go {
                self.letting_go = true;
                for thread in self.threads() {
                    let _ = ptrace::interrupt(thread);
                }
            }
            let status = match self.next() {
                Ok(Some(status)) => status,
                Ok(None) => continue,
                Err(Errno::ECHILD) => return (self.points, false),
                Err(errno) => panic!("cannot wait for what is traced: {errno}"),
            };
            if self.stop(status) {
                // With this thread the tracing ends: the dead program is its parent's to wait for.
                let _ = kill(self.program, Signal::SIGKILL);
                return (self.points, true);
            }
        }
    }

    fn threads(&self) -> Vec<Pid> {
        let entries = fs::read_dir(format!("/proc/{}/task", self.program)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw).collect()
    }

    /// A stop, where there is one soon. The end of the work is seen between two of them, so nobody waits for long.
    #[expect(clippy::unused_self, reason = "it waits for what this one traces")]
    fn next(&self) -> Result<Option<WaitStatus>, Errno> {
        for turn in 0..100 {
            match waitpid(Pid::from_raw(-1), Some(ANY | WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) if turn < 50 => std::thread::yield_now(),
                Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_micros(100)),
                Ok(status) => return Ok(Some(status)),
                // A signal without a name, or an interruption.
                Err(Errno::EINTR | Errno::EINVAL) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }

    /// Goes on, unless this is where the program is to die.
    fn stop(&mut self, status: WaitStatus) -> bool {
        let (thread, signal) = match status {
            WaitStatus::PtraceSyscall(thread) => {
                if self.is_fatal(thread) {
                    return true;
                }
                (thread, None)
            }
            WaitStatus::PtraceEvent(thread, _, event) => {
                if event == libc::PTRACE_EVENT_STOP {
                    self.to_stop = self.to_stop.saturating_sub(1);
                }
                (thread, None)
            }
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            // A thread's end.
            _ => return false,
        };
        let _ =
            if self.letting_go { ptrace::detach(thread, signal) } else { ptrace::syscall(thread, signal) };
        false
    }

    fn is_fatal(&mut self, thread: Pid) -> bool {
        let Ok(info) = ptrace::syscall_info(thread) else { return false };
        let Ok(registers) = ptrace::getregs(thread) else { return false };
        let number = registers.orig_rax;
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY || self.letting_go || name(number).is_none() {
            return false;
        }
        let count = self.counts.entry(number).or_default();
        let point = Point { role: Role::Daemon, number, index: *count };
        *count += 1;
        self.points.push(point);
        self.fatal == Some(point)
    }
}
