//! Connections that the kernel remembers (ctnetlink).
//!
//! It keeps what it translated for a while after both ends are gone: up to minutes, of UDP as long as somebody goes on
//! sending. When an address is given to another container meanwhile, what was meant for the old one reaches the new one.

use crate::firewall::Publication;
use crate::link::{address, family};
use crate::netlink::{Attributes, Message, Socket};
use crate::{Prefix, Protocol};
use rustix::io::Errno;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::fd::BorrowedFd;

/// `NFNL_SUBSYS_CTNETLINK`, the upper half of a message's type.
const SUBSYSTEM: u16 = 1 << 8;
/// `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE`.
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;

/// `CTA_…`: the packets' ends in both directions, the number of a connection, and the zone that its ends are unique in.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
/// `CTA_TUPLE_IP`, and in it `CTA_IP_V4_SRC`, `CTA_IP_V6_SRC`, `CTA_IP_V4_DST` and `CTA_IP_V6_DST`.
const ENDS: u16 = 1;
const SOURCE: [u16; 2] = [1, 3];
const TARGET: [u16; 2] = [2, 4];
/// `CTA_TUPLE_PROTO`, and in it `CTA_PROTO_NUM`, `CTA_PROTO_SRC_PORT` and `CTA_PROTO_DST_PORT`.
const TRANSPORT: u16 = 2;
const NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const TARGET_PORT: u16 = 3;
/// `IPPROTO_UDP`.
const UDP: u8 = 17;

/// `struct nfgenmsg`.
const HEADER: usize = 4;

fn header(address: IpAddr) -> [u8; HEADER] {
    [family(address), 0, 0, 0]
}

/// A connection: what is needed to name it.
pub(crate) struct Connection {
    /// Attributes of which the kernel knows it again.
    pub(crate) named_by: Vec<(u16, Vec<u8>)>,
}

/// Forgets connections that an address was an end of: those that it began, and those that were led to it. Gives their number.
/// What the address's host had with others under its own addresses stays.
///
/// # Errors
/// The kernel's: `EPERM` without CAP_NET_ADMIN.
pub fn purge(address: IpAddr) -> io::Result<usize> {
    forget(&mut Socket::open_netfilter(None)?, address, |ends| ends.has_source(address))
}

/// [`purge`] in another network namespace. A thread enters it for a moment.
///
/// # Errors
/// The kernel's.
pub fn purge_in(netns: BorrowedFd<'_>, address: IpAddr) -> io::Result<usize> {
    forget(&mut Socket::open_netfilter(Some(netns))?, address, |ends| ends.has_source(address))
}

/// [`purge`] for all addresses of a range but those that are kept. The kernel looks through its whole memory for one address
/// as for many.
///
/// # Errors
/// The kernel's: `EPERM` without CAP_NET_ADMIN.
pub fn purge_range(range: Prefix, kept: &[IpAddr]) -> io::Result<usize> {
    let is_wanted = |address: IpAddr| range.contains(address) && !kept.contains(&address);
    let either = |ends: &Ends| [ends.source, ends.led_to].into_iter().flatten().any(is_wanted);
    forget(&mut Socket::open_netfilter(None)?, range.address, either)
}

/// Forgets what came to a port of this host, by UDP, before it led where it leads now: to the host itself, or to a container
/// that had the port before. Whoever goes on sending from the same port of its own would go on reaching that. Gives the number
/// of connections that were forgotten. (TCP begins a new connection by itself.)
///
/// # Errors
/// The kernel's: `EPERM` without CAP_NET_ADMIN.
pub fn purge_misled(published: &[Publication]) -> io::Result<usize> {
    let mut count = 0;
    for is_four in [true, false] {
        let of_family =
            |one: &&Publication| one.port.protocol == Protocol::Udp && one.to.is_ipv4() == is_four;
        let ports: Vec<_> = published.iter().filter(of_family).collect();
        let Some(first) = ports.first() else { continue };
        let is_misled = |ends: &Ends| {
            let (Some(target), Some(led_to)) = (ends.target, ends.led_to) else { return false };
            let came = |one: &&&Publication| {
                ends.port == Some((UDP, one.port.host_port))
                    && one.port.host.is_none_or(|host| host == target)
            };
            // What only passed through this host, or was sent by it, is not for its port.
            let is_led =
                |one: &&Publication| led_to == one.to && ends.led_to_port == Some(one.port.container_port);
            ports.iter().find(came).is_some_and(|one| !is_led(one)) && is_own(target)
        };
        count += forget(&mut Socket::open_netfilter(None)?, first.to, is_misled)?;
    }
    Ok(count)
}

