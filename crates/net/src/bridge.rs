//! A bridge on the host, and a pair of links to it for each container: the driver of every network that is made where nothing
//! else is asked for.
//!
//! What lies on the host for a network: one bridge with the gateway's addresses, the firewall's rules, and a few settings of
//! links ([`forwarding`]). For a container on it: one end of a pair, leases of its addresses, elements of the firewall's maps.
//! Which firewall has the rules is recorded with the network ([`choice`]).
//! All names are made of what the network and the container are called, so that a process that was restarted finds whatever
//! another one left half done.

mod asked;
mod attach;
mod choice;
mod forwarding;
mod limit;
mod names;
mod plan;
mod publish;
mod restore;
mod source;
mod walls;

use crate::conntrack;
use crate::error::kernel;
use crate::firewall::{Firewall, NetworkRules};
use crate::link::{Link, Links};
use crate::names::{Lookup, NameService, ServerSpec};
use crate::naming::{self, Names};
use crate::places::Places;
use crate::pool::{self, Pool};
use crate::{
    EndpointSpec, EndpointState, Namespace, Netns, NetworkDriver, NetworkSpec, NetworkState, PublishedPort,
    Result, TrafficLimiter,
};
use forwarding::Forwarding;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The word by which users ask for it.
const NAME: &str = "bridge";

/// Whom the host asks for names.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The largest packet where nothing else is asked for, in bytes: Ethernet's.
const MTU: u32 = 1500;

/// The driver of bridged networks.
pub struct BridgeDriver {
    folder: PathBuf,
    names: Names,
    /// The one that a network has for which nobody said another, where this host has it; at least one.
    firewalls: Vec<Box<dyn Firewall>>,
    name_service: Option<Box<dyn NameService>>,
    /// Where ranges come from for networks that ask for none.
    pools: Vec<Pool>,
}

impl BridgeDriver {
    /// One that keeps its leases and records in a folder, which need not be there yet and should not outlive a restart of the
    /// machine. Drivers with different folders do not meet: the folder's path is part of what their links are called, and of
    /// the name that `firewall` is given for what it makes.
    #[must_use]
    pub fn new(folder: &Path, firewall: impl FnOnce(String) -> Box<dyn Firewall>) -> Self {
        let names = Names::of(folder);
        let firewalls = vec![firewall(names.table())];
        Self { folder: folder.to_owned(), names, firewalls, name_service: None, pools: pool::POOLS.to_vec() }
    }

    /// The same, with another firewall: for networks that ask for it by the option `firewall`, and for hosts that have none of
    /// those before it.
    #[must_use]
    pub fn or_firewall(mut self, firewall: impl FnOnce(String) -> Box<dyn Firewall>) -> Self {
        self.firewalls.push(firewall(self.names.table()));
        self
    }

    /// The same, with other ranges for networks that ask for none.
    #[must_use]
    pub fn with_pools(mut self, pools: Vec<Pool>) -> Self {
        self.pools = pools;
        self
    }

    /// The same, with somebody who serves names.
    #[must_use]
    pub fn with_names(mut self, service: Box<dyn NameService>) -> Self {
        self.name_service = Some(service);
        self
    }

    /// What a network's name server is for; its zone is there whether it runs or not.
    fn name_server(&self, network: &NetworkSpec) -> ServerSpec {
        ServerSpec {
            listen: crate::plan::gateways(network)
                .iter()
                .map(|gateway| (gateway.address, names::PORT).into())
                .collect(),
            folder: self.folder.join("names").join(self.names.network(&network.name)),
            subnets: network.subnets.clone(),
            resolv_conf: RESOLV_CONF.into(),
            internal: network.internal,
        }
    }

    fn places(&self, network: &NetworkSpec) -> Places {
        Places::in_folder(self.folder.join("leases").join(self.names.network(&network.name)))
    }

    fn forwarding(&self) -> Forwarding {
        Forwarding::recorded_in(&self.folder)
    }

    /// The addresses that the bridges have whose rules are in a firewall.
    fn addresses_of_bridges(&self, firewall: &dyn Firewall) -> io::Result<Vec<IpAddr>> {
        let names = self.bridges_of(firewall)?;
        let mut links = Links::here()?;
        let bridges = links.list()?.into_iter().filter(|link| names.contains(&link.name));
        let bridges: Vec<_> = bridges.map(|link| link.index).collect();
        let all = links.addresses()?.into_iter().filter(|(link, _)| bridges.contains(link));
        Ok(all.map(|(_, address)| address.address).collect())
    }

