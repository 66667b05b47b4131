//! What goes on while a command runs: its output to the log and the clients, their input to it, until its end.

use super::client::Wish;
use super::clients::Clients;
use super::companions::{Companions, FIRST_LOOK};
use super::health::Health;
use super::log::LogWriter;
use super::oom::Oom;
use super::streams::{Source, Streams};
use crate::StartRequest;
use crate::frame::{self, Kind};
use crate::heap;
use crate::state::ExitRecord;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;
use tinyd_ns::exit_watch::ExitWatch;
use tinyd_ns::{pidfd, pty};

/// How much is read at once.
const CHUNK: usize = 32 * 1024;
/// The most that is read of a stream after the command's end: what a pipe can hold. More comes only from someone outside who
/// was given the stream, and writes on.
const MAX_LAST_BYTES: usize = 1024 * 1024;

/// The loop.
pub(crate) struct WaitLoop<'a> {
    process: &'a OwnedFd,
    streams: Streams,
    clients: Clients,
    log: Option<LogWriter>,
    companions: Companions,
    health: Option<Health<'a>>,
    oom: Option<Oom<'a>>,
    /// A container's, which tells what happens to it.
    of: Option<&'a StartRequest>,
    /// The command's group of processes, which is killed when nobody is attached any more: a further command ends with its
    /// session.
    ends_with_session: Option<Pid>,
    /// The command is no child of this process: its exit is the kernel's to tell.
    is_other: bool,
    /// Where the kernel does not tell it by descriptor.
    watch: Option<ExitWatch>,
    /// When the memory that the start took is given back.
    settles: Option<Instant>,
    /// What was read of a stream.
    output: Vec<u8>,
    /// What a client sent.
    packet: Vec<u8>,
}

/// How the command ended.
pub(crate) struct End {
    pub(crate) exit: pidfd::Exit,
    /// It was ended so that it is started again.
    pub(crate) again: bool,
    /// The kernel killed something of it for want of memory.
    pub(crate) oom_killed: bool,
}

/// What a descriptor that poll(2) has something for is.
#[derive(Clone, Copy)]
enum Token {
    Process,
    Watch,
    Listener,
    Output(usize),
    Stdin,
    Client(usize),
    Companion(usize),
    Health,
    Memory,
}

impl<'a> WaitLoop<'a> {
    pub(crate) fn new(
        process: &'a OwnedFd,
        streams: Streams,
        clients: Clients,
        log: Option<LogWriter>,
    ) -> Self {
        heap::close();
        Self {
            process,
            streams,
            clients,
            log,
            companions: Companions::default(),
            health: None,
            oom: None,
            of: None,
            ends_with_session: None,
            is_other: false,
            watch: None,
            settles: Some(Instant::now() + FIRST_LOOK),
            output: Vec::with_capacity(CHUNK),
            packet: frame::buffer(),
        }
    }

    pub(crate) fn ending_with_session(mut self, group: Option<Pid>) -> Self {
        self.ends_with_session = group;
        self
    }

    /// Keeps these programs running meanwhile.
    pub(crate) fn beside(mut self, companions: Companions) -> Self {
        self.companions = companions;
        self
    }

    /// Looks after its health meanwhile.
    pub(crate) fn checking(mut self, health: Option<Health<'a>>) -> Self {
        self.health = health;
        self
    }

    /// Tells what happens to the container meanwhile, and of what is killed in it for want of memory.
    pub(crate) fn telling(mut self, of: &'a StartRequest, oom: Oom<'a>) -> Self {
        (self.of, self.oom) = (Some(of), Some(oom));
        self
    }

    pub(crate) fn of_other(mut self, watch: Option<ExitWatch>) -> Self {
        self.is_other = true;
        self.watch = watch;
        self
    }

    /// Goes round until the command has ended. `exited` is called at its end, while it is a zombie still, and records the
    /// exit. Gives those who have not taken everything yet, and the record; none where the kernel does not tell the exit.
    pub(crate) fn run(mut self, exited: impl FnOnce(End) -> ExitRecord) -> (Clients, Option<ExitRecord>) {
        loop {
            for (token, flags) in self.wait() {
                match token {
                    Token::Process => return self.finish(exited),
                    Token::Watch => self.watch.iter_mut().for_each(ExitWatch::look),
                    Token::Listener => {
                        self.clients.accept();
                        self.companions.follow();
                    }
                    Token::Output(index) => {
                        self.pass_output(index);
                    }
                    Token::Stdin => self.flush_stdin(),
                    Token::Client(index) => self.serve(index, flags),
                    Token::Companion(number) => self.companions.ended(number),
                    Token::Health => self.health.iter_mut().for_each(|health| health.serve(self.process)),
                    Token::Memory => self.oom.iter_mut().for_each(Oom::rung),
                }
            }
            self.settle();
            self.companions.look();
            self.clients.lose_patience();
            self.health.iter_mut().for_each(|health| health.look(self.process));
            self.oom.iter_mut().for_each(Oom::look_again);
            self.streams.outputs.retain(|output| !output.ended);
            self.drop_clients();
        }
    }

    fn finish(mut self, exited: impl FnOnce(End) -> ExitRecord) -> (Clients, Option<ExitRecord>) {
        let exit = match self.is_other {
            true => {
                pidfd::exit_of_other(self.process).or_else(|| self.watch.as_mut().and_then(ExitWatch::exit))
            }
            false => pidfd::peek(self.process).ok(),
        };
        // All its processes ended before it: what they wrote is there to be read, and is in the log when its end is known.
        for index in 0..self.streams.outputs.len() {
            for _ in 0..MAX_LAST_BYTES / CHUNK {
                if !self.pass_output(index) {
                    break;
                }
            }
        }
        if let Some(log) = &mut self.log {
            log.finish();
        }
        let again = self.health.take().is_some_and(|health| health.wants_it_again());
        let oom_killed = self.oom.as_mut().is_some_and(Oom::end);
        let record = exit.map(|exit| exited(End { exit, again, oom_killed }));
        // It was recorded: the zombie may go. (Another's is its parent's.)
        if !self.is_other {
            let _ = pidfd::wait(self.process);
        }
        if let Some(record) = &record {
            self.clients.tell(record);
        }
        (self.clients, record)
    }

