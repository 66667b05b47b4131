//! The loop that carries bytes, sizes and signals between the client and a session.
//!
//! It waits in poll(2) alone. A slow reader of the output holds back the session (and so, at last, the command); a command
//! that does not read holds back the input; neither holds back the other, nor the signals.

use super::Mode;
use super::keys::{Keys, Watch, Watched};
use super::outlet::Outlet;
use super::signals::{Event, Impatience, Signals};
use crate::console::Console;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Instant;
use tinyd_engine::{ExitStatus, Input, Output, Result, Session, WindowSize};

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The command ended.
    Exited(ExitStatus),
    /// The user left it, and the command goes on.
    Detached,
    /// A signal that is not passed on ended it, and the command goes on.
    Left(i32),
    /// The other side went away without saying how.
    Lost,
}

/// What of the output was not written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Missing {
    /// Bytes that never came: they were not taken in time.
    pub(super) lost: u64,
    /// Why more was lost on this side.
    pub(super) unwritten: Option<Errno>,
}

/// A small message that waits for its turn.
#[derive(Clone, Copy)]
enum Control {
    Resize(WindowSize),
    Signal(i32),
}

/// What is to be sent of the client's input.
#[derive(PartialEq, Eq)]
enum Typed {
    /// Nothing at the moment.
    Nothing,
    /// These bytes.
    Bytes(Vec<u8>),
    /// That there will be no more.
    End,
}

/// The parties of a poll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Party {
    Session,
    Signals,
    Stdin,
    Stdout,
    Stderr,
}

/// A running relay.
pub(super) struct Relay<'a> {
    console: Console<'a>,
    mode: Mode,
    session: &'a mut dyn Session,
    signals: &'a Signals,
    /// A way for signals round a session that takes nothing at the moment.
    kill: Option<&'a dyn Fn(i32)>,
    impatience: Impatience,
    watch: Watch,
    /// Signals are passed on.
    sig_proxy: bool,
    /// The session is to be left so, once the input before is sent.
    leaving: Option<End>,
    lost: u64,
    control: VecDeque<Control>,
    typed: Typed,
    /// More input may come.
    reading: bool,
    /// The session takes input.
    sending: bool,
    buffer: Vec<u8>,
    stdout: Outlet<'a>,
    stderr: Outlet<'a>,
}

impl<'a> Relay<'a> {
    pub(super) fn new(
        console: Console<'a>,
        mode: Mode,
        session: &'a mut dyn Session,
        signals: &'a Signals,
        kill: Option<&'a dyn Fn(i32)>,
    ) -> Self {
        let buffer = if mode.interactive { vec![0; session.max_input()] } else { Vec::new() };
        Self {
            console,
            mode,
            session,
            signals,
            kill,
            impatience: Impatience::default(),
            watch: Watch::new(Keys::default()),
            sig_proxy: true,
            leaving: None,
            lost: 0,
            control: VecDeque::new(),
            typed: Typed::Nothing,
            reading: mode.interactive,
            sending: true,
            buffer,
            stdout: Outlet::new(console.stdout),
            stderr: Outlet::new(console.stderr),
        }
    }

    /// Watches the input for the keys that leave the session; without `sig_proxy` signals leave it as well.
    pub(super) fn watch(&mut self, watch: Watch, sig_proxy: bool) {
        self.watch = watch;
        self.sig_proxy = sig_proxy;
    }

    /// Relays until the command has ended and all it wrote is written, or until the session is left. Beside the end it returns
    /// what output was lost.
    pub(super) fn run(mut self) -> Result<(End, Missing)> {
        let end = loop {
            if let Some(end) = self.turn()? {
                break end;
            }
            if self.is_to_leave() {
                break self.leave();
            }
        };
        let unwritten = self.stdout.failure().or(self.stderr.failure());
        Ok((end, Missing { lost: self.lost, unwritten }))
    }

    /// What was typed before the keys is sent first; a signal waits for nothing.
    fn is_to_leave(&self) -> bool {
        match self.leaving {
            Some(End::Left(_)) => true,
            Some(_) => self.typed == Typed::Nothing || !self.sending,
            None => false,
        }
    }

    /// Says so, where that can be said. A session that takes nothing at this moment is left without a word: its command goes
    /// on all the same, unless it is one that ends with it.
    fn leave(&mut self) -> End {
        if takes_within(self.session.as_fd(), PATIENCE) {
            let _ = self.session.send(Input::Detach);
        }
        self.leaving.take().unwrap_or(End::Detached)
    }

