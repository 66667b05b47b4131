//! Bringing back what somebody took away: whoever flushes a host's rules, addresses or settings rarely means ours.
//!
//! What is there is left alone, so that connections under way go on; the kernel goes on translating what it translates already.
//! What began while there were no rules is forgotten ([`conntrack::purge_untranslated`]): such a connection would stay as it
//! began, past the container that it is for.

use super::forwarding::Forwarding;
use super::{BridgeDriver, publish};
use crate::conntrack;
use crate::error::kernel;
use crate::firewall::Publication;
use crate::link::{Index, Link, Links};
use crate::{EndpointState, Error, NetworkSpec, Prefix, Result};
use std::io;

/// What is not as it was made.
struct Damage {
    bridge: Option<Link>,
    addresses: Vec<Prefix>,
    settings: bool,
    way_out: bool,
    rules: bool,
    /// Its rules among others'.
    passage: bool,
    /// Each container's, by its place among the endpoints.
    ports: Vec<(usize, Vec<Publication>)>,
    /// Ends on the host that are no port of the bridge, or switched off.
    loose: Vec<Loose>,
    /// Ends on the host that are gone, with whose they are.
    gone: Vec<(String, String)>,
}

/// A container's end on the host that has to become a port again.
struct Loose {
    link: String,
    /// Of the container's end.
    mac: [u8; 6],
    hairpin: bool,
}

/// Whether the rules of a network are there, where only a program can tell.
pub(super) fn looks_whole(driver: &BridgeDriver, network: &NetworkSpec) -> Result<bool> {
    let firewall = driver.firewall(network)?;
    if !firewall.runs_programs() || !is_made(driver, network)? {
        return Ok(true);
    }
    let rules = driver.rules(network);
    firewall.is_open(&rules).map_err(kernel(&network.name, "look for the rules of", &rules.bridge))
}

pub(super) fn missing(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    endpoints: &[EndpointState],
) -> Result<Vec<String>> {
    if !is_made(driver, network)? {
        return Ok(Vec::new());
    }
    let mut links = here(network)?;
    Ok(look(driver, &mut links, network, endpoints)?.words(&driver.names.network(&network.name)))
}

/// Goes on past errors and gives the first.
pub(super) fn restore(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    endpoints: &[EndpointState],
) -> Result<()> {
    if !is_made(driver, network)? {
        return Ok(());
    }
    let mut links = here(network)?;
    let damage = look(driver, &mut links, network, endpoints)?;
    if damage.bridge.is_none()
        || damage.settings
        || damage.rules
        || damage.passage
        || !damage.addresses.is_empty()
    {
        driver.make(&mut links, network)?;
    }
    let failed = |operation, object: &str| kernel(&network.name, operation, object);
    let name = driver.names.network(&network.name);
    let mut first = Ok(());
    let mut go_on = |result: Result<()>| first = std::mem::replace(&mut first, Ok(())).and(result);
    if damage.way_out {
        let opened = driver.forwarding().open_way_out(&mut links, network);
        go_on(opened.map_err(failed("forward packets of", &name)));
    }
    for (index, ports) in &damage.ports {
        go_on(publish_again(driver, network, ports, endpoints.get(*index)));
    }
    if let Ok(Some(bridge)) = links.find(&name) {
        for Loose { link, mac, hairpin } in &damage.loose {
            let joined = links.join_bridge(link, bridge.index, *hairpin);
            let port = joined.and_then(|()| links.find(link)?.ok_or(io::ErrorKind::NotFound.into()));
            let pinned = port.and_then(|port| links.pin(port.index, *mac));
            go_on(pinned.map_err(failed("make a port of the bridge of", link)));
        }
    }
    if damage.rules || !damage.ports.is_empty() {
        go_on(forget(network, endpoints));
    }
    if let Some((link, container)) = damage.gone.into_iter().next() {
        go_on(Err(Error::LinkGone { network: network.name.clone(), link, container }));
    }
    first
}

/// Whether it was made since the machine started: else there is nothing that somebody could have taken away.
fn is_made(driver: &BridgeDriver, network: &NetworkSpec) -> Result<bool> {
    Ok(driver.noted_firewall(network)?.is_some())
}

fn here(network: &NetworkSpec) -> Result<Links> {
    Links::here().map_err(kernel(&network.name, "talk to the kernel about", "links"))
}

