//! A bench for the command line: an engine that is scripted, and streams that are files.

mod engine;
mod network;
mod session;
mod volume;

pub(crate) use engine::{FakeEngine, Shared, summary};
pub(crate) use session::{Message, Peer};

use crate::app;
use crate::console::Console;
use crate::settings::Settings;
use nix::sys::pthread::{pthread_kill, pthread_self};
use nix::sys::signal::{SigSet, Signal};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a command line did.
pub(crate) struct Done {
    pub(crate) code: u8,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs command lines against a [`FakeEngine`].
pub(crate) struct Bench {
    pub(crate) engine: Arc<FakeEngine>,
    stdin: OwnedFd,
    stdout: Option<OwnedFd>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let stdin = File::open("/dev/null").expect("null").into();
        Self { engine: Arc::default(), stdin, stdout: None }
    }

    /// Input from a file with these bytes.
    pub(crate) fn with_input(self, bytes: &[u8]) -> Self {
        let mut file = tempfile::tempfile().expect("a file");
        std::io::Write::write_all(&mut file, bytes).expect("write");
        file.rewind().expect("rewind");
        Self { stdin: file.into(), ..self }
    }

    /// Input from that stream.
    pub(crate) fn with_stdin(self, stdin: impl Into<OwnedFd>) -> Self {
        Self { stdin: stdin.into(), ..self }
    }

    /// Output to that stream; [`Done::stdout`] is then empty.
    pub(crate) fn with_stdout(self, stdout: impl Into<OwnedFd>) -> Self {
        Self { stdout: Some(stdout.into()), ..self }
    }

    /// What the command of the next session does.
    pub(crate) fn with_command(self, script: impl FnOnce(Peer) + Send + 'static) -> Self {
        self.engine.script(script);
        self
    }

    /// Runs a command line whose words are parted by spaces.
    pub(crate) fn run(&self, line: &str) -> Done {
        self.run_words(line.split_whitespace().map(OsString::from).collect())
    }

    /// The same, with a signal for this thread again and again.
    pub(crate) fn run_raising(&self, line: &str, signal: Signal) -> Done {
        let here = pthread_self();
        // However late the command line gets to it.
        SigSet::from(signal).thread_block().expect("block");
        let done = Arc::new(AtomicBool::new(false));
        let is_done = Arc::clone(&done);
        let raising = std::thread::spawn(move || {
            while !is_done.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                pthread_kill(here, signal).expect("kill");
            }
        });
        let answer = self.run(line);
        done.store(true, Ordering::Relaxed);
        raising.join().expect("raised");
        answer
    }

    pub(crate) fn run_words(&self, words: Vec<OsString>) -> Done {
        let mut stdout = tempfile::tempfile().expect("a file");
        let mut stderr = tempfile::tempfile().expect("a file");
        let to = self.stdout.as_ref().map_or(stdout.as_fd(), AsFd::as_fd);
        let console = Console { stdin: self.stdin.as_fd(), stdout: to, stderr: stderr.as_fd() };
        let code = app::run(words, console, &|_| Ok(Settings::default()), &|_| {
            Ok(Box::new(Shared(Arc::clone(&self.engine))))
        });
        let text = |file: &mut File| {
            let mut text = String::new();
            file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("read");
            text
        };
        Done { code, stdout: text(&mut stdout), stderr: text(&mut stderr) }
    }
}

/// A pseudoterminal of 40 lines and 120 columns: the engine's side of it, and the terminal.
pub(crate) fn terminal() -> (OwnedFd, OwnedFd) {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("openpt");
    grantpt(&main).expect("grantpt");
    unlockpt(&main).expect("unlockpt");
    let name = ptsname(&main, Vec::new()).expect("ptsname");
    let terminal = rustix::fs::open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("open");
    resize(&terminal, 40, 120);
    (main, terminal)
}

/// Gives a terminal another size.
pub(crate) fn resize(terminal: impl AsFd, rows: u16, columns: u16) {
    let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    rustix::termios::tcsetwinsize(terminal, size).expect("tcsetwinsize");
}
