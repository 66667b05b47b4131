//! Runs the program under test call by call (ptrace(2)), and makes one chosen system call fail, or kills at it.
//!
//! strace can inject faults as well, but counts in all processes at once: where client, monitor and init all make folders,
//! the client's third always fails first, and the others' are never met. Here a point is the Nth call *of one process*.
//!
//! Calls count from where a program's own `main` begins (the loader's are not ours) to the execution of the container's
//! command, which runs untraced.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::command::Cmd;
use crate::output::Output;

mod names;
mod threads;

pub use names::name;
pub use threads::{Watched, watch};

/// Which of the processes of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// `tinyd`.
    Client,
    /// `tinyd-runtime`, before it goes into the background.
    Launcher,
    /// The process that stays with the container.
    Monitor,
    /// The container's first process until it executes its command.
    Init,
    /// All threads of a daemon; see [`watch`].
    Daemon,
    /// Threads and helpers.
    Other,
}

/// The call of a process, by its place among those of its kind: the client's second mkdirat(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// Whose call.
    pub role: Role,
    /// Its number in the kernel's table.
    pub number: u64,
    /// Which one of this process and number, from 0.
    pub index: usize,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}#{}", self.role, name(self.number).unwrap_or("?"), self.index)
    }
}

/// What is done at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The call is not made, and seems to fail with this error number.
    Fail(i32),
    /// The process is killed before the call.
    Kill,
    /// All processes of these roles are killed before the call, whoever makes it.
    KillRoles(&'static [Role]),
}

/// A command that was traced to its end.
#[derive(Debug)]
pub struct Traced {
    /// What it said and how it ended.
    pub output: Output,
    /// The calls that it and its helpers made, in their order.
    pub points: Vec<Point>,
    /// How many of them had been made when the container's command was executed.
    pub before_command: usize,
    /// Where among them the fault came to pass, if it did.
    pub met: Option<usize>,
    /// Whether it took longer than its limit, and was killed.
    pub hung: bool,
}

impl Traced {
    /// Whether the fault came to pass at a call of this process and name.
    pub fn fault_was(&self, role: Role, call: &str) -> bool {
        let point = self.met.and_then(|place| self.points.get(place));
        point.is_some_and(|point| point.role == role && name(point.number) == Some(call))
    }

    /// Whether the fault came to pass before the container's command was executed.
    pub fn fault_before_command(&self) -> bool {
        self.met.is_some_and(|place| place < self.before_command)
    }
}

/// Runs a command to the end of all its processes, or until the client has ended when `stay` is false: those that go on
/// then are let go.
pub fn trace(command: &Cmd, fault: Option<(Point, Fault)>, stay: bool) -> Traced {
    // In a thread of its own: waiting for any child must not take those of the test.
    std::thread::scope(|scope| {
        let until = if stay { Until::All } else { Until::Client };
        scope
            .spawn(move || Tracer::run(command, fault, until, None))
            .join()
            .expect("the tracer reports its trouble")
    })
}

/// The same for a command that works on a container that runs: its monitor, which has this number, is traced too. Ends when
/// the fault has come to pass and the client has ended, or with the last of all these processes.
pub fn trace_with_monitor(command: &Cmd, monitor: i32, fault: Option<(Point, Fault)>) -> Traced {
    std::thread::scope(|scope| {
        let run = move || Tracer::run(command, fault, Until::Fault, Some(Pid::from_raw(monitor)));
        scope.spawn(run).join().expect("the tracer reports its trouble")
    })
}

/// How long it is traced: those that go on then are let go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// To the last process' end.
    All,
    /// To the client's end.
    Client,
    /// To the client's end, or the fault if that comes later.
    Fault,
}

struct Tracee {
    role: Role,
    /// Whether its own code has begun; before, the loader and the language's start are at work.
    begun: bool,
    counts: BTreeMap<u64, usize>,
    /// At the exit from its present call its result is replaced.
    replace: Option<i32>,
    children: usize,
}

impl Tracee {
    fn new(role: Role, begun: bool) -> Tracee {
        Tracee { role, begun, counts: BTreeMap::new(), replace: None, children: 0 }
    }
}

struct Tracer {
    fault: Option<(Point, Fault)>,
    tracees: BTreeMap<Pid, Tracee>,
    /// Stopped before their parent's stop told what they are.
    strangers: BTreeSet<Pid>,
    alive: Arc<Mutex<BTreeSet<Pid>>>,
    points: Vec<Point>,
    before_command: Option<usize>,
    met: Option<usize>,
    client: Pid,
    ended: Option<i32>,
    letting_go: bool,
}

const ANY: WaitPidFlag = WaitPidFlag::__WALL.union(WaitPidFlag::__WNOTHREAD);

