//! Connections that the kernel remembers (ctnetlink).
//!
//! It keeps what it translated for a while after both ends are gone: up to minutes, of UDP as long as somebody goes on
//! sending. When an address is given to another container meanwhile, what was meant for the old one reaches the new one.

use crate::link::{address, family};
use crate::netlink::{Attributes, Message, Socket};
use rustix::io::Errno;
use std::io;
use std::net::IpAddr;
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
/// `CTA_TUPLE_IP`, and in it `CTA_IP_V4_SRC` and `CTA_IP_V6_SRC`.
const ENDS: u16 = 1;
const V4_SOURCE: u16 = 1;
const V6_SOURCE: u16 = 3;

/// `struct nfgenmsg`.
const HEADER: usize = 4;

fn header(address: IpAddr) -> [u8; HEADER] {
    [family(address), 0, 0, 0]
}

/// A connection: what is needed to name it.
struct Connection {
    /// Attributes of which the kernel knows it again.
    named_by: Vec<(u16, Vec<u8>)>,
}

/// Forgets connections that an address was an end of: those that it began, and those that were led to it. Gives their number.
/// What the address's host had with others under its own addresses stays.
///
/// # Errors
/// The kernel's: `EPERM` without CAP_NET_ADMIN.
pub fn purge(address: IpAddr) -> io::Result<usize> {
    forget(&mut Socket::open_netfilter(None)?, address)
}

/// [`purge`] in another network namespace. A thread enters it for a moment.
///
/// # Errors
/// The kernel's.
pub fn purge_in(netns: BorrowedFd<'_>, address: IpAddr) -> io::Result<usize> {
    forget(&mut Socket::open_netfilter(Some(netns))?, address)
}

fn forget(socket: &mut Socket, address: IpAddr) -> io::Result<usize> {
    let header = header(address);
    let found = match socket.list(|| Message::list(GET, &header), |payload| parse(payload, address)) {
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

/// `None` for a connection that has nothing to do with the address.
fn parse(payload: &[u8], wanted: IpAddr) -> Option<Connection> {
    let (mut named_by, mut is_wanted) = (Vec::new(), false);
    for (kind, value) in Attributes::behind(payload, HEADER) {
        match kind {
            ORIGINAL | REPLY => is_wanted |= source(value) == Some(wanted),
            _ => {}
        }
        if matches!(kind, ORIGINAL | ID | ZONE) {
            named_by.push((kind, value.to_vec()));
        }
    }
    is_wanted.then_some(Connection { named_by })
}

/// Who sends in one direction.
fn source(direction: &[u8]) -> Option<IpAddr> {
    let (_, ends) = Attributes::behind(direction, 0).find(|(kind, _)| *kind == ENDS)?;
    let mut ends = Attributes::behind(ends, 0);
    ends.find(|(kind, _)| matches!(*kind, V4_SOURCE | V6_SOURCE)).and_then(|(_, value)| address(value))
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
                direction.nest(ENDS, |ends| ends.put(V4_SOURCE, &octets(text.parse().unwrap())));
            });
        }
        message.put_be32(ID, 7);
        message.payload().to_vec()
    }

    #[test]
    fn pure_a_connection_is_known_by_both_its_sources_and_named_by_its_beginning() {
        let wanted = "10.99.0.2".parse().unwrap();
        for (from, led_to, expected) in [
            ("10.99.0.2", "192.0.2.9", true),
            ("192.0.2.9", "10.99.0.2", true),
            ("192.0.2.9", "10.99.0.20", false),
        ] {
            let found = parse(&connection(from, led_to), wanted);
            assert_eq!(found.is_some(), expected, "{from} {led_to}");
            let kinds = found.map(|one| one.named_by.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>());
            assert!(kinds.is_none_or(|kinds| kinds == [ORIGINAL, ID]));
        }
        let whole = connection("10.99.0.2", "192.0.2.9");
        for cut in 0..12 {
            assert!(parse(&whole[..cut], wanted).is_none(), "{cut}");
        }
    }
}
