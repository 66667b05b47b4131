//! The containers that there are, for those who ask what they use.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::store::Record;

impl Core {
    /// The records of all containers; one that is broken or half made names nothing that it uses.
    pub(crate) fn container_records(&self) -> Result<Vec<Record>> {
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
    pub(crate) fn container_runs(&self, record: &Record) -> Result<bool> {
        Ok(self.store.intent(&record.id).exists() || matches!(self.life(record, None)?, Life::Running(_)))
    }
}

/// What a container is called: its name, or the first digits of its id.
pub(crate) fn called(record: &Record) -> String {
    record.spec.name.clone().unwrap_or_else(|| record.short().to_owned())
}
