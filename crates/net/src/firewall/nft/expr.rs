//! What a rule says, expression by expression, in the words of nft(8).
//!
//! A rule is a program: each expression loads a register, compares one, or gives the verdict. Where nft(8) writes the same
//! rule it loads the same registers, so that it can read ours back.

use super::wire::{ONE, VALUE, VERDICT};
use crate::netlink::{Message, Part};
use std::net::Ipv6Addr;

/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const NAME: u16 = 1;
const DATA: u16 = 2;

/// Registers of 16 bytes (`NFT_REG_1`, `NFT_REG_2`) and of 4 (`NFT_REG32_…`): the first of 16 is the same as four of 4.
pub(super) mod register {
    pub(crate) const VERDICT: u32 = 0;
    pub(crate) const FIRST: u32 = 1;
    pub(crate) const SECOND: u32 = 2;
    /// The second and third 4 bytes.
    pub(crate) const WORD_1: u32 = 9;
    pub(crate) const WORD_2: u32 = 10;
    /// The 4 bytes behind [`SECOND`]'s first.
    pub(crate) const WORD_5: u32 = 13;
}
use register::FIRST;

/// `NFT_META_…`
const IN_NAME: u32 = 6;
const OUT_NAME: u32 = 7;
const FAMILY: u32 = 15;
const PROTOCOL: u32 = 16;

/// `IPPROTO_ICMP` and `IPPROTO_ICMPV6`: what networks say of themselves, neighbours among it.
const ICMP: [u8; 2] = [1, 58];

/// `NFT_CT_STATE`, `NFT_CT_STATUS` and what is looked for in them.
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
const ESTABLISHED_OR_RELATED: u32 = 0x2 | 0x4;
const SOURCE_CHANGED: u32 = 0x10;
const DESTINATION_CHANGED: u32 = 0x20;

/// The family of a packet, as `NFPROTO_IPV4` and `NFPROTO_IPV6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4 = 2,
    V6 = 10,
}

impl Family {
    /// How long an address is.
    fn length(self) -> u32 {
        if self == Self::V4 { 4 } else { 16 }
    }

    fn source_at(self) -> u32 {
        if self == Self::V4 { 12 } else { 8 }
    }

