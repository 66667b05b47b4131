//! A command that is going on.

use std::fmt::Write;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::output::Output;
use crate::pipes::Pipes;
use crate::wait::wait_until;

/// How long somebody else may still hold the output of a command that has ended.
const HELD: Duration = Duration::from_secs(20);

/// A command with pipes for its streams. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    handle: OwnedFd,
    pipes: Pipes,
    end: Instant,
    ended: Option<ExitStatus>,
}

impl Running {
    pub(crate) fn new(command: String, mut child: Child, limit: Duration) -> Running {
        let pid = Pid::from_child(&child);
        let handle =
            pidfd_open(pid, PidfdFlags::empty()).expect("a child that was not waited for has a pidfd");
        let pipes = Pipes::of(&mut child).expect("a pipe can be made non-blocking");
        Running { command, child, handle, pipes, end: Instant::now() + limit, ended: None }
    }

    /// Its process id (that of the outermost program, where it was started under another).
    pub fn pid(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_nonzero().get()
    }

    /// Queues bytes for its standard input.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.pipes.send(bytes.as_ref());
    }

    /// Closes its standard input once all has been sent.
    pub fn close_stdin(&mut self) {
        self.pipes.close_input();
    }

    /// Sends a signal to it alone.
    pub fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.handle, signal).expect("the command is still there to be signalled");
    }

    /// Waits until `marker` stands on its standard output, and gives all that stands there by then.
    #[track_caller]
    pub fn expect(&mut self, marker: &str) -> String {
        self.expect_in(marker, false)
    }

    /// The same for its standard error.
    #[track_caller]
    pub fn expect_error(&mut self, marker: &str) -> String {
        self.expect_in(marker, true)
    }

    #[track_caller]
    fn expect_in(&mut self, marker: &str, errors: bool) -> String {
        loop {
            let bytes = if errors { &self.pipes.stderr } else { &self.pipes.stdout };
            let text = String::from_utf8_lossy(bytes);
            if text.contains(marker) {
                return text.into_owned();
            }
            if !self.pipes.are_open() {
                panic!("{marker:?} never came; {}", self.story());
            }
            self.step();
        }
    }

    /// Whether `marker` stands on its standard output by now.
    pub fn has_said(&mut self, marker: &str) -> bool {
        self.pipes.step(None, Instant::now()).expect("the pipes can be served");
        String::from_utf8_lossy(&self.pipes.stdout).contains(marker)
    }

    /// Waits until it has nothing to do but to wait: it sleeps, and has slept on since the last look. (Or it has ended.)
    pub fn settle(&mut self) {
        let mut last = None;
        wait_until("the command waits for something", || {
            let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
            let field = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let now =
                (field("State:").map(str::to_owned), field("voluntary_ctxt_switches:").map(str::to_owned));
            let sleeps = now.0.as_ref().is_some_and(|state| state.starts_with('S'));
            let slept_on = sleeps && last.as_ref() == Some(&now);
            last = Some(now);
            std::thread::sleep(Duration::from_millis(100));
            slept_on || self.has_ended()
        });
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended.is_some()
    }

    /// Closes its input, waits for its end and gives what it said.
    ///
    /// # Panics
    /// When it takes longer than its limit, or when another process goes on holding its output: a user's pipe would
    /// never end.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        self.close_stdin();
        while !self.has_ended() {
            self.step();
        }
        self.end = Instant::now() + HELD;
        while self.pipes.are_open() {
            let end = self.end;
            assert!(
                Instant::now() < end,
                "somebody holds the output of a command that has ended; {}",
                self.story()
            );
            self.pipes.step(None, end).expect("the pipes can be served");
        }
        let status = self.ended.expect("it has ended");
        let stdout = std::mem::take(&mut self.pipes.stdout);
        Output::new(self.command.clone(), status, stdout, std::mem::take(&mut self.pipes.stderr))
    }

    #[track_caller]
    fn step(&mut self) {
        assert!(Instant::now() < self.end, "the command takes too long; {}", self.story());
        self.pipes.step(Some(self.handle.as_fd()), self.end).expect("the pipes can be served");
    }

    fn story(&self) -> String {
        let mut text = format!("command: {}", self.command);
        for (name, bytes) in [("stdout", &self.pipes.stdout), ("stderr", &self.pipes.stderr)] {
            let tail = &bytes[bytes.len().saturating_sub(4000)..];
            // Writing to a String cannot fail.
            let _ = write!(text, "\n{name}: {}", String::from_utf8_lossy(tail));
        }
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = pidfd_send_signal(&self.handle, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
