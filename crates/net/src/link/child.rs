//! Links that share the hardware of another one: macvlan and ipvlan.

use super::wire::{LinkHeader, attribute, info, kind};
use super::{Index, Links};
use crate::netlink::Message;
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// A link in another namespace that sends and receives by one of this namespace.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// Its name.
    pub name: &'a str,
    /// The link of this namespace that it sends by.
    pub parent: Index,
    /// Its kind, and how it meets its siblings.
    pub kind: ChildKind,
    /// Its hardware address; the kernel chooses one where it is `None`. An ipvlan has its parent's.
    pub mac: Option<[u8; 6]>,
    /// The largest packet in bytes; its parent's where it is `None`.
    pub mtu: Option<u32>,
    /// Its network namespace.
    pub netns: BorrowedFd<'a>,
}

/// The kind of a link that shares its parent's hardware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// It has a hardware address of its own.
    Macvlan(MacvlanMode),
    /// It has its parent's hardware address, and is known by its addresses of IPv4 and IPv6.
    Ipvlan(IpvlanMode),
}

/// How macvlans of one parent meet (`MACVLAN_MODE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacvlanMode {
    /// Never.
    Private,
    /// By a switch outside that sends packets back where they came from (IEEE 802.1Qbg).
    Vepa,
    /// Directly.
    Bridge,
    /// There is one alone, which has the parent to itself.
    Passthru,
}

/// Who finds the way for ipvlans of one parent (`IPVLAN_MODE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvlanMode {
    /// Each for itself, on the parent's network.
    L2,
    /// The parent's namespace, by its routes; no broadcasts.
    L3,
    /// The same, and through the rules of its firewall.
    L3s,
}

/// `IFLA_MACVLAN_MODE` and `IFLA_IPVLAN_MODE`.
const MODE: u16 = 1;

impl ChildKind {
    /// The kernel's word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Macvlan(_) => "macvlan",
            Self::Ipvlan(_) => "ipvlan",
        }
    }

    fn put(self, message: &mut Message) {
        message.nest(attribute::INFO, |inner| {
            inner.put_text(info::KIND, self.word());
            inner.nest(info::DATA, |data| match self {
                Self::Macvlan(mode) => data.put_u32(MODE, mode.number()),
                Self::Ipvlan(mode) => data.put(MODE, &mode.number().to_ne_bytes()),
            });
        });
    }
}

impl fmt::Display for ChildKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl MacvlanMode {
    fn number(self) -> u32 {
        match self {
            Self::Private => 1,
            Self::Vepa => 2,
            Self::Bridge => 4,
            Self::Passthru => 8,
        }
    }
}

impl IpvlanMode {
    fn number(self) -> u16 {
        match self {
            Self::L2 => 0,
            Self::L3 => 1,
            Self::L3s => 2,
        }
    }
}

impl Links {
    /// Makes a link in another namespace that sends by one of this. It is switched off, and was never anywhere else: no name
    /// of this namespace is in its way.
    ///
    /// # Errors
    /// `EEXIST` when the name is taken there; `EOPNOTSUPP` when the kernel has no such kind; `EBUSY` when the parent is
    /// another driver's, such as a port of a bridge; `EINVAL` when it is the loopback device, or one that another macvlan
    /// has to itself; the kernel's.
    pub fn make_child(&mut self, child: &Child<'_>) -> io::Result<()> {
        let mut message = Message::make(kind::NEW_LINK, &LinkHeader::default().bytes());
        message.put_text(attribute::NAME, child.name);
        message.put_u32(attribute::PARENT, child.parent.0);
        message.put_u32(attribute::NETNS_FD, child.netns.as_raw_fd().cast_unsigned());
        if let Some(mac) = &child.mac {
            message.put(attribute::MAC, mac);
        }
        if let Some(mtu) = child.mtu {
            message.put_u32(attribute::MTU, mtu);
        }
        child.kind.put(&mut message);
        Ok(self.0.run(message)?)
    }

    /// Whether the kernel has this kind of link. Its module is loaded where it lies on the disk; no link is made.
    ///
    /// # Errors
    /// The kernel's: `EPERM` without CAP_NET_ADMIN.
    pub fn has_kind(&mut self, kind: ChildKind) -> io::Result<bool> {
        // One that lacks its parent: a kernel that knows the kind misses that, one that does not says so first.
        let mut message = Message::make(kind::NEW_LINK, &LinkHeader::default().bytes());
        kind.put(&mut message);
        match self.0.run(message) {
            Ok(()) | Err(Errno::INVAL) => Ok(true),
            Err(Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }
}
