//! The networks of an engine: their records, their verbs, and which of them a container is on.
//!
//! A network is a record in `ROOT/networks` and whatever its driver made on the host. Whoever makes or removes one holds a
//! lock over all of them ([`lock`]), so that of two who want one name, or ranges of addresses that overlap, one is refused.
//! Its record is there before the driver makes anything and until it has taken everything away, marked as not whole: such a
//! record that nobody holds the lock for belongs to a process that died, and whoever meets it takes the network away
//! ([`sweep`]). Who uses a network is never counted: the containers' records say it ([`users`]).

mod create;
mod inspect;
mod list;
mod lock;
pub(crate) mod name;
mod places;
mod record;
mod remove;
mod resolve;
mod sweep;
mod users;
mod wanted;

pub(crate) use lock::NetworksLock;

use crate::core::Core;
use crate::error::{Error, Result};
use record::NetworkRecord;
use tinyd_engine::NetworkMode;
use tinyd_net::{Namespace, NetworkDriver, NetworkSpec, NetworkState};

/// The driver of a network for which nobody said another, and of the default one.
const DEFAULT_DRIVER: &str = "bridge";

/// A network that a container joins.
pub(crate) struct Joined {
    /// The network.
    pub network: NetworkState,
    /// The namespace that a container on it lives in.
    pub netns: Namespace,
    /// Nobody removes the network while this is there: until the container's record says that it is used.
    pub held: Option<NetworksLock>,
}

impl Core {
    /// The network that is asked for. The default one is made when it is first needed.
    pub(crate) fn network(&self, wanted: &NetworkMode) -> Result<Joined> {
        match wanted {
            NetworkMode::None => self.fixed(name::NONE),
            NetworkMode::Host => self.fixed(name::HOST),
            NetworkMode::Named(word) if name::FIXED.contains(&word.as_str()) => self.fixed(word),
            NetworkMode::Named(word) => self.stored(word),
        }
    }

    /// The driver of that name.
    pub(crate) fn driver(&self, name: &str) -> Result<&dyn NetworkDriver> {
        let driver = self.networks.iter().find(|driver| driver.name() == name);
        driver.map(AsRef::as_ref).ok_or_else(|| Error::NoNetworkDriver {
            name: name.to_owned(),
            there: self.networks.iter().map(|driver| driver.name().to_owned()).collect(),
        })
    }

    /// A network that every host has, and of which no record is kept: it is called as its driver.
    fn fixed(&self, name: &str) -> Result<Joined> {
        let driver = self.driver(name)?;
        let network = driver.create(&NetworkSpec::named(name)).map_err(|source| Error::Network { source })?;
        Ok(Joined { netns: driver.namespace(&network), network, held: None })
    }

    fn stored(&self, word: &str) -> Result<Joined> {
        let (held, record) = match self.hold(word) {
            Err(Error::NoSuchNetwork { .. }) if name::is_default(word) => {
                self.make_default()?;
                self.hold(word)?
            }
            held => held?,
        };
        let netns = self.driver(&record.state.driver)?.namespace(&record.state);
        Ok(Joined { network: record.state, netns, held: Some(held) })
    }

    /// Keeps the network that a container was made on from being removed; an error where it is gone, or another one has its
    /// name. `None` for one that every host has.
    pub(crate) fn hold_network(&self, network: &NetworkState) -> Result<Option<NetworksLock>> {
        if is_fixed(network) {
            return Ok(None);
        }
        let (held, record) = self.hold(&network.spec.name)?;
        match record.state == *network {
            true => Ok(Some(held)),
            false => Err(Error::NoSuchNetwork { name: network.spec.name.clone(), similar: None }),
        }
    }

    /// The network of that name as it is now, where the one that a container was made on was removed since: `None` where it
    /// is the same.
    pub(crate) fn changed_network(&self, network: &NetworkState) -> Result<Option<Joined>> {
        if is_fixed(network) {
            return Ok(None);
        }
        let joined = self.stored(&network.spec.name)?;
        Ok((joined.network != *network).then_some(joined))
    }

    /// A network that is there, and cannot go while the lock is held.
    fn hold(&self, word: &str) -> Result<(NetworksLock, NetworkRecord)> {
        let held = NetworksLock::shared(&self.store)?;
        let record = self.known_network(word)?;
        Ok((held, record))
    }
}

/// Every host has it, and no record is kept of it.
fn is_fixed(network: &NetworkState) -> bool {
    name::FIXED.contains(&network.spec.name.as_str())
}

#[cfg(test)]
mod tests;
