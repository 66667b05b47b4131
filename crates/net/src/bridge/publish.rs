//! Ports of the host that lead to a container.

use super::{BridgeDriver, asked, names};
use crate::error::kernel;
use crate::firewall::{Firewall, Publication};
use crate::link::Links;
use crate::{EndpointState, Error, NetworkSpec, Prefix, PublishedPort, Result, Undo, conntrack, port};
use std::io;
use std::net::IpAddr;

/// How often another free port is looked for when somebody else was faster.
const PATIENCE: usize = 16;

/// Refuses what a process of the host uses, or what leads to another container than the one that has the addresses `own`, before
/// anything is made.
pub(super) fn check(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    ports: &[PublishedPort],
    own: &[Prefix],
) -> Result<()> {
    for wanted in ports.iter().filter(|port| port.host_port != 0) {
        let free = match wanted.host_port {
            names::PORT => {
                // Their firewall leads nobody away from those who serve networks' names; another one knows nothing of them.
                let own = driver.addresses_of_bridges(driver.firewall(network)?);
                let own = own.map_err(kernel(&network.name, "look for", "the addresses of bridges"))?;
                port::check_free_but(wanted, &|address| own.contains(&address))
            }
            _ => port::check_free(wanted),
        };
        free.map_err(|source| Error::Port { network: network.name.clone(), source: Box::new(source) })?;
    }
    asked::check_others(driver, network, ports, own)
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
        elsewhere(driver, network, &publications)?;
        match driver.firewall(network)?.publish(&publications) {
            // Of two who were equally fast with two firewalls, none knows who was the first, and both give way.
            Ok(undo) => {
                elsewhere(driver, network, &publications)?;
                // Nor does one who has a port of one address while another takes it of all of them; a program that lists rules
                // has looked while nobody else changed any.
                if !driver.firewall(network)?.runs_programs() {
                    asked::check_others(driver, network, wanted, addresses)?;
                }
                // Who sent to these ports before, and goes on, was led elsewhere.
                let forgotten = conntrack::purge_misled(&publications);
                forgotten.map_err(kernel(&network.name, "forget connections to", "the published ports"))?;
                return Ok((ports, undo));
            }
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

/// Leads these ports to a container that runs, in place of what leads there now.
pub(super) fn change(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    endpoint: &EndpointState,
    wanted: &[PublishedPort],
) -> Result<EndpointState> {
    let addresses = addresses(endpoint);
    let of = |ports: &[PublishedPort]| -> Vec<_> {
        ports.iter().flat_map(|port| leads(*port, &addresses)).collect()
    };
    let Split { places, missing, gone } = split(&endpoint.ports, wanted);
    check(driver, network, &missing, &addresses)?;
    let kept: Vec<_> = places.iter().flatten().copied().collect();
    let led = (|| {
        // Those that go are in nobody's way any more: one of them may lead elsewhere in the container from now on.
        withdraw_but(driver, network, &addresses, &of(&kept))?;
        reflect(driver, network, endpoint, !wanted.is_empty())?;
        let failed = kernel(&network.name, "forget connections by", "the ports that were withdrawn");
        conntrack::purge_withdrawn(&of(&gone)).map_err(failed)?;
        publish(driver, network, &missing, &addresses)
    })();
    match led {
        Ok((made, undo)) => {
            let mut made = made.into_iter();
            let ports = places.into_iter().filter_map(|place| place.or_else(|| made.next())).collect();
            let mut state = EndpointState { ports, ..endpoint.clone() };
            // Before the steps that let others have the addresses. The step for a port that went does nothing.
            let new = undo.into_iter().filter(|step| !endpoint.undo.contains(step));
            state.undo.splice(0..0, new);
            Ok(state)
        }
        Err(error) => {
            // However far it came. Nobody had those meanwhile that went, unless somebody was very fast.
            let _ = withdraw_but(driver, network, &addresses, &of(&kept));
            let _ = publish(driver, network, &gone, &addresses);
            let _ = reflect(driver, network, endpoint, !endpoint.ports.is_empty());
            Err(error)
        }
    }
}

/// What becomes of ports.
struct Split {
    /// For each that is wanted the one that is there, where there is one.
    places: Vec<Option<PublishedPort>>,
    /// Those that are not there.
    missing: Vec<PublishedPort>,
    /// Those that are there and not wanted.
    gone: Vec<PublishedPort>,
}

fn split(there: &[PublishedPort], wanted: &[PublishedPort]) -> Split {
    let mut gone = there.to_vec();
    let mut places = vec![None; wanted.len()];
    // One that the host was to choose was chosen: it is what is left of its kind when those with numbers have theirs.
    for is_chosen in [false, true] {
        for (place, port) in
            places.iter_mut().zip(wanted).filter(|(_, port)| (port.host_port == 0) == is_chosen)
        {
            let is_it = |other: &PublishedPort| match is_chosen {
                true => PublishedPort { host_port: 0, ..*other } == *port,
                false => other == port,
            };
            *place = gone.iter().position(is_it).map(|index| gone.remove(index));
        }
    }
    let missing = wanted.iter().zip(&places).filter(|(_, place)| place.is_none());
    let missing = missing.map(|(port, _)| *port).collect();
    Split { places, missing, gone }
}

/// Takes away what leads to a container by its ports, and nothing else, whoever has its addresses now.
pub(super) fn withdraw(driver: &BridgeDriver, network: &NetworkSpec, endpoint: &EndpointState) -> Result<()> {
    let own = publications(endpoint);
    if own.is_empty() {
        return Ok(());
    }
    let mut kept = list(network, driver.firewall(network)?)?;
    kept.retain(|one| !own.contains(one));
    withdraw_but(driver, network, &addresses(endpoint), &kept)
}

fn withdraw_but(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    addresses: &[Prefix],
    kept: &[Publication],
) -> Result<()> {
    let firewall = driver.firewall(network)?;
    addresses.iter().try_for_each(|address| {
        let failed = kernel(&network.name, "withdraw the ports of", &address.address.to_string());
        firewall.withdraw_but(address.address, kept).map_err(failed)
    })
}

/// Lets packets return by the link that they came from, which they do where a container reaches itself by a port of the host.
fn reflect(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    endpoint: &EndpointState,
    wanted: bool,
) -> Result<()> {
    let bridge = driver.names.network(&network.name);
    for link in endpoint.interfaces.iter().filter_map(|link| link.host_link.as_deref()) {
        let set = Links::here().and_then(|mut links| {
            let found = links.find(&bridge)?.ok_or(io::ErrorKind::NotFound)?;
            links.join_bridge(link, found.index, wanted)
        });
        set.map_err(kernel(&network.name, "let packets return by", link))?;
    }
    Ok(())
}

fn addresses(endpoint: &EndpointState) -> Vec<Prefix> {
    endpoint.interfaces.iter().flat_map(|link| link.addresses.clone()).collect()
}

/// All that a container's ports are, element by element.
pub(super) fn publications(endpoint: &EndpointState) -> Vec<Publication> {
    let addresses = addresses(endpoint);
    endpoint.ports.iter().flat_map(|port| leads(*port, &addresses)).collect()
}

pub(super) fn leads(port: PublishedPort, addresses: &[Prefix]) -> impl Iterator<Item = Publication> + '_ {
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

/// Refuses a port that another firewall than the network's leads elsewhere: which of the two a packet would meet first nobody
/// has said.
pub(super) fn elsewhere(driver: &BridgeDriver, network: &NetworkSpec, wanted: &[Publication]) -> Result<()> {
    let mut others = driver.others_in_use(network)?.into_iter();
    others.try_for_each(|firewall| asked::refuse_held(network, wanted, &list(network, firewall)?))
}

/// What is published, by whichever firewall.
fn published(driver: &BridgeDriver, network: &NetworkSpec) -> Result<Vec<Publication>> {
    let mut all = list(network, driver.firewall(network)?)?;
    for firewall in driver.others_in_use(network)? {
        all.extend(list(network, firewall)?);
    }
    Ok(all)
}

pub(super) fn list(network: &NetworkSpec, firewall: &dyn Firewall) -> Result<Vec<Publication>> {
    firewall.published().map_err(kernel(&network.name, "list", "the ports that are published"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    fn port(host_port: u16, container_port: u16) -> PublishedPort {
        PublishedPort { host: None, host_port, container_port, protocol: Protocol::Tcp }
    }

    #[test]
    fn pure_what_is_there_stays_and_the_rest_comes_or_goes() {
        let there = [port(8080, 80), port(40_000, 80), port(9000, 90)];
        let found = split(&there, &[port(0, 80), port(8080, 80), port(8081, 81), port(0, 80)]);
        assert_eq!(found.places, [Some(port(40_000, 80)), Some(port(8080, 80)), None, None]);
        assert_eq!(found.missing, [port(8081, 81), port(0, 80)]);
        assert_eq!(found.gone, [port(9000, 90)]);
        // The same number for another port inside is another one.
        let moved = split(&there[..1], &[port(8080, 81)]);
        assert_eq!((moved.missing, moved.gone), (vec![port(8080, 81)], vec![port(8080, 80)]));
    }
}
