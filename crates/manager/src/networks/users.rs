//! Who uses a network: the containers whose records name it.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::networks::record::NetworkRecord;
use crate::store::Record;

impl Core {
    /// The records of all containers; one that is broken or half made names no network.
    pub(super) fn container_records(&self) -> Result<Vec<Record>> {
        let mut records = Vec::new();
        for id in self.store.ids()? {
            match self.store.record(&id) {
                Ok(record) => records.extend(record),
                Err(Error::Record { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// Whether a container runs, or is about to.
    pub(super) fn container_runs(&self, record: &Record) -> Result<bool> {
        Ok(self.store.intent(&record.id).exists() || matches!(self.life(record, None)?, Life::Running(_)))
    }
}

/// Those that are on a network.
pub(super) fn of<'a>(network: &'a NetworkRecord, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    let on = |record: &&Record| {
        record.network.spec.name == network.name() && record.network.driver == network.state.driver
    };
    all.iter().filter(on)
}

/// What a container is called: its name, or the first digits of its id.
pub(super) fn called(record: &Record) -> String {
    record.spec.name.clone().unwrap_or_else(|| record.short().to_owned())
}
