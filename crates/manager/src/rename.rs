//! `rename`: another name for a container, running or not. The old one is free at once.
//!
//! The record decides. The new name is taken before it is written there, and the old one freed after that; of a rename that was
//! killed on its way, the next command frees whichever of the two the record does not have. What goes by the name meanwhile, the
//! name server's file and the monitor of one that removes itself, is brought to say the same.

use crate::connection::RENAMED_FILE;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::life::Life;
use crate::names;
use crate::prepare::settled;
use crate::store::{RECORD_FILE, Record, unlink};
use crate::validate;
use tinyd_runtime::state::store;

impl Core {
    pub(crate) fn rename(&self, word: &str, name: &str) -> Result<String> {
        validate::name(name)?;
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let mut record = self.known(&id, word)?;
        if let Life::Gone(_) = self.life(&record, Some(&lock))? {
            return Err(self.no_such(word));
        }
        if record.spec.name.as_deref() == Some(name) {
            return Err(Error::invalid("name", name, "is the one that the container has"));
        }
        let intent = Intent::begin(&self.store, Verb::Rename, &id, Some(name))?;
        let old = record.spec.name.replace(name.to_owned());
        let old = old.unwrap_or_else(|| record.short().to_owned());
        if let Err(error) = names::take(&self.store, name, &id).and_then(|()| self.keep_name(&record)) {
            return Err(settled(intent, &self.settle_rename(&id), error));
        }
        match self.settle_rename(&id).into_iter().next() {
            None => {
                self.announce(&record, "rename", &[("oldName", old)]);
                intent.finish().map(|()| id)
            }
            // The intent stays: the next command goes on.
            Some(error) => Err(error),
        }
    }

    fn keep_name(&self, record: &Record) -> Result<()> {
        let path = self.store.container_file(&record.id, RECORD_FILE);
        store(&path, record, true).map_err(|source| Error::file("write", path, source))
    }

    /// Brings everything to say of a container's name what its record says. Returns what failed.
    pub(crate) fn settle_rename(&self, id: &str) -> Vec<Error> {
        let settle = || {
            let record = self.store.record(id)?;
            let name = record.as_ref().and_then(|record| record.spec.name.as_deref());
            let own = name.map(|name| self.store.name_link(name));
            if let Some(record) = &record
                && let Some(name) = name
                && self.store.run_dir(id).exists()
            {
                // Before the old one is free: the monitor of one that removes itself must not take it from its next owner.
                self.tell_name(record, name)?;
            }
            for (link, owner) in self.store.names()? {
                if owner == id && Some(&link) != own.as_ref() {
                    self.store.unlink_owned(&link, id)?;
                }
            }
            // It may have removed itself meanwhile, without having heard of the new one.
            if !self.store.container(id).exists() {
                names::free(&self.store, None, id)?;
            }
            Ok(())
        };
        settle().err().into_iter().collect()
    }

    /// Whoever goes by the name of a container that runs is told.
    fn tell_name(&self, record: &Record, name: &str) -> Result<()> {
        let run_dir = self.store.run_dir(&record.id);
        let path = run_dir.join(RENAMED_FILE);
        match store(&path, &name, false) {
            Ok(()) => {}
            // Its folder has just gone with it.
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(Error::file("write", path, source)),
        }
        self.rename_on_networks(record)?;
        // Its monitor may have taken its names from the networks before they were written.
        if self.runs_still(&record.id)? {
            return Ok(());
        }
        self.await_monitor(&record.id)?;
        self.leave_networks(record)?;
        unlink(&path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, spec};

    #[test]
    fn root_the_record_decides_which_name_stays() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), Some("old"))).unwrap().id;
        let there = || {
            let mut names: Vec<_> = core.store.names().unwrap();
            names.sort();
            names
                .iter()
                .map(|(link, _)| link.file_name().unwrap().to_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        // Killed before the record says it, and after.
        drop(Intent::begin(&core.store, Verb::Rename, &id, Some("new")).unwrap());
        names::take(&core.store, "new", &id).unwrap();
        core.recover().unwrap();
        assert_eq!(there(), ["old"]);
        drop(Intent::begin(&core.store, Verb::Rename, &id, Some("new")).unwrap());
        names::take(&core.store, "new", &id).unwrap();
        let mut record = core.store.record(&id).unwrap().unwrap();
        record.spec.name = Some("new".to_owned());
        core.keep_name(&record).unwrap();
        core.recover().unwrap();
        assert_eq!(there(), ["new"]);
        assert!(!core.store.intent(&id).exists());
        // One that is taken changes nothing.
        let other = core.create(&spec(place.path(), Some("old"))).unwrap().id;
        assert!(matches!(core.rename("new", "old"), Err(Error::NameTaken { .. })));
        assert_eq!(
            (there(), core.resolve("old").unwrap()),
            (vec!["new".to_owned(), "old".to_owned()], other)
        );
        assert_eq!(core.rename("new", "newer").unwrap(), id);
        assert_eq!(there(), ["newer", "old"]);
        for bad in ["", "a b", "../x", "newer"] {
            assert!(core.rename("newer", bad).is_err(), "{bad:?}");
        }
    }
}
