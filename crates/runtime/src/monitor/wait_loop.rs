//! What goes on while a command runs: its output to the log and the clients, their input to it, until its end.

use super::clients::{Clients, Wish};
use super::log::LogWriter;
use super::streams::{Source, Streams};
use crate::frame::{Kind, MAX_PAYLOAD};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tinyd_ns::{pidfd, pty};

/// How much is read at once.
const CHUNK: usize = 32 * 1024;
/// After the command's end its streams end too, as all its processes do. Someone outside who was given one would keep them
/// open: they are waited for this long after the last byte.
const LAST_BYTES: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The loop.
pub(crate) struct WaitLoop<'a> {
    process: &'a OwnedFd,
    streams: Streams,
    clients: Clients,
    log: Option<LogWriter>,
    /// Kills the command when nobody is attached any more: a further command ends with its session.
    ends_with_session: bool,
    buffer: Vec<u8>,
    exited: bool,
}

/// What a descriptor that poll(2) has something for is.
#[derive(Clone, Copy)]
enum Token {
    Process,
    Listener,
    Output(usize),
    Stdin,
    Client(usize),
}

impl<'a> WaitLoop<'a> {
    pub(crate) fn new(
        process: &'a OwnedFd,
        streams: Streams,
        clients: Clients,
        log: Option<LogWriter>,
    ) -> Self {
        let buffer = vec![0; MAX_PAYLOAD + 1];
        Self { process, streams, clients, log, ends_with_session: false, buffer, exited: false }
    }

    pub(crate) fn ending_with_session(mut self) -> Self {
        self.ends_with_session = true;
        self
    }

    /// Goes round until the command has ended and everything that it wrote is passed on. `exited` is called at its end,
    /// while it is a zombie still. Gives those who are to be told, and what `exited` gave.
    pub(crate) fn run<T>(mut self, exited: impl FnOnce(pidfd::Exit) -> T) -> (Clients, Option<T>) {
        let mut exited = Some(exited);
        let mut result = None;
        loop {
            let done = self.exited && !self.clients.are_waiting();
            if done && self.streams.outputs.is_empty() {
                return (self.clients, result);
            }
            let ready = self.wait();
            if done && ready.is_empty() {
                return (self.clients, result);
            }
            for (token, flags) in ready {
                match token {
                    Token::Process => {
                        self.exited = true;
                        self.streams.stdin = None;
                        if let (Some(exited), Ok(exit)) = (exited.take(), pidfd::peek(self.process)) {
                            result = Some(exited(exit));
                        }
                        // It was recorded: the zombie may go.
                        let _ = pidfd::wait(self.process);
                    }
                    Token::Listener => self.clients.accept(),
                    Token::Output(index) => self.pass_output(index),
                    Token::Stdin => self.flush_stdin(),
                    Token::Client(index) => self.serve(index, flags),
                }
            }
            self.streams.outputs.retain(|output| !output.ended);
            self.drop_clients();
        }
    }

    fn wait(&self) -> Vec<(Token, PollFlags)> {
        let interests = self.interests();
        let mut fds: Vec<_> =
            interests.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let timeout = self.exited.then_some(&LAST_BYTES);
        if rustix::io::retry_on_intr(|| poll(&mut fds, timeout)).is_err() {
            return Vec::new();
        }
        let answers = interests.iter().zip(&fds).map(|((token, ..), fd)| (*token, fd.revents()));
        answers.filter(|(_, flags)| !flags.is_empty()).collect()
    }

    fn interests(&self) -> Vec<(Token, BorrowedFd<'_>, PollFlags)> {
        let mut all = Vec::with_capacity(8);
        if !self.exited {
            all.push((Token::Process, self.process.as_fd(), PollFlags::IN));
        }
        if let Some(listener) = &self.clients.listener {
            all.push((Token::Listener, listener.as_fd(), PollFlags::IN));
        }
        if !self.clients.are_full() {
            for (index, output) in self.streams.outputs.iter().enumerate() {
                all.push((Token::Output(index), output.fd.as_fd(), PollFlags::IN));
            }
        }
        if let Some(stdin) = self.streams.stdin.as_ref().filter(|stdin| stdin.is_waiting()) {
            all.push((Token::Stdin, stdin.fd().as_fd(), PollFlags::OUT));
        }
        let takes_input = !self.streams.stdin.as_ref().is_some_and(|stdin| stdin.is_full());
        for (index, client) in self.clients.all.iter().enumerate() {
            let mut flags = PollFlags::empty();
            if takes_input || !client.is_attached() {
                flags |= PollFlags::IN;
            }
            if client.is_waiting() {
                flags |= PollFlags::OUT;
            }
            all.push((Token::Client(index), client.as_fd(), flags));
        }
        all
    }

    fn pass_output(&mut self, index: usize) {
        let Some(output) = self.streams.outputs.get_mut(index) else { return };
        let source = output.source;
        match output.read(&mut self.buffer[..CHUNK]) {
            None => {}
            Some(0) => output.ended = true,
            Some(length) => {
                let bytes = &self.buffer[..length];
                if let Some(log) = &mut self.log {
                    log.write(source, bytes);
                }
                let kind = match source {
                    Source::Stdout => Kind::Stdout,
                    Source::Stderr => Kind::Stderr,
                };
                self.clients.output(kind, bytes);
            }
        }
    }

    fn flush_stdin(&mut self) {
        if let Some(stdin) = &mut self.streams.stdin
            && !stdin.flush()
        {
            self.streams.stdin = None;
        }
    }

    fn serve(&mut self, index: usize, flags: PollFlags) {
        let Some(client) = self.clients.all.get_mut(index) else { return };
        if flags.intersects(PollFlags::OUT) {
            client.flush();
        }
        if !flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            return;
        }
        let attached = client.is_attached();
        let Some(packet) = client.receive(&mut self.buffer) else { return };
        // Those who only wait have no say.
        let Some(wish) = Wish::parse(packet).filter(|_| attached) else { return };
        match wish {
            Wish::Stdin(bytes) => {
                if let Some(stdin) = &mut self.streams.stdin {
                    stdin.push(bytes);
                }
                self.flush_stdin();
            }
            Wish::StdinClosed => {
                // The end of a terminal's input is a character that its user types.
                if let Some(stdin) = self.streams.stdin.as_mut().filter(|_| self.streams.terminal.is_none()) {
                    stdin.close();
                }
                self.flush_stdin();
            }
            Wish::Resize(rows, columns) => {
                if let Some(terminal) = &self.streams.terminal {
                    // A terminal that is gone needs no size.
                    let _ = pty::resize(terminal.as_fd(), rows, columns);
                }
            }
            Wish::Signal(signal) => {
                // The command may have ended just now.
                let _ = pidfd::send_signal(self.process, signal);
            }
        }
    }

    fn drop_clients(&mut self) {
        let had_session = self.clients.all.iter().any(super::Client::is_attached);
        self.clients.all.retain(|client| !client.is_gone());
        let has_session = self.clients.all.iter().any(super::Client::is_attached);
        if self.ends_with_session && had_session && !has_session && !self.exited {
            let _ = pidfd::send_signal(self.process, libc::SIGKILL);
        }
    }
}
