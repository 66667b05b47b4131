//! The places on a network: which container has which of its addresses, in every subnet that it has.

use crate::conntrack;
use crate::error::kernel;
use crate::lease::{LeaseError, Leases};
use crate::used::Used;
use crate::{EndpointSpec, EndpointState, Error, NetworkSpec, Prefix, Result, Undo, plan};
use std::net::IpAddr;
use std::path::PathBuf;

/// The leases of one network: a folder of them for each family.
pub(crate) struct Places {
    folder: PathBuf,
}

impl Places {
    /// Those in this folder, which need not be there yet.
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn leases(&self, subnet: Prefix) -> Leases {
        Leases::in_folder(&self.folder.join(if subnet.address.is_ipv4() { "4" } else { "6" }))
    }

    /// An address in each subnet for a container: the one that it wants, or another one. `excluded` are those that nobody gets
    /// besides the gateways.
    pub(crate) fn take(
        &self,
        network: &NetworkSpec,
        wanted: &EndpointSpec,
        excluded: &[IpAddr],
    ) -> Result<Vec<Prefix>> {
        let homeless = |address: &&IpAddr| !network.subnets.iter().any(|subnet| subnet.contains(**address));
        if let Some(address) = wanted.addresses.iter().find(homeless) {
            let all: Vec<_> = network.subnets.iter().map(ToString::to_string).collect();
            return Err(Error::Invalid {
                network: network.name.clone(),
                what: format!("the address {address}"),
                problem: format!("is not in it: it has {}", all.join(" and ")).into(),
            });
        }
        let take = |subnet: &Prefix| {
            let own = wanted.addresses.iter().copied().find(|address| subnet.contains(*address));
            let mut range = plan::range(network, *subnet);
            range.excluded.extend(excluded);
            let taken = self.leases(*subnet).take(&range, own, &wanted.container);
            Ok(Prefix { address: taken.map_err(failed(network))?, length: subnet.length })
        };
        network.subnets.iter().map(take).collect()
    }

    /// Sees to it that nothing that others had begun with an earlier owner of these addresses reaches the present one.
    pub(crate) fn forget_earlier(&self, network: &NetworkSpec, addresses: &[Prefix]) -> Result<()> {
        for address in addresses {
            let Some(subnet) = network.subnets.iter().find(|subnet| subnet.contains(address.address)) else {
                continue;
            };
            let sweep = |kept: &[IpAddr]| {
                let swept = conntrack::purge_range(*subnet, kept).map(drop);
                swept.map_err(kernel(&network.name, "forget connections of", &subnet.to_string()))
            };
            let mark = |address: IpAddr| {
                let leases = self.leases(*subnet);
                self.used(*subnet).mark(address, &leases, |kept| sweep(kept).map_err(Sweep::Kernel))
            };
            mark(address.address).map_err(|error| match error {
                Sweep::Kernel(error) => error,
                Sweep::Lease(error) => failed(network)(error),
            })?;
        }
        Ok(())
    }

    fn used(&self, subnet: Prefix) -> Used {
        Used::in_folder(self.folder.join(if subnet.address.is_ipv4() { "used-4" } else { "used-6" }))
    }

    /// The addresses that a container has, as far as they can be found out: those that are known of it, or all that are its
    /// own where only its id is known.
    pub(crate) fn of(&self, network: &NetworkSpec, endpoint: &EndpointState) -> (Vec<IpAddr>, Result<()>) {
        let (mut all, mut first) = (Vec::new(), Ok(()));
        for subnet in &network.subnets {
            match self.of_subnet(*subnet, endpoint) {
                Ok(addresses) => all.extend(addresses),
                Err(error) => first = first.and(Err(failed(network)(error))),
            }
        }
        (all, first)
    }

    fn of_subnet(
        &self,
        subnet: Prefix,
        endpoint: &EndpointState,
    ) -> std::result::Result<Vec<IpAddr>, LeaseError> {
        let leases = self.leases(subnet);
        let known =
            endpoint.interfaces.iter().flat_map(|link| &link.addresses).map(|address| address.address);
        let mut known: Vec<_> = known.filter(|address| subnet.contains(*address)).collect();
        if known.is_empty() {
            let own = leases.all()?.into_iter().filter(|(_, owner)| *owner == endpoint.container);
            return Ok(own.map(|(address, _)| address).collect());
        }
        let mut error = None;
        known.retain(|address| match leases.owner(*address) {
            Ok(owner) => owner.as_deref() == Some(&endpoint.container),
            Err(unread) => {
                error = Some(unread);
                false
            }
        });
        error.map_or(Ok(known), Err)
    }

    /// Gives back an address that a container has.
    pub(crate) fn give_back(&self, network: &NetworkSpec, address: IpAddr, container: &str) -> Result<()> {
        let home = network.subnets.iter().find(|subnet| subnet.contains(address));
        let Some(home) = home else { return Ok(()) };
        self.leases(*home).give_back(address, container).map(drop).map_err(failed(network))
    }

    /// The containers that have an address, each once.
    pub(crate) fn holders(&self, network: &NetworkSpec) -> Result<Vec<String>> {
        let mut holders = Vec::new();
        for subnet in &network.subnets {
            let leases = self.leases(*subnet).all().map_err(failed(network))?;
            holders.extend(leases.into_iter().map(|(_, holder)| holder));
        }
        holders.sort();
        holders.dedup();
        Ok(holders)
    }

    /// What gives these addresses back when their container has ended.
    pub(crate) fn undo(&self, addresses: &[Prefix]) -> Vec<Undo> {
        let lease = |address: &Prefix| Undo::Unlink(self.leases(*address).path(address.address));
        addresses.iter().map(lease).collect()
    }

    /// Takes all of them back, and the folders away.
    pub(crate) fn remove(&self, network: &NetworkSpec) -> Result<()> {
        let removed = network.subnets.iter().try_for_each(|subnet| {
            // What is left of them is only marks.
            let _ = self.used(*subnet).remove();
            self.leases(*subnet).remove()
        });
        // Whatever has something in it is another network's.
        for folder in self.folder.ancestors().take(2) {
            let _ = std::fs::remove_dir(folder);
        }
        removed.map_err(failed(network))
    }
}

/// Why the earlier owner of an address may not be forgotten.
enum Sweep {
    Lease(LeaseError),
    Kernel(Error),
}

impl From<LeaseError> for Sweep {
    fn from(error: LeaseError) -> Self {
        Self::Lease(error)
    }
}

fn failed(network: &NetworkSpec) -> impl Fn(LeaseError) -> Error + use<> {
    let network = network.name.clone();
    move |source| Error::Address { network: network.clone(), source }
}
