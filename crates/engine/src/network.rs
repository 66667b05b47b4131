//! Networks: what is asked for, what a list shows, and all that is known of one.
//!
//! A network is addressed by its name, its id (32 hex digits) or a prefix of its id that fits no other network.

mod subnet;

pub use subnet::{NoSubnet, Subnet};

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::SystemTime;

/// The network that is made when it is first needed.
pub const DEFAULT_NETWORK: &str = "tinyd";

/// Its other names: that of tinyd's forerunner, and those that users of other engines know.
const OTHERS: [&str; 3] = ["Tiny-docker", "bridge", "default"];

/// The name of the network that a word stands for.
#[must_use]
pub fn network_name(word: &str) -> &str {
    if OTHERS.contains(&word) { DEFAULT_NETWORK } else { word }
}

/// A network that is wanted. What is empty or `None` is the driver's to choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkCreate {
    /// `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 64 characters, unique; without one it is called after its id.
    pub name: Option<String>,
    /// The kind of network: `bridge` where there is none.
    pub driver: Option<String>,
    /// Its ranges of addresses, at most one of each family.
    pub subnets: Vec<Subnet>,
    /// The gateway's address, in a subnet that is given; at most one for each.
    pub gateways: Vec<IpAddr>,
    /// The part of a given subnet that containers' addresses are chosen from; at most one for each.
    pub ranges: Vec<Subnet>,
    /// Addresses in subnets that are given that no container gets: something else on the network has them.
    pub excluded: Vec<IpAddr>,
    /// Addresses of IPv6 besides.
    pub ipv6: Option<bool>,
    /// No way out of it, and none in.
    pub internal: bool,
    /// The largest packet in bytes.
    pub mtu: Option<u32>,
    /// What only the driver knows.
    pub options: BTreeMap<String, String>,
    /// What its maker wants to remember of it.
    pub labels: BTreeMap<String, String>,
}

/// What a list shows of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSummary {
    /// 32 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The kind of network.
    pub driver: String,
    /// Its ranges of addresses, `10.208.0.0/22`; none where it has no addresses of its own.
    pub subnets: Vec<String>,
    /// No way out of it, and none in.
    pub internal: bool,
    /// How many containers use it, in any state.
    pub containers: usize,
    /// When it was made; `None` for one that every host has.
    pub created: Option<SystemTime>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// All that is known of a network, in the shape and with the names of Docker's `network inspect`. Times are RFC 3339 in UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkInspect {
    /// Its name.
    pub name: String,
    /// 32 hex digits.
    pub id: String,
    /// When it was made; `0001-01-01T00:00:00Z` for one that every host has.
    pub created: String,
    /// Always `local`: it is on one host.
    pub scope: String,
    /// The kind of network.
    pub driver: String,
    /// It has addresses of IPv6.
    #[serde(rename = "EnableIPv6")]
    pub enable_ipv6: bool,
    /// Its addresses.
    #[serde(rename = "IPAM")]
    pub ipam: Ipam,
    /// No way out of it, and none in.
    pub internal: bool,
    /// The containers that use it, in any state, by their ids.
    pub containers: BTreeMap<String, NetworkContainer>,
    /// What only the driver knows, and the MTU where it was asked for.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Links on the host that are there for it.
    pub links: Vec<String>,
    /// What of this host keeps it from working, and what to do about it, a sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The addresses of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ipam {
    /// Always `default`: they are kept in the engine's folders.
    pub driver: String,
    /// One for each subnet.
    pub config: Vec<IpamConfig>,
}

/// A subnet of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct IpamConfig {
    /// `10.208.0.0/22`.
    pub subnet: String,
    /// `10.208.0.1`; empty where there is none.
    pub gateway: String,
    /// The part that addresses are chosen from; empty for all of it.
    #[serde(rename = "IPRange")]
    pub ip_range: String,
    /// Addresses that no container gets besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excluded: Vec<String>,
}

/// A container of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkContainer {
    /// Its name, or its id where it has none.
    pub name: String,
    /// `02:42:0a:d0:00:02` while it runs, else empty.
    pub mac_address: String,
    /// `10.208.0.2/22` while it runs, else empty.
    #[serde(rename = "IPv4Address")]
    pub ipv4_address: String,
    /// As for IPv4.
    #[serde(rename = "IPv6Address")]
    pub ipv6_address: String,
}
