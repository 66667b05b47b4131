//! What stands in the table: sets and maps that networks and ports are elements of, and rules that name none of them.
//!
//! So a packet meets the same rules whether one container runs or a thousand do, and a container that starts changes
//! elements alone. No name here is a word of nft(8)'s language, so that `nft list table` prints what nft(8) can read.
//!
//! The rules, in the order of a packet's way:
//!
//! - `incoming`, `outgoing`: what is for one of the host's addresses is led to a container where its port is published; the
//!   loopback's addresses count only when they are used on the host itself, and ::1 not at all: the kernel routes no answer
//!   to it that comes from a link, so who asks there is refused at once and tries 127.0.0.1 next. A container that has port 53
//!   of all addresses does not have those of networks, where their containers ask for names.
//! - `crossing`: networks are for themselves. Into one gets what answers, and what was led there; everything gets out of one,
//!   but of an internal one nothing.
//! - `arriving`: an internal network has nothing of the host but its bridge's own addresses, and not those that the bridge gave
//!   itself: whoever listens on all of the host's addresses, such as a name server, would ask the outside for it.
//! - `loopback`: the bridge has `route_localnet`, without which the host's own 127.0.0.1 would reach no published port, and
//!   which would open the host's services there to containers. For 127.0.0.0/8 comes from a container what answers a call from
//!   there, which left by another address, and nothing else. As if from there comes nothing, nor does it go on (`crossing`).
//! - `leaving`: what leaves a network has an address that answers find back to.

use super::expr::{Family, Rule, Verdict};
use std::fmt::Write as _;

/// A set or map.
pub(super) struct Set {
    pub(super) name: &'static str,
    /// Numbers of nft(8)'s types, in their order in a key; it needs them to print elements.
    key: &'static [Type],
    data: &'static [Type],
    /// Its keys are ranges.
    pub(super) ranges: bool,
}

/// A type of nft(8) (its `enum datatypes`).
#[derive(Clone, Copy)]
enum Type {
    V4 = 7,
    V6 = 8,
    Protocol = 12,
    Port = 13,
    Link = 41,
}

impl Type {
    fn length(self) -> u32 {
        match self {
            Self::V6 | Self::Link => 16,
            Self::V4 => 4,
            Self::Protocol => 1,
            Self::Port => 2,
        }
    }
}

/// What nft(8) calls a chain of types, and how long it is: each but a lone one fills whole words.
fn joined(types: &[Type]) -> (u32, u32) {
    let number = types.iter().fold(0, |number, one| number << 6 | *one as u32);
    let length = match types {
        [one] => one.length(),
        more => more.iter().map(|one| one.length().next_multiple_of(4)).sum(),
    };
    (number, length)
}

impl Set {
    /// In whose order a lone part is written: 1 for the machine's, 2 for the wire's. nft(8) needs that to print it.
    pub(super) fn order(&self) -> Option<u32> {
        match self.key {
            [Type::Link] => Some(1),
            [_] => Some(2),
            _ => None,
        }
    }

    pub(super) fn key(&self) -> (u32, u32) {
        joined(self.key)
    }

    /// `None` for a set.
    pub(super) fn data(&self) -> Option<(u32, u32)> {
        (!self.data.is_empty()).then(|| joined(self.data))
    }
}

/// The links that containers are behind.
pub(super) const BRIDGES: &str = "bridges";
/// Those of internal networks.
pub(super) const SEALED: &str = "sealed";
/// Each bridge with itself.
pub(super) const PAIRS: &str = "pairs";
/// The ranges of networks.
pub(super) const SUBNETS: [&str; 2] = ["subnets4", "subnets6"];
/// The addresses that what leaves them shall have.
pub(super) const SOURCES: [&str; 2] = ["sources4", "sources6"];
/// Ports of all of the host's addresses.
pub(super) const PORTS: [&str; 2] = ["ports4", "ports6"];
/// Ports of one of them.
pub(super) const HOST_PORTS: [&str; 2] = ["hostports4", "hostports6"];

