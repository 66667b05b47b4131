//! A command on a real terminal.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::command::Cmd;
use crate::pipes::{read_into, set_nonblocking, wait};

/// A command whose controlling terminal is ours to type on. Dropping it hangs up and kills it.
#[derive(Debug)]
pub struct Pty {
    command: String,
    child: Child,
    terminal: Option<OwnedFd>,
    /// A second descriptor: the size can be set while the first is closed at the end of the output.
    control: OwnedFd,
    seen: Vec<u8>,
    taken: usize,
    end: Instant,
}

impl Pty {
    /// Opens a terminal of this size and starts the command on it.
    #[track_caller]
    pub(crate) fn start(command: Cmd, rows: u16, columns: u16) -> Pty {
        // `setsid --ctty` makes the new session and takes the terminal as its own: std has no way to do it between fork
        // and exec. It execs in place, so that the child's id is the command's.
        let command = command.under(["setsid", "--ctty"]);
        let shown = command.shown();
        Pty::open(&command, rows, columns).unwrap_or_else(|err| panic!("no terminal for {shown}: {err}"))
    }

    fn open(command: &Cmd, rows: u16, columns: u16) -> io::Result<Pty> {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let name = ptsname(&terminal, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let side = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
        tcsetwinsize(&terminal, size(rows, columns))?;
        let mut process = command.command();
        process.env("TERM", "xterm");
        process.stdin(side.try_clone()?).stdout(Stdio::from(side.try_clone()?)).stderr(Stdio::from(side));
        let child = process.spawn()?;
        // The builder still holds the child's side: the terminal would never end.
        drop(process);
        set_nonblocking(terminal.as_fd())?;
        Ok(Pty {
            command: command.shown(),
            child,
            control: terminal.try_clone()?,
            terminal: Some(terminal),
            seen: Vec::new(),
            taken: 0,
            end: Instant::now() + command.time_limit(),
        })
    }

    /// The process id of the command.
    pub fn pid(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_nonzero().get()
    }

    /// Types.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let mut rest = bytes.as_ref();
        while !rest.is_empty() {
            let terminal = self.terminal.as_ref().expect("the terminal is still open");
            match rustix::io::write(terminal, rest) {
                Ok(count) => rest = &rest[count..],
                Err(rustix::io::Errno::AGAIN) => self.step(),
                Err(err) => panic!("cannot type: {err}"),
            }
        }
    }

    /// Gives the terminal another size; the kernel tells its foreground programs by SIGWINCH.
    pub fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.control, size(rows, columns)).expect("a terminal can be resized");
    }

    /// Reads until `marker` has been shown after what the last call gave, and gives the text up to its end.
    #[track_caller]
    pub fn expect(&mut self, marker: &str) -> String {
        loop {
            let fresh = &self.seen[self.taken..];
            if let Some(at) = fresh.windows(marker.len()).position(|window| window == marker.as_bytes()) {
                let text = String::from_utf8_lossy(&fresh[..at + marker.len()]).into_owned();
                self.taken += at + marker.len();
                return text;
            }
            assert!(self.terminal.is_some(), "the terminal closed before {marker:?} came\n{}", self.story());
            assert!(Instant::now() < self.end, "{marker:?} never came\n{}", self.story());
            self.step();
        }
    }

    /// Reads to the end and waits for the command.
    #[track_caller]
    pub fn wait(mut self) -> (ExitStatus, String) {
        while self.terminal.is_some() {
            if self.child.try_wait().expect("a child can be waited for").is_some() {
                // What it had written is still in the terminal.
                self.end = self.end.min(Instant::now() + Duration::from_secs(5));
            }
            assert!(Instant::now() < self.end, "the terminal does not close\n{}", self.story());
            self.step();
        }
        let status = self.child.wait().expect("a child can be waited for");
        (status, String::from_utf8_lossy(&self.seen).into_owned())
    }

    /// All that has been shown so far.
    pub fn transcript(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    fn step(&mut self) {
        if let Some(terminal) = &self.terminal {
            let soon = Instant::now() + Duration::from_millis(100);
            wait(&mut [PollFd::new(terminal, PollFlags::IN)], soon.min(self.end))
                .expect("a terminal can be polled");
        }
        read_into(&mut self.terminal, &mut self.seen).expect("a terminal can be read");
    }

    fn story(&self) -> String {
        format!("command: {}\nterminal: {}", self.command, self.transcript())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
