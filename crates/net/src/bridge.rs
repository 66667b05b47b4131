//! A bridge on the host, and a pair of links to it for each container: the driver of every network that is made where nothing
//! else is asked for.
//!
//! What lies on the host for a network: one bridge with the gateway's addresses, the firewall's rules, and a few settings of
//! links ([`forwarding`]). For a container on it: one end of a pair, leases of its addresses, elements of the firewall's maps.
//! All names are made of what the network and the container are called, so that a process that was restarted finds whatever
//! another one left half done.

mod attach;
mod forwarding;
mod names;
mod plan;
mod publish;

use crate::error::kernel;
use crate::firewall::{Firewall, NetworkRules};
use crate::lease::Leases;
use crate::link::Links;
use crate::names::{NameService, ServerSpec};
use crate::{
    EndpointSpec, EndpointState, Error, Namespace, NetworkDriver, NetworkSpec, NetworkState, Prefix, Result,
};
use forwarding::Forwarding;
use names::Names;
use std::fs;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// The word by which users ask for it.
const NAME: &str = "bridge";

/// The port of name servers.
const NAME_PORT: u16 = 53;

/// Whom the host asks for names.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The largest packet where nothing else is asked for, in bytes: Ethernet's.
const MTU: u32 = 1500;

/// The driver of bridged networks.
pub struct BridgeDriver {
    folder: PathBuf,
    names: Names,
    firewall: Box<dyn Firewall>,
    name_service: Option<Box<dyn NameService>>,
}

impl BridgeDriver {
    /// One that keeps its leases and records in a folder, which need not be there yet and should not outlive a restart of the
    /// machine. Drivers with different folders do not meet: the folder's path is part of what their links are called, and of
    /// the name that `firewall` is given for what it makes.
    #[must_use]
    pub fn new(folder: &Path, firewall: impl FnOnce(String) -> Box<dyn Firewall>) -> Self {
        let names = Names::of(folder);
        let firewall = firewall(names.table());
        Self { folder: folder.to_owned(), names, firewall, name_service: None }
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
            listen: plan::gateways(network)
                .iter()
                .map(|gateway| (gateway.address, NAME_PORT).into())
                .collect(),
            folder: self.folder.join("names").join(self.names.bridge(&network.name)),
            subnets: network.subnets.clone(),
            resolv_conf: (!network.internal).then(|| PathBuf::from(RESOLV_CONF)),
        }
    }

    fn leases(&self, network: &NetworkSpec, subnet: Prefix) -> Leases {
        let family = if subnet.address.is_ipv4() { "4" } else { "6" };
        Leases::in_folder(&self.leases_of(network).join(family))
    }

    fn leases_of(&self, network: &NetworkSpec) -> PathBuf {
        self.folder.join("leases").join(self.names.bridge(&network.name))
    }

    fn forwarding(&self) -> Forwarding {
        Forwarding::recorded_in(&self.folder)
    }

    fn rules(&self, network: &NetworkSpec) -> NetworkRules {
        NetworkRules {
            bridge: self.names.bridge(&network.name),
            subnets: network.subnets.clone(),
            internal: network.internal,
            sources: Vec::new(),
        }
    }

    /// Makes whatever is not there of a network: all of it at first, and again after a restart of the machine.
    fn make(&self, links: &mut Links, network: &NetworkSpec) -> Result<()> {
        let name = self.names.bridge(&network.name);
        let failed = |operation, object: &str| kernel(&network.name, operation, object);
        let forwarding = self.forwarding();
        forwarding.note_bridge(&name).map_err(failed("record", &name))?;
        let gateways = plan::gateways(network);
        let mac = gateways.first().map_or([2, 0x42, 0, 0, 0, 1], |gateway| names::mac(gateway.address));
        links.make_bridge(&name, mac, network.mtu.unwrap_or(MTU)).map_err(failed("make bridge", &name))?;
        let bridge = links.find(&name).map_err(failed("find bridge", &name))?;
        let bridge =
            bridge.ok_or_else(|| failed("find bridge", &name)(std::io::ErrorKind::NotFound.into()))?;
        forwarding.prepare_bridge(&name, network).map_err(failed("set up bridge", &name))?;
        for gateway in &gateways {
            links
                .add_address(bridge.index, *gateway)
                .map_err(failed("give the bridge the address", &gateway.to_string()))?;
        }
        self.firewall.open(&self.rules(network)).map_err(failed("make the firewall's rules of", &name))
    }

    /// Goes on past errors and gives the first.
    fn take_away(&self, links: &mut Links, network: &NetworkSpec) -> Result<()> {
        let name = self.names.bridge(&network.name);
        let failed = |operation, object: &str| kernel(&network.name, operation, object);
        let rules = self
            .firewall
            .close(&self.rules(network))
            .map_err(failed("remove the firewall's rules of", &name));
        let link = links.find(&name).and_then(|link| match link {
            Some(link) => links.remove(link.index),
            None => Ok(()),
        });
        let link = link.map_err(failed("remove bridge", &name));
        let leases = network.subnets.iter().try_for_each(|subnet| self.leases(network, *subnet).remove());
        let leases = leases.map_err(attach::address_error(network));
        // Whatever has something in it is another network's.
        let names = self.name_server(network).folder;
        for folder in [self.leases_of(network), names.clone()] {
            let _ = fs::remove_dir(&folder);
        }
        let _ = fs::remove_file(names.with_extension("lock"));
        let settings =
            self.forwarding().forget_bridge(&name).map_err(failed("undo the settings that came with", &name));
        for folder in ["leases", "names", ""] {
            let _ = fs::remove_dir(self.folder.join(folder));
        }
        rules.and(link).and(leases).and(settings)
    }

    /// The handle must be one of the driver's own.
    fn owned(network: &NetworkState) -> Result<()> {
        if network.driver == NAME {
            return Ok(());
        }
        Err(Error::Foreign {
            network: network.spec.name.clone(),
            owner: network.driver.clone(),
            driver: NAME.to_owned(),
        })
    }
}