/// All sets, in the order in which they are made.
pub(super) const SETS: [Set; 11] = {
    use Type::{Link, Port, Protocol, V4, V6};
    const fn set(name: &'static str, key: &'static [Type], data: &'static [Type]) -> Set {
        Set { name, key, data, ranges: false }
    }
    const fn ranges(name: &'static str, key: &'static [Type], data: &'static [Type]) -> Set {
        Set { name, key, data, ranges: true }
    }
    [
        set(BRIDGES, &[Link], &[]),
        set(SEALED, &[Link], &[]),
        set(PAIRS, &[Link, Link], &[]),
        ranges(SUBNETS[0], &[V4], &[]),
        ranges(SUBNETS[1], &[V6], &[]),
        ranges(SOURCES[0], &[V4], &[V4]),
        ranges(SOURCES[1], &[V6], &[V6]),
        set(PORTS[0], &[Protocol, Port], &[V4, Port]),
        set(PORTS[1], &[Protocol, Port], &[V6, Port]),
        set(HOST_PORTS[0], &[V4, Protocol, Port], &[V4, Port]),
        set(HOST_PORTS[1], &[V6, Protocol, Port], &[V6, Port]),
    ]
};

/// A chain, and where packets meet it.
pub(super) struct Chain {
    pub(super) name: &'static str,
    /// `None` for one that others jump to.
    pub(super) hook: Option<Hook>,
}

/// A place on the way of packets.
#[derive(Clone, Copy)]
pub(super) struct Hook {
    /// `filter`, `nat`.
    pub(super) sort: &'static str,
    /// `NF_INET_…`
    pub(super) number: u32,
    pub(super) priority: i32,
}

const PREROUTING: u32 = 0;
const INPUT: u32 = 1;
const FORWARD: u32 = 2;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;

/// The chain that says who reaches whom, and how many rules it has.
pub(super) const CROSSING: &str = "crossing";
pub(super) const RULES_OF_CROSSING: u32 = 7;

/// All chains; one that is jumped to stands before those that do.
pub(super) const CHAINS: [Chain; 7] = {
    const fn at(name: &'static str, sort: &'static str, number: u32, priority: i32) -> Chain {
        Chain { name, hook: Some(Hook { sort, number, priority }) }
    }
    [
        Chain { name: "published", hook: None },
        Chain { name: "loopback", hook: None },
        // The priorities that nft(8) calls dstnat, srcnat and filter.
        at("incoming", "nat", PREROUTING, -100),
        at("outgoing", "nat", OUTPUT, -100),
        at("leaving", "nat", POSTROUTING, 100),
        at("arriving", "filter", INPUT, 0),
        at(CROSSING, "filter", FORWARD, 0),
    ]
};

/// A rule, with what is written beside it.
pub(super) struct Written {
    pub(super) chain: &'static str,
    /// In words, and behind them a number that another rule would not have: by it a rule is recognised.
    pub(super) comment: String,
    pub(super) expressions: Vec<u8>,
}

/// All rules, each chain's in their order.
pub(super) fn rules() -> Vec<Written> {
    let mut all = Vec::new();
    let mut add = |chain: &'static str, comment: &str, rule: Rule| {
        let expressions = rule.bytes().to_vec();
        let mut comment = comment.to_owned();
        // A text takes everything that is written to it.
        let _ = write!(comment, " #{:08x}", fingerprint(&expressions));
        all.push(Written { chain, comment, expressions });
    };
    translations(&mut add);
    ways(&mut add);
    all
}

