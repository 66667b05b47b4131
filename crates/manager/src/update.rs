//! `update`: other limits for a container, those that it has now and those of its later starts.

use crate::bundle;
use crate::cgroups;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::store::{BUNDLE_FILE, RECORD_FILE, Record};
use crate::validate;
use std::path::Path;
use tinyd_engine::Resources;

impl Core {
    /// Sets what is `Some`. On a failure the container is as it was, but for limits that the kernel had taken already.
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
        let live = match self.life(&record, Some(&lock))? {
            Life::Running(_) => self.open_cgroup(&id)?,
            Life::Created | Life::Stopped(_) => None,
            Life::Gone(_) => return Err(self.no_such(word)),
        };
        let changes = cgroups::changes(wanted, &changed.spec.resources)?;
        // The record first: a limit that holds and is not known of would be gone with the next start.
        self.keep(&changed)?;
        let Some(group) = live else { return Ok(id) };
        if let Err(source) = group.apply(&changes) {
            self.keep(&record)?;
            return Err(Error::Cgroup {
                operation: "change the limits of",
                container: record.short().to_owned(),
                source,
            });
        }
        Ok(id)
    }

    /// Writes the limits down, for later starts and for whoever runs the bundle.
    fn keep(&self, record: &Record) -> Result<()> {
        let bundle = self.store.container_file(&record.id, BUNDLE_FILE);
        let text = std::fs::read(&bundle).map_err(|source| Error::file("read", &bundle, source))?;
        let new = bundle::with_limits(&text, &record.spec.resources)?;
        write(&bundle, &new)?;
        write(&self.store.container_file(&record.id, RECORD_FILE), record)
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
}
