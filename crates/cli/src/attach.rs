//! A session in the foreground: the client's terminal and signals on one side, a running command on the other.

mod outlet;
mod relay;
mod signals;
mod terminal;

use crate::console::Console;
use crate::failure::{Failure, Outcome};
use relay::{End, Relay};
use signals::Signals;
use terminal::RawMode;
use tinyd_engine::{Engine, ExitStatus, Session, StartRequest, Started, WindowSize};

/// What the command's streams are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// It has a terminal.
    pub(crate) tty: bool,
    /// It gets what is typed here.
    pub(crate) interactive: bool,
}

/// A client that is ready for a command to start: its signals are caught and its terminal's size is known, so that
/// nothing that happens during the start is lost. The engine is opened before: what that takes can be interrupted.
pub(crate) struct Foreground<'a> {
    console: Console<'a>,
    mode: Mode,
    signals: Signals,
    window: Option<WindowSize>,
}

impl<'a> Foreground<'a> {
    /// Makes ready. A terminal is refused to a command whose input comes from elsewhere: it would never see the end.
    pub(crate) fn prepare(console: Console<'a>, mode: Mode) -> Result<Self, Failure> {
        if mode.tty && mode.interactive && !rustix::termios::isatty(console.stdin) {
            return Err(Failure::Usage(
                "the input device is not a TTY (leave -t away when the input comes from a file or a pipe)"
                    .to_owned(),
            ));
        }
        let signals = Signals::catch(mode.tty).map_err(|error| Failure::failed("catch signals", error))?;
        let window = if mode.tty { console.window() } else { None };
        Ok(Self { console, mode, signals, window })
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
        let kill = |signal| {
            // It may have ended meanwhile; the session says so.
            let _ = engine.kill(&started.id, signal);
        };
        match self.relay(session, Some(&kill))? {
            End::Exited(status) => known(status),
            End::Lost => {
                // The monitor is gone, the exit may be on record all the same.
                let status = engine.wait(&started.id).and_then(|mut waiter| waiter.wait());
                status.map_or_else(|_| Err(lost()), known)
            }
        }
    }

    /// Stays with a further command until it ends, and returns its exit code.
    pub(crate) fn exec(self, session: Box<dyn Session>) -> Outcome {
        match self.relay(session, None)? {
            End::Exited(status) => known(status),
            End::Lost => Err(lost()),
        }
    }

    fn relay(self, mut session: Box<dyn Session>, kill: Option<&dyn Fn(i32)>) -> Result<End, Failure> {
        let raw = match self.mode.tty && self.mode.interactive {
            true => Some(
                RawMode::enter(self.console.stdin).map_err(|e| Failure::failed("set the terminal up", e))?,
            ),
            false => None,
        };
        let end = Relay::new(self.console, self.mode, session.as_mut(), &self.signals, kill).run();
        // Before anything is said: a raw terminal does not return the carriage.
        drop(raw);
        let (end, unwritten) = end?;
        if let Some(errno) = unwritten {
            self.console.tell(&format!("write the command's output: {errno}"));
        }
        Ok(end)
    }
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
