//! What lets packets in and out of networks, behind one trait.

pub(crate) mod foreign;
mod iptables;
pub(crate) mod nft;
mod words;

pub use iptables::{Iptables, Programs, Variant};
pub use nft::Nftables;

use crate::{Prefix, PublishedPort, Undo};
use std::io;
use std::net::IpAddr;

/// What a network wants of a firewall.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRules {
    /// The link on the host that the network's containers are behind.
    pub bridge: String,
    /// Its ranges of addresses.
    pub subnets: Vec<Prefix>,
    /// No way out of it, and none in.
    pub internal: bool,
    /// Addresses of the host that its packets leave with, at most one of each family; those of the link that they leave by
    /// where there is none.
    pub sources: Vec<IpAddr>,
}

/// A port of the host and where it leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Publication {
    /// Both ports.
    pub port: PublishedPort,
    /// The container's address.
    pub to: IpAddr,
}

impl Publication {
    /// Whether a packet could be for both: a port of one address and the same one of all addresses meet as well.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let key = |at: &Self| (at.port.host_port, at.port.protocol, at.to.is_ipv4());
        let (host, others) = (self.port.host, other.port.host);
        key(self) == key(other) && (host.is_none() || others.is_none() || host == others)
    }
}

/// A firewall of the host. It has rules of its own and touches nobody else's.
pub trait Firewall: Send + Sync {
    /// The word by which users ask for it: `nftables`, `iptables`.
    fn name(&self) -> &'static str;

    /// Whether this host has what it needs. Nothing is changed.
    ///
    /// # Errors
    /// What is missing, and how it can be had.
    fn probe(&self) -> io::Result<()>;

    /// Lets a network's packets out, and keeps others' from it. What is there already stays: this also brings back what
    /// somebody flushed.
    ///
    /// # Errors
    /// The kernel's.
    fn open(&self, network: &NetworkRules) -> io::Result<()>;

    /// Takes away what [`open`](Self::open) made; with the last network, everything. What is gone already is taken away.
    ///
    /// # Errors
    /// The kernel's.
    fn close(&self, network: &NetworkRules) -> io::Result<()>;

    /// Whether all that [`open`](Self::open) makes for a network is there. Nothing is changed.
    ///
    /// # Errors
    /// The kernel's.
    fn is_open(&self, network: &NetworkRules) -> io::Result<bool>;

    /// Whether what all networks have in common is there, and these bridges are open, as far as two questions to the kernel tell:
    /// `true` where that cannot be asked without running a program.
    ///
    /// # Errors
    /// The kernel's.
    fn stands(&self, bridges: &[String]) -> io::Result<bool>;

    /// Whether to ask it anything is to run a program.
    fn runs_programs(&self) -> bool {
        false
    }

    /// Leads ports of the host to a container, all of them or none. Gives what takes them away.
    ///
    /// # Errors
    /// `AlreadyExists` where a port leads elsewhere; the kernel's.
    fn publish(&self, ports: &[Publication]) -> io::Result<Vec<Undo>>;

    /// Takes away whatever leads to an address, but for what is to stay.
    ///
    /// # Errors
    /// The kernel's.
    fn withdraw_but(&self, address: IpAddr, kept: &[Publication]) -> io::Result<()>;

    /// [`withdraw_but`](Self::withdraw_but) nothing.
    ///
    /// # Errors
    /// The kernel's.
    fn withdraw(&self, address: IpAddr) -> io::Result<()> {
        self.withdraw_but(address, &[])
    }

    /// Everything that is published, of every network.
    ///
    /// # Errors
    /// The kernel's.
    fn published(&self) -> io::Result<Vec<Publication>>;

    /// Of all that is published, what a packet for one of these could be for as well: the same port, of the same address of the
    /// host, or of all addresses and a single one. Where each leads does not matter.
    ///
    /// # Errors
    /// The kernel's.
    fn meeting(&self, wanted: &[Publication]) -> io::Result<Vec<Publication>> {
        let mut all = self.published()?;
        all.retain(|other| wanted.iter().any(|one| one.meets(other)));
        Ok(all)
    }
}
