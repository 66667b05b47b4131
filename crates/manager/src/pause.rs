//! `pause` and `unpause`: freezing all processes of a container, and letting them go on.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::{Life, Live};
use crate::lock::ContainerLock;
use crate::store::Record;
use tinyd_cgroup::Cgroup;

impl Core {
    pub(crate) fn pause(&self, word: &str) -> Result<String> {
        self.set_frozen(word, true)
    }

    pub(crate) fn unpause(&self, word: &str) -> Result<String> {
        self.set_frozen(word, false)
    }

    fn set_frozen(&self, word: &str, freeze: bool) -> Result<String> {
        let (action, state) = match freeze {
            true => ("pause", "is paused already"),
            false => ("unpause", "is not paused"),
        };
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let record = self.known(&id, word)?;
        self.running(&record, action, Some(&lock))?;
        let failed = |source| cgroup_error(&record, action, source);
        let group = self.open_cgroup(&id)?.ok_or_else(|| does_not_run(&record, action))?;
        let is_frozen = group.is_frozen().map_err(failed)?;
        // From here on it stands still, or does not, because the user says so.
        let was_for_export = self.forget_freezes(&id)?;
        if is_frozen && freeze && was_for_export {
            return Ok(id);
        }
        if is_frozen == freeze {
            return Err(Error::WrongState {
                action,
                container: record.short().to_owned(),
                state,
                hint: None,
            });
        }
        if freeze { group.freeze() } else { group.thaw() }.map_err(failed)?;
        self.announce(&record, action, &[]);
        Ok(id)
    }

    /// Whether a container that runs stands still. A host that cannot freeze has none that does.
    pub(crate) fn is_frozen(&self, id: &str) -> Result<bool> {
        let Some(group) = self.open_cgroup(id)? else { return Ok(false) };
        Ok(group.is_frozen().unwrap_or(false))
    }

    /// Lets a container go on that is about to end, so that it can: what is frozen takes no signal.
    pub(crate) fn thaw(&self, record: &Record) -> Result<()> {
        let Some(group) = self.open_cgroup(&record.id)? else { return Ok(()) };
        match group.is_frozen() {
            Ok(true) => thawed(&*group).map_err(|source| cgroup_error(record, "unpause", source)),
            _ => Ok(()),
        }
    }

    /// The run of a container that must be running for this verb.
    pub(crate) fn running(
        &self,
        record: &Record,
        action: &'static str,
        lock: Option<&ContainerLock>,
    ) -> Result<Live> {
        match self.life(record, lock)? {
            Life::Running(live) => Ok(live),
            _ => Err(does_not_run(record, action)),
        }
    }
}

/// A group that went meanwhile has nothing that stands still.
pub(crate) fn thawed(group: &dyn Cgroup) -> tinyd_cgroup::Result<()> {
    crate::cgroups::present(group.thaw()).map(drop)
}

fn does_not_run(record: &Record, action: &'static str) -> Error {
    Error::WrongState { action, container: record.short().to_owned(), state: "does not run", hint: None }
}

pub(crate) fn cgroup_error(record: &Record, operation: &'static str, source: tinyd_cgroup::Error) -> Error {
    Error::Cgroup { operation, container: record.short().to_owned(), source }
}
