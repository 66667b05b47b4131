//! Elements of sets and maps: networks and published ports as they stand there.

use super::schema::{BRIDGES, HOST_PORTS, PAIRS, PORTS, SEALED, SOURCES, SUBNETS};
use super::wire::{self, ONE, VALUE, element, kind};
use crate::firewall::{NetworkRules, Publication};
use crate::link::{MAX_NAME, address, octets};
use crate::netlink::{Attributes, Message, Part, u32_at};
use crate::{Prefix, Protocol, PublishedPort};
use std::net::IpAddr;

/// An element of a set; of a map, with what it leads to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Element {
    pub(super) key: Vec<u8>,
    pub(super) data: Option<Vec<u8>>,
    /// It ends a range, and is not in it.
    pub(super) end: bool,
}

impl Element {
    fn plain(key: Vec<u8>) -> Self {
        Self { key, data: None, end: false }
    }

    /// A range is two elements; one that goes on to the last address has no end.
    fn range(range: Prefix, data: Option<Vec<u8>>) -> Vec<Self> {
        let mut both = vec![Self { key: octets(range.first()), data, end: false }];
        both.extend(behind(range).map(|key| Self { key, data: None, end: true }));
        both
    }
}

/// The address behind a range's last one.
fn behind(range: Prefix) -> Option<Vec<u8>> {
    match range.last() {
        IpAddr::V4(last) => Some(u32::from(last).checked_add(1)?.to_be_bytes().to_vec()),
        IpAddr::V6(last) => Some(u128::from(last).checked_add(1)?.to_be_bytes().to_vec()),
    }
}

/// A link's name as it is compared: filled up with nulls. One that is too long for a link is cut, and no link's.
pub(super) fn link(name: &str) -> [u8; MAX_NAME + 1] {
    let mut bytes = [0; MAX_NAME + 1];
    let length = name.len().min(MAX_NAME);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}

/// Which of the two sets of a kind is for the family.
fn of<T: Copy>(both: [T; 2], address: IpAddr) -> T {
    both[usize::from(address.is_ipv6())]
}

/// What a network is: elements, each group with the set that it is in.
pub(super) fn of_network(network: &NetworkRules) -> Vec<(&'static str, Vec<Element>)> {
    let name = link(&network.bridge).to_vec();
    let mut all = vec![
        (BRIDGES, vec![Element::plain(name.clone())]),
        (PAIRS, vec![Element::plain([name.clone(), name.clone()].concat())]),
    ];
    if network.internal {
        all.push((SEALED, vec![Element::plain(name)]));
    }
    for subnet in &network.subnets {
        let address = subnet.address;
        all.push((of(SUBNETS, address), Element::range(*subnet, None)));
        let source = network.sources.iter().find(|source| source.is_ipv4() == address.is_ipv4());
        if let Some(source) = source {
            all.push((of(SOURCES, address), Element::range(*subnet, Some(octets(*source)))));
        }
    }
    all
}

/// What a network might have been before: with another address to leave with, or internal.
pub(super) fn once_of_network(network: &NetworkRules) -> Vec<(&'static str, Vec<Element>)> {
    let mut all = vec![(SEALED, vec![Element::plain(link(&network.bridge).to_vec())])];
    all.extend(
        network.subnets.iter().map(|subnet| (of(SOURCES, subnet.address), Element::range(*subnet, None))),
    );
    all
}

/// The map that a publication is in, and the element that it is there.
pub(super) fn of_publication(publication: &Publication) -> (&'static str, Element) {
    let Publication { port, to } = publication;
    let host = port.host.filter(|host| !host.is_unspecified());
    let map = of(if host.is_some() { HOST_PORTS } else { PORTS }, *to);
    let mut key = host.map(octets).unwrap_or_default();
    key.extend([port.protocol.number(), 0, 0, 0]);
    key.extend(padded(port.host_port));
    let mut data = octets(*to);
    data.extend(padded(port.container_port));
    (map, Element { key, data: Some(data), end: false })
}

/// What [`of_publication`] wrote. `None` for what it did not write.
pub(super) fn publication(element: &Element) -> Option<Publication> {
    let (key, data) = (&element.key, element.data.as_ref()?);
    let (host, rest) = key.split_at_checked(key.len().checked_sub(8)?)?;
    let host = if host.is_empty() { None } else { Some(address(host)?) };
    let protocol = match rest[0] {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return None,
    };
    let (to, port) = data.split_at_checked(data.len().checked_sub(4)?)?;
    let port_of = |bytes: &[u8]| Some(u16::from_be_bytes(bytes.get(..2)?.try_into().ok()?));
    let port =
        PublishedPort { host, host_port: port_of(rest.get(4..)?)?, container_port: port_of(port)?, protocol };
    let publication = Publication { port, to: address(to)? };
    // What is taken away is named by what is written for it.
    (of_publication(&publication).1 == *element).then_some(publication)
}

/// In a key, each part fills whole words.
fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// Adds elements.
pub(super) fn add(part: Part, table: &str, set: &str, elements: &[Element]) -> Message {
    message(part, kind::NEW_ELEMENT, table, set, elements, true)
}

/// Removes elements, wherever they lead.
pub(super) fn remove(table: &str, set: &str, elements: &[Element]) -> Message {
    message(Part::Change, kind::DEL_ELEMENT, table, set, elements, false)
}

