//! Connecting a container to its networks while it starts, and taking the connections away where no monitor did.
//!
//! What was made is recorded in the container's folder of run-time state ([`ENDPOINTS_FILE`]); what is asked for stands in its
//! record. While it runs it can be given further places and lose some ([`live`]).

mod asked;
mod files;
mod live;
mod named;
mod ports;
mod rates;
mod seen;

pub(crate) use files::extra_hosts;
pub(crate) use rates::same_rates;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::{Place, Record};
use serde::{Deserialize, Serialize};
use tinyd_engine::{PortMapping, PortProtocol};
use tinyd_net::{EndpointSpec, EndpointState, Netns, Protocol, PublishedPort, Undo};
use tinyd_runtime::state::{load, store};
use tinyd_runtime::{Companion, Connected, Release};

/// Name of what is known of a container's connections, in its folder of run-time state.
pub(crate) const ENDPOINTS_FILE: &str = "endpoints.json";

/// Name of the file, in that folder, with the name that a container was given while it ran.
pub(crate) const RENAMED_FILE: &str = "renamed.json";

/// A connection that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The network's name.
    pub network: String,
    /// What its driver made.
    #[serde(flatten)]
    pub state: EndpointState,
}

impl Core {
    /// Connects a container that starts, to all of its networks or to none; gives what its monitor is told of them.
    pub(crate) fn join_networks(&self, record: &Record, netns: &dyn Netns) -> Result<Connected> {
        record.places.iter().try_for_each(|place| self.mend_network(&place.network))?;
        let mut made = Vec::new();
        let joined = record.places.iter().try_for_each(|place| {
            made.push(self.join_network(record, place, &made, netns)?);
            Ok(())
        });
        // With it the container's folder of run-time state is there, whether a driver needed it or not.
        let came = || {
            netns.open().map(drop).map_err(|error| Error::file("wait for", "the network namespace", error))
        };
        if let Err(error) = joined.and_then(|()| came()).and_then(|()| self.tell(record, &made)) {
            for (endpoint, place) in made.iter().zip(&record.places).rev() {
                let _ = self.driver(&place.network.driver)?.detach(&place.network, &endpoint.state);
            }
            return Err(error);
        }
        for endpoint in &made {
            self.announce_of("network", "connect", &endpoint.network, &[("container", record.id.clone())]);
        }
        Ok(self.connected(record, made))
    }

    /// Makes one connection, or nothing.
    fn join_network(
        &self,
        record: &Record,
        place: &Place,
        others: &[Endpoint],
        netns: &dyn Netns,
    ) -> Result<Endpoint> {
        // Nobody takes it away meanwhile, and nobody has: its driver would make it anew.
        let _held = self.hold_network(&place.network)?;
        let driver = self.driver(&place.network.driver)?;
        let is_way_out = record.way_out().is_some_and(|way_out| way_out.name() == place.name());
        let ports = if is_way_out { &record.spec.ports[..] } else { &[] };
        let wanted = EndpointSpec {
            container: record.id.clone(),
            interface: place.wanted.interface.clone().unwrap_or_else(|| free_interface(record, others)),
            addresses: place.wanted.addresses.clone(),
            mac: place.wanted.mac,
            gateway: is_way_out,
            names: names(record, place),
            lookup: asked::lookup(&record.spec.dns),
            ports: ports.iter().map(published).collect(),
        };
        let state =
            driver.attach(&place.network, &wanted, netns).map_err(|source| Error::Network { source })?;
        let state = self.limited(record, place, state)?;
        Ok(Endpoint { network: place.name().to_owned(), state })
    }

    /// Records connections, and lets the container know its own addresses.
    fn tell(&self, record: &Record, endpoints: &[Endpoint]) -> Result<()> {
        let path = self.store.run_dir(&record.id).join(ENDPOINTS_FILE);
        store(&path, &endpoints, false).map_err(|source| Error::file("write", path, source))?;
        self.write_network_files(record, endpoints)
    }

    /// What a monitor is told of connections.
    fn connected(&self, record: &Record, endpoints: Vec<Endpoint>) -> Connected {
        let mut all = Connected::default();
        for endpoint in endpoints {
            all.release.extend(endpoint.state.undo.into_iter().map(release));
            all.companions.extend(endpoint.state.companions.into_iter().map(companion));
            let container = [("container", record.id.clone())];
            all.release.push(self.announcing("network", "disconnect", &endpoint.network, &container));
        }
        all
    }