    fn rules(&self, network: &NetworkSpec) -> NetworkRules {
        NetworkRules {
            bridge: self.names.network(&network.name),
            subnets: network.subnets.clone(),
            internal: network.internal,
            sources: source::of(network),
        }
    }

    /// Makes whatever is not there of a network: all of it at first, and after a restart of the machine; and what somebody took.
    fn make(&self, links: &mut Links, network: &NetworkSpec) -> Result<()> {
        let name = self.names.network(&network.name);
        let failed = |operation, object: &str| kernel(&network.name, operation, object);
        let firewall = self.firewall(network)?;
        let forwarding = self.forwarding();
        forwarding.note_bridge(&name, firewall.name()).map_err(failed("record", &name))?;
        let gateways = crate::plan::gateways(network);
        let mac = gateways.first().map_or([2, 0x42, 0, 0, 0, 1], |gateway| naming::mac(gateway.address));
        let there = links.find(&name).map_err(failed("find bridge", &name))?;
        if there.is_none() {
            let made = links.make_bridge(&name, mac, network.mtu.unwrap_or(MTU));
            // (Somebody else may have been faster.)
            unless_there(made).map_err(failed("make bridge", &name))?;
            for subnet in &network.subnets {
                // Another network may have had the range.
                conntrack::purge_range(*subnet, &[])
                    .map_err(failed("forget connections of", &subnet.to_string()))?;
            }
        }
        let bridge = links.find(&name).map_err(failed("find bridge", &name))?;
        let bridge = bridge.ok_or_else(|| failed("find bridge", &name)(io::ErrorKind::NotFound.into()))?;
        if !bridge.is_up {
            links.switch_on(bridge.index).map_err(failed("switch on bridge", &name))?;
        }
        forwarding.prepare_bridge(&name, network).map_err(failed("set up bridge", &name))?;
        for gateway in &gateways {
            unless_there(links.add_address(bridge.index, *gateway))
                .map_err(failed("give the bridge the address", &gateway.to_string()))?;
        }
        firewall.open(&self.rules(network)).map_err(failed("make the firewall's rules of", &name))?;
        names::lead_again(self, network)?;
        self.let_pass(network)?;
        links.set_alias(bridge.index, &whole(network)).map_err(failed("give an alias to bridge", &name))
    }

    /// Goes on past errors and gives the first.
    fn take_away(&self, links: &mut Links, network: &NetworkSpec) -> Result<()> {
        let name = self.names.network(&network.name);
        let failed = |operation, object: &str| kernel(&network.name, operation, object);
        let close = |firewall: &dyn Firewall| firewall.close(&self.rules(network));
        let led = names::lead_nowhere(self, network);
        let rules = self
            .firewall(network)
            .and_then(|firewall| close(firewall).map_err(failed("remove the firewall's rules of", &name)));
        let rules = rules.and(self.take_back(network));
        let link = links.find(&name).and_then(|link| match link {
            Some(link) => links.remove(link.index),
            None => Ok(()),
        });
        let link = link.map_err(failed("remove bridge", &name));
        let leases = self.places(network).remove(network);
        // Whatever has something in it is another network's.
        let zone = self.name_server(network).folder;
        let _ = fs::remove_dir(&zone);
        let _ = fs::remove_file(zone.with_extension("lock"));
        let settings =
            self.forwarding().forget_bridge(&name).map_err(failed("undo the settings that came with", &name));
        for folder in ["names", ""] {
            let _ = fs::remove_dir(self.folder.join(folder));
        }
        led.and(rules).and(link).and(leases).and(settings)
    }
}

/// The alias of a bridge that has its addresses, settings and rules: without them it lets anybody in.
fn whole(network: &NetworkSpec) -> String {
    format!("tinyd network {}", network.name)
}

fn is_whole(bridge: &Link, network: &NetworkSpec) -> bool {
    bridge.alias.as_deref() == Some(&whole(network))
}

/// What is there already is no error.
fn unless_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        result => result,
    }
}