fn look(
    driver: &BridgeDriver,
    links: &mut Links,
    network: &NetworkSpec,
    endpoints: &[EndpointState],
) -> Result<Damage> {
    let name = driver.names.network(&network.name);
    let failed = |operation| kernel(&network.name, operation, &name);
    let all = links.list().map_err(failed("look for"))?;
    let bridge = all.iter().find(|link| link.name == name && link.is_up).cloned();
    let firewall = driver.firewall(network)?;
    let rules = !firewall.is_open(&driver.rules(network)).map_err(failed("look for the rules of"))?;
    let passage = driver.is_blocked(network)?;
    let settings = match bridge {
        Some(_) => !Forwarding::is_prepared(&name, network).map_err(failed("read the settings of"))?,
        None => true,
    };
    let way_out = !endpoints.is_empty()
        && !Forwarding::is_way_out_open(links, network).map_err(failed("read what is forwarded for"))?;
    let addresses = lost_addresses(links, network, bridge.as_ref().map(|bridge| bridge.index));
    let addresses = addresses.map_err(failed("read the addresses of"))?;
    let mut damage = Damage {
        addresses,
        settings,
        way_out,
        rules,
        passage,
        ports: Vec::new(),
        loose: Vec::new(),
        gone: Vec::new(),
        bridge,
    };
    let published = match endpoints.iter().any(|endpoint| !endpoint.ports.is_empty()) {
        true => publish::list(network, firewall)?,
        false => Vec::new(),
    };
    for (index, endpoint) in endpoints.iter().enumerate() {
        let mut ports = publish::publications(endpoint);
        ports.retain(|one| !published.contains(one));
        if !ports.is_empty() {
            damage.ports.push((index, ports));
        }
        let links = endpoint.interfaces.iter();
        for (wanted, mac) in links.filter_map(|link| Some((link.host_link.as_ref()?, link.mac))) {
            match all.iter().find(|link| link.name == *wanted) {
                None => damage.gone.push((wanted.clone(), endpoint.container.clone())),
                Some(link) => {
                    let master = damage.bridge.as_ref().map(|bridge| bridge.index);
                    if master.is_none() || link.master != master || !link.is_up {
                        let hairpin = !endpoint.ports.is_empty();
                        damage.loose.push(Loose { link: wanted.clone(), mac, hairpin });
                    }
                }
            }
        }
    }
    Ok(damage)
}

impl Damage {
    fn words(&self, bridge: &str) -> Vec<String> {
        let mut words = Vec::new();
        match &self.bridge {
            None => words.push(format!("the bridge {bridge}")),
            Some(_) => {
                words.extend(self.addresses.iter().map(|address| format!("the address {address}")));
                words.extend(self.settings.then(|| format!("the settings of {bridge}")));
            }
        }
        words.extend(self.way_out.then(|| "forwarding on the way out".to_owned()));
        words.extend(self.rules.then(|| "rules of the firewall".to_owned()));
        words.extend(self.passage.then(|| "its rules among others'".to_owned()));
        let mut ports: Vec<_> = self.ports.iter().flat_map(|(_, ports)| ports).collect();
        ports.dedup_by_key(|one| (one.port.host_port, one.port.protocol));
        words
            .extend(ports.iter().map(|one| format!("the port {}/{}", one.port.host_port, one.port.protocol)));
        let loose = self.loose.iter().map(|loose| &loose.link);
        words.extend(loose.map(|link| format!("the link {link} as a port of the bridge")));
        words.extend(self.gone.iter().map(|(link, _)| format!("the link {link}")));
        words
    }
}

/// The gateways that a bridge should have and does not.
fn lost_addresses(
    links: &mut Links,
    network: &NetworkSpec,
    bridge: Option<Index>,
) -> io::Result<Vec<Prefix>> {
    let mut wanted = crate::plan::gateways(network);
    if let Some(bridge) = bridge {
        let there = links.addresses()?;
        wanted.retain(|gateway| !there.contains(&(bridge, *gateway)));
    }
    Ok(wanted)
}

/// Publishes one by one: what another container was given meanwhile must not keep the others.
fn publish_again(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    ports: &[Publication],
    endpoint: Option<&EndpointState>,
) -> Result<()> {
    let (firewall, mut first) = (driver.firewall(network)?, Ok(()));
    let container = endpoint.map(|endpoint| endpoint.container.clone()).unwrap_or_default();
    for port in ports {
        let one = std::slice::from_ref(port);
        let published = publish::elsewhere(driver, network, one).and_then(|()| {
            let failed = kernel(&network.name, "publish again the ports of container", &container);
            match firewall.publish(one) {
                // The same again, by somebody who was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    match publish::list(network, firewall)?.contains(port) {
                        true => Ok(()),
                        false => Err(failed(error)),
                    }
                }
                other => other.map(drop).map_err(failed),
            }
        });
        first = first.and(published);
    }
    first
}

/// Forgets what began while there were no rules.
fn forget(network: &NetworkSpec, endpoints: &[EndpointState]) -> Result<()> {
    let interfaces = endpoints.iter().flat_map(|endpoint| &endpoint.interfaces);
    let addresses: Vec<_> =
        interfaces.flat_map(|link| &link.addresses).map(|address| address.address).collect();
    let ports = endpoints.iter().flat_map(|endpoint| &endpoint.ports);
    let ports: Vec<_> = ports.map(|port| (port.protocol, port.host_port)).collect();
    let forgotten = conntrack::purge_untranslated(&addresses, &ports);
    forgotten.map(drop).map_err(kernel(&network.name, "forget connections of", "its containers"))
}
