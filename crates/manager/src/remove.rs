//! `remove`: a container with everything that is its own.

use crate::core::Core;
use crate::ended::SIGKILL;
use crate::error::{Error, Result};
use crate::ids;
use crate::intent::{Intent, Verb};
use crate::life::Life;
use crate::restart::StoppedBy;
use tinyd_engine::RemoveRequest;

impl Core {
    pub(crate) fn remove(&self, word: &str, request: &RemoveRequest) -> Result<String> {
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let record = match self.store.record(&id) {
            Ok(Some(record)) => Some(record),
            // Without a readable record there is nothing that could run, and the rest goes.
            Ok(None) | Err(Error::Record { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(record) = &record {
            if self.due(&id)?.is_some() {
                if !request.force {
                    return Err(Error::WrongState {
                        action: "remove",
                        container: record.short().to_owned(),
                        state: "is about to be started again",
                        hint: Some("stop it first, or use --force"),
                    });
                }
                self.call_off(&id, &lock)?;
            }
            match self.life(record, Some(&lock))? {
                Life::Running(_) if !request.force => {
                    return Err(Error::WrongState {
                        action: "remove",
                        container: record.short().to_owned(),
                        state: "runs",
                        hint: Some("stop it first, or use --force"),
                    });
                }
                Life::Running(live) => {
                    self.mark_stopped(record, StoppedBy::User)?;
                    self.announce(record, "kill", &[("signal", SIGKILL.to_string())]);
                    self.kill_all(record, &live, &lock)?;
                    self.call_off(&id, &lock)?;
                }
                Life::Created | Life::Stopped(_) => {}
                Life::Gone(_) => return Ok(id),
            }
            self.await_monitor(&record.id)?;
        }
        if let Some(record) = &record
            && !request.volumes
            && !record.spec.remove
        {
            self.keep_own_volumes(record)?;
        }
        let name = record.as_ref().and_then(|record| record.spec.name.as_deref());
        let intent = Intent::begin(&self.store, Verb::Remove, &id, name)?;
        let mut errors = self.erase(&id, name).into_iter();
        match errors.next() {
            None => intent.finish().map(|()| id),
            // The intent stays: the next command tries again.
            Some(first) => Err(Error::Remove {
                container: ids::short(&id).to_owned(),
                others: errors.map(|error| error.line()).collect(),
                first: Box::new(first),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{RECORD_FILE, entries};
    use crate::testing::{self, FakeLauncher, spec};
    use std::fs;

    #[test]
    fn root_a_container_goes_with_its_name_and_lease_and_its_word_is_unknown_then() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), Some("web"))).unwrap().id;
        assert_eq!(core.remove("web", &RemoveRequest::default()).unwrap(), id);
        for folder in ["containers", "names", "ids", "trash"] {
            assert_eq!(entries(&core.store.root().join(folder)).unwrap(), Vec::<String>::new(), "{folder}");
        }
        for folder in ["containers", "intents", "locks"] {
            assert_eq!(
                entries(&core.store.run_root().join(folder)).unwrap(),
                Vec::<String>::new(),
                "{folder}"
            );
        }
        assert!(matches!(core.remove("web", &RemoveRequest::default()), Err(Error::NoSuchContainer { .. })));
        assert!(core.create(&spec(place.path(), Some("web"))).is_ok());
    }

    #[test]
    fn root_one_with_a_broken_record_can_be_removed() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), Some("web"))).unwrap().id;
        fs::write(core.store.container_file(&id, RECORD_FILE), "{").unwrap();
        assert!(core.inspect(&id).is_err());
        core.remove(&id, &RemoveRequest::default()).unwrap();
        assert_eq!(core.store.ids().unwrap(), Vec::<String>::new());
        assert_eq!((core.store.names().unwrap().len(), core.store.leases().unwrap().len()), (0, 0));
    }
}
