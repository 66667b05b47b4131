//! Ports of the host that lead to a container.

use super::BridgeDriver;
use crate::error::kernel;
use crate::firewall::Publication;
use crate::{Error, NetworkSpec, Prefix, PublishedPort, Result, Undo, port};
use std::io;
use std::net::IpAddr;

/// How often another free port is looked for when somebody else was faster.
const PATIENCE: usize = 16;

/// Refuses what a process of the host uses, before anything is made.
pub(super) fn check(network: &NetworkSpec, ports: &[PublishedPort]) -> Result<()> {
    ports.iter().filter(|port| port.host_port != 0).try_for_each(|wanted| {
        port::check_free(wanted)
            .map_err(|source| Error::Port { network: network.name.clone(), source: Box::new(source) })
    })
}

/// Leads the ports to these addresses; gives them with those filled in that were chosen, and what undoes it.
pub(super) fn publish(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &[PublishedPort],
    addresses: &[Prefix],
) -> Result<(Vec<PublishedPort>, Vec<Undo>)> {
    if wanted.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let failed = kernel(&network.name, "publish", "the container's ports");
    for _ in 0..PATIENCE {
        let ports = choose(driver, network, wanted)?;
        let publications: Vec<_> = ports.iter().flat_map(|port| leads(*port, addresses)).collect();
        match driver.firewall.publish(&publications) {
            Ok(undo) => return Ok((ports, undo)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // One that was chosen is chosen anew; one that was asked for is somebody's.
                if let Some(taken) = taken(driver, network, wanted)? {
                    return Err(taken);
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(io::ErrorKind::AlreadyExists.into()))
}

fn leads(port: PublishedPort, addresses: &[Prefix]) -> impl Iterator<Item = Publication> + '_ {
    let of_family = move |to: &IpAddr| port.host.is_none_or(|host| host.is_ipv4() == to.is_ipv4());
    // `0.0.0.0` is every address of its family.
    let host = port.host.filter(|host| !host.is_unspecified());
    let published = PublishedPort { host, ..port };
    let targets = addresses.iter().map(|address| address.address).filter(of_family);
    targets.map(move |to| Publication { port: published, to })
}

fn choose(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &[PublishedPort],
) -> Result<Vec<PublishedPort>> {
    let mut ports = wanted.to_vec();
    if wanted.iter().all(|port| port.host_port != 0) {
        return Ok(ports);
    }
    let published = published(driver, network)?;
    for index in 0..ports.len() {
        let PublishedPort { host, host_port: 0, protocol, .. } = ports[index] else { continue };
        let is_taken = |number: u16| {
            let others = published.iter().map(|other| &other.port).chain(&ports);
            others.into_iter().any(|other| other.host_port == number && other.protocol == protocol)
        };
        let chosen = port::choose_free(host, protocol, &is_taken);
        ports[index].host_port = chosen
            .map_err(|source| Error::Port { network: network.name.clone(), source: Box::new(source) })?;
    }
    Ok(ports)
}

/// Which of the ports that were asked for leads to another container, and to whom.
fn taken(driver: &BridgeDriver, network: &NetworkSpec, wanted: &[PublishedPort]) -> Result<Option<Error>> {
    let published = published(driver, network)?;
    let meets = |port: &PublishedPort, other: &PublishedPort| {
        let host = port.host.filter(|host| !host.is_unspecified());
        port.host_port == other.host_port && port.protocol == other.protocol && host == other.host
    };
    let found = wanted.iter().find_map(|port| {
        let other = published.iter().find(|other| meets(port, &other.port))?;
        Some((port, other.to))
    });
    Ok(found.map(|(port, to)| Error::Published {
        network: network.name.clone(),
        port: format!("{}/{}", port.host_port, port.protocol),
        to,
    }))
}

fn published(driver: &BridgeDriver, network: &NetworkSpec) -> Result<Vec<Publication>> {
    driver.firewall.published().map_err(kernel(&network.name, "list", "the ports that are published"))
}
