//! `kill`: a signal for a container's first process.

use crate::core::Core;
use crate::ended::{SIGINT, SIGKILL, SIGQUIT, SIGTERM};
use crate::error::{Error, Result};
use crate::life::Life;
use crate::restart::StoppedBy;
use crate::validate;

impl Core {
    pub(crate) fn kill(&self, word: &str, signal: i32) -> Result<String> {
        validate::signal(signal)?;
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        let own = record.spec.stop_signal.unwrap_or(SIGTERM);
        let ends = [SIGKILL, SIGTERM, SIGINT, SIGQUIT, own].contains(&signal);
        if ends && self.stop_due(&record, StoppedBy::User)? {
            return Ok(id);
        }
        let refuse = || Error::WrongState {
            action: "kill",
            container: record.short().to_owned(),
            state: "does not run",
            hint: None,
        };
        let Life::Running(live) = self.life_before_its_end(&record)? else { return Err(refuse()) };
        // Whoever sends such a signal does not want it to come back; another one may mean that it reads its settings.
        if ends {
            self.mark_stopped(&record, StoppedBy::User)?;
        }
        self.announce(&record, "kill", &[("signal", signal.to_string())]);
        if !self.signal(&record, &live, signal)? {
            return Err(refuse());
        }
        // Nothing survives this one: whoever comes next finds the container stopped.
        if signal == SIGKILL || signal == own {
            self.thaw(&record)?;
        }
        if signal == SIGKILL {
            self.await_killed(&record, &live, None)?;
            // It may have ended by itself a moment before.
            self.stop_due(&record, StoppedBy::User)?;
        }
        Ok(id)
    }
}
