//! What a container is connected to.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// The network of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// A network namespace that holds the loopback device alone.
    #[default]
    None,
    /// The host's own network namespace.
    Host,
    /// That of another container, by name, id or the beginning of its id.
    Container(String),
    /// Places on networks, at least one. The first that is not internal is its way out, and where its ports are published.
    Networks(Vec<NetworkJoin>),
}

impl NetworkMode {
    /// A place on one network.
    pub fn named(network: impl Into<String>) -> Self {
        Self::Networks(vec![NetworkJoin::on(network)])
    }
}

/// A container's place on a network. What is empty or `None` is the network's to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkJoin {
    /// The network, by name, id or the beginning of its id.
    pub network: String,
    /// Its addresses, at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// Its hardware address.
    pub mac: Option<[u8; 6]>,
    /// Further names that the others on the network find it by.
    pub aliases: Vec<String>,
    /// What its link is called inside: `eth0`, `eth1`, …
    pub interface: Option<String>,
}

impl NetworkJoin {
    /// Any place on a network.
    pub fn on(network: impl Into<String>) -> Self {
        Self { network: network.into(), ..Self::default() }
    }
}

/// How a container finds others by name. What is empty is the network's and the host's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dns {
    /// Who is asked for what is no name of its networks': at most three are ever asked (resolv.conf(5)). The networks' own servers
    /// ask them for it, as this machine reaches them; it asks them itself, and the others' names are not known to it then, where
    /// none of its networks has a server, or where one of these is its own loopback device or on a network that leads to this
    /// machine's neighbours.
    pub servers: Vec<IpAddr>,
    /// The domains that a name without dots is looked for in; a single `.` for none.
    pub search: Vec<String>,
    /// Options of resolv.conf(5): `ndots:2`.
    pub options: Vec<String>,
    /// Names that it knows by itself.
    pub hosts: Vec<ExtraHost>,
}

/// A name in a container's `hosts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address; `None` for the host's on the container's networks, 127.0.0.1 on the host's own.
    pub address: Option<IpAddr>,
}

/// A port of the host that leads to one of the container's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortMapping {
    /// The address of the host that it is reached at; `None` for all that the host has.
    pub host_ip: Option<IpAddr>,
    /// The host's port; `None` for one that is free.
    pub host_port: Option<u16>,
    /// The container's port.
    pub container_port: u16,
    /// Of which protocol both are.
    pub protocol: PortProtocol,
}

/// Ports of the host that come to lead to a container, and such that lead there no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortChange {
    /// Those that come.
    pub add: Vec<PortMapping>,
    /// Those that go.
    pub remove: Vec<HostPort>,
}

/// A port of the host that leads to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostPort {
    /// The address of the host that it was published at; `None` for whichever that was.
    pub address: Option<IpAddr>,
    /// Its number, which the host may have chosen.
    pub number: u16,
    /// Its protocol.
    pub protocol: PortProtocol,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            None => {}
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
        }
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// A protocol with ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortProtocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for PortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}
