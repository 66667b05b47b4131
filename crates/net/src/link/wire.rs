//! How links and addresses are written in messages: numbers of linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h.

use super::{Hardware, Index, Link, nested, text};
use crate::Prefix;
use crate::netlink::{Attributes, u32_at};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Types of messages.
pub(super) mod kind {
    pub(crate) const NEW_LINK: u16 = 16;
    pub(crate) const DEL_LINK: u16 = 17;
    pub(crate) const GET_LINK: u16 = 18;
    pub(crate) const NEW_ADDRESS: u16 = 20;
    pub(crate) const GET_ADDRESS: u16 = 22;
    pub(crate) const NEW_ROUTE: u16 = 24;
    pub(crate) const GET_ROUTE: u16 = 26;
    pub(crate) const NEW_NEIGHBOUR: u16 = 28;
    pub(crate) const DEL_NEIGHBOUR: u16 = 29;
    pub(crate) const GET_NEIGHBOUR: u16 = 30;
}

/// Attributes of a link (`IFLA_…`).
pub(super) mod attribute {
    pub(crate) const MAC: u16 = 1;
    pub(crate) const NAME: u16 = 3;
    pub(crate) const MTU: u16 = 4;
    /// `IFLA_LINK`: of one end of a pair, the other.
    pub(crate) const PARENT: u16 = 5;
    pub(crate) const MASTER: u16 = 10;
    pub(crate) const INFO: u16 = 18;
    pub(crate) const ALIAS: u16 = 20;
    pub(crate) const FAMILIES: u16 = 26;
    pub(crate) const NETNS_FD: u16 = 28;
    /// `IFLA_NUM_TX_QUEUES`, `IFLA_NUM_RX_QUEUES`.
    pub(crate) const QUEUES: [u16; 2] = [31, 32];
    /// `IFLA_TARGET_NETNSID`.
    pub(crate) const TARGET_NUMBER: u16 = 46;
}

/// Inside [`attribute::INFO`] (`IFLA_INFO_…`), and inside the data of a veth.
pub(super) mod info {
    pub(crate) const KIND: u16 = 1;
    pub(crate) const DATA: u16 = 2;
    pub(crate) const PEER: u16 = 1;
    pub(crate) const PORT_KIND: u16 = 4;
    pub(crate) const PORT_DATA: u16 = 5;
}

/// `IFLA_INET6_ADDR_GEN_MODE`, and `IN6_ADDR_GEN_MODE_NONE`: no address of the link's own.
pub(super) const GENERATED_ADDRESS: u16 = 8;
pub(super) const NONE_GENERATED: u8 = 1;
/// `IFLA_BRPORT_MODE`: hairpin.
pub(super) const PORT_HAIRPIN: u16 = 4;
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_BRIDGE: u8 = 7;
pub(super) const AF_INET6: u8 = 10;

/// `IFA_…`
pub(super) const ADDRESS: u16 = 1;
pub(super) const LOCAL: u16 = 2;
pub(super) const BROADCAST: u16 = 4;
pub(super) const ADDRESS_FLAGS: u16 = 8;
/// `IFA_F_NODAD`.
pub(super) const NO_DUPLICATE_CHECK: u32 = 0x02;

/// `ARPHRD_ETHER` and `ARPHRD_LOOPBACK` of linux/if_arp.h.
const ETHERNET: u16 = 1;
const LOOPBACK: u16 = 772;

/// `NDA_DST`, `NDA_LLADDR` and `NDA_MASTER`, behind a `struct ndmsg` of so many bytes.
pub(super) const NEIGHBOUR: u16 = 1;
pub(super) const NEIGHBOUR_MAC: u16 = 2;
pub(super) const NEIGHBOUR_MASTER: u16 = 9;
pub(super) const NEIGHBOUR_HEADER: usize = 12;
/// In it: `NUD_NOARP`, `NUD_PERMANENT`, `NTF_MASTER`, `NTF_STICKY`.
pub(super) const NOT_LEARNED: u16 = 0x40;
const OWN: u16 = 0x80;
pub(super) const OF_MASTER: u8 = 0x04;
pub(super) const STAYS: u8 = 0x40;

/// `IFF_UP`.
const UP: u32 = 1;

