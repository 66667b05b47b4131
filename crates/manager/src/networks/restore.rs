//! `reload_networks`, and what every command does where somebody flushed the host's rules.
//!
//! Each command that finds containers asks the drivers once, all networks together, whether what they have on the host stands:
//! one question to the kernel, and none on a host without networks. Where a network's rules can be asked for by running a
//! program alone, that is left to the commands that have to do with networks. A driver knows nothing of what runs: the
//! endpoints that were recorded when containers started are handed to it.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::networks::record::NetworkRecord;
use crate::networks::{NetworksLock, name};
use crate::process;
use crate::store::Record;
use std::time::Duration;
use tinyd_net::{EndpointState, NetworkDriver, NetworkState};
use tinyd_runtime::state::ProcessId;

/// How long a command that has nothing to do with networks waits for those who change them.
const PATIENCE: Duration = Duration::from_secs(2);

/// A running container's place on a network.
struct Place {
    network: NetworkState,
    init: ProcessId,
    endpoint: EndpointState,
}

impl Core {
    /// Brings back what somebody took of networks; of all where none is named. Returns their names. Goes on past failures.
    pub(crate) fn reload_networks(&self, words: &[String]) -> Result<Vec<String>> {
        let mut named = Vec::new();
        for word in words.iter().filter(|word| !name::FIXED.contains(&word.as_str())) {
            named.push(self.known_network(word)?.id);
        }
        if named.is_empty() && !words.is_empty() {
            return Ok(Vec::new());
        }
        let lock = self.change_networks()?;
        let mut records = self.whole_networks()?;
        records.retain(|record| named.is_empty() || named.contains(&record.id));
        let failed = self.restore_networks(&records, &lock)?;
        if let Some((_, error)) = failed.into_iter().next() {
            return Err(error);
        }
        Ok(records.iter().map(|record| record.name().to_owned()).collect())
    }

    /// Brings everything back where a question to the kernel says that it is gone. Nobody is kept from anything by a failure:
    /// `check` reports it, and the next command tries again.
    pub(crate) fn mend_networks(&self) {
        if !self.look_whole() {
            let Ok(lock) = self.network_records().exclusive_within(PATIENCE) else { return };
            // Whoever makes the first network or removes the last one has nothing for a moment.
            if !self.look_whole() {
                let _ = self.restorable_networks().and_then(|records| self.restore_networks(&records, &lock));
            }
        }
    }

    /// Brings everything back where the rules of a network are gone that only a program can list; what is wrong with another one is
    /// told who has to do with that. The lock must not be held.
    pub(crate) fn mend_network(&self, network: &NetworkState) -> Result<()> {
        let looks_whole = || {
            let whole = self.driver(&network.driver)?.looks_whole(Some(network));
            whole.map_err(|source| Error::Network { source })
        };
        if looks_whole()? {
            return Ok(());
        }
        let lock = self.network_records().exclusive()?;
        if looks_whole()? {
            return Ok(());
        }
        let failed = self.restore_networks(&self.restorable_networks()?, &lock)?;
        let own = failed.into_iter().find(|(name, _)| *name == network.spec.name);
        own.map_or(Ok(()), |(_, error)| Err(error))
    }

    /// What is missing of a network, in words; nothing where nobody took anything.
    pub(crate) fn missing_of(&self, network: &NetworkState) -> Result<Vec<String>> {
        let places = self.running_places(std::slice::from_ref(network))?;
        let endpoints: Vec<_> = places.into_iter().map(|place| place.endpoint).collect();
        let driver = self.driver(&network.driver)?;
        driver.missing(network, &endpoints).map_err(|source| Error::Network { source })
    }

    /// The networks of which all is there that was made.
    pub(crate) fn whole_networks(&self) -> Result<Vec<NetworkRecord>> {
        let mut records = self.network_records().all()?;
        records.retain(|record| record.whole);
        Ok(records)
    }

    /// Those of them of which anything can be brought back: to look at others means to run their programs, while nobody else changes
    /// any.
    fn restorable_networks(&self) -> Result<Vec<NetworkRecord>> {
        let mut records = self.whole_networks()?;
        records.retain(|record| self.driver(&record.state.driver).is_ok_and(NetworkDriver::restores));
        Ok(records)
    }

