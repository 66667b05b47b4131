//! What is wanted of a network, and what was made for it.

use crate::names::Lookup;
use crate::pool::Taken;
use crate::{Error, Prefix, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// A network that is wanted. What is empty or `None` is the driver's to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// Its name, unique on this host.
    pub name: String,
    /// The ranges of addresses, at most one of each family.
    pub subnets: Vec<Prefix>,
    /// The gateway's address in each of `subnets`, in their order; the first of the range where it is shorter.
    pub gateways: Vec<IpAddr>,
    /// The parts of `subnets` that containers' addresses are chosen from, in their order; all of each where it is shorter.
    pub ranges: Vec<Prefix>,
    /// Addresses in `subnets` that no container gets: something else on the network has them.
    pub excluded: Vec<IpAddr>,
    /// Addresses of IPv6 besides. Where it is `None`, when the host has a way out with them and `subnets` is empty: who says which
    /// ranges a network has says all of them.
    pub ipv6: Option<bool>,
    /// No way out of it, and none in.
    pub internal: bool,
    /// The largest packet in bytes: 68 at least, and 1,280 where there is IPv6.
    pub mtu: Option<u32>,
    /// Ranges that other networks have, which the caller knows of and the host's routes may not show.
    #[serde(skip)]
    pub avoid: Vec<Taken>,
    /// What only this driver knows. A word that it does not know is an error, never ignored.
    pub options: BTreeMap<String, String>,
}

impl NetworkSpec {
    /// A network of which only the name matters.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// A network that is there: all that another process needs to use it and to take it away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkState {
    /// The driver that made it, by [`NetworkDriver::name`](crate::NetworkDriver::name).
    pub driver: String,
    /// As it was asked for, with what the driver chose filled in.
    pub spec: NetworkSpec,
    /// Links on the host that were made for it, and go with it.
    #[serde(default)]
    pub links: Vec<String>,
}

impl NetworkState {
    /// Refuses the handle of another driver's network.
    pub(crate) fn owned_by(&self, driver: &str) -> Result<()> {
        if self.driver == driver {
            return Ok(());
        }
        Err(Error::Foreign {
            network: self.spec.name.clone(),
            owner: self.driver.clone(),
            driver: driver.to_owned(),
        })
    }
}

/// A container's place on a network, as it is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointSpec {
    /// The container's id: whatever is made on the host is named after it.
    pub container: String,
    /// The name of the link inside, `eth0` where it is empty.
    pub interface: String,
    /// Addresses that it must have, at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// The hardware address that it must have.
    pub mac: Option<[u8; 6]>,
    /// Its default route goes through this network.
    pub gateway: bool,
    /// What the others on the network call it, its own name first.
    pub names: Vec<String>,
    /// How its questions for names of nobody on its networks are answered, where the driver serves names.
    pub lookup: Lookup,
    /// Ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
}

/// A port of the host that leads to one of a container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The address of the host that it is reached at; `None` for all that the host has.
    pub host: Option<IpAddr>,
    /// The host's port; 0 where it is wanted for one that is free.
    pub host_port: u16,
    /// The container's port.
    pub container_port: u16,
    /// Of which protocol both are.
    pub protocol: Protocol,
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Its number in packets, `IPPROTO_…`.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// A step that undoes something, for a process that knows nothing of networks: it does the steps of a container in their
/// order when the container has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Undo {
    /// Remove a file or link; one that is not there is no error. A link that holds something else than the container's id is
    /// another's, and stays.
    Unlink(PathBuf),
    /// Send messages to the kernel, as one packet; what they take away may be gone already.
    Netlink {
        /// The netlink protocol, as socket(2) takes it: 12 for `NETLINK_NETFILTER`.
        protocol: i32,
        /// Whole messages.
        packet: Vec<u8>,
    },
    /// Lets go of a network namespace that is bound to a file, and removes the file; one that is gone is no error.
    Unpin(PathBuf),
    /// Run a program to its end, at most ten seconds. Where it cannot be started, or not be waited for, or fails, the files of
    /// later steps stay: they say that something is held for the container still, and the driver's
    /// [`detach`](crate::NetworkDriver::detach) finds it by them.
    Run {
        /// Its file.
        program: PathBuf,
        /// What it is given after its own name.
        arguments: Vec<String>,
        /// All of its environment.
        environment: Vec<(String, String)>,
        /// What it reads.
        stdin: Vec<u8>,
        /// Any end but 0 is a failure. Otherwise 1 is none: it may say that what it was to take away is gone, as
        /// `iptables-restore` does.
        #[serde(default)]
        strict: bool,
    },
}

/// A program that has to be there for as long as a container runs, for a process that knows nothing of networks: it starts the
/// program again when its process ends. Several may do so at once; the program sees to it that one of them stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Companion {
    /// A file that names the process.
    pub process: PathBuf,
    /// The program's file.
    pub program: PathBuf,
    /// What it is given after its own name. Its environment is empty, and it reads nothing.
    pub arguments: Vec<String>,
}

/// What was made for a container: all that another process needs to take it away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointState {
    /// The container's id.
    pub container: String,
    /// The links that it got; none with a network that has none to give.
    pub interfaces: Vec<Interface>,
    /// Whom it asks for names, where the network has somebody for that.
    pub name_servers: Vec<IpAddr>,
    /// The ports that lead to it, with those filled in that were chosen.
    pub ports: Vec<PublishedPort>,
    /// What takes the connection away when the container has ended, without the driver. The driver's
    /// [`detach`](crate::NetworkDriver::detach) does the same for one of which only the container's id is known.
    pub undo: Vec<Undo>,
    /// What serves the connection.
    pub companions: Vec<Companion>,
}

/// A link of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name inside.
    pub name: String,
    /// Its other end on the host, where it has one.
    pub host_link: Option<String>,
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its addresses, with the lengths of their subnets.
    pub addresses: Vec<Prefix>,
    /// Where its default route goes.
    pub gateways: Vec<IpAddr>,
}

/// Which network namespace a container lives in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Namespace {
    /// One of its own, new for each run.
    Own,
    /// The host's.
    Host,
    /// That of another container: of which one is the caller's to know. No driver gives it.
    Other,
}