/// `struct ifinfomsg`.
#[derive(Default)]
pub(super) struct LinkHeader {
    pub(super) family: u8,
    pub(super) index: u32,
    pub(super) flags: u32,
    pub(super) change: u32,
}

impl LinkHeader {
    const LENGTH: usize = 16;

    pub(super) fn up() -> Self {
        Self { flags: UP, change: UP, ..Self::default() }
    }

    pub(super) fn bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = self.family;
        bytes[4..8].copy_from_slice(&self.index.to_ne_bytes());
        bytes[8..12].copy_from_slice(&self.flags.to_ne_bytes());
        bytes[12..].copy_from_slice(&self.change.to_ne_bytes());
        bytes
    }
}

/// `struct ifaddrmsg`.
pub(super) struct AddressHeader {
    pub(super) family: u8,
    pub(super) length: u8,
    pub(super) link: u32,
}

impl AddressHeader {
    const LENGTH: usize = 8;

    pub(super) fn bytes(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [self.family, self.length, 0, 0, 0, 0, 0, 0];
        bytes[4..].copy_from_slice(&self.link.to_ne_bytes());
        bytes
    }
}

pub(crate) fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET } else { AF_INET6 }
}

pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// An address of the family that its length says.
pub(crate) fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).map(Ipv4Addr::from).map(IpAddr::V4);
    v4().or_else(|_| <[u8; 16]>::try_from(bytes).map(Ipv6Addr::from).map(IpAddr::V6)).ok()
}

pub(super) fn parse_link(payload: &[u8]) -> Option<Link> {
    let mut link = Link {
        index: Index(u32_at(payload, 4)?),
        name: String::new(),
        kind: None,
        mac: None,
        mtu: 0,
        master: None,
        parent: None,
        hardware: match u16::from_ne_bytes([*payload.get(2)?, *payload.get(3)?]) {
            ETHERNET => Hardware::Ethernet,
            LOOPBACK => Hardware::Loopback,
            other => Hardware::Other(other),
        },
        alias: None,
        is_up: u32_at(payload, 8)? & UP != 0,
    };
    for (kind, value) in Attributes::behind(payload, LinkHeader::LENGTH) {
        match kind {
            attribute::NAME => link.name = text(value)?,
            attribute::MAC => link.mac = value.try_into().ok(),
            attribute::MTU => link.mtu = u32_at(value, 0)?,
            attribute::MASTER => link.master = u32_at(value, 0).map(Index),
            attribute::PARENT => link.parent = u32_at(value, 0).map(Index),
            attribute::ALIAS => link.alias = text(value),
            attribute::INFO => {
                link.kind =
                    nested(value).find(|(kind, _)| *kind == info::KIND).and_then(|(_, name)| text(name));
            }
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

/// Where a bridge has a hardware address; `Some(None)` where it only saw it.
pub(super) fn parse_place(payload: &[u8]) -> Option<Option<Index>> {
    let link = Index(u32_at(payload, 4)?);
    let state = u16::from_ne_bytes([*payload.get(8)?, *payload.get(9)?]);
    Some((state & (NOT_LEARNED | OWN) != 0).then_some(link))
}

pub(super) fn parse_address(payload: &[u8]) -> Option<(Index, Prefix)> {
    let length = *payload.get(1)?;
    let link = Index(u32_at(payload, 4)?);
    let all: Vec<_> = Attributes::behind(payload, AddressHeader::LENGTH).collect();
    // Of a link between two ends alone the other end is the address, and its own is beside it.
    let value = |wanted| all.iter().find(|(kind, _)| *kind == wanted).map(|(_, value)| *value);
    let address = address(value(LOCAL).or_else(|| value(ADDRESS))?)?;
    Some((link, Prefix::new(address, length)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Message;

    #[test]
    fn pure_an_address_whose_length_its_family_has_not_is_none() {
        let parsed = |length| {
            let header = AddressHeader { family: AF_INET, length, link: 1 };
            let mut message = Message::list(kind::GET_ADDRESS, &header.bytes());
            message.put(LOCAL, &[10, 0, 0, 1]);
            parse_address(message.payload()).map(|(_, address)| address.to_string())
        };
        assert_eq!(parsed(24).as_deref(), Some("10.0.0.1/24"));
        assert_eq!(parsed(33), None);
    }
}