/// Who gets which address.
fn translations(add: &mut impl FnMut(&'static str, &str, Rule)) {
    use Family::{V4, V6};
    let new = Rule::new;
    for (family, index) in [(V4, 0), (V6, 1)] {
        let rule = new().lead_by_address_and_port(family, HOST_PORTS[index]);
        add("published", "ports of one address of the host", rule);
        let names = new().port_of_names().destination_in(family, SUBNETS[index]).verdict(Verdict::Return);
        add("published", "the names of a network", names);
        add("published", "ports of all of them", new().lead_by_port(family, PORTS[index]));
    }
    let neighbour = new().iif_not_loopback().daddr_127().verdict(Verdict::Return);
    add("incoming", "what is published on 127.0.0.1 is for the host alone", neighbour);
    let loopback = new().daddr_v6_loopback().verdict(Verdict::Return);
    add("outgoing", "answers to ::1 would find no way back to it", loopback);
    for chain in ["incoming", "outgoing"] {
        add(chain, "for the host itself", new().daddr_local().verdict(Verdict::Jump("published")));
    }
    let to_bridge = || new().oif_in(BRIDGES);
    add("leaving", "from the host's 127.0.0.1 to a container", to_bridge().saddr_127().masquerade());
    for (family, index) in [(V4, 0), (V6, 1)] {
        let rule = to_bridge().destination_changed().source_in(family, SUBNETS[index]).masquerade();
        add("leaving", "from a container by a published port to a container", rule);
    }
    add("leaving", "everything else to a container", to_bridge().verdict(Verdict::Return));
    add("leaving", "from the host to itself", new().oif_loopback().verdict(Verdict::Return));
    for (family, index) in [(V4, 0), (V6, 1)] {
        let rule = new().source_from(family, SOURCES[index]);
        add("leaving", "from a network that has an address to leave with", rule);
        let rule = new().source_in(family, SUBNETS[index]).masquerade();
        add("leaving", "from a network", rule);
    }
}

/// Who reaches whom. Every packet meets these rules, once on its way: what most of them fail is asked first, and a set only of
/// the others.
fn ways(add: &mut impl FnMut(&'static str, &str, Rule)) {
    use Verdict::{Accept, Drop};
    let new = Rule::new;
    let answers = new().established().source_changed().verdict(Accept);
    add("loopback", "what answers a call from the host's 127.0.0.1", answers);
    add("loopback", "which is not for containers", new().verdict(Drop));
    // What has gone on before is no better: the host calls itself at these addresses, and who takes one could answer.
    for chain in ["arriving", CROSSING] {
        let pretended = new().saddr_127().iif_in(BRIDGES).verdict(Drop);
        add(chain, "no container is to be taken for the host's 127.0.0.1", pretended);
    }
    let called = new().daddr_127().iif_in(BRIDGES).verdict(Verdict::Jump("loopback"));
    add("arriving", "for the host's 127.0.0.1", called);
    add("arriving", "what goes on", new().established().verdict(Accept));
    let from_sealed = || new().iif_in(SEALED).not_icmp();
    for (comment, rule) in [
        ("what else the host has is not for an internal network", from_sealed().daddr_not_of_iif()),
        ("nor is what listens everywhere", from_sealed().daddr_v6_link_local()),
    ] {
        add("arriving", comment, rule.verdict(Drop));
    }
    // Its first packet was let through: what began while there were no rules is forgotten when they come back.
    add(CROSSING, "what goes on", new().established().verdict(Accept));
    add(CROSSING, "within a network", new().between(PAIRS).verdict(Accept));
    add(CROSSING, "out of an internal network", new().iif_in(SEALED).verdict(Drop));
    add(CROSSING, "into an internal network", new().oif_in(SEALED).verdict(Drop));
    let to_bridge = || new().oif_in(BRIDGES);
    add(CROSSING, "published ports", to_bridge().destination_changed().verdict(Accept));
    add(CROSSING, "into a network", to_bridge().verdict(Drop));
}

/// A number of 32 bits that these bytes have, and others hardly (FNV-1a).
fn fingerprint(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn pure_types_are_numbered_as_nft_does() {
        let set = |name: &str| SETS.into_iter().find(|set| set.name == name).unwrap();
        // From `nft --debug=mnl`.
        assert_eq!(set(PAIRS).key(), (0xa69, 32));
        assert_eq!(set(SUBNETS[1]).key(), (8, 16));
        assert_eq!(set(PORTS[0]).key(), (0x30d, 8));
        assert_eq!(set(HOST_PORTS[1]).data(), Some((0x20d, 20)));
        assert_eq!(set(BRIDGES).data(), None);
    }

    #[test]
    fn pure_each_rule_has_a_comment_of_its_own_that_fits() {
        let rules = rules();
        let comments: HashSet<_> = rules.iter().map(|rule| (rule.chain, rule.comment.clone())).collect();
        assert_eq!(comments.len(), rules.len());
        let crossing = rules.iter().filter(|rule| rule.chain == CROSSING).count();
        assert_eq!(u32::try_from(crossing), Ok(RULES_OF_CROSSING));
        // nft(8) refuses longer ones.
        assert!(rules.iter().all(|rule| rule.comment.len() < 128));
        for rule in &rules {
            assert!(CHAINS.iter().any(|chain| chain.name == rule.chain), "{}", rule.chain);
        }
    }
}
