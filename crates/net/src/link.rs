//! Links, their addresses and routes, in one network namespace (rtnetlink(7)).
//!
//! A [`Links`] is a conversation with the kernel of one namespace. Each call is one message, which is done whole or not at all.

mod child;
mod elsewhere;
pub(crate) mod fuzzing;
mod route;
mod shape;
mod wire;

pub use child::{Child, ChildKind, IpvlanMode, MacvlanMode};
pub use route::Route;
pub use shape::Bucket;

use crate::netlink::{Attributes, Message, Socket, entered};
use crate::{Prefix, Undo};
use rustix::io::Errno;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use wire::{AddressHeader, LinkHeader, attribute, info, kind};
pub(crate) use wire::{address, family, octets};

/// The longest name of a link, in bytes.
pub const MAX_NAME: usize = 15;

/// The number of a link in its namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Index(pub(crate) u32);

/// A link that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub index: Index,
    /// Its name.
    pub name: String,
    /// Its kind, as `ip link` words it: `bridge`, `veth`; `None` for hardware and loopback.
    pub kind: Option<String>,
    /// Its hardware address, where it has one of six bytes.
    pub mac: Option<[u8; 6]>,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// The link that it is a part of: the bridge that it is a port of, a bond.
    pub master: Option<Index>,
    /// The link that it is made on, or the other end of a pair; a number of that link's namespace.
    pub parent: Option<Index>,
    /// What it sends to.
    pub hardware: Hardware,
    /// What somebody noted of it (`ip link set … alias …`).
    pub alias: Option<String>,
    /// It is switched on.
    pub is_up: bool,
}

/// What a link sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hardware {
    /// A network of Ethernet's kind.
    Ethernet,
    /// Its own host.
    Loopback,
    /// Something else, such as a tunnel: a number of linux/if_arp.h.
    Other(u16),
}

/// A pair of links of which one end is in another namespace.
#[derive(Clone, Copy, Debug)]
pub struct Veth<'a> {
    /// The name of the end in this namespace.
    pub name: &'a str,
    /// The bridge that this end becomes a port of.
    pub bridge: Index,
    /// Packets of the other end may go back to it: who uses a published port of its own needs that.
    pub hairpin: bool,
    /// The largest packet in bytes.
    pub mtu: u32,
    /// The name of the other end.
    pub peer: &'a str,
    /// The hardware address of the other end.
    pub mac: [u8; 6],
    /// The network namespace of the other end.
    pub netns: BorrowedFd<'a>,
}

/// The links of a network namespace.
pub struct Links(Socket);

impl Links {
    /// Those of this thread's namespace.
    ///
    /// # Errors
    /// The kernel's.
    pub fn here() -> io::Result<Self> {
        Ok(Self(Socket::open()?))
    }

