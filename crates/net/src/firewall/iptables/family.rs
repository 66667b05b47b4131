//! The two families, each with programs and rules of its own.

use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::firewall) enum Family {
    V4,
    V6,
}

impl Family {
    pub(in crate::firewall) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(in crate::firewall) fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(in crate::firewall) fn index(self) -> usize {
        usize::from(self == Self::V6)
    }

    /// What its programs' names begin with.
    pub(super) fn program(self) -> &'static str {
        ["iptables", "ip6tables"][self.index()]
    }

    /// The protocol by which networks speak of themselves.
    pub(super) fn icmp(self) -> &'static str {
        ["icmp", "ipv6-icmp"][self.index()]
    }

    /// As it follows an address that has no length of its own.
    pub(super) fn whole(self) -> &'static str {
        ["/32", "/128"][self.index()]
    }
}
