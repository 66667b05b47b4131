//! Routes.

use super::wire::{self, kind};
use super::{Index, wire::octets};
use crate::Prefix;
use crate::netlink::{Attributes, Message, u32_at};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads: a length of 0 is everywhere.
    pub to: Prefix,
    /// Through whom.
    pub gateway: Option<IpAddr>,
    /// The link that packets leave by.
    pub link: Option<Index>,
    /// The table that it stands in: [`MAIN`](Self::MAIN), or one that rules choose (ip-rule(8)).
    pub table: u32,
}

impl Route {
    /// The table of what no rule is for.
    pub const MAIN: u32 = MAIN_TABLE as u32;
}

/// `struct rtmsg`.
const LENGTH: usize = 12;

const MAIN_TABLE: u8 = 254;
/// What is the host itself.
const LOCAL_TABLE: u32 = 255;
/// `RTPROT_BOOT`: what administrators and their programs set.
const BY_ADMINISTRATOR: u8 = 3;
const UNICAST: u8 = 1;
/// `RT_SCOPE_LINK`: what it leads to is on the link.
const ON_LINK: u8 = 253;

/// `RTA_…`
const DESTINATION: u16 = 1;
const LINK: u16 = 4;
const GATEWAY: u16 = 5;
/// The number of a table that is too large for the header.
const TABLE: u16 = 15;

pub(super) fn default_through(link: Index, gateway: IpAddr) -> Message {
    let header = [wire::family(gateway), 0, 0, 0, MAIN_TABLE, BY_ADMINISTRATOR, 0, UNICAST, 0, 0, 0, 0];
    let mut message = Message::make(kind::NEW_ROUTE, &header);
    message.put(GATEWAY, &octets(gateway));
    message.put_u32(LINK, link.0);
    message
}

pub(super) fn default_by(link: Index, six: bool) -> Message {
    let family = if six { wire::AF_INET6 } else { wire::AF_INET };
    let header = [family, 0, 0, 0, MAIN_TABLE, BY_ADMINISTRATOR, ON_LINK, UNICAST, 0, 0, 0, 0];
    let mut message = Message::make(kind::NEW_ROUTE, &header);
    message.put_u32(LINK, link.0);
    message
}

pub(super) fn list() -> Message {
    Message::list(kind::GET_ROUTE, &[0; LENGTH])
}

pub(super) fn parse(payload: &[u8]) -> Option<Route> {
    let (family, length, table, sort) =
        (payload.first()?, *payload.get(1)?, *payload.get(4)?, *payload.get(7)?);
    if sort != UNICAST {
        return None;
    }
    let everywhere = match *family == wire::family(IpAddr::V4(Ipv4Addr::UNSPECIFIED)) {
        true => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        false => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let to = Prefix { address: everywhere, length };
    let mut route = Route { to, gateway: None, link: None, table: u32::from(table) };
    for (kind, value) in Attributes::behind(payload, LENGTH) {
        match kind {
            DESTINATION => route.to.address = wire::address(value)?,
            GATEWAY => route.gateway = wire::address(value),
            LINK => route.link = u32_at(value, 0).map(Index),
            TABLE => route.table = u32_at(value, 0)?,
            _ => {}
        }
    }
    // (Of a family that is neither, such as MPLS, there is nothing to know.)
    route.to = Prefix::new(route.to.address, length)?;
    (route.table != LOCAL_TABLE).then_some(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_route_is_as_long_as_its_address_at_most_and_of_any_table_but_the_local_one() {
        let parsed = |length, to: &[u8]| {
            let mut message =
                Message::list(kind::GET_ROUTE, &[2, length, 0, 0, MAIN_TABLE, 0, 0, UNICAST, 0, 0, 0, 0]);
            message.put(DESTINATION, to);
            parse(message.payload()).map(|route| route.to.to_string())
        };
        let in_table = |short, long: Option<u32>| {
            let mut message =
                Message::list(kind::GET_ROUTE, &[2, 24, 0, 0, short, 0, 0, UNICAST, 0, 0, 0, 0]);
            message.put(DESTINATION, &[10, 0, 0, 0]);
            long.into_iter().for_each(|number| message.put_u32(TABLE, number));
            parse(message.payload()).map(|route| route.table)
        };
        assert_eq!(in_table(MAIN_TABLE, None), Some(Route::MAIN));
        assert_eq!((in_table(52, Some(52)), in_table(252, Some(51820))), (Some(52), Some(51820)));
        assert_eq!((in_table(255, None), in_table(255, Some(255))), (None, None), "the host's own addresses");
        assert_eq!(parsed(32, &[10, 0, 0, 1]).as_deref(), Some("10.0.0.1/32"));
        assert_eq!(parsed(33, &[10, 0, 0, 1]), None);
        assert_eq!(parsed(64, &[0; 16]).as_deref(), Some("::/64"));
    }
}