    /// Those of another namespace. A thread enters it for a moment; this one stays where it is.
    ///
    /// # Errors
    /// The kernel's: `EPERM` without CAP_SYS_ADMIN over the namespace, `EINVAL` for a descriptor of something else.
    pub fn of(netns: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self(Socket::open_in(netns)?))
    }

    /// [`Links::of`], after the thread that enters the namespace has done some work there.
    ///
    /// # Errors
    /// The same; `work`'s.
    pub(crate) fn of_after(
        netns: BorrowedFd<'_>,
        work: impl FnOnce() -> io::Result<()> + Send,
    ) -> io::Result<Self> {
        let both = || {
            work().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            Socket::open()
        };
        Ok(Self(entered(netns, both)?))
    }

    /// The link of this name; `None` when there is none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn find(&mut self, name: &str) -> io::Result<Option<Link>> {
        let mut message = Message::get(kind::GET_LINK, &LinkHeader::default().bytes());
        message.put_text(attribute::NAME, name);
        match self.0.get(message, wire::parse_link) {
            Ok(link) => Ok(Some(link)),
            Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// All links.
    ///
    /// # Errors
    /// The kernel's.
    pub fn list(&mut self) -> io::Result<Vec<Link>> {
        let message = || Message::list(kind::GET_LINK, &LinkHeader::default().bytes());
        Ok(self.0.list(message, wire::parse_link)?)
    }

    /// Makes a bridge, switched on.
    ///
    /// # Errors
    /// `EEXIST` when there is a link of this name; the kernel's.
    pub fn make_bridge(&mut self, name: &str, mac: [u8; 6], mtu: u32) -> io::Result<()> {
        let mut message = Message::make(kind::NEW_LINK, &LinkHeader::up().bytes());
        message.put_text(attribute::NAME, name);
        message.put(attribute::MAC, &mac);
        message.put_u32(attribute::MTU, mtu);
        message.nest(attribute::INFO, |inner| inner.put_text(info::KIND, "bridge"));
        Ok(self.0.run(message)?)
    }

    /// Makes a pair: this end a port of its bridge and switched on, the other one in its namespace with its name and hardware
    /// address, still switched off: with two ends to be up, neither could be before the other.
    ///
    /// # Errors
    /// `EEXIST` when a name is taken, here or there; `EXFULL` when the bridge has no port left; the kernel's.
    pub fn make_veth(&mut self, veth: &Veth<'_>) -> io::Result<()> {
        let mut message = Message::make(kind::NEW_LINK, &LinkHeader::default().bytes());
        message.put_text(attribute::NAME, veth.name);
        message.put_u32(attribute::MTU, veth.mtu);
        message.put_u32(attribute::MASTER, veth.bridge.0);
        one_queue(&mut message);
        message.nest(attribute::INFO, |inner| {
            inner.put_text(info::KIND, "veth");
            inner.nest(info::DATA, |data| {
                data.nest(info::PEER, |peer| {
                    peer.fixed(&LinkHeader::default().bytes());
                    peer.put_text(attribute::NAME, veth.peer);
                    peer.put(attribute::MAC, &veth.mac);
                    peer.put_u32(attribute::MTU, veth.mtu);
                    peer.put_u32(attribute::NETNS_FD, veth.netns.as_raw_fd().cast_unsigned());
                    one_queue(peer);
                });
            });
        });
        self.0.run(message)?;
        let settled = self.settle_port(veth.name, veth.hairpin);
        if settled.is_err()
            && let Ok(Some(link)) = self.find(veth.name)
        {
            let _ = self.remove(link.index);
        }
        Ok(settled?)
    }

    /// Makes a link that is there a port of a bridge, switched on, as [`make_veth`](Self::make_veth) leaves it.
    ///
    /// # Errors
    /// `ENODEV` when one of them is gone; the kernel's.
    pub fn join_bridge(&mut self, name: &str, bridge: Index, hairpin: bool) -> io::Result<()> {
        let mut message = Message::change(kind::NEW_LINK, &LinkHeader::default().bytes());
        message.put_text(attribute::NAME, name);
        message.put_u32(attribute::MASTER, bridge.0);
        self.0.run(message)?;
        Ok(self.settle_port(name, hairpin)?)
    }

    fn settle_port(&mut self, name: &str, hairpin: bool) -> Result<(), Errno> {
        match self.0.run(settle_port(name, hairpin, true)) {
            // There is no IPv6 on it: the kernel has none, or the link's packets are too small for it.
            Err(Errno::AFNOSUPPORT) => self.0.run(settle_port(name, hairpin, false)),
            settled => settled,
        }
    }

    /// Tells a bridge which of its ports a hardware address is at, whatever it may have seen, or sees, from others: the namespace of
    /// whoever had the address before may still be there, and still answer.
    ///
    /// # Errors
    /// `ENODEV` when the port is gone, `EOPNOTSUPP` for a link that is none; the kernel's.
    pub fn pin(&mut self, port: Index, mac: [u8; 6]) -> io::Result<()> {
        let mut header = [0; wire::NEIGHBOUR_HEADER];
        header[0] = wire::AF_BRIDGE;
        header[4..8].copy_from_slice(&port.0.to_ne_bytes());
        header[8..10].copy_from_slice(&wire::NOT_LEARNED.to_ne_bytes());
        header[10] = wire::OF_MASTER | wire::STAYS;
        let mut message = Message::put_in_place(kind::NEW_NEIGHBOUR, &header);
        message.put(wire::NEIGHBOUR_MAC, &mac);
        Ok(self.0.run(message)?)
    }

    /// The link of a bridge that a hardware address is known to be at: it is that link's own, or was [told](Self::pin). The bridge
    /// has some itself. `None` for one that the bridge has seen at most.
    ///
    /// # Errors
    /// `ENODEV` when the bridge is gone; the kernel's.
    pub fn who_has(&mut self, bridge: Index, mac: [u8; 6]) -> io::Result<Option<Index>> {
        let mut header = [0; wire::NEIGHBOUR_HEADER];
        header[0] = wire::AF_BRIDGE;
        let mut message = Message::get(kind::GET_NEIGHBOUR, &header);
        message.put(wire::NEIGHBOUR_MAC, &mac);
        message.put_u32(wire::NEIGHBOUR_MASTER, bridge.0);
        match self.0.get(message, wire::parse_place) {
            Ok(place) => Ok(place),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Switches a link on.
    ///
    /// # Errors
    /// `ENODEV` when it is gone; the kernel's.
    pub fn switch_on(&mut self, link: Index) -> io::Result<()> {
        let header = LinkHeader { index: link.0, ..LinkHeader::up() };
        Ok(self.0.run(Message::change(kind::NEW_LINK, &header.bytes()))?)
    }

    /// Removes a link, and with one end of a pair the other. One that is gone already is removed.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(&mut self, link: Index) -> io::Result<()> {
        let header = LinkHeader { index: link.0, ..LinkHeader::default() };
        match self.0.run(Message::change(kind::DEL_LINK, &header.bytes())) {
            Ok(()) | Err(Errno::NODEV) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Gives a link an address, with the length of its subnet. A broadcast address goes with it, where IPv4 has one.
    ///
    /// # Errors
    /// `EEXIST` when it has it; the kernel's.
    pub fn add_address(&mut self, link: Index, address: Prefix) -> io::Result<()> {
        let header =
            AddressHeader { family: wire::family(address.address), length: address.length, link: link.0 };
        let mut message = Message::make(kind::NEW_ADDRESS, &header.bytes());
        let bytes = wire::octets(address.address);
        message.put(wire::ADDRESS, &bytes);
        message.put(wire::LOCAL, &bytes);
        if let IpAddr::V4(broadcast) = address.last()
            && address.length < 31
        {
            message.put(wire::BROADCAST, &broadcast.octets());
        }
        if address.address.is_ipv6() {
            // It is known to be nobody else's: without this it could not be used for a second or two.
            message.put_u32(wire::ADDRESS_FLAGS, wire::NO_DUPLICATE_CHECK);
        }
        Ok(self.0.run(message)?)
    }

    /// The addresses of all links, with the lengths of their subnets.
    ///
    /// # Errors
    /// The kernel's.
    pub fn addresses(&mut self) -> io::Result<Vec<(Index, Prefix)>> {
        let header = AddressHeader { family: 0, length: 0, link: 0 };
        Ok(self.0.list(|| Message::list(kind::GET_ADDRESS, &header.bytes()), wire::parse_address)?)
    }

    /// Forgets where an address is on a link, and drops the packets that wait for an answer from it: whoever gets the address next
    /// must not get them. One that nobody asked for is forgotten.
    ///
    /// # Errors
    /// The kernel's.
    pub fn forget_neighbour(&mut self, link: Index, address: IpAddr) -> io::Result<()> {
        let mut header = [0; wire::NEIGHBOUR_HEADER];
        header[0] = wire::family(address);
        header[4..8].copy_from_slice(&link.0.to_ne_bytes());
        let mut message = Message::change(kind::DEL_NEIGHBOUR, &header);
        message.put(wire::NEIGHBOUR, &wire::octets(address));
        match self.0.run(message) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sends through a gateway whatever no other route is for.
    ///
    /// # Errors
    /// `ENETUNREACH` when no address of the link has the gateway in its subnet, `EEXIST` when there is such a route.
    pub fn add_default_route(&mut self, link: Index, gateway: IpAddr) -> io::Result<()> {
        Ok(self.0.run(route::default_through(link, gateway))?)
    }

    /// Sends to a link whatever no other route is for, with no neighbour to send it to: for a link that finds the way itself.
    /// `six` is for IPv6.
    ///
    /// # Errors
    /// `EEXIST` when there is such a route; the kernel's.
    pub fn add_default_route_by_link(&mut self, link: Index, six: bool) -> io::Result<()> {
        Ok(self.0.run(route::default_by(link, six))?)
    }

    /// All routes of the main table, where packets leave this host's own addresses.
    ///
    /// # Errors
    /// The kernel's.
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        let mut all = self.all_routes()?;
        all.retain(|route| route.table == Route::MAIN);
        Ok(all)
    }

    /// The same of all tables, whatever rule they are for; only what is for this host itself is none of them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn all_routes(&mut self) -> io::Result<Vec<Route>> {
        Ok(self.0.list(route::list, route::parse)?)
    }
}

/// One queue each way, not one for each processor of the machine, of which the kernel makes files: nothing waits in a veth.
fn one_queue(end: &mut Message) {
    attribute::QUEUES.into_iter().for_each(|queues| end.put_u32(queues, 1));
}

/// What a new port of a bridge can be told only when it is there.
fn settle_port(name: &str, hairpin: bool, has_six: bool) -> Message {
    let mut message = Message::change(kind::NEW_LINK, &LinkHeader::up().bytes());
    message.put_text(attribute::NAME, name);
    // A port is spoken to by nobody: with an address of its own each would lengthen the host's routes.
    if has_six {
        message.nest(attribute::FAMILIES, |families| {
            families
                .nest(wire::AF_INET6.into(), |six| six.put(wire::GENERATED_ADDRESS, &[wire::NONE_GENERATED]));
        });
    }
    if hairpin {
        message.nest(attribute::INFO, |inner| {
            inner.put_text(info::PORT_KIND, "bridge");
            inner.nest(info::PORT_DATA, |data| data.put(wire::PORT_HAIRPIN, &[1]));
        });
    }
    message
}

fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    Some(str::from_utf8(bytes).ok()?.to_owned())
}

fn nested(value: &[u8]) -> Attributes<'_> {
    Attributes::behind(value, 0)
}

