//! `kill`: a signal for a container's first process.

use crate::core::Core;
use crate::ended::SIGKILL;
use crate::error::{Error, Result};
use crate::life::Life;

impl Core {
    pub(crate) fn kill(&self, word: &str, signal: i32) -> Result<String> {
        // 32 and 33 are the C library's own (signal(7)).
        if !(1..=64).contains(&signal) || signal == 32 || signal == 33 {
            return Err(Error::invalid("signal", signal.to_string(), "is not one of 1 to 31 and 34 to 64"));
        }
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        let refuse = || Error::WrongState {
            action: "kill",
            container: record.short().to_owned(),
            state: "does not run",
            hint: None,
        };
        let Life::Running(live) = self.life(&record, None)? else { return Err(refuse()) };
        if !self.signal(&record, &live, signal)? {
            return Err(refuse());
        }
        // Nothing survives this one: whoever comes next finds the container stopped.
        if signal == SIGKILL {
            self.thaw(&record)?;
            self.await_killed(&record, &live, None)?;
        }
        Ok(id)
    }
}
