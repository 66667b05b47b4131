//! What networks hold for containers: addresses, names, ports.

use crate::core::Core;
use crate::error::{Error, Result};
use tinyd_net::{EndpointState, NetworkState};

impl Core {
    /// The containers, dead or alive, that something is held for, with the network that holds it.
    pub(crate) fn held_places(&self) -> Result<Vec<(NetworkState, String)>> {
        let mut places = Vec::new();
        for record in self.network_records().all()?.into_iter().filter(|record| record.whole) {
            let driver = self.driver(&record.state.driver)?;
            let ids = driver.held_for(&record.state).map_err(|source| Error::Network { source })?;
            places.extend(ids.into_iter().map(|id| (record.state.clone(), id)));
        }
        Ok(places)
    }

    /// Takes away what a network holds for a container of which no more is known than its id.
    pub(crate) fn free_place(&self, network: &NetworkState, id: &str) -> Result<()> {
        let endpoint = EndpointState { container: id.to_owned(), ..Default::default() };
        let driver = self.driver(&network.driver)?;
        driver.detach(network, &endpoint).map_err(|source| Error::Network { source })
    }
}