impl NetworkDriver for BridgeDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn validate(&self, wanted: &NetworkSpec) -> Result<()> {
        let mut links = Links::here().map_err(kernel(&wanted.name, "talk to the kernel about", "links"))?;
        plan::fill(&mut links, wanted).map(drop)
    }

    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState> {
        let mut links = Links::here().map_err(kernel(&wanted.name, "talk to the kernel about", "links"))?;
        // One of this name can only have been left by a driver that was killed.
        let bridge = self.names.bridge(&wanted.name);
        if let Ok(Some(left)) = links.find(&bridge) {
            links.remove(left.index).map_err(kernel(&wanted.name, "remove bridge", &bridge))?;
        }
        let spec = plan::fill(&mut links, wanted)?;
        if let Err(error) = self.make(&mut links, &spec) {
            let _ = self.take_away(&mut links, &spec);
            return Err(error);
        }
        Ok(NetworkState { driver: NAME.to_owned(), spec, links: vec![bridge] })
    }

    fn delete(&self, network: &NetworkState) -> Result<()> {
        Self::owned(network)?;
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

    fn held_for(&self, network: &NetworkState) -> Result<Vec<String>> {
        Self::owned(network)?;
        let mut holders = Vec::new();
        for subnet in &network.spec.subnets {
            let leases = self.leases(&network.spec, *subnet).all();
            let leases = leases.map_err(attach::address_error(&network.spec))?;
            holders.extend(leases.into_iter().map(|(_, holder)| holder));
        }
        holders.sort();
        holders.dedup();
        Ok(holders)
    }

    fn attach(
        &self,
        network: &NetworkState,
        wanted: &EndpointSpec,
        netns: BorrowedFd<'_>,
    ) -> Result<EndpointState> {
        Self::owned(network)?;
        attach::attach(self, &network.spec, wanted, netns)
    }

    fn detach(&self, network: &NetworkState, endpoint: &EndpointState) -> Result<()> {
        Self::owned(network)?;
        attach::detach(self, &network.spec, endpoint)
    }
}
