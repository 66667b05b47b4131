//! Connecting a container to its network while it starts, and taking the connection away where no monitor did.

use crate::bundle::etc;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::Record;
use std::fs;
use std::os::fd::BorrowedFd;
use tinyd_engine::{NetworkSettings, PortProtocol};
use tinyd_net::{EndpointSpec, EndpointState, Protocol, PublishedPort, Undo};
use tinyd_runtime::Release;
use tinyd_runtime::state::{load, store};

/// Name of what is known of a container's connection, in its folder of run-time state.
pub(crate) const ENDPOINT_FILE: &str = "endpoint.json";

impl Core {
    /// Connects a container that starts; gives the steps that undo it when it has ended.
    pub(crate) fn join_network(&self, record: &Record, netns: BorrowedFd<'_>) -> Result<Vec<Release>> {
        // Nobody takes it away meanwhile, and nobody has: its driver would make it anew.
        let _held = self.hold_network(&record.network)?;
        let driver = self.driver(&record.network.driver)?;
        let wanted = EndpointSpec {
            container: record.id.clone(),
            gateway: true,
            names: names(record),
            ports: record.spec.ports.iter().map(published).collect(),
            ..Default::default()
        };
        let endpoint =
            driver.attach(&record.network, &wanted, netns).map_err(|source| Error::Network { source })?;
        if let Err(error) = self.tell(record, &endpoint) {
            let _ = driver.detach(&record.network, &endpoint);
            return Err(error);
        }
        Ok(endpoint.undo.into_iter().map(release).collect())
    }

    /// Records a connection, and lets the container know its own addresses.
    fn tell(&self, record: &Record, endpoint: &EndpointState) -> Result<()> {
        let path = self.store.run_dir(&record.id).join(ENDPOINT_FILE);
        store(&path, endpoint, false).map_err(|source| Error::file("write", path, source))?;
        let addresses = endpoint.interfaces.iter().flat_map(|link| &link.addresses);
        let addresses: Vec<_> = addresses.map(|prefix| prefix.address).collect();
        self.write_etc(record, "hosts", &etc::hosts(&record.hostname, record.netns, &addresses))?;
        self.write_etc(record, "resolv.conf", &etc::resolv_conf(record.netns, &endpoint.name_servers))
    }

    /// In place: it may be mounted in the container by now.
    fn write_etc(&self, record: &Record, name: &str, text: &str) -> Result<()> {
        let path = self.store.container_file(&record.id, name);
        fs::write(&path, text).map_err(|source| Error::file("write", path, source))
    }

    /// Takes away what is left of a container's connection, however far it had come.
    pub(crate) fn leave_network(&self, record: &Record) -> Result<()> {
        let driver = self.driver(&record.network.driver)?;
        if !driver.connects(&record.network) {
            return Ok(());
        }
        // One that cannot be read is found by the container's id.
        let endpoint = self.endpoint(&record.id).ok().flatten();
        let endpoint =
            endpoint.unwrap_or_else(|| EndpointState { container: record.id.clone(), ..Default::default() });
        driver.detach(&record.network, &endpoint).map_err(|source| Error::Network { source })
    }

    /// Where a container that runs is on its network, as far as it has a place there.
    pub(crate) fn place_on_network(&self, record: &Record, pid: u32) -> NetworkSettings {
        let endpoint = self.endpoint(&record.id).ok().flatten().filter(|_| pid != 0).unwrap_or_default();
        let Some(link) = endpoint.interfaces.first() else { return NetworkSettings::default() };
        let of = |four: bool| link.addresses.iter().find(|address| address.address.is_ipv4() == four);
        let gateway = link.gateways.iter().find(|gateway| gateway.is_ipv4());
        NetworkSettings {
            ip_address: of(true).map(|prefix| prefix.address.to_string()).unwrap_or_default(),
            ip_prefix_len: of(true).map_or(0, |prefix| prefix.length),
            global_ipv6_address: of(false).map(|prefix| prefix.address.to_string()).unwrap_or_default(),
            gateway: gateway.map(ToString::to_string).unwrap_or_default(),
            mac_address: link.mac.map(|byte| format!("{byte:02x}")).join(":"),
            ..Default::default()
        }
    }

    /// What is known of a container's connection.
    pub(crate) fn endpoint(&self, id: &str) -> Result<Option<EndpointState>> {
        let path = self.store.run_dir(id).join(ENDPOINT_FILE);
        load(&path).map_err(|source| Error::file("read", path, source))
    }

    /// The steps for a monitor that takes a container over.
    pub(crate) fn connection_release(&self, id: &str) -> Vec<Release> {
        let endpoint = self.endpoint(id).ok().flatten();
        endpoint.into_iter().flat_map(|endpoint| endpoint.undo).map(release).collect()
    }
}

/// What the others on the network call it.
fn names(record: &Record) -> Vec<String> {
    let mut names: Vec<_> = record.spec.name.iter().cloned().collect();
    names.extend([record.short().to_owned(), record.hostname.clone()]);
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

fn published(port: &tinyd_engine::PortMapping) -> PublishedPort {
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

fn release(undo: Undo) -> Release {
    match undo {
        Undo::Unlink(path) => Release::Unlink(path),
        Undo::Netlink { protocol, packet } => Release::Netlink { protocol, packet },
    }
}