/// Forgets what was led, by UDP, by ports that lead there no more: it would be led there for as long as somebody sends. Gives the
/// number of connections that were forgotten. (What is under way by TCP goes on until its ends close it.)
///
/// # Errors
/// The kernel's: `EPERM` without CAP_NET_ADMIN.
pub fn purge_withdrawn(withdrawn: &[Publication]) -> io::Result<usize> {
    let mut count = 0;
    for is_four in [true, false] {
        let of_family =
            |one: &&Publication| one.port.protocol == Protocol::Udp && one.to.is_ipv4() == is_four;
        let ports: Vec<_> = withdrawn.iter().filter(of_family).collect();
        let Some(first) = ports.first() else { continue };
        let was_led = |ends: &Ends| {
            ports.iter().any(|one| {
                ends.port == Some((UDP, one.port.host_port))
                    && ends.led_to == Some(one.to)
                    && one.port.host.is_none_or(|host| ends.target == Some(host))
            })
        };
        count += forget(&mut Socket::open_netfilter(None)?, first.to, was_led)?;
    }
    Ok(count)
}

/// Forgets connections that nobody translates, which one of the addresses began or was called with, or which are for one of the
/// host's ports. They began while there were no rules, and go on as they began for as long as somebody sends. Gives their number. One that nobody
/// would translate now either goes on: the kernel remembers it anew with the next packet.
///
/// # Errors
/// The kernel's: `EPERM` without CAP_NET_ADMIN.
pub fn purge_untranslated(between: &[IpAddr], to: &[(Protocol, u16)]) -> io::Result<usize> {
    let mut socket = Socket::open_netfilter(None)?;
    let mut count = 0;
    for any in [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)] {
        count += forget(&mut socket, any, |ends| untranslated(ends, between, to))?;
    }
    Ok(count)
}

fn untranslated(ends: &Ends, between: &[IpAddr], to: &[(Protocol, u16)]) -> bool {
    let Ends { source: Some(source), target: Some(target), .. } = *ends else { return false };
    let is_for = |(protocol, port): &(Protocol, u16)| ends.port == Some((protocol.number(), *port));
    (ends.answered, ends.led_to) == (Some(source), Some(target))
        && (between.contains(&source) || between.contains(&target) || to.iter().any(is_for))
}

