//! `remove_network` and `prune_networks`.

use crate::containers::called;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::networks::record::NetworkRecord;
use crate::networks::{NetworksLock, name, users};
use crate::store::Record;

impl Core {
    /// Removes a network that no container uses, or, with force, none that runs.
    pub(crate) fn remove_network(&self, word: &str, force: bool) -> Result<String> {
        if name::FIXED.contains(&word) {
            return Err(Error::invalid("network", word, "is one that every host has, and stays"));
        }
        let lock = self.change_networks()?;
        let record = self.find_network(word)?;
        let containers = self.container_records()?;
        let mut users: Vec<&Record> = users::of(&record, &containers).collect();
        if force {
            let mut running = Vec::new();
            for user in users {
                if self.container_runs(user)? {
                    running.push(user);
                }
            }
            users = running;
        }
        if !users.is_empty() {
            let mut names: Vec<String> = users.into_iter().map(called).collect();
            names.sort();
            return Err(Error::NetworkInUse { name: record.name().to_owned(), containers: names, force });
        }
        self.remove_unused(record, &lock)
    }

    /// Removes every network but the default one that no container uses. Goes on past errors, and returns the first, which tells what
    /// was removed.
    pub(crate) fn prune_networks(&self) -> Result<Vec<String>> {
        let lock = self.change_networks()?;
        let containers = self.container_records()?;
        let (mut removed, mut failed) = (Vec::new(), None);
        for record in self.network_records().all()? {
            if !name::is_default(record.name()) && users::of(&record, &containers).next().is_none() {
                match self.remove_unused(record, &lock) {
                    Ok(name) => removed.push(name),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
        }
        self.announce_of("network", "prune", "", &[]);
        match failed {
            Some(error) => Err(error.after(removed)),
            None => Ok(removed),
        }
    }

    fn remove_unused(&self, mut record: NetworkRecord, lock: &NetworksLock) -> Result<String> {
        // A driver that is not there could not take anything away, now or later.
        self.driver(&record.state.driver)?;
        let name = record.name().to_owned();
        // One that somebody was killed at may have its intent still.
        if !self.store.intent(&record.id).exists() {
            // A failure leaves it: the next command tries again.
            drop(Intent::begin(&self.store, Verb::Network, &record.id, Some(&name))?);
        }
        record.whole = false;
        self.network_records().change(&record, lock)?;
        self.take_away(&record, lock)?;
        self.announce_of("network", "destroy", &name, &[]);
        Ok(name)
    }
}