    /// Takes away what is left of a container's connections, however far they had come.
    pub(crate) fn leave_networks(&self, record: &Record) -> Result<()> {
        let mut first = Ok(());
        // One that cannot be read is found by the container's id.
        let endpoints = self.endpoints(&record.id).unwrap_or_default();
        for place in &record.places {
            let driver = self.driver(&place.network.driver)?;
            if driver.connects(&place.network) {
                let known = endpoints.iter().find(|endpoint| endpoint.network == place.name());
                let state = known.map_or_else(|| unknown(&record.id), |endpoint| endpoint.state.clone());
                let left = driver.detach(&place.network, &state).map_err(|source| Error::Network { source });
                first = first.and(left);
            }
        }
        first
    }

    /// Whether anything is held for a container on one of its networks.
    pub(crate) fn holds_places(&self, record: &Record) -> Result<bool> {
        for place in &record.places {
            let driver = self.driver(&place.network.driver)?;
            let held = driver.held_for(&place.network).map_err(|source| Error::Network { source })?;
            if held.contains(&record.id) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a container that starts is connected to anything.
    pub(crate) fn connects(&self, record: &Record) -> Result<bool> {
        for place in &record.places {
            if self.driver(&place.network.driver)?.connects(&place.network) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What is known of a container's connections, those that it had when it last ran where it stands still.
    pub(crate) fn endpoints(&self, id: &str) -> Result<Vec<Endpoint>> {
        let path = self.store.run_dir(id).join(ENDPOINTS_FILE);
        let endpoints = load(&path).map_err(|source| Error::file("read", path, source))?;
        Ok(endpoints.unwrap_or_default())
    }
}

impl Record {
    /// Where its default route goes and its ports are published: the first network that leads anywhere.
    pub(crate) fn way_out(&self) -> Option<&Place> {
        way_out(&self.places)
    }
}

/// The same, of places that are nobody's yet.
fn way_out(places: &[Place]) -> Option<&Place> {
    let leads_out = |place: &&Place| !place.network.spec.internal;
    places.iter().find(leads_out).or_else(|| places.first())
}

/// Of what no more is known than whose it is.
fn unknown(id: &str) -> EndpointState {
    EndpointState { container: id.to_owned(), ..Default::default() }
}

/// The first of `eth0`, `eth1`, … that none of its links has or asks for.
fn free_interface(record: &Record, others: &[Endpoint]) -> String {
    let made = others.iter().flat_map(|endpoint| &endpoint.state.interfaces);
    let made: Vec<&str> = made.map(|link| link.name.as_str()).collect();
    let asked: Vec<&str> =
        record.places.iter().filter_map(|place| place.wanted.interface.as_deref()).collect();
    let free = |name: &String| !made.contains(&name.as_str()) && !asked.contains(&name.as_str());
    // Of so many numbers one is free.
    (0..=made.len() + asked.len()).map(|number| format!("eth{number}")).find(free).unwrap_or_default()
}

/// What the others on the network call it.
fn names(record: &Record, place: &Place) -> Vec<String> {
    let mut names: Vec<_> = record.spec.name.iter().cloned().collect();
    names.extend([record.short().to_owned(), record.hostname.clone()]);
    names.extend(place.wanted.aliases.iter().cloned());
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn published(port: &PortMapping) -> PublishedPort {
    PublishedPort {
        host: port.host_ip,
        host_port: port.host_port.unwrap_or(0),
        container_port: port.container_port,
        protocol: match port.protocol {
            PortProtocol::Tcp => Protocol::Tcp,
            PortProtocol::Udp => Protocol::Udp,
            PortProtocol::Sctp => Protocol::Sctp,
        },
    }
}

fn mapping(port: &PublishedPort) -> PortMapping {
    PortMapping {
        host_ip: port.host,
        host_port: (port.host_port > 0).then_some(port.host_port),
        container_port: port.container_port,
        protocol: match port.protocol {
            Protocol::Tcp => PortProtocol::Tcp,
            Protocol::Udp => PortProtocol::Udp,
            Protocol::Sctp => PortProtocol::Sctp,
        },
    }
}

/// What takes connections away when the container has ended, and what serves them until then.
fn companion(known: tinyd_net::Companion) -> Companion {
    let tinyd_net::Companion { process, program, arguments } = known;
    Companion { process, program, arguments }
}

fn release(undo: Undo) -> Release {
    match undo {
        Undo::Unlink(path) => Release::Unlink(path),
        Undo::Netlink { protocol, packet } => Release::Netlink { protocol, packet },
        Undo::Unpin(path) => Release::Unpin(path),
        Undo::Run { program, arguments, environment, stdin, strict } => {
            Release::Run { program, arguments, environment, stdin, strict }
        }
    }
}
