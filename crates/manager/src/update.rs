//! `update`: other limits for a container, those that it has now and those of its later starts.
//!
//! They stand in three places: the engine's record, the bundle and, while it runs, the kernel's control groups. The record
//! is written first, and what it says is what holds: of an update that was killed on its way, the others are brought to say
//! the same. Only where the kernel refuses what the record has, all go back to the limits before.

use crate::bundle;
use crate::cgroups::{self, present};
use crate::connection::same_rates;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::Intent;
use crate::life::Life;
use crate::prepare::settled;
use crate::store::{BUNDLE_FILE, RECORD_FILE, Record};
use crate::validate;
use std::path::Path;
use tinyd_cgroup::Limits;
use tinyd_engine::Resources;

impl Core {
    /// Sets what is `Some`. On a failure the container is as it was.
    pub(crate) fn update(&self, word: &str, wanted: &Resources) -> Result<String> {
        if *wanted == Resources::default() {
            return Err(Error::invalid("update", "", "names no limit to change"));
        }
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let record = self.known(&id, word)?;
        let mut changed = record.clone();
        changed.spec.resources = record.spec.resources.clone().with(wanted);
        validate::resources(&changed.spec.resources)?;
        self.check_limits(&mut changed.spec.resources, &mut Vec::new())?;
        let rated = wanted.net_egress.or(wanted.net_ingress).is_some();
        if rated {
            self.check_rates(&changed.spec.resources, record.netns, &record.places)?;
        }
        let init = match self.life(&record, Some(&lock))? {
            Life::Running(live) => Some(live.state.init),
            Life::Created | Life::Stopped(_) => None,
            Life::Gone(_) => return Err(self.no_such(word)),
        };
        let changes = cgroups::changes(wanted, &changed.spec.resources)?;
        let intent = Intent::begin_update(&self.store, &record)?;
        let done = self.keep(&changed).and_then(|()| match init {
            Some(init) if rated => {
                self.apply(&record, &changes).and_then(|()| self.change_rates(&changed, init))
            }
            Some(_) => self.apply(&record, &changes),
            None => Ok(()),
        });
        match done {
            Ok(()) => {
                self.announce(&record, "update", &[]);
                intent.finish().map(|()| id)
            }
            Err(error) => {
                let mut left: Vec<_> = self.keep(&record).err().into_iter().collect();
                if let Some(init) = init {
                    let back = cgroups::back(wanted, &record.spec.resources);
                    left.extend(back.and_then(|limits| self.apply(&record, &limits)).err());
                    left.extend(rated.then(|| self.change_rates(&record, init)).and_then(Result::err));
                }
                Err(settled(intent, &left, error))
            }
        }
    }

    /// Puts an update right whose process died: what the record says comes to hold.
    pub(crate) fn settle_update(&self, id: &str, before: Option<Resources>) -> Vec<Error> {
        let settle = || {
            // Without a record there is no container any more, and so nothing that could differ from it.
            let Some(mut record) = self.store.record(id)? else { return Ok(()) };
            let new = record.spec.resources.clone();
            let rated = before.as_ref().is_none_or(|before| !same_rates(before, &new));
            match cgroups::changes(&new, &new).and_then(|all| self.apply(&record, &all)) {
                Ok(()) => self.keep(&record),
                // The kernel had not taken them yet, and does not: such as less memory than is used by now.
                Err(error) => {
                    let Some(before) = before else { return Err(error) };
                    self.apply(&record, &cgroups::changes(&before, &before)?)?;
                    record.spec.resources = before;
                    self.keep(&record)
                }
            }?;
            match rated {
                true => self.settle_rates(&record),
                false => Ok(()),
            }
        };
        settle().err().into_iter().collect()
    }

    /// Writes limits to the container's control groups, where it has any.
    fn apply(&self, record: &Record, limits: &Limits) -> Result<()> {
        let Some(group) = self.open_cgroup(&record.id)? else { return Ok(()) };
        present(group.apply(limits)).map(drop).map_err(|source| Error::Cgroup {
            operation: "change the limits of",
            container: record.short().to_owned(),
            source,
        })
    }

    /// Writes the limits down, for later starts and for whoever runs the bundle.
    fn keep(&self, record: &Record) -> Result<()> {
        let bundle = self.store.container_file(&record.id, BUNDLE_FILE);
        let text = std::fs::read(&bundle).map_err(|source| Error::file("read", &bundle, source))?;
        let new = bundle::with_limits(&text, &record.spec.resources)?;
        write(&self.store.container_file(&record.id, RECORD_FILE), record)?;
        write(&bundle, &new)
    }
}

fn write<T: serde::Serialize>(path: &Path, value: &T) -> Result<()> {
    // On the disk before it is acknowledged: the limits of a machine that was restarted are those that were set.
    tinyd_runtime::state::store(path, value, true).map_err(|source| Error::file("write", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, spec};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn root_limits_are_changed_in_both_records_and_bad_ones_in_none() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let mut wanted = spec(place.path(), Some("web"));
        wanted.resources = Resources { memory: Some(64 << 20), pids: Some(10), ..Default::default() };
        let id = core.create(&wanted).unwrap().id;
        core.update("web", &Resources { memory: Some(32 << 20), ..Default::default() }).unwrap();
        let kept = core.store.record(&id).unwrap().unwrap().spec.resources;
        assert_eq!((kept.memory, kept.pids), (Some(32 << 20), Some(10)));
        let bundle = || -> serde_json::Value {
            let text = std::fs::read(core.store.container_file(&id, BUNDLE_FILE)).unwrap();
            serde_json::from_slice(&text).unwrap()
        };
        let before = bundle();
        assert_eq!(before["linux"]["resources"]["memory"]["limit"], 32 << 20);
        assert_eq!(before["linux"]["resources"]["pids"]["limit"], 10);
        let mode = |name| core.store.container_file(&id, name).metadata().unwrap().permissions().mode();
        assert_eq!([BUNDLE_FILE, RECORD_FILE].map(|name| mode(name) & 0o777), [0o600; 2]);
        for bad in [Resources::default(), Resources { memory: Some(1), ..Default::default() }] {
            assert!(core.update("web", &bad).is_err(), "{bad:?}");
        }
        assert_eq!(bundle(), before);
    }

    #[test]
    fn root_an_update_that_was_cut_short_is_settled_by_the_record() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), None)).unwrap().id;
        let before = core.store.record(&id).unwrap().unwrap();
        let mut after = before.clone();
        after.spec.resources.memory = Some(32 << 20);
        let bundle = core.store.container_file(&id, BUNDLE_FILE);
        let limit = || {
            let json: serde_json::Value = serde_json::from_slice(&std::fs::read(&bundle).unwrap()).unwrap();
            json["linux"]["resources"]["memory"]["limit"].as_u64()
        };
        // Killed before its first word, and between its two.
        for (written, wanted) in [(&before, None), (&after, Some(32 << 20))] {
            drop(Intent::begin_update(&core.store, &before).unwrap());
            write(&core.store.container_file(&id, RECORD_FILE), written).unwrap();
            core.recover().unwrap();
            assert_eq!(limit(), wanted);
            assert_eq!(core.store.record(&id).unwrap().as_ref(), Some(written));
            assert!(!core.store.intent(&id).exists());
        }
    }
}