fn message(part: Part, kind: u16, table: &str, set: &str, elements: &[Element], data: bool) -> Message {
    let mut message = wire::part(part, kind, table);
    message.put_text(element::SET, set);
    message.nest(element::ELEMENTS, |list| {
        for element in elements {
            list.nest(ONE, |one| {
                one.nest(element::KEY, |key| key.put(VALUE, &element.key));
                if let Some(value) = element.data.as_ref().filter(|_| data) {
                    one.nest(element::DATA, |inner| inner.put(VALUE, value));
                }
                if element.end {
                    one.put_be32(element::FLAGS, element::END);
                }
            });
        }
    });
    message
}

/// Asks for all elements of a set.
pub(super) fn list(table: &str, set: &str) -> Message {
    let mut message = Message::list(kind::GET_ELEMENT, &wire::HEADER);
    message.put_text(wire::TABLE, table);
    message.put_text(element::SET, set);
    message
}

/// Asks for the element that has the key of this one.
pub(super) fn get(table: &str, set: &str, wanted: &Element) -> Message {
    let mut message = Message::get(kind::GET_ELEMENT, &wire::HEADER);
    message.put_text(wire::TABLE, table);
    message.put_text(element::SET, set);
    message.nest(element::ELEMENTS, |list| {
        list.nest(ONE, |one| one.nest(element::KEY, |key| key.put(VALUE, &wanted.key)));
    });
    message
}

/// The elements that an answer to [`list`] or [`get`] holds.
pub(super) fn parse(payload: &[u8]) -> Vec<Element> {
    let nested = |value| Attributes::behind(value, 0);
    let lists =
        Attributes::behind(payload, wire::HEADER.len()).filter(|(kind, _)| *kind == element::ELEMENTS);
    let ones = lists.flat_map(|(_, list)| nested(list)).filter(|(kind, _)| *kind == ONE);
    let read = |one| {
        let (mut key, mut data, mut end) = (None, None, false);
        for (kind, value) in nested(one) {
            let inner = || nested(value).find(|(kind, _)| *kind == VALUE).map(|(_, value)| value.to_vec());
            match kind {
                element::KEY => key = inner(),
                element::DATA => data = inner(),
                element::FLAGS => {
                    end = u32_at(value, 0).is_some_and(|flags| u32::from_be(flags) & element::END != 0)
                }
                _ => {}
            }
        }
        Some(Element { key: key?, data, end })
    };
    ones.filter_map(|(_, one)| read(one)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publications() -> Vec<Publication> {
        let port = |host: Option<&str>, protocol| PublishedPort {
            host: host.map(|host| host.parse().unwrap()),
            host_port: 8080,
            container_port: 80,
            protocol,
        };
        let [v4, v6] = ["10.99.0.2", "fd00::2"].map(|to| to.parse().unwrap());
        vec![
            Publication { port: port(None, Protocol::Tcp), to: v4 },
            Publication { port: port(None, Protocol::Sctp), to: v6 },
            Publication { port: port(Some("127.0.0.1"), Protocol::Udp), to: v4 },
            Publication { port: port(Some("2001:db8::1"), Protocol::Tcp), to: v6 },
        ]
    }

    #[test]
    fn pure_a_publication_is_read_as_it_was_written() {
        for wanted in publications() {
            let (map, element) = of_publication(&wanted);
            assert_eq!(publication(&element), Some(wanted), "{map}");
            let message = add(Part::Make, "t", map, std::slice::from_ref(&element)).finish(1).unwrap();
            assert_eq!(parse(&message[16..]), [element]);
        }
    }

    #[test]
    fn pure_what_is_no_publication_is_left_out() {
        let (_, good) = of_publication(&publications()[0]);
        for cut in 0..good.key.len() {
            assert_eq!(
                publication(&Element { key: good.key[..cut].to_vec(), ..good.clone() }),
                None,
                "{cut}"
            );
        }
        for data in [None, Some(vec![]), Some(vec![1; 7])] {
            assert_eq!(publication(&Element { data, ..good.clone() }), None);
        }
        let mut icmp = good.clone();
        icmp.key[0] = 1;
        assert_eq!(publication(&icmp), None);
        let (_, mut everywhere) = of_publication(&publications()[2]);
        everywhere.key[..4].fill(0);
        let mut padded = good.clone();
        padded.key[7] = 1;
        for other in [everywhere, padded, Element { end: true, ..good }] {
            assert_eq!(publication(&other), None, "{other:?} could not be taken away");
        }
    }

    #[test]
    fn pure_a_range_ends_behind_its_last_address_or_nowhere() {
        let range = |text: &str| Element::range(text.parse().unwrap(), None);
        let keys = |text| range(text).into_iter().map(|one| (one.key, one.end)).collect::<Vec<_>>();
        assert_eq!(keys("10.99.0.7/24"), [(vec![10, 99, 0, 0], false), (vec![10, 99, 1, 0], true)]);
        assert_eq!(keys("255.255.0.0/16"), [(vec![255, 255, 0, 0], false)]);
        assert_eq!(range("fd00::/64")[1].key[..8], [0xfd, 0, 0, 0, 0, 0, 0, 1]);
    }
}