    /// Most commands that end at once need none of it.
    fn settle(&mut self) {
        if self.settles.is_some_and(|at| at <= Instant::now()) {
            self.settles = None;
            self.oom.iter_mut().for_each(Oom::begin);
            heap::settle();
        }
    }

    fn wait(&self) -> Vec<(Token, PollFlags)> {
        let interests = self.interests();
        let mut fds: Vec<_> =
            interests.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
        let health = self.health.as_ref().and_then(Health::until_due);
        let settles = self.settles.map(|at| at.saturating_duration_since(Instant::now()));
        let others = self.companions.until_due().into_iter().chain(self.clients.patience_left());
        let memory = self.oom.as_ref().and_then(Oom::until_due);
        let due = others.chain(health).chain(settles).chain(memory).min();
        let limit = due.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        });
        if rustix::io::retry_on_intr(|| poll(&mut fds, limit.as_ref())).is_err() {
            return Vec::new();
        }
        let answers = interests.iter().zip(&fds).map(|((token, ..), fd)| (*token, fd.revents()));
        answers.filter(|(_, flags)| !flags.is_empty()).collect()
    }

    fn interests(&self) -> Vec<(Token, BorrowedFd<'_>, PollFlags)> {
        let mut all = Vec::with_capacity(8);
        all.push((Token::Process, self.process.as_fd(), PollFlags::IN));
        let running = self.companions.running();
        all.extend(running.map(|(number, fd)| (Token::Companion(number), fd, PollFlags::IN)));
        if let Some(socket) = self.health.as_ref().and_then(Health::socket) {
            all.push((Token::Health, socket, PollFlags::IN));
        }
        if let Some((bell, flags)) = self.oom.as_ref().and_then(Oom::bell) {
            all.push((Token::Memory, bell, flags));
        }
        if let Some(watch) = &self.watch {
            all.push((Token::Watch, watch.as_fd(), PollFlags::IN));
        }
        if let Some(listener) = self.clients.open_listener() {
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

    /// Passes on what a stream has now; false when that is nothing.
    fn pass_output(&mut self, index: usize) -> bool {
        let Some(output) = self.streams.outputs.get_mut(index) else { return false };
        let source = output.source;
        let bytes = match output.read(&mut self.output) {
            None => return false,
            Some(0) => {
                output.ended = true;
                return false;
            }
            Some(_) => &self.output,
        };
        if let Some(log) = &mut self.log {
            log.write(source, bytes);
        }
        let kind = match source {
            Source::Stdout => Kind::Stdout,
            Source::Stderr => Kind::Stderr,
        };
        self.clients.output(kind, bytes);
        true
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
        let Some(packet) = client.receive(&mut self.packet) else { return };
        // Those who only wait have no say but that they want to be attached.
        let is_heard = |wish: &Wish<'_>| attached || matches!(wish, Wish::Attach { .. });
        let Some(wish) = Wish::parse(packet).filter(is_heard) else { return };
        match wish {
            Wish::Attach { input, window } => {
                client.attach(input);
                if let (Some(terminal), Some((rows, columns))) = (&self.streams.terminal, window) {
                    // What stood on the screen is not kept: a change of the size makes programs draw it anew, also where the
                    // size is what it was.
                    let _ = pty::resize(terminal.as_fd(), rows, columns.wrapping_add(1));
                    let _ = pty::resize(terminal.as_fd(), rows, columns);
                }
            }
            Wish::Detach => {
                client.detach();
                if self.ends_with_session.take().is_some() {
                    // Nor does it end with the terminal, or with the group of processes, that it was started from.
                    let _ = rustix::process::setsid();
                }
            }
            Wish::Stdin(bytes) => {
                if let Some(stdin) = &mut self.streams.stdin {
                    stdin.push(bytes);
                }
                self.flush_stdin();
            }
            Wish::StdinClosed => {
                client.end_input();
                if !self.clients.give_input() {
                    self.close_stdin();
                }
            }
            Wish::Resize(rows, columns) => {
                if let Some(terminal) = &self.streams.terminal {
                    // A terminal that is gone needs no size.
                    let _ = pty::resize(terminal.as_fd(), rows, columns);
                    let told = [("height", rows.to_string()), ("width", columns.to_string())];
                    self.of.iter().for_each(|of| of.tell("resize", &told));
                }
            }
            Wish::Signal(signal) => {
                // The command may have ended just now.
                let _ = pidfd::send_signal(self.process, signal);
            }
        }
    }

    fn drop_clients(&mut self) {
        let left = self.clients.drop_gone();
        if left.session
            && let Some(group) = self.ends_with_session
        {
            // The command is not reaped yet, and the number of its group its own. What it began goes with it: a shell waits for
            // what its user asked for.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
            let _ = pidfd::send_signal(self.process, libc::SIGKILL);
        }
        // Whoever gave the input is gone, and nobody else does: that is its end.
        if left.input {
            self.close_stdin();
        }
    }

    /// Ends the input behind what waits. A terminal's goes on: its end is a character that its user types.
    fn close_stdin(&mut self) {
        if let Some(stdin) = self.streams.stdin.as_mut().filter(|_| self.streams.terminal.is_none()) {
            stdin.close();
        }
        self.flush_stdin();
    }
}
