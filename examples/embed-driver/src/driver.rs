//! A kind of network that gives each container an address on its loopback device, and reaches nobody: for programs that insist
//! on an address of their own.

use std::path::PathBuf;
use tinyd_net::lease::{LeaseError, Leases, Range};
use tinyd_net::link::Links;
use tinyd_net::{
    EndpointSpec, EndpointState, Error, Interface, Namespace, Netns, NetworkDriver, NetworkSpec,
    NetworkState, Prefix, Result, Undo,
};

/// The driver `loop`.
pub struct LoopDriver {
    /// Where it notes who has which address.
    pub folder: PathBuf,
}

impl LoopDriver {
    fn own(&self, network: &NetworkState) -> Result<()> {
        let (owner, driver) = (network.driver.clone(), self.name().to_owned());
        match owner == driver {
            true => Ok(()),
            false => Err(Error::Foreign { network: network.spec.name.clone(), owner, driver }),
        }
    }

    fn leases(&self, network: &NetworkState) -> Leases {
        Leases::in_folder(&self.folder.join(&network.spec.name))
    }
}

impl NetworkDriver for LoopDriver {
    fn name(&self) -> &str {
        "loop"
    }

    fn validate(&self, wanted: &NetworkSpec) -> Result<()> {
        if let Some(option) = wanted.options.keys().next() {
            return Err(invalid(wanted, &format!("the option {option:?}"), "is unknown: there are none"));
        }
        match wanted.subnets.len() {
            1 => Ok(()),
            _ => Err(invalid(wanted, "a network of loops", "needs one subnet")),
        }
    }

    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState> {
        self.validate(wanted)?;
        Ok(NetworkState { driver: self.name().to_owned(), spec: wanted.clone(), links: Vec::new() })
    }

    fn delete(&self, network: &NetworkState) -> Result<()> {
        self.own(network)?;
        self.leases(network).remove().map_err(|source| lease(network, source))
    }

    fn namespace(&self, _: &NetworkState) -> Namespace {
        Namespace::Own
    }

    fn held_for(&self, network: &NetworkState) -> Result<Vec<String>> {
        self.own(network)?;
        let all = self.leases(network).all().map_err(|source| lease(network, source))?;
        Ok(all.into_iter().map(|(_, holder)| holder).collect())
    }

    fn attach(
        &self,
        network: &NetworkState,
        wanted: &EndpointSpec,
        netns: &dyn Netns,
    ) -> Result<EndpointState> {
        self.own(network)?;
        if !wanted.ports.is_empty() {
            return Err(invalid(&network.spec, "a port", "cannot be published: nobody reaches a loop"));
        }
        let leases = self.leases(network);
        let subnet = network.spec.subnets[0];
        let range = Range { subnet, part: subnet, excluded: Vec::new() };
        let own = wanted.addresses.first().copied();
        let address = leases.take(&range, own, &wanted.container).map_err(|source| lease(network, source))?;
        let prefix = Prefix { address, length: if address.is_ipv4() { 32 } else { 128 } };
        // Its address is chosen while the namespace is made.
        let links = netns.open().and_then(Links::of);
        let given = links.and_then(|mut links| match links.find("lo")? {
            Some(lo) => links.add_address(lo.index, prefix),
            None => Err(std::io::ErrorKind::NotFound.into()),
        });
        if let Err(source) = given {
            let _ = leases.give_back(address, &wanted.container);
            let (network, object) = (network.spec.name.clone(), address.to_string());
            return Err(Error::Kernel { network, operation: "give the container", object, source });
        }
        let interface = Interface {
            name: "lo".to_owned(),
            host_link: None,
            mac: [0; 6],
            addresses: vec![prefix],
            gateways: Vec::new(),
        };
        Ok(EndpointState {
            container: wanted.container.clone(),
            interfaces: vec![interface],
            // Whoever sees the container end removes the file, and needs no driver for that.
            undo: vec![Undo::Unlink(leases.path(address))],
            ..EndpointState::default()
        })
    }

    fn detach(&self, network: &NetworkState, endpoint: &EndpointState) -> Result<()> {
        self.own(network)?;
        let leases = self.leases(network);
        let all = leases.all().map_err(|source| lease(network, source))?;
        for (address, _) in all.iter().filter(|(_, owner)| *owner == endpoint.container) {
            leases.give_back(*address, &endpoint.container).map_err(|source| lease(network, source))?;
        }
        Ok(())
    }
}

fn invalid(network: &NetworkSpec, what: &str, problem: &'static str) -> Error {
    Error::Invalid { network: network.name.clone(), what: what.to_owned(), problem: problem.into() }
}

fn lease(network: &NetworkState, source: LeaseError) -> Error {
    Error::Address { network: network.spec.name.clone(), source }
}