/// Whether this host has an address: nothing can be bound to another's.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Forgets those of an address's family that are wanted.
fn forget(socket: &mut Socket, of: IpAddr, is_wanted: impl Fn(&Ends) -> bool) -> io::Result<usize> {
    let header = header(of);
    let found = match socket.list(|| Message::list(GET, &header), |payload| parse(payload, &is_wanted)) {
        Ok(found) => found,
        // A kernel that translates nothing remembers nothing.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(0),
        Err(errno) => return Err(errno.into()),
    };
    let mut count = 0;
    for connection in found {
        let mut message = Message::change(DELETE, &header);
        connection.named_by.iter().for_each(|(kind, value)| message.put(*kind, value));
        match socket.run(message) {
            Ok(()) => count += 1,
            // It ended by itself, and another may have its ends.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(count)
}

/// Between whom a connection is.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// Who began it.
    source: Option<IpAddr>,
    /// Whom it called.
    target: Option<IpAddr>,
    /// The port that it called, behind its protocol's number.
    port: Option<(u8, u16)>,
    /// Who answers, and by which port.
    led_to: Option<IpAddr>,
    led_to_port: Option<u16>,
    /// To whom.
    answered: Option<IpAddr>,
}

impl Ends {
    /// Whether what goes in one of both directions comes from an address.
    fn has_source(&self, address: IpAddr) -> bool {
        [self.source, self.led_to].contains(&Some(address))
    }
}

/// `None` for a connection that is not wanted.
pub(crate) fn parse(payload: &[u8], is_wanted: impl Fn(&Ends) -> bool) -> Option<Connection> {
    let (mut named_by, mut ends) = (Vec::new(), Ends::default());
    for (kind, value) in Attributes::behind(payload, HEADER) {
        match kind {
            ORIGINAL => {
                ends.source = end(value, SOURCE);
                ends.target = end(value, TARGET);
                ends.port = port(value, TARGET_PORT);
            }
            REPLY => {
                ends.led_to = end(value, SOURCE);
                ends.led_to_port = port(value, SOURCE_PORT).map(|(_, port)| port);
                ends.answered = end(value, TARGET);
            }
            _ => {}
        }
        if matches!(kind, ORIGINAL | ID | ZONE) {
            named_by.push((kind, value.to_vec()));
        }
    }
    // Without its ends, the kernel would take it for a wish to forget all that there are.
    let has_name = named_by.iter().any(|(kind, _)| *kind == ORIGINAL);
    (has_name && is_wanted(&ends)).then_some(Connection { named_by })
}

/// One end of a direction, which has a number for each family.
fn end(direction: &[u8], numbers: [u16; 2]) -> Option<IpAddr> {
    let (_, ends) = Attributes::behind(direction, 0).find(|(kind, _)| *kind == ENDS)?;
    let mut ends = Attributes::behind(ends, 0);
    ends.find(|(kind, _)| numbers.contains(kind)).and_then(|(_, value)| address(value))
}

/// The protocol's number, and one of the two ports.
fn port(direction: &[u8], which: u16) -> Option<(u8, u16)> {
    let (_, transport) = Attributes::behind(direction, 0).find(|(kind, _)| *kind == TRANSPORT)?;
    let value = |wanted: u16| Attributes::behind(transport, 0).find(|(kind, _)| *kind == wanted);
    let (_, number) = value(NUMBER)?;
    let (_, port) = value(which)?;
    Some((*number.first()?, u16::from_be_bytes(port.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::octets;

    /// A connection from one end to another, of which answers come from a third.
    fn connection(from: &str, led_to: &str) -> Vec<u8> {
        let mut message = Message::list(GET, &[2, 0, 0, 0]);
        for (kind, text) in [(ORIGINAL, from), (REPLY, led_to)] {
            message.nest(kind, |direction| {
                direction.nest(ENDS, |ends| ends.put(SOURCE[0], &octets(text.parse().unwrap())));
            });
        }
        message.put_be32(ID, 7);
        message.payload().to_vec()
    }

    /// A connection as the kernel lists it, with its answers' ends.
    fn full(there: [&str; 2], back: [&str; 2], port: u16) -> Vec<u8> {
        let mut message = Message::list(GET, &[2, 0, 0, 0]);
        for (kind, [from, to]) in [(ORIGINAL, there), (REPLY, back)] {
            message.nest(kind, |direction| {
                direction.nest(ENDS, |ends| {
                    ends.put(SOURCE[0], &octets(from.parse().unwrap()));
                    ends.put(TARGET[0], &octets(to.parse().unwrap()));
                });
                direction.nest(TRANSPORT, |parts| {
                    parts.put(NUMBER, &[17]);
                    parts.put(TARGET_PORT, &port.to_be_bytes());
                });
            });
        }
        message.payload().to_vec()
    }

    #[test]
    fn pure_what_nobody_translates_is_told_by_the_ends_of_its_answers() {
        let from = ["10.99.0.2".parse().unwrap()];
        let found = |there: [&str; 2], back: [&str; 2], port| {
            parse(&full(there, back, port), |ends| untranslated(ends, &from, &[(Protocol::Udp, 53)]))
                .is_some()
        };
        let (container, outside, host) = ("10.99.0.2", "192.0.2.9", "192.0.2.1");
        assert!(found([container, outside], [outside, container], 80));
        assert!(!found([container, outside], [outside, host], 80), "masqueraded");
        assert!(found([outside, host], [host, outside], 53));
        assert!(found([outside, container], [container, outside], 80), "straight to it");
        assert!(!found([outside, host], [host, outside], 54), "another port of the host");
        assert!(!found([outside, host], [container, outside], 53), "led to a container");
        let whole = full([container, outside], [outside, container], 80);
        for cut in 0..whole.len() - 44 {
            assert!(parse(&whole[..cut], |ends| untranslated(ends, &from, &[])).is_none(), "{cut}");
        }
    }

    #[test]
    fn pure_a_connection_is_known_by_both_its_sources_and_named_by_its_beginning() {
        let wanted = "10.99.0.2".parse().unwrap();
        for (from, led_to, expected) in [
            ("10.99.0.2", "192.0.2.9", true),
            ("192.0.2.9", "10.99.0.2", true),
            ("192.0.2.9", "10.99.0.20", false),
        ] {
            let found = parse(&connection(from, led_to), |ends| ends.has_source(wanted));
            assert_eq!(found.is_some(), expected, "{from} {led_to}");
            let kinds = found.map(|one| one.named_by.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>());
            assert!(kinds.is_none_or(|kinds| kinds == [ORIGINAL, ID]));
        }
        let mut nameless = Message::list(GET, &[2, 0, 0, 0]);
        nameless.nest(REPLY, |direction| {
            direction.nest(ENDS, |ends| ends.put(SOURCE[0], &octets(wanted)));
        });
        assert!(
            parse(nameless.payload(), |ends| ends.has_source(wanted)).is_none(),
            "all would be forgotten"
        );
        let whole = connection("10.99.0.2", "192.0.2.9");
        for cut in 0..12 {
            assert!(parse(&whole[..cut], |ends| ends.has_source(wanted)).is_none(), "{cut}");
        }
    }
}
