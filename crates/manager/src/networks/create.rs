//! `create_network`, and the default network, which nobody has to make.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::networks::record::NetworkRecord;
use crate::networks::{DEFAULT_DRIVER, NetworksLock, name, wanted};
use crate::prepare::settled;
use crate::{ids, time};
use tinyd_engine::{Created, NetworkCreate};
use tinyd_net::{NetworkSpec, NetworkState};

impl Core {
    pub(crate) fn create_network(&self, request: &NetworkCreate) -> Result<Created> {
        let id = ids::new_id()?;
        let name = match &request.name {
            Some(name) => {
                name::check_new(name)?;
                name.clone()
            }
            None => format!("net-{}", &ids::short(&id)[..8]),
        };
        let spec = wanted::spec(request, &name)?;
        let driver = request.driver.as_deref().unwrap_or(DEFAULT_DRIVER);
        // Before the lock: a word that is wrong has nothing to wait for.
        self.driver(driver)?;
        let lock = self.change_networks()?;
        let state = NetworkState { driver: driver.to_owned(), spec, links: Vec::new() };
        let labels = request.labels.clone();
        let record = NetworkRecord { id, created_ns: time::now_ns(), labels, whole: false, state };
        let record = self.make_network(record, &lock)?;
        Ok(Created { notes: self.notes_of_new(&record.state), id: record.id })
    }

    /// Makes the default network, unless somebody was faster. Gives what the user should be told of it.
    pub(super) fn make_default(&self) -> Result<Vec<String>> {
        self.driver(DEFAULT_DRIVER)?;
        let lock = self.change_networks()?;
        if self.network_records().get(name::DEFAULT)?.is_some_and(|record| record.whole) {
            return Ok(Vec::new());
        }
        let record = NetworkRecord {
            id: ids::new_id()?,
            created_ns: time::now_ns(),
            labels: Default::default(),
            whole: false,
            state: NetworkState {
                driver: DEFAULT_DRIVER.to_owned(),
                spec: NetworkSpec::named(name::DEFAULT),
                links: Vec::new(),
            },
        };
        Ok(self.notes_of_new(&self.make_network(record, &lock)?.state))
    }

    /// The same, and what of this host is changed for a network that was just made, which is said this once.
    fn notes_of_new(&self, network: &NetworkState) -> Vec<String> {
        let driver = self.driver(&network.driver).ok();
        let mut notes = driver.and_then(|driver| driver.changes(network).ok()).unwrap_or_default();
        notes.extend(self.notes_of(network));
        notes
    }

    /// What keeps a network from working. That it cannot be found out keeps nobody from anything.
    pub(crate) fn notes_of(&self, network: &NetworkState) -> Vec<String> {
        self.driver(&network.driver).ok().and_then(|driver| driver.notes(network).ok()).unwrap_or_default()
    }

    fn make_network(&self, mut record: NetworkRecord, lock: &NetworksLock) -> Result<NetworkRecord> {
        let name = record.name().to_owned();
        if self.network_records().file(&name).exists() {
            return Err(Error::NetworkTaken { name });
        }
        wanted::avoid(&mut record.state.spec, &self.network_records().all()?)?;
        let driver = self.driver(&record.state.driver)?;
        driver.validate(&record.state.spec).map_err(|source| Error::Network { source })?;
        let intent = Intent::begin(&self.store, Verb::Network, &record.id, Some(&name))?;
        if let Err(error) = self.network_records().add(&record, lock) {
            return Err(settled(intent, &[], error));
        }
        match self.make_whole(&mut record, lock) {
            Ok(()) => {
                intent.finish()?;
                self.announce_of(
                    "network",
                    "create",
                    record.name(),
                    &[("type", record.state.driver.clone())],
                );
                Ok(record)
            }
            Err(error) => {
                let left: Vec<_> = self.take_away(&record, lock).err().into_iter().collect();
                Err(settled(intent, &left, error))
            }
        }
    }

    fn make_whole(&self, record: &mut NetworkRecord, lock: &NetworksLock) -> Result<()> {
        let driver = self.driver(&record.state.driver)?;
        record.state = driver.create(&record.state.spec).map_err(|source| Error::Network { source })?;
        record.state.spec.avoid.clear();
        // Chosen by the driver, it may still be another network's: not every driver looks at what it is to avoid.
        wanted::avoid(&mut record.state.spec.clone(), &self.others(record)?)?;
        record.whole = true;
        self.network_records().change(record, lock)
    }

    /// All networks but this one.
    fn others(&self, record: &NetworkRecord) -> Result<Vec<NetworkRecord>> {
        let mut others = self.network_records().all()?;
        others.retain(|other| other.id != record.id);
        Ok(others)
    }
}