    fn destination_at(self) -> u32 {
        if self == Self::V4 { 16 } else { 24 }
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop,
    Accept,
    Return,
    Jump(&'static str),
}

/// The expressions of a rule, as they stand in its message.
pub(super) struct Rule(Message);

impl Rule {
    pub(super) fn new() -> Self {
        // Its attributes are copied into a rule's message: this one is never sent.
        Self(Message::part(Part::Change, 0, &[]))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.payload()
    }

    fn add(mut self, name: &str, fill: impl FnOnce(&mut Message)) -> Self {
        self.0.nest(ONE, |one| {
            one.put_text(NAME, name);
            one.nest(DATA, fill);
        });
        self
    }

    fn meta(self, key: u32, register: u32) -> Self {
        self.add("meta", |data| {
            data.put_be32(1, register);
            data.put_be32(2, key);
        })
    }

    /// `base` is 1 for the network's header and 2 for the transport's.
    fn payload(self, base: u32, offset: u32, length: u32, register: u32) -> Self {
        self.add("payload", |data| {
            for (kind, value) in [(1, register), (2, base), (3, offset), (4, length)] {
                data.put_be32(kind, value);
            }
        })
    }

    fn compare(self, equal: bool, value: &[u8]) -> Self {
        self.add("cmp", |data| {
            data.put_be32(1, FIRST);
            data.put_be32(2, u32::from(!equal));
            data.nest(3, |inner| inner.put(VALUE, value));
        })
    }

    fn lookup(self, set: &str, into: Option<u32>) -> Self {
        self.add("lookup", |data| {
            data.put_text(1, set);
            data.put_be32(2, FIRST);
            if let Some(register) = into {
                data.put_be32(3, register);
            }
        })
    }

    /// Some of these bits are set in the first register. What netfilter counts itself is in the machine's order.
    fn any_bit(self, bits: u32) -> Self {
        let masked = self.add("bitwise", |data| {
            for (kind, value) in [(1, FIRST), (2, FIRST), (3, 4)] {
                data.put_be32(kind, value);
            }
            data.nest(4, |mask| mask.put(VALUE, &bits.to_ne_bytes()));
            data.nest(5, |xor| xor.put(VALUE, &[0; 4]));
        });
        masked.compare(false, &[0; 4])
    }

    fn family(self, family: Family) -> Self {
        self.meta(FAMILY, FIRST).compare(true, &[family as u8])
    }

    /// `iifname @set`
    pub(super) fn iif_in(self, set: &str) -> Self {
        self.meta(IN_NAME, FIRST).lookup(set, None)
    }

    /// `oifname @set`
    pub(super) fn oif_in(self, set: &str) -> Self {
        self.meta(OUT_NAME, FIRST).lookup(set, None)
    }

    /// `iifname . oifname @set`
    pub(super) fn between(self, set: &str) -> Self {
        self.meta(IN_NAME, FIRST).meta(OUT_NAME, register::SECOND).lookup(set, None)
    }

    /// `iifname != "lo"`
    pub(super) fn iif_not_loopback(self) -> Self {
        self.meta(IN_NAME, FIRST).compare(false, &super::element::link("lo"))
    }

    /// `oifname "lo"`
    pub(super) fn oif_loopback(self) -> Self {
        self.meta(OUT_NAME, FIRST).compare(true, &super::element::link("lo"))
    }

    /// `ip daddr 127.0.0.0/8`
    pub(super) fn daddr_127(self) -> Self {
        self.family(Family::V4).payload(1, Family::V4.destination_at(), 1, FIRST).compare(true, &[127])
    }

    /// `ip saddr 127.0.0.0/8`
    pub(super) fn saddr_127(self) -> Self {
        self.family(Family::V4).payload(1, Family::V4.source_at(), 1, FIRST).compare(true, &[127])
    }

    /// `ip6 daddr ::1`
    pub(super) fn daddr_v6_loopback(self) -> Self {
        self.destination(Family::V6).compare(true, &Ipv6Addr::LOCALHOST.octets())
    }

    fn destination(self, family: Family) -> Self {
        self.family(family).payload(1, family.destination_at(), family.length(), FIRST)
    }

    fn source(self, family: Family) -> Self {
        self.family(family).payload(1, family.source_at(), family.length(), FIRST)
    }

    /// `ip saddr @set`
    pub(super) fn source_in(self, family: Family, set: &str) -> Self {
        self.source(family).lookup(set, None)
    }

    /// `ip daddr @set`
    pub(super) fn destination_in(self, family: Family, set: &str) -> Self {
        self.destination(family).lookup(set, None)
    }

    /// `th dport 53`
    pub(super) fn port_of_names(self) -> Self {
        self.payload(2, 2, 2, FIRST).compare(true, &53u16.to_be_bytes())
    }

    /// `snat ip to ip saddr map @map`
    pub(super) fn source_from(self, family: Family, map: &str) -> Self {
        self.source(family).lookup(map, Some(FIRST)).nat(0, family, None)
    }

    /// `fib daddr type local`: the packet is for one of the host's own addresses.
    pub(super) fn daddr_local(self) -> Self {
        self.daddr_is_local(true, 0)
    }

    /// `fib daddr . iif type != local`: it is for none of the addresses of the link by which it came.
    pub(super) fn daddr_not_of_iif(self) -> Self {
        // `NFTA_FIB_F_IIF`
        self.daddr_is_local(false, 8)
    }

    fn daddr_is_local(self, expected: bool, flags: u32) -> Self {
        let looked = self.add("fib", |data| {
            // The type (`NFT_FIB_RESULT_ADDRTYPE`) of the destination (`NFTA_FIB_F_DADDR`).
            for (kind, value) in [(1, FIRST), (2, 3), (3, 2 | flags)] {
                data.put_be32(kind, value);
            }
        });
        // `RTN_LOCAL`
        looked.compare(expected, &2u32.to_ne_bytes())
    }

    /// `ip6 daddr fe80::/16`: of the addresses that a link gives itself, those that there are.
    pub(super) fn daddr_v6_link_local(self) -> Self {
        self.family(Family::V6).payload(1, Family::V6.destination_at(), 2, FIRST).compare(true, &[0xfe, 0x80])
    }

    /// `meta l4proto != icmp meta l4proto != ipv6-icmp`
    pub(super) fn not_icmp(self) -> Self {
        ICMP.iter().fold(self, |rule, number| rule.meta(PROTOCOL, FIRST).compare(false, &[*number]))
    }

    /// `dnat ip to meta l4proto . th dport map @map`
    pub(super) fn lead_by_port(self, family: Family, map: &str) -> Self {
        let loaded = self.meta(PROTOCOL, FIRST).payload(2, 2, 2, register::WORD_1);
        loaded.lookup(map, Some(FIRST)).nat(1, family, Some(port_of(family)))
    }

    /// `dnat ip to ip daddr . meta l4proto . th dport map @map`
    pub(super) fn lead_by_address_and_port(self, family: Family, map: &str) -> Self {
        let (protocol, port) = match family {
            Family::V4 => (register::WORD_1, register::WORD_2),
            Family::V6 => (register::SECOND, register::WORD_5),
        };
        let loaded = self.destination(family).meta(PROTOCOL, protocol).payload(2, 2, 2, port);
        loaded.lookup(map, Some(FIRST)).nat(1, family, Some(port_of(family)))
    }

    /// The kind is 0 for the source and 1 for the destination; the address is in the first register.
    fn nat(self, kind: u32, family: Family, port: Option<u32>) -> Self {
        self.add("nat", |data| {
            for (attribute, value) in [(1, kind), (2, family as u32), (3, FIRST)] {
                data.put_be32(attribute, value);
            }
            if let Some(register) = port {
                data.put_be32(5, register);
            }
        })
    }

    /// `masquerade`
    pub(super) fn masquerade(self) -> Self {
        self.add("masq", |_| {})
    }

    /// `ct state established,related`
    pub(super) fn established(self) -> Self {
        self.connection(CT_STATE).any_bit(ESTABLISHED_OR_RELATED)
    }

    /// `ct status snat`: of a connection of which it is the answer, or which it belongs to.
    pub(super) fn source_changed(self) -> Self {
        self.connection(CT_STATUS).any_bit(SOURCE_CHANGED)
    }

    /// `ct status dnat`
    pub(super) fn destination_changed(self) -> Self {
        self.connection(CT_STATUS).any_bit(DESTINATION_CHANGED)
    }

    fn connection(self, key: u32) -> Self {
        self.add("ct", |data| {
            data.put_be32(1, FIRST);
            data.put_be32(2, key);
        })
    }

    pub(super) fn verdict(self, verdict: Verdict) -> Self {
        // `NF_DROP`, `NF_ACCEPT`, `NFT_RETURN`, `NFT_JUMP`.
        let (code, chain) = match verdict {
            Verdict::Drop => (0, None),
            Verdict::Accept => (1, None),
            Verdict::Return => (-5i32, None),
            Verdict::Jump(chain) => (-3, Some(chain)),
        };
        self.add("immediate", |data| {
            data.put_be32(1, register::VERDICT);
            data.nest(2, |inner| {
                inner.nest(VERDICT, |verdict| {
                    verdict.put_be32(1, code.cast_unsigned());
                    if let Some(chain) = chain {
                        verdict.put_text(2, chain);
                    }
                });
            });
        })
    }
}

/// Where the port stands behind an address that was looked up.
fn port_of(family: Family) -> u32 {
    if family == Family::V4 { register::WORD_1 } else { register::SECOND }
}
