//! `--after`: a container is started when those are there that it needs.
//!
//! Nothing is locked meanwhile, and nothing is made: whoever waits can be interrupted, and the other containers go their ways.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::process::until;
use std::time::Duration;
use tinyd_engine::{After, AfterCondition, ContainerSpec, HealthStatus};

/// Longer than anybody waits. What is waited for ends by itself: a health check has a time and a number of tries.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

impl Core {
    /// Whether those are there, whatever they do, that a container is to be started after.
    pub(crate) fn check_order(&self, spec: &ContainerSpec) -> Result<()> {
        spec.after.iter().try_for_each(|after| self.resolve(&after.container).map(drop))
    }

    /// Waits for those that a container is to be started after.
    pub(crate) fn await_others(&self, spec: &ContainerSpec) -> Result<()> {
        if !spec.after.is_empty() {
            until(FOREVER, || self.are_ready(&spec.after).map(|ready| ready.then_some(())))?;
        }
        Ok(())
    }

    /// Whether all of them are there; an error where one will not be.
    pub(crate) fn are_ready(&self, after: &[After]) -> Result<bool> {
        let mut ready = true;
        for one in after {
            ready &= self.is_there(one)?;
        }
        Ok(ready)
    }

    /// Whether it is there; an error where it will not be.
    fn is_there(&self, after: &After) -> Result<bool> {
        let word = &after.container;
        let never = |why: &'static str, hint| {
            Err(Error::Awaited { container: word.clone(), why: why.to_owned(), hint })
        };
        let record = match self.resolve(word).and_then(|id| self.known(&id, word)) {
            Err(Error::NoSuchContainer { .. }) => {
                return never("is not there any more, or not under that name", None);
            }
            found => found?,
        };
        let (life, restarting) = self.life_shown(&record)?;
        if restarting {
            return Ok(false);
        }
        match (&life, after.condition) {
            (Life::Gone(_), _) => Err(self.no_such(word)),
            (Life::Running(_), AfterCondition::Started) => Ok(true),
            (Life::Running(_), AfterCondition::Done) => Ok(false),
            (Life::Running(_), condition) => match self.health_status(&record, &life)? {
                None if condition == AfterCondition::Healthy => never("has no health check", None),
                None | Some(HealthStatus::Healthy) => Ok(true),
                Some(HealthStatus::Unhealthy) => never("is not healthy", None),
                Some(HealthStatus::Starting) => Ok(false),
            },
            (Life::Stopped(ended), AfterCondition::Done) => match ended.record.code {
                0 => Ok(true),
                code => Err(Error::Awaited {
                    container: word.clone(),
                    why: format!("ended with {code}"),
                    hint: None,
                }),
            },
            (Life::Created | Life::Stopped(_), _) => {
                never("does not run", Some("start that one first, with tinyd start"))
            }
        }
    }
}
