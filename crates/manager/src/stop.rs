//! `stop`: asks a command to end, and kills it when it does not.

use crate::core::Core;
use crate::ended::{SIGKILL, SIGTERM};
use crate::error::{Error, Result};
use crate::life::Life;
use crate::restart::StoppedBy;
use std::time::{Duration, Instant};

/// How long a command has to end by itself.
const GRACE: Duration = Duration::from_secs(10);

impl Core {
    pub(crate) fn stop(&self, word: &str, grace: Option<Duration>) -> Result<String> {
        self.stop_by(word, grace, StoppedBy::User)
    }

    pub(crate) fn stop_by(&self, word: &str, grace: Option<Duration>, by: StoppedBy) -> Result<String> {
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        if self.stop_due(&record, by)? {
            self.announce(&record, "stop", &[]);
            return Ok(id);
        }
        let live = match self.life_before_its_end(&record)? {
            Life::Running(live) => live,
            life => {
                let state =
                    if matches!(life, Life::Created) { "has not been started" } else { "is not running" };
                let container = record.short().to_owned();
                return Err(Error::WrongState { action: "stop", container, state, hint: None });
            }
        };
        self.mark_stopped(&record, by)?;
        // No lock over the wait: others may look at it, or kill it.
        let signal = record.spec.stop_signal.unwrap_or(SIGTERM);
        self.announce(&record, "kill", &[("signal", signal.to_string())]);
        self.signal(&record, &live, signal)?;
        self.thaw(&record)?;
        // A grace that no clock can hold is one without an end.
        let own = record.spec.stop_timeout.map(|seconds| Duration::from_secs(seconds.into()));
        let deadline = Instant::now().checked_add(grace.or(own).unwrap_or(GRACE));
        if self.await_end(&record, &live, deadline, None)?.is_none() {
            match self.guard(&id) {
                Ok(lock) => {
                    self.announce(&record, "kill", &[("signal", SIGKILL.to_string())]);
                    self.kill_all(&record, &live, &lock)?;
                }
                // It ended by itself after all, and was one that removes itself.
                Err(Error::NoSuchContainer { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        // It may have ended by itself a moment before it was stopped.
        self.stop_due(&record, by)?;
        self.announce(&record, "stop", &[]);
        Ok(id)
    }
}