impl Tracer {
    fn run(command: &Cmd, fault: Option<(Point, Fault)>, until: Until, monitor: Option<Pid>) -> Traced {
        let files = tempfile::tempdir().expect("a folder for the output can be made");
        let file =
            |name: &str| File::create(files.path().join(name)).expect("a file for the output can be made");
        let shown = command.shown();
        let limit = command.time_limit();
        // It stops itself, so that it is traced before it becomes the program.
        let stopped = command.clone().under(["sh", "-c", r#"kill -STOP $$; exec "$@""#, "sh"]);
        let mut process = stopped.command();
        process.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        #[allow(clippy::zombie_processes, reason = "the loop below reaps every child of this thread")]
        let child = process.spawn().unwrap_or_else(|err| panic!("cannot start {shown}: {err}"));
        let client = Pid::from_raw(i32::try_from(child.id()).expect("a process id fits"));
        waitpid(client, Some(WaitPidFlag::WUNTRACED)).expect("the shell stops");
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK;
        ptrace::seize(client, options).expect("an own child can be traced");
        kill(client, Signal::SIGCONT).expect("an own child can be signalled");

        let mut tracer = Tracer {
            fault,
            tracees: BTreeMap::from([(client, Tracee::new(Role::Client, false))]),
            strangers: BTreeSet::new(),
            alive: Arc::new(Mutex::new(BTreeSet::from([client]))),
            points: Vec::new(),
            before_command: None,
            met: None,
            client,
            ended: None,
            letting_go: false,
        };
        if let Some(monitor) = monitor {
            ptrace::seize(monitor, options).expect("a monitor can be traced");
            ptrace::interrupt(monitor).expect("what is traced can be stopped");
            tracer.add(monitor, Tracee::new(Role::Monitor, true));
        }
        let hung = tracer.watched(limit, until);
        let read = |name: &str| fs::read(files.path().join(name)).expect("the output can be read");
        let status = ExitStatus::from_raw(tracer.ended.expect("the client has ended"));
        Traced {
            output: Output::new(shown, status, read("out"), read("err")),
            before_command: tracer.before_command.unwrap_or(tracer.points.len()),
            points: tracer.points,
            met: tracer.met,
            hung,
        }
    }

    /// Runs the loop, and kills everything at the limit; tells whether that was needed.
    fn watched(&mut self, limit: Duration, until: Until) -> bool {
        let alive = Arc::clone(&self.alive);
        let (done, wait) = mpsc::channel::<()>();
        let watch = std::thread::spawn(move || {
            let mut hung = false;
            let mut patience = limit;
            while wait.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                hung = true;
                patience = Duration::from_millis(100);
                let pids = alive.lock().expect("the tracer does not panic with the lock").clone();
                // Their tracer has not reaped them: the numbers are still theirs.
                for pid in pids {
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
            hung
        });
        while let Some(status) = self.next() {
            self.stop(status);
            let go = match until {
                Until::All => false,
                Until::Client => true,
                Until::Fault => self.met.is_some(),
            };
            if self.ended.is_some() && go && !self.letting_go {
                self.letting_go = true;
                let pids: Vec<Pid> = self.tracees.keys().copied().collect();
                for pid in pids {
                    let _ = ptrace::interrupt(pid);
                }
            }
        }
        drop(done);
        watch.join().expect("the watch does not panic")
    }

    /// The next stop or end, until there is nobody left.
    fn next(&self) -> Option<WaitStatus> {
        loop {
            match waitpid(Pid::from_raw(-1), Some(ANY)) {
                Ok(status) => return Some(status),
                Err(Errno::ECHILD) => return None,
                // A signal without a name, or an interruption.
                Err(Errno::EINTR | Errno::EINVAL) => {}
                Err(errno) => panic!("cannot wait for what is traced: {errno}"),
            }
        }
    }

    fn stop(&mut self, status: WaitStatus) {
        match status {
            WaitStatus::Exited(pid, code) => self.end(pid, code << 8),
            WaitStatus::Signaled(pid, signal, _) => self.end(pid, signal as i32),
            WaitStatus::PtraceEvent(pid, _, event) => self.event(pid, event),
            WaitStatus::PtraceSyscall(pid) => {
                self.call(pid);
                self.resume(pid, None);
            }
            WaitStatus::Stopped(pid, signal) => self.resume(pid, Some(signal)),
            _ => {}
        }
    }

    fn end(&mut self, pid: Pid, status: i32) {
        self.tracees.remove(&pid);
        self.strangers.remove(&pid);
        self.alive.lock().expect("the watch does not panic").remove(&pid);
        if pid == self.client {
            self.ended = Some(status);
        }
    }

    /// Goes on, or is let go. That it has been killed meanwhile is seen at the next wait.
    fn resume(&mut self, pid: Pid, signal: Option<Signal>) {
        if self.letting_go {
            if ptrace::detach(pid, signal).is_ok() {
                self.tracees.remove(&pid);
                self.alive.lock().expect("the watch does not panic").remove(&pid);
            }
        } else {
            let _ = ptrace::syscall(pid, signal);
        }
    }

    fn event(&mut self, pid: Pid, event: i32) {
        match event {
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => {
                if let Ok(child) = ptrace::getevent(pid) {
                    self.child(pid, Pid::from_raw(i32::try_from(child).expect("a process id fits")));
                }
            }
            libc::PTRACE_EVENT_EXEC => {
                let Some(tracee) = self.tracees.get_mut(&pid) else { return };
                if tracee.role == Role::Init {
                    self.before_command = Some(self.points.len());
                    self.tracees.remove(&pid);
                    self.alive.lock().expect("the watch does not panic").remove(&pid);
                    let _ = ptrace::detach(pid, None);
                    return;
                }
                tracee.begun = false;
            }
            _ if !self.tracees.contains_key(&pid) => {
                self.strangers.insert(pid);
                return;
            }
            _ => {}
        }
        self.resume(pid, None);
    }

    fn add(&mut self, pid: Pid, tracee: Tracee) {
        self.tracees.insert(pid, tracee);
        self.alive.lock().expect("the watch does not panic").insert(pid);
    }

    fn child(&mut self, parent: Pid, child: Pid) {
        let Some(tracee) = self.tracees.get_mut(&parent) else { return };
        tracee.children += 1;
        let first = tracee.children == 1;
        let role = match tracee.role {
            Role::Client if first => Role::Launcher,
            Role::Launcher if first => Role::Monitor,
            Role::Monitor if first => Role::Init,
            _ => Role::Other,
        };
        self.add(child, Tracee::new(role, true));
        if self.strangers.remove(&child) {
            self.resume(child, None);
        }
    }

    fn call(&mut self, pid: Pid) {
        let Some(tracee) = self.tracees.get_mut(&pid) else { return };
        let Ok(mut registers) = ptrace::getregs(pid) else { return };
        // A new process begins with the exit from the call that made it, which nobody saw it enter.
        let entering = ptrace::syscall_info(pid).is_ok_and(|info| info.op == libc::PTRACE_SYSCALL_INFO_ENTRY);
        let number = registers.orig_rax;
        if !entering {
            if let Some(error) = tracee.replace.take() {
                registers.rax = u64::from_ne_bytes(i64::from(-error).to_ne_bytes());
                let _ = ptrace::setregs(pid, registers);
            }
            // The first thing that a program does: are 0, 1 and 2 open? After it comes `main`.
            let polls = [libc::SYS_poll as u64, libc::SYS_ppoll as u64].contains(&number);
            tracee.begun |= polls && registers.rsi == 3;
            return;
        }
        if !tracee.begun || name(number).is_none() {
            return;
        }
        let count = tracee.counts.entry(number).or_default();
        let point = Point { role: tracee.role, number, index: *count };
        *count += 1;
        self.points.push(point);
        match self.fault {
            Some((wanted, fault)) if wanted == point && self.met.is_none() => {
                self.met = Some(self.points.len() - 1);
                match fault {
                    Fault::Kill => {
                        let _ = kill(pid, Signal::SIGKILL);
                    }
                    Fault::KillRoles(roles) => {
                        let victims = self.tracees.iter().filter(|(_, tracee)| roles.contains(&tracee.role));
                        for (victim, _) in victims {
                            // Not reaped by its tracer yet: the number is still its own.
                            let _ = kill(*victim, Signal::SIGKILL);
                        }
                    }
                    Fault::Fail(error) => {
                        // No call has this number: the kernel makes none.
                        registers.orig_rax = u64::MAX;
                        tracee.replace = Some(error);
                        let _ = ptrace::setregs(pid, registers);
                    }
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(text: &str) -> Cmd {
        let words = ["sh", "-c", text].map(Into::into);
        Cmd::new(words.to_vec(), "tracer-itself").limit(Duration::from_secs(10))
    }

    #[test]
    fn a_command_runs_as_without_it() {
        let traced = trace(&shell("echo out; echo err >&2; (exit 3)"), None, true);
        assert_eq!(traced.output.code(), Some(3));
        assert_eq!((traced.output.stdout().as_str(), traced.output.stderr().as_str()), ("out\n", "err\n"));
        assert!(!traced.hung && traced.met.is_none());
    }

    #[test]
    fn one_that_hangs_is_killed() {
        let traced = trace(&shell("sleep 300").limit(Duration::from_millis(200)), None, true);
        assert!(traced.hung);
        assert_eq!(traced.output.signal(), Some(9));
    }

    #[test]
    fn what_goes_on_after_the_client_is_let_go() {
        let traced = trace(&shell("sleep 0.5 & exit 4"), None, false);
        assert_eq!(traced.output.code(), Some(4));
        assert!(!traced.hung);
    }
}