impl NetworkDriver for BridgeDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn validate(&self, wanted: &NetworkSpec) -> Result<()> {
        let mut links = Links::here().map_err(kernel(&wanted.name, "talk to the kernel about", "links"))?;
        let spec = plan::fill(&mut links, wanted, &self.pools)?;
        self.choose_firewall(&spec).map(drop)
    }

    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState> {
        let mut links = Links::here().map_err(kernel(&wanted.name, "talk to the kernel about", "links"))?;
        // One of this name can only have been left by a driver that was killed.
        let bridge = self.names.network(&wanted.name);
        if let Ok(Some(left)) = links.find(&bridge) {
            links.remove(left.index).map_err(kernel(&wanted.name, "remove bridge", &bridge))?;
        }
        let mut spec = plan::fill(&mut links, wanted, &self.pools)?;
        let firewall = self.choose_firewall(&spec)?;
        spec.options.insert(choice::OPTION.to_owned(), firewall.to_owned());
        if let Err(error) = self.make(&mut links, &spec) {
            let _ = self.take_away(&mut links, &spec);
            return Err(error);
        }
        Ok(NetworkState { driver: NAME.to_owned(), spec, links: vec![bridge] })
    }

    fn delete(&self, network: &NetworkState) -> Result<()> {
        network.owned_by(NAME)?;
        let mut links =
            Links::here().map_err(kernel(&network.spec.name, "talk to the kernel about", "links"))?;
        self.take_away(&mut links, &network.spec)
    }

    fn namespace(&self, _: &NetworkState) -> Namespace {
        Namespace::Own
    }

    fn connects(&self, _: &NetworkState) -> bool {
        true
    }

    fn rename(
        &self,
        network: &NetworkState,
        endpoint: &EndpointState,
        names: &[String],
        lookup: &Lookup,
    ) -> Result<()> {
        network.owned_by(NAME)?;
        self::names::rename(self, &network.spec, endpoint, names, lookup)
    }

    fn host_address(&self, network: &NetworkState) -> Option<IpAddr> {
        let gateways = &network.spec.gateways;
        gateways.iter().find(|gateway| gateway.is_ipv4()).or(gateways.first()).copied()
    }

    fn limiter(&self) -> Option<&dyn TrafficLimiter> {
        Some(self)
    }

    fn held_for(&self, network: &NetworkState) -> Result<Vec<String>> {
        network.owned_by(NAME)?;
        self.places(&network.spec).holders(&network.spec)
    }

    fn attach(
        &self,
        network: &NetworkState,
        wanted: &EndpointSpec,
        netns: &dyn Netns,
    ) -> Result<EndpointState> {
        network.owned_by(NAME)?;
        attach::attach(self, &network.spec, wanted, netns)
    }

    fn notes(&self, network: &NetworkState) -> Result<Vec<String>> {
        network.owned_by(NAME)?;
        self.walls(&network.spec)
    }

    fn changes(&self, network: &NetworkState) -> Result<Vec<String>> {
        network.owned_by(NAME)?;
        let name = &network.spec.name;
        let mut links = Links::here().map_err(kernel(name, "talk to the kernel about", "links"))?;
        let settings = self.forwarding().switched_on(&mut links, &network.spec);
        let settings = settings.map_err(kernel(name, "read what is forwarded for", "the network"))?;
        Ok(match &settings[..] {
            [] => Vec::new(),
            settings => vec![format!(
                "this machine forwards packets of networks from their first container on until the last network goes, for \
                 which {} becomes 1",
                settings.join(" and ")
            )],
        })
    }

    fn looks_whole(&self, network: Option<&NetworkState>) -> Result<bool> {
        match network {
            None => self.tables_stand(),
            Some(network) => {
                network.owned_by(NAME)?;
                restore::looks_whole(self, &network.spec)
            }
        }
    }

    fn missing(&self, network: &NetworkState, endpoints: &[EndpointState]) -> Result<Vec<String>> {
        network.owned_by(NAME)?;
        restore::missing(self, &network.spec, endpoints)
    }

    fn restore(&self, network: &NetworkState, endpoints: &[EndpointState]) -> Result<()> {
        network.owned_by(NAME)?;
        restore::restore(self, &network.spec, endpoints)
    }

    fn check_ports(&self, network: &NetworkState, ports: &[PublishedPort]) -> Result<()> {
        network.owned_by(NAME)?;
        asked::check(&network.spec, ports)
    }

    fn publish(
        &self,
        network: &NetworkState,
        endpoint: &EndpointState,
        ports: &[PublishedPort],
    ) -> Result<EndpointState> {
        network.owned_by(NAME)?;
        publish::change(self, &network.spec, endpoint, ports)
    }

    fn withdraw(&self, network: &NetworkState, endpoint: &EndpointState) -> Result<()> {
        network.owned_by(NAME)?;
        publish::withdraw(self, &network.spec, endpoint)
    }

    fn detach(&self, network: &NetworkState, endpoint: &EndpointState) -> Result<()> {
        network.owned_by(NAME)?;
        attach::detach(self, &network.spec, endpoint)
    }
}
