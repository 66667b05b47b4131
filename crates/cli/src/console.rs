//! The three standard streams as descriptors: what a session relays and what a verb prints go the same way, whole and
//! unbuffered, whether the stream blocks or not.

use crate::failure::Failure;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use tinyd_engine::WindowSize;

/// The client's own standard streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Console<'a> {
    /// Input.
    pub(crate) stdin: BorrowedFd<'a>,
    /// Data, and nothing but data.
    pub(crate) stdout: BorrowedFd<'a>,
    /// Failures, notes, progress.
    pub(crate) stderr: BorrowedFd<'a>,
}

impl Console<'static> {
    /// The process's own. Rust opens `/dev/null` in the place of any that was closed.
    pub(crate) fn standard() -> Self {
        Self {
            stdin: rustix::stdio::stdin(),
            stdout: rustix::stdio::stdout(),
            stderr: rustix::stdio::stderr(),
        }
    }
}

impl Console<'_> {
    /// Prints data. A reader that went away is no failure: it has seen what it wanted.
    pub(crate) fn print(&self, text: &str) -> Result<(), Failure> {
        match write_all(self.stdout, text.as_bytes()) {
            Ok(()) | Err(Errno::PIPE) => Ok(()),
            Err(errno) => Err(Failure::failed("write standard output", errno)),
        }
    }

    /// Prints a line of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        self.print(&format!("{text}\n"))
    }

    /// Tells the user something on standard error. There is nowhere to report that this fails.
    pub(crate) fn tell(&self, text: &str) {
        let text = crate::format::escape::controls(text);
        let _ = write_all(self.stderr, format!("tinyd: {text}\n").as_bytes());
    }

    /// Tells the engine's remarks.
    pub(crate) fn notes(&self, notes: &[String]) {
        for note in notes {
            self.tell(&format!("note: {note}"));
        }
    }

    /// Asks whether something should be done that cannot be undone. Where nobody can be asked it is a failure, which names
    /// the option that does it unasked.
    pub(crate) fn confirm(&self, question: &str, unasked: &str) -> Result<bool, Failure> {
        if !rustix::termios::isatty(self.stdin) {
            return Err(Failure::failed(
                "ask before data is removed",
                format!("the input is no terminal; use {unasked}"),
            ));
        }
        let _ = write_all(self.stderr, format!("{question} [y/N] ").as_bytes());
        let mut answer = [0; 64];
        let length = rustix::io::retry_on_intr(|| rustix::io::read(self.stdin, &mut answer))
            .map_err(|errno| Failure::failed("read standard input", errno))?;
        Ok(answer[..length].trim_ascii().eq_ignore_ascii_case(b"y")
            || answer[..length].trim_ascii().eq_ignore_ascii_case(b"yes"))
    }

    /// Whether data goes to a terminal.
    pub(crate) fn is_terminal(&self) -> bool {
        rustix::termios::isatty(self.stdout)
    }

    /// The terminal's size: of the stream that shows, else of the one that is typed into.
    pub(crate) fn window(&self) -> Option<WindowSize> {
        [self.stdout, self.stdin].into_iter().find_map(|stream| {
            let size = rustix::termios::tcgetwinsize(stream).ok()?;
            (size.ws_row > 0 && size.ws_col > 0)
                .then_some(WindowSize { rows: size.ws_row, columns: size.ws_col })
        })
    }
}

/// Writes everything, waiting where a non-blocking stream is full.
pub(crate) fn write_all(stream: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(stream, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(&stream, PollFlags::OUT)], None);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn a_full_non_blocking_pipe_gets_everything() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).expect("pipe");
        let expected = vec![b'x'; 300_000];
        let bytes = expected.clone();
        let writing = std::thread::spawn(move || write_all(writer.as_fd(), &bytes));
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::empty()).expect("blocking reader");
        let mut seen = Vec::new();
        std::fs::File::from(reader).read_to_end(&mut seen).expect("read");
        writing.join().expect("writer").expect("write");
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_reader_that_left_is_no_failure_and_a_full_disk_is() {
        let (reader, writer) = rustix::pipe::pipe().expect("pipe");
        drop(reader);
        let null = std::fs::File::open("/dev/null").expect("null");
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("full");
        let console = Console { stdin: null.as_fd(), stdout: writer.as_fd(), stderr: null.as_fd() };
        console.print("x").expect("quiet");
        let console = Console { stdout: full.as_fd(), ..console };
        let line = console.print("x").expect_err("no space").line().expect("a line");
        assert!(line.starts_with("write standard output: "), "{line}");
    }
}
