//! A container that runs gets another name: what its networks know of it follows.

use super::names;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::Record;

impl Core {
    /// Lets the others on a container's networks find it by the name that its record has.
    pub(crate) fn rename_on_networks(&self, record: &Record) -> Result<()> {
        let endpoints = self.endpoints(&record.id)?;
        let lookup = self.asked(record, &endpoints)?.lookup;
        for place in &record.places {
            let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.network == place.name()) else {
                continue;
            };
            self.driver(&place.network.driver)?
                .rename(&place.network, &endpoint.state, &names(record, place), &lookup)
                .map_err(|source| Error::Network { source })?;
        }
        Ok(())
    }
}
