//! `restart`: a container's command once more, whether it runs or not. Everything but the process stays as it is.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use std::time::Duration;
use tinyd_engine::StartRequest;

impl Core {
    pub(crate) fn restart(&self, word: &str, grace: Option<Duration>) -> Result<String> {
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        self.runtime()?;
        if let Life::Running(_) = self.life_before_its_end(&record)? {
            if record.spec.remove {
                return Err(Error::WrongState {
                    action: "restart",
                    container: record.short().to_owned(),
                    state: "removes itself when it ends (--rm)",
                    hint: Some("run it without --rm"),
                });
            }
            // It would stay stopped where it cannot be started.
            self.are_ready(&record.spec.after)?;
            match self.stop(&id, grace) {
                // It ended by itself meanwhile.
                Ok(_) | Err(Error::WrongState { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let started = self.start(&id, &StartRequest::detached())?;
        self.announce(&record, "restart", &[]);
        Ok(started.id)
    }
}
