//! The networks of an engine: their records, their verbs, and which of them a container is on.
//!
//! A network is a record in `ROOT/networks` and whatever its driver made on the host. Whoever makes or removes one holds a
//! lock over all of them ([`RecordsLock`]), so that of two who want one name, or ranges of addresses that overlap, one is refused.
//! Its record is there before the driver makes anything and until it has taken everything away, marked as not whole: such a
//! record that nobody holds the lock for belongs to a process that died, and whoever meets it takes the network away
//! ([`sweep`]). Who uses a network is never counted: the containers' records say it ([`users`]).

mod create;
mod inspect;
mod list;
pub(crate) mod name;
mod places;
mod record;
mod remove;
mod resolve;
mod restore;
mod sweep;
mod users;
mod wanted;

pub(crate) use record::NetworkRecord;

/// The lock over all networks.
pub(crate) type NetworksLock = RecordsLock<NetworkRecord>;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::{Place, Records, RecordsLock};
use std::net::IpAddr;
use tinyd_engine::{NetworkJoin, NetworkMode};
use tinyd_net::{Namespace, NetworkDriver, NetworkSpec, NetworkState};

/// The driver of a network for which nobody said another, and of the default one.
const DEFAULT_DRIVER: &str = "bridge";

/// What a container is connected to.
pub(crate) struct Joined {
    /// Its places.
    pub places: Vec<Place>,
    /// The namespace that it lives in.
    pub netns: Namespace,
    /// The container whose namespace that is.
    pub netns_of: Option<String>,
    /// Nobody removes the networks while these are there: until the container's record says that they are used.
    pub held: Vec<NetworksLock>,
    /// What the user should be told of a network that was made for it.
    pub notes: Vec<String>,
}

impl Core {
    pub(crate) fn network_records(&self) -> Records<NetworkRecord> {
        self.store.records()
    }

    /// The places that are asked for. The default network is made when it is first needed.
    pub(crate) fn places(&self, wanted: &NetworkMode) -> Result<Joined> {
        match wanted {
            NetworkMode::None => self.on_fixed(name::NONE),
            NetworkMode::Host => self.on_fixed(name::HOST),
            NetworkMode::Container(word) => self.beside(word),
            NetworkMode::Networks(joins) => match &joins[..] {
                [join] if name::FIXED.contains(&join.network.as_str()) => self.on_fixed(&join.network),
                joins => self.on_networks(joins),
            },
        }
    }

    fn on_networks(&self, joins: &[NetworkJoin]) -> Result<Joined> {
        let mut joined = Joined {
            places: Vec::new(),
            netns: Namespace::Own,
            netns_of: None,
            held: Vec::new(),
            notes: Vec::new(),
        };
        if joins.len() > 1 {
            // Made before another is held: who makes one waits for all who hold any.
            for join in joins.iter().filter(|join| name::is_default(&join.network)) {
                joined.notes.extend(self.stored(&join.network)?.2);
            }
        }
        for join in joins {
            let (place, held, notes) = self.place_on(join)?;
            joined.notes.extend(notes);
            if joined.places.iter().any(|other| other.name() == place.name()) {
                return Err(Error::invalid("network", place.name(), "is named twice"));
            }
            joined.places.push(place);
            joined.held.push(held);
        }
        Ok(joined)
    }

    /// A place on a network that has a record.
    pub(crate) fn place_on(&self, join: &NetworkJoin) -> Result<(Place, NetworksLock, Vec<String>)> {
        let (held, network, notes) = self.stored(&join.network)?;
        for address in &join.addresses {
            address_of(&network, *address)?;
        }
        Ok((Place { network, wanted: join.clone() }, held, notes))
    }

