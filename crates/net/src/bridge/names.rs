//! The names of a network's containers: who serves them, and how they are asked.
//!
//! A container asks at port 53 of its gateway, whatever serves its names. Where a program of the host has that port (one that
//! listens at all addresses, as dnsmasq does), the names are served at another one, and the firewall leads there what is for
//! port 53 of the gateway: as it does with published ports, and with the same rules.

use super::BridgeDriver;
use crate::error::kernel;
use crate::firewall::Publication;
use crate::names::{Entry, Lookup, Prepared};
use crate::{Companion, EndpointSpec, EndpointState, NetworkSpec, Prefix, Protocol, PublishedPort, Result};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// The port of name servers.
pub(super) const PORT: u16 = 53;

/// What a container has of names.
#[derive(Default)]
pub(super) struct Named {
    /// Whom it asks.
    pub(super) servers: Vec<IpAddr>,
    /// The file by which the others know it, once it can be reached.
    pub(super) entry: Option<Prepared>,
    pub(super) companions: Vec<Companion>,
}

/// Finds a container somebody to ask, and prepares what makes it known to the others.
pub(super) fn name(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    addresses: &[Prefix],
) -> Result<Named> {
    let Some(service) = &driver.name_service else { return Ok(Named::default()) };
    let server = driver.name_server(network);
    let failed = |operation| kernel(&network.name, operation, "the names of its containers");
    let entry = Entry {
        addresses: addresses.iter().map(|address| address.address).collect(),
        names: wanted.names.clone(),
        ranges: network.subnets.clone(),
        lookup: wanted.lookup.clone(),
    };
    // Before anybody is asked to serve it: one who serves nobody ends.
    let entry = entry.prepare(&server.folder, &wanted.container).map_err(failed("write"))?;
    let served = service.serve(&server).map_err(failed("serve"))?;
    lead(driver, network, &served.listen)?;
    Ok(Named {
        servers: served.listen.iter().map(SocketAddr::ip).collect(),
        entry: Some(entry),
        companions: served.companion.into_iter().collect(),
    })
}

/// Makes a container known to the others, who would wait for long if they called it before it can answer; gives the file.
pub(super) fn tell(network: &NetworkSpec, entry: Option<Prepared>) -> Result<Option<PathBuf>> {
    let told = entry.map(Prepared::tell).transpose();
    told.map_err(kernel(&network.name, "write", "the names of its containers"))
}

/// Makes a container known by other names, or has its questions answered otherwise.
pub(super) fn rename(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    endpoint: &EndpointState,
    names: &[String],
    lookup: &Lookup,
) -> Result<()> {
    if driver.name_service.is_none() {
        return Ok(());
    }
    let addresses = endpoint.interfaces.iter().flat_map(|link| &link.addresses);
    let entry = Entry {
        addresses: addresses.map(|address| address.address).collect(),
        names: names.to_vec(),
        ranges: network.subnets.clone(),
        lookup: lookup.clone(),
    };
    entry.rewrite(&driver.name_server(network).folder, &endpoint.container).map_err(kernel(
        &network.name,
        "write",
        "the names of its containers",
    ))
}

/// The same once more, where somebody may have taken away what led there.
pub(super) fn lead_again(driver: &BridgeDriver, network: &NetworkSpec) -> Result<()> {
    let service = driver.name_service.as_ref();
    let last = service.and_then(|service| service.last_served(&driver.name_server(network)));
    lead(driver, network, &last.unwrap_or_default())
}

/// Leads what is for port 53 to where names are served. What leads there already stays; whoever is served at that port is led
/// nowhere, for no other one was ever taken.
fn lead(driver: &BridgeDriver, network: &NetworkSpec, listen: &[SocketAddr]) -> Result<()> {
    for address in listen.iter().filter(|address| address.port() != PORT) {
        let failed =
            |operation| kernel(&network.name, operation, &format!("port {PORT} of {}", address.ip()));
        let firewall = driver.firewall(network)?;
        let mut there = firewall.published().map_err(failed("look where the firewall leads"))?;
        there.retain(|publication| publication.to == address.ip());
        there.sort_unstable();
        let mut wanted = [Protocol::Tcp, Protocol::Udp].map(|protocol| redirect(*address, protocol));
        wanted.sort_unstable();
        if there == wanted {
            continue;
        }
        // Somebody whom nobody brought back at the old one's port.
        firewall.withdraw(address.ip()).map_err(failed("lead nowhere what is for"))?;
        match firewall.publish(&wanted) {
            // Whoever else starts a container here was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            led => drop(led.map_err(failed("lead to the name server what is for"))?),
        }
    }
    Ok(())
}

fn redirect(to: SocketAddr, protocol: Protocol) -> Publication {
    let port = PublishedPort { host: Some(to.ip()), host_port: PORT, container_port: to.port(), protocol };
    Publication { port, to: to.ip() }
}

/// Leads nothing there any more. Goes on past errors and gives the first.
pub(super) fn lead_nowhere(driver: &BridgeDriver, network: &NetworkSpec) -> Result<()> {
    if driver.name_service.is_none() {
        return Ok(());
    }
    let firewall = driver.firewall(network)?;
    let mut first = Ok(());
    for gateway in crate::plan::gateways(network) {
        let failed = kernel(&network.name, "lead nowhere what is for names at", &gateway.address.to_string());
        first = first.and(firewall.withdraw(gateway.address).map_err(failed));
    }
    first
}