    /// An error says nothing: what cannot be asked is not repaired either.
    fn look_whole(&self) -> bool {
        self.networks.iter().all(|driver| driver.looks_whole(None).unwrap_or(true))
    }

    /// Goes on past failures, and gives them with the names of their networks.
    fn restore_networks(&self, records: &[NetworkRecord], _: &NetworksLock) -> Result<Vec<(String, Error)>> {
        let networks: Vec<_> = records.iter().map(|record| record.state.clone()).collect();
        let places = self.running_places(&networks)?;
        let mut failed = Vec::new();
        let mut note = |network: &NetworkState, done: Result<()>| {
            failed.extend(done.err().map(|error| (network.spec.name.clone(), error)));
        };
        for network in &networks {
            let own: Vec<_> = places.iter().filter(|place| place.network == *network).collect();
            note(network, self.restore_network(network, own));
        }
        // Of one that ended meanwhile, its monitor may have taken the ports away before they were brought back. Its addresses go
        // with its monitor, and nobody is given them before the lock is let go of.
        for place in places.iter().filter(|place| !process::runs(place.init)) {
            let withdrawn = self.driver(&place.network.driver).and_then(|driver| {
                let withdrawn = driver.withdraw(&place.network, &place.endpoint);
                withdrawn.map_err(|source| Error::Network { source })
            });
            note(&place.network, withdrawn);
        }
        Ok(failed)
    }

    fn restore_network(&self, network: &NetworkState, mut places: Vec<&Place>) -> Result<()> {
        let driver = self.driver(&network.driver)?;
        loop {
            let endpoints: Vec<_> = places.iter().map(|place| place.endpoint.clone()).collect();
            let restored = driver.restore(network, &endpoints).map_err(|source| Error::Network { source });
            let all = places.len();
            places.retain(|place| process::runs(place.init));
            // What is missing of one that ended meanwhile nobody took, and the others lack it no more.
            if restored.is_ok() || places.len() == all {
                return restored;
            }
        }
    }

    /// The places on these networks of the containers that run.
    fn running_places(&self, networks: &[NetworkState]) -> Result<Vec<Place>> {
        let mut places = Vec::new();
        for record in self.container_records()? {
            let of = |name: &str| networks.iter().find(|network| is_on(&record, network, name)).cloned();
            if !record.places.iter().any(|place| of(place.name()).is_some()) {
                continue;
            }
            let Life::Running(live) = self.life(&record, None)? else { continue };
            let init = live.state.init;
            // What it had stays recorded when it has ended: it is nobody's any more.
            if !process::runs(init) {
                continue;
            }
            for endpoint in self.endpoints(&record.id)? {
                if let Some(network) = of(&endpoint.network) {
                    places.push(Place { network, init, endpoint: endpoint.state });
                }
            }
        }
        Ok(places)
    }
}

fn is_on(record: &Record, network: &NetworkState, name: &str) -> bool {
    network.spec.name == name
        && record.places.iter().any(|place| place.name() == name && place.network.driver == network.driver)
}

#[cfg(test)]
mod tests {
    use crate::testing::network::with_networks;
    use crate::testing::{self, FakeLauncher};
    use tinyd_engine::NetworkCreate;

    #[test]
    fn root_a_reload_names_what_it_was_for_and_refuses_what_is_not_there() {
        if !testing::root() {
            return;
        }
        let (_place, mut core) = testing::core(FakeLauncher::succeeding());
        with_networks(&mut core);
        let reload = |words: &[&str]| {
            core.reload_networks(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(reload(&[]).unwrap(), [""; 0]);
        for name in ["web", "db"] {
            let wanted = NetworkCreate { name: Some(name.to_owned()), ..Default::default() };
            core.create_network(&wanted).unwrap();
        }
        assert_eq!(reload(&[]).unwrap(), ["db", "web"]);
        assert_eq!(reload(&["web"]).unwrap(), ["web"]);
        assert_eq!(reload(&["host"]).unwrap(), [""; 0], "there is nothing of ours");
        assert!(reload(&["web", "nosuch"]).unwrap_err().to_string().contains("nosuch"));
    }
}
