//! A session in the foreground: the client's terminal and signals on one side, a running command on the other.

mod keys;
mod outlet;
mod relay;
mod signals;
mod terminal;

use crate::console::Console;
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;
pub(crate) use keys::Keys;
use keys::Watch;
use relay::{End, Relay};
use signals::Signals;
use terminal::RawMode;
use tinyd_engine::{Engine, ExitStatus, StartRequest, Started, WindowSize};

/// What the command's streams are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// It has a terminal.
    pub(crate) tty: bool,
    /// It gets what is typed here.
    pub(crate) interactive: bool,
}

/// How a session is left, and what reaches the command.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// These leave it; `None` where the user said nothing of it.
    pub(crate) detach_keys: Option<Keys>,
    /// Signals are passed on; otherwise they leave it.
    pub(crate) sig_proxy: bool,
}

/// A client that is ready for a command to start: its signals are caught and its terminal's size is known, so that
/// nothing that happens during the start is lost. The engine is opened before: what that takes can be interrupted.
pub(crate) struct Foreground<'a> {
    console: Console<'a>,
    mode: Mode,
    keys: Keys,
    sig_proxy: bool,
    signals: Signals,
    window: Option<WindowSize>,
}

impl<'a> Foreground<'a> {
    /// Makes ready. A terminal is refused to a command whose input comes from elsewhere: it would never see the end.
    pub(crate) fn prepare(
        console: Console<'a>,
        settings: &Settings,
        mode: Mode,
        session: Session,
    ) -> Result<Self, Failure> {
        if mode.tty && mode.interactive && !rustix::termios::isatty(console.stdin) {
            return Err(Failure::Usage(
                "the input device is not a TTY (leave -t away when the input comes from a file or a pipe)"
                    .to_owned(),
            ));
        }
        // Only what is typed is watched: a file may hold any bytes.
        let typed = mode.interactive && rustix::termios::isatty(console.stdin);
        let keys = Keys::wanted(session.detach_keys, settings)?;
        let keys = if typed { keys } else { Keys::default() };
        let signals = Signals::catch(mode.tty).map_err(|error| Failure::failed("catch signals", error))?;
        let window = if mode.tty { console.window() } else { None };
        Ok(Self { console, mode, keys, sig_proxy: session.sig_proxy, signals, window })
    }

    /// The terminal's size when there is one.
    pub(crate) fn window(&self) -> Option<WindowSize> {
        self.window
    }

    /// How to start the command.
    pub(crate) fn request(&self) -> StartRequest {
        StartRequest::attached(self.window)
    }

    /// Stays with a container that was started until its command ends, and returns its exit code.
    pub(crate) fn container(self, engine: &dyn Engine, started: Started) -> Outcome {
        self.console.notes(&started.notes);
        let session =
            started.session.ok_or_else(|| Failure::Failed("the engine gave no session".to_owned()))?;
        self.attached(engine, &started.id, session)
    }

    /// Stays with the command of a running container until it ends, and returns its exit code.
    pub(crate) fn attached(
        self,
        engine: &dyn Engine,
        id: &str,
        session: Box<dyn tinyd_engine::Session>,
    ) -> Outcome {
        let kill = |signal| {
            // It may have ended meanwhile; the session says so.
            let _ = engine.kill(id, signal);
        };
        let console = self.console;
        match self.relay(session, Some(&kill))? {
            End::Exited(status) => known(status),
            End::Detached => {
                let short = id.get(..12).unwrap_or(id);
                console.tell(&format!(
                    "detached; the container runs on (tinyd attach {short} comes back to it)"
                ));
                Ok(0)
            }
            End::Left(signal) => Ok(signal_code(signal)),
            End::Lost => {
                // The monitor is gone, the exit may be on record all the same.
                let status = engine.wait(id).and_then(|mut waiter| waiter.wait());
                status.map_or_else(|_| Err(lost()), known)
            }
        }
    }

    /// Stays with a further command until it ends, and returns its exit code.
    pub(crate) fn exec(self, session: Box<dyn tinyd_engine::Session>) -> Outcome {
        let console = self.console;
        match self.relay(session, None)? {
            End::Exited(status) => known(status),
            End::Detached => {
                console.tell("detached; the command runs on, and what it writes goes nowhere");
                Ok(0)
            }
            End::Left(signal) => Ok(signal_code(signal)),
            End::Lost => Err(lost()),
        }
    }

    fn relay(
        self,
        mut session: Box<dyn tinyd_engine::Session>,
        kill: Option<&dyn Fn(i32)>,
    ) -> Result<End, Failure> {
        let raw = match self.mode.tty && self.mode.interactive {
            true => Some(
                RawMode::enter(self.console.stdin).map_err(|e| Failure::failed("set the terminal up", e))?,
            ),
            false => None,
        };
        let mut relay = Relay::new(self.console, self.mode, session.as_mut(), &self.signals, kill);
        relay.watch(Watch::new(self.keys), self.sig_proxy);
        let end = relay.run();
        // Before anything is said: a raw terminal does not return the carriage.
        drop(raw);
        let (end, missing) = end?;
        if missing.lost > 0 {
            self.console.tell(&format!(
                "note: {} bytes of the command's output are missing: they were not taken in time (tinyd logs has them)",
                missing.lost
            ));
        }
        if let Some(errno) = missing.unwritten {
            self.console.tell(&format!("write the command's output: {errno}"));
        }
        Ok(end)
    }
}

/// As a shell has it.
fn signal_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(u8::MAX)
}

fn known(status: ExitStatus) -> Outcome {
    if status.unknown {
        return Err(Failure::Failed("the command has ended, its exit code is not known".to_owned()));
    }
    Ok(status.code)
}

fn lost() -> Failure {
    Failure::Failed("the command's monitor went away before it told the exit code".to_owned())
}

#[cfg(test)]
mod tests;
