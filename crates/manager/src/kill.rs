//! `kill`: a signal for a container's first process.

use crate::core::Core;
use crate::ended::{SIGKILL, SIGTERM};
use crate::error::{Error, Result};
use crate::life::Life;
use crate::validate;

impl Core {
    pub(crate) fn kill(&self, word: &str, signal: i32) -> Result<String> {
        validate::signal(signal)?;
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        let refuse = || Error::WrongState {
            action: "kill",
            container: record.short().to_owned(),
            state: "does not run",
            hint: None,
        };
        let Life::Running(live) = self.life_before_its_end(&record)? else { return Err(refuse()) };
        if !self.signal(&record, &live, signal)? {
            return Err(refuse());
        }
        // Nothing survives this one: whoever comes next finds the container stopped.
        let ends = signal == SIGKILL || signal == record.spec.stop_signal.unwrap_or(SIGTERM);
        if ends {
            self.thaw(&record)?;
        }
        if signal == SIGKILL {
            self.await_killed(&record, &live, None)?;
        }
        Ok(id)
    }
}