/// Takes a link out of another network namespace; one that is not there is no error.
///
/// # Errors
/// The kernel's.
pub fn remove_from(netns: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let mut links = Links::of(netns)?;
    match links.find(name)? {
        Some(link) => links.remove(link.index),
        None => Ok(()),
    }
}

/// The step that removes a link of this namespace, and with one end of a pair the other. One that is gone is no error.
///
/// # Errors
/// `InvalidInput` for a name that is too long for a message.
pub fn removal_step(name: &str) -> io::Result<Undo> {
    // 0 is `NETLINK_ROUTE`.
    Ok(Undo::Netlink { protocol: 0, packet: shape::removal(name)? })
}

/// Gives another network namespace its default routes, through a link of it: to these gateways, and for the family of a subnet
/// that has none to the link itself. One that it has stays.
///
/// # Errors
/// The kernel's: `NotFound` without the link.
pub fn lead_out(
    netns: BorrowedFd<'_>,
    name: &str,
    gateways: &[IpAddr],
    subnets: &[Prefix],
) -> io::Result<()> {
    let mut links = Links::of(netns)?;
    let link = links.find(name)?.ok_or(io::ErrorKind::NotFound)?.index;
    let unless_there = |made: io::Result<()>| match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    };
    for gateway in gateways {
        unless_there(links.add_default_route(link, *gateway))?;
    }
    for six in subnets.iter().map(|subnet| subnet.address.is_ipv6()) {
        if !gateways.iter().any(|gateway| gateway.is_ipv6() == six) {
            unless_there(links.add_default_route_by_link(link, six))?;
        }
    }
    Ok(())
}