    /// In the network namespace of another container, which is the host's where that one's is.
    fn beside(&self, word: &str) -> Result<Joined> {
        let id = self.resolve(word)?;
        let other = self.known(&id, word)?;
        match other.netns {
            Namespace::Host => self.on_fixed(name::HOST),
            _ => Ok(Joined {
                places: Vec::new(),
                netns: Namespace::Other,
                // Of those that share one, each knows whose it is.
                netns_of: Some(other.netns_of.unwrap_or(id)),
                held: Vec::new(),
                notes: Vec::new(),
            }),
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

    pub(crate) fn on_fixed(&self, name: &str) -> Result<Joined> {
        let network = self.fixed(name)?;
        let netns = self.driver(name)?.namespace(&network);
        let place = Place { network, wanted: NetworkJoin::on(name) };
        Ok(Joined { places: vec![place], netns, netns_of: None, held: Vec::new(), notes: Vec::new() })
    }

    /// A network that every host has, and of which no record is kept: it is called as its driver.
    fn fixed(&self, name: &str) -> Result<NetworkState> {
        let driver = self.driver(name)?;
        driver.create(&NetworkSpec::named(name)).map_err(|source| Error::Network { source })
    }

    fn stored(&self, word: &str) -> Result<(NetworksLock, NetworkState, Vec<String>)> {
        let mut notes = Vec::new();
        if name::FIXED.contains(&word) {
            let problem = "leads nowhere else: a container on it has no other network";
            return Err(Error::invalid("network", word, problem));
        }
        let (held, record) = match self.hold(word) {
            Err(Error::NoSuchNetwork { .. }) if name::is_default(word) => {
                notes = self.make_default()?;
                self.hold(word)?
            }
            held => held?,
        };
        Ok((held, record.state, notes))
    }

    /// Keeps the network that a container was made on from being removed; an error where it is gone, or another one has its
    /// name. `None` for one that every host has.
    pub(crate) fn hold_network(&self, network: &NetworkState) -> Result<Option<NetworksLock>> {
        if is_fixed(network) {
            return Ok(None);
        }
        let held = self.network_records().shared()?;
        self.same_network(network).map(|()| Some(held))
    }

    /// An error where a network is gone, or another one has its name.
    pub(crate) fn same_network(&self, network: &NetworkState) -> Result<()> {
        match is_fixed(network) || self.known_network(&network.spec.name)?.state == *network {
            true => Ok(()),
            false => Err(Error::NoSuchNetwork { name: network.spec.name.clone(), similar: None }),
        }
    }

    /// The network of that name as it is now, where the one that a container was made on was removed since: `None` where it
    /// is the same.
    pub(crate) fn changed_network(&self, network: &NetworkState) -> Result<Option<NetworkState>> {
        if is_fixed(network) {
            return Ok(None);
        }
        let (_held, now, _) = self.stored(&network.spec.name)?;
        Ok((now != *network).then_some(now))
    }

    /// A network that is there, and cannot go while the lock is held.
    fn hold(&self, word: &str) -> Result<(NetworksLock, NetworkRecord)> {
        let held = self.network_records().shared()?;
        let record = self.known_network(word)?;
        Ok((held, record))
    }
}

/// Every host has it, and no record is kept of it.
fn is_fixed(network: &NetworkState) -> bool {
    name::FIXED.contains(&network.spec.name.as_str())
}

/// An address that a container asks for must be one that the network can give.
fn address_of(network: &NetworkState, address: IpAddr) -> Result<()> {
    let spec = &network.spec;
    let refuse = |problem: String| Err(Error::invalid("address", address.to_string(), problem));
    // A network without ranges leaves addresses to somebody else.
    if spec.subnets.is_empty() {
        return Ok(());
    }
    let Some(subnet) = spec.subnets.iter().find(|subnet| subnet.contains(address)) else {
        let all: Vec<_> = spec.subnets.iter().map(ToString::to_string).collect();
        return refuse(format!("is not in network {}: it has {}", spec.name, all.join(" and ")));
    };
    let broadcast = address.is_ipv4() && subnet.length < 31 && address == subnet.last();
    if spec.gateways.contains(&address) {
        return refuse(format!("is the gateway of network {}", spec.name));
    }
    if spec.excluded.contains(&address) {
        return refuse(format!("is excluded from network {}: something else has it", spec.name));
    }
    if (address == subnet.first() && subnet.length < 31) || broadcast {
        return refuse(format!("stands for all of {subnet}, and is no container's"));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