    /// Waits once, and serves whoever is ready.
    fn turn(&mut self) -> Result<Option<End>> {
        let gone = PollFlags::HUP | PollFlags::ERR;
        for (party, ready) in self.wait() {
            match party {
                Party::Stdout => self.stdout.write(),
                Party::Stderr => self.stderr.write(),
                Party::Signals => self.take_signals(),
                Party::Stdin => self.read_input(),
                Party::Session => {
                    if ready.intersects(PollFlags::OUT | gone) && self.has_input() {
                        self.send();
                    }
                    if ready.intersects(PollFlags::IN | gone) && self.is_drained() {
                        let end = self.receive()?;
                        if end.is_some() {
                            return Ok(end);
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    /// Waits until somebody is ready. Only those are asked whose answer is wanted: a party that is gone would otherwise be
    /// ready for ever.
    fn wait(&self) -> Vec<(Party, PollFlags)> {
        let mut asked = Vec::with_capacity(5);
        asked.push((Party::Signals, self.signals.as_fd(), PollFlags::IN));
        let mut of_session = PollFlags::empty();
        of_session.set(PollFlags::IN, self.is_drained());
        of_session.set(PollFlags::OUT, self.has_input());
        if !of_session.is_empty() {
            asked.push((Party::Session, self.session.as_fd(), of_session));
        }
        if self.reading && self.typed == Typed::Nothing {
            asked.push((Party::Stdin, self.console.stdin, PollFlags::IN));
        }
        for (party, outlet) in [(Party::Stdout, &self.stdout), (Party::Stderr, &self.stderr)] {
            if let Some((stream, events)) = outlet.wants() {
                asked.push((party, stream, events));
            }
        }
        let mut polled: Vec<_> =
            asked.iter().map(|&(_, stream, events)| PollFd::from_borrowed_fd(stream, events)).collect();
        if poll(&mut polled, None).is_err() {
            // Interrupted: nobody is ready.
            return Vec::new();
        }
        let ready = asked.iter().zip(&polled).map(|(&(party, ..), polled)| (party, polled.revents()));
        ready.filter(|(_, events)| !events.is_empty()).collect()
    }

    /// Everything that came has been written on.
    fn is_drained(&self) -> bool {
        self.stdout.is_idle() && self.stderr.is_idle()
    }

    fn has_input(&self) -> bool {
        self.sending && (!self.control.is_empty() || self.typed != Typed::Nothing)
    }

    /// Takes a message; to be called when the last one has been written on.
    fn receive(&mut self) -> Result<Option<End>> {
        match self.session.receive()? {
            Some(Output::Stdout(bytes)) => self.stdout.push(bytes),
            Some(Output::Stderr(bytes)) => self.stderr.push(bytes),
            Some(Output::Lost(bytes)) => self.lost = self.lost.saturating_add(bytes),
            Some(Output::Exited(status)) => return Ok(Some(End::Exited(status))),
            None => return Ok(Some(End::Lost)),
        }
        Ok(None)
    }

    /// Reads what was typed. A terminal that hung up answers with an error: that is an end as well.
    fn read_input(&mut self) {
        match rustix::io::read(self.console.stdin, &mut self.buffer[..]) {
            Ok(0) => {
                let rest = self.watch.rest();
                // The next look finds the end again.
                self.reading = !rest.is_empty();
                self.typed = if rest.is_empty() { Typed::End } else { Typed::Bytes(rest) };
            }
            Ok(length) => {
                let (bytes, keys) = match self.watch.take(&self.buffer[..length]) {
                    Watched::Bytes(bytes) => (bytes, false),
                    Watched::Keys(bytes) => (bytes, true),
                };
                if keys {
                    self.leaving = Some(End::Detached);
                    self.reading = false;
                }
                self.typed = if bytes.is_empty() { Typed::Nothing } else { Typed::Bytes(bytes) };
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => {
                self.typed = Typed::End;
                self.reading = false;
            }
        }
    }

    /// Sends one message, signals and sizes first. A session that takes no more has an end to tell: it is heard out.
    fn send(&mut self) {
        let sent = match self.control.pop_front() {
            Some(Control::Resize(size)) => self.session.send(Input::Resize(size)),
            Some(Control::Signal(signal)) => self.session.send(Input::Signal(signal)),
            None => match std::mem::replace(&mut self.typed, Typed::Nothing) {
                Typed::Nothing => Ok(()),
                Typed::Bytes(bytes) => self.session.send(Input::Stdin(&bytes)),
                Typed::End => self.session.send(Input::StdinClosed),
            },
        };
        if sent.is_err() {
            self.sending = false;
            self.reading = false;
        }
    }

    fn take_signals(&mut self) {
        while let Some(event) = self.signals.next() {
            match event {
                Event::Resized => {
                    self.control.extend(self.console.window().map(Control::Resize));
                }
                Event::Signal(signal) if !self.sig_proxy => self.leaving = Some(End::Left(signal)),
                Event::Signal(signal) => {
                    // In raw mode Ctrl-C is a byte: a signal comes from elsewhere, and says what it means.
                    let signal = match self.mode.tty && self.mode.interactive {
                        true => signal,
                        false => self.impatience.turn(signal, Instant::now()),
                    };
                    self.pass_on(signal);
                }
            }
        }
    }

    /// A session that is full of input must not keep a signal waiting behind it.
    fn pass_on(&mut self, signal: i32) {
        let takes = self.sending && takes_now(self.session.as_fd());
        match self.kill {
            Some(kill) if !takes => kill(signal),
            _ => self.control.push_back(Control::Signal(signal)),
        }
    }
}

/// Whether the stream can be written to without waiting.
fn takes_now(stream: BorrowedFd<'_>) -> bool {
    takes_within(stream, Timespec { tv_sec: 0, tv_nsec: 0 })
}

/// How long a session has to take the word that it is left.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

fn takes_within(stream: BorrowedFd<'_>, limit: Timespec) -> bool {
    let mut asked = [PollFd::from_borrowed_fd(stream, PollFlags::OUT)];
    let ready = poll(&mut asked, Some(&limit));
    ready.is_ok() && asked[0].revents().contains(PollFlags::OUT)
}
