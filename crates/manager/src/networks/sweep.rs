//! Taking away networks that are half made or half removed, because whoever worked on them died.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::networks::NetworksLock;
use crate::networks::record::NetworkRecord;
use crate::store::unlink;

impl Core {
    /// The right to change the networks, all of which are whole: what dead processes left is taken away first, as far as
    /// that can be done.
    pub(crate) fn change_networks(&self) -> Result<NetworksLock> {
        let lock = self.network_records().exclusive()?;
        self.sweep_locked(&lock);
        Ok(lock)
    }

    /// Takes away what dead processes left of networks; returns what failed. Somebody at work is left alone.
    pub(crate) fn sweep_networks(&self) -> Vec<Error> {
        match self.network_records().try_exclusive() {
            Ok(Some(lock)) => self.sweep_locked(&lock),
            Ok(None) => vec![Error::NetworksBusy],
            Err(error) => vec![error],
        }
    }

    /// The networks that are half made or removed while nobody is at work; a repair is for
    /// [`sweep_networks`](Self::sweep_networks).
    pub(crate) fn torn_networks(&self) -> Result<Vec<String>> {
        let torn = |record: NetworkRecord| (!record.whole).then(|| record.name().to_owned());
        match self.network_records().try_exclusive()? {
            Some(_lock) => Ok(self.network_records().all()?.into_iter().filter_map(torn).collect()),
            None => Ok(Vec::new()),
        }
    }

    fn sweep_locked(&self, lock: &NetworksLock) -> Vec<Error> {
        let records = match self.network_records().all() {
            Ok(records) => records,
            Err(error) => return vec![error],
        };
        // Whoever works on one holds the lock, which is this process's now.
        let torn = records.iter().filter(|record| !record.whole);
        let mut errors: Vec<Error> = torn.filter_map(|record| self.take_away(record, lock).err()).collect();
        match self.network_records().torn() {
            Ok(files) => errors.extend(files.iter().filter_map(|file| unlink(file).err())),
            Err(error) => errors.push(error),
        }
        errors
    }

    /// Takes away a network whose record says that it is not whole: what the driver made, and then the record and the
    /// intent. What is gone already is no error.
    pub(super) fn take_away(&self, record: &NetworkRecord, _: &NetworksLock) -> Result<()> {
        let driver = self.driver(&record.state.driver)?;
        driver.delete(&record.state).map_err(|source| Error::Network { source })?;
        self.network_records().remove(record.name())?;
        unlink(&self.store.intent(&record.id))
    }
}
