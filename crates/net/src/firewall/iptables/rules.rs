//! What stands in the chains, made of the networks that there are.
//!
//! Two tables are used: `mangle`, where what is dropped is dropped whatever others allow, and `nat`. Nothing stands in
//! `filter`: no rule here lets pass what somebody else's rule or policy drops. The chains, by their endings:
//!
//! - `networks`, which no packet meets: what is known of each network, in comments. All else follows from it.
//! - `early`: what comes from a container for 127.0.0.0/8, or as if from there, ends. The bridge has `route_localnet`, without
//!   which the host's own 127.0.0.1 would reach no published port, and which would open the host's services there to
//!   containers.
//! - `crossing`, `entering`: networks are for themselves. Into one gets what answers, and what was led there; everything gets
//!   out of one, but of an internal one nothing.
//! - `arriving`: an internal network has nothing of the host but its bridge's own addresses, and not those that the bridge gave
//!   itself: whoever listens on all of the host's addresses, such as a name server, would ask the outside for it.
//! - `incoming`, `outgoing`, `hostports`, `ports`: what is for one of the host's addresses is led to a container where its port
//!   is published, at that address or at all of them; the loopback's addresses count only when they are used on the host
//!   itself, and ::1 not at all: the kernel routes no answer to it that comes from a link, so who asks there is refused at
//!   once and tries 127.0.0.1 next. A container that has port 53 of all addresses does not have those of networks, where
//!   their containers ask for names.
//! - `leaving`, `returning`: what leaves a network has an address that answers find back to.

use super::family::Family;
use super::names::Names;
use super::network::Network;
use std::fmt::Write as _;

pub(super) const MANGLE: &str = "mangle";
pub(super) const NAT: &str = "nat";

/// What is known of networks.
pub(super) const NETWORKS: &str = "networks";
/// Ports of one of the host's addresses, of all networks.
pub(super) const HOST_PORTS: &str = "hostports";
/// Ports of all of them.
pub(super) const PORTS: &str = "ports";
/// The chains that publications are in: nothing else is.
pub(super) const OF_PORTS: [&str; 2] = [HOST_PORTS, PORTS];
const EARLY: &str = "early";
const ARRIVING: &str = "arriving";
const CROSSING: &str = "crossing";
const ENTERING: &str = "entering";
const INCOMING: &str = "incoming";
const OUTGOING: &str = "outgoing";
const LEAVING: &str = "leaving";
const RETURNING: &str = "returning";

/// The chains of each table, by their endings.
pub(super) const CHAINS: [(&str, &[&str]); 2] = [
    (MANGLE, &[NETWORKS, EARLY, ARRIVING, CROSSING, ENTERING]),
    (NAT, &[INCOMING, OUTGOING, HOST_PORTS, PORTS, LEAVING, RETURNING]),
];

/// The longest ending, in bytes.
pub(super) const LONGEST: usize = 9;

/// A rule as it shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// In words, and behind them a number that another rule would not have: by it a rule is recognised, whatever a program of
    /// iptables(8) makes of its parts.
    pub(super) comment: String,
    /// Behind `-A CHAIN`.
    pub(super) text: String,
}

impl Rule {
    /// `parts` say which packets, `verdict` what becomes of them.
    fn new(parts: &str, words: &str, verdict: &str) -> Self {
        let comment = format!("{words} #{:08x}", fingerprint(&format!("{parts} {verdict}")));
        let text = format!("{parts} -m comment --comment \"{comment}\" {verdict}");
        Self { comment, text: text.trim().to_owned() }
    }

    /// A comment that stands for itself.
    pub(super) fn note(comment: String) -> Self {
        let text = format!("-m comment --comment \"{comment}\"");
        Self { comment, text }
    }
}

/// A chain of ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
}

/// The one rule of ours in a chain that the kernel has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Jump {
    pub(super) from: &'static str,
    /// Before others' rules, or behind them.
    pub(super) first: bool,
    pub(super) rule: Rule,
}

/// A table as it shall be, but for the ports.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) chains: Vec<Chain>,
    pub(super) jumps: Vec<Jump>,
}

/// Everything but the ports.
pub(super) fn tables(names: &Names, family: Family, networks: &[Network]) -> [Table; 2] {
    let name = |ending: &str| names.chain(ending);
    let chain = |ending: &str, rules| Chain { name: name(ending), rules };
    let jump = |from, first, ending: &str, words: &str| {
        let rule = Rule::new("", &format!("{} {words}", names.mark()), &format!("-j {}", name(ending)));
        Jump { from, first, rule }
    };
    let mut mangle = Table { name: MANGLE, chains: Vec::new(), jumps: Vec::new() };
    let notes = networks.iter().map(|network| Rule::note(network.note())).collect();
    mangle.chains.push(chain(NETWORKS, notes));
    if family == Family::V4 {
        mangle.chains.push(chain(EARLY, early(networks)));
        mangle.jumps.push(jump("PREROUTING", true, EARLY, "127.0.0.1 is the host's"));
    }
    mangle.chains.push(chain(ARRIVING, arriving(family, networks)));
    mangle.jumps.push(jump("INPUT", true, ARRIVING, "what of the host is for whom"));
    mangle.chains.push(chain(CROSSING, crossing(networks, &name(ENTERING))));
    mangle.chains.push(chain(ENTERING, entering()));
    mangle.jumps.push(jump("FORWARD", true, CROSSING, "who reaches whom"));
    let nat = Table {
        name: NAT,
        chains: vec![
            chain(INCOMING, incoming(family, names, networks)),
            chain(OUTGOING, outgoing(family, names, networks)),
            chain(LEAVING, leaving(networks, &name(RETURNING))),
            chain(RETURNING, returning(family, networks)),
        ],
        // Behind others' rules: whom they lead elsewhere, we do not.
        jumps: vec![
            jump("PREROUTING", false, INCOMING, "published ports"),
            jump("OUTPUT", false, OUTGOING, "published ports"),
            jump("POSTROUTING", false, LEAVING, "the way out"),
        ],
    };
    [mangle, nat]
}

fn early(networks: &[Network]) -> Vec<Rule> {
    let of = |Network { bridge, .. }: &Network| {
        let rule = |parts, words| Rule::new(&format!("-i {bridge} {parts}"), words, "-j DROP");
        [
            rule("-d 127.0.0.0/8", "the host's 127.0.0.1 is not for containers"),
            rule("-s 127.0.0.0/8", "nor is anybody there to be taken for it"),
        ]
    };
    networks.iter().flat_map(of).collect()
}

fn arriving(family: Family, networks: &[Network]) -> Vec<Rule> {
    // What networks say of themselves is no part of it.
    let icmp = family.icmp();
    let sealed = networks.iter().filter(|network| network.internal);
    let of = |network: &Network| {
        let from = format!("-i {} ! -p {icmp}", network.bridge);
        let own = network.subnets.iter().map(|subnet| {
            Rule::new(&format!("{from} -d {subnet}"), "the gateway of an internal network", "-j RETURN")
        });
        let rest = Rule::new(&from, "what else the host has is not for an internal network", "-j DROP");
        own.chain([rest]).collect::<Vec<_>>()
    };
    sealed.flat_map(of).collect()
}

fn crossing(networks: &[Network], entering: &str) -> Vec<Rule> {
    let within = networks.iter().map(|Network { bridge, .. }| {
        Rule::new(&format!("-i {bridge} -o {bridge}"), "within a network", "-j RETURN")
    });
    let sealed = networks.iter().filter(|network| network.internal).flat_map(|Network { bridge, .. }| {
        [
            Rule::new(&format!("-i {bridge}"), "out of an internal network", "-j DROP"),
            Rule::new(&format!("-o {bridge}"), "into an internal network", "-j DROP"),
        ]
    });
    let others = networks.iter().filter(|network| !network.internal).map(|Network { bridge, .. }| {
        Rule::new(&format!("-o {bridge}"), "into a network", &format!("-g {entering}"))
    });
    within.chain(sealed).chain(others).collect()
}

fn entering() -> Vec<Rule> {
    let state = |state| format!("-m conntrack --ctstate {state}");
    vec![
        Rule::new(&state("RELATED,ESTABLISHED"), "answers to a network", "-j RETURN"),
        Rule::new(&state("DNAT"), "published ports", "-j RETURN"),
        Rule::new("", "everything else", "-j DROP"),
    ]
}

/// To the host itself.
fn to_host(names: &Names, networks: &[Network]) -> Vec<Rule> {
    let lead = |ending: &str, words| {
        Rule::new("-m addrtype --dst-type LOCAL", words, &format!("-j {}", names.chain(ending)))
    };
    let asks = |subnet, protocol| {
        let parts = format!("-d {subnet} -p {protocol} -m {protocol} --dport 53");
        Rule::new(&parts, "the names of a network", "-j RETURN")
    };
    let subnets = networks.iter().flat_map(|network| &network.subnets);
    let asked = subnets.flat_map(|subnet| ["udp", "tcp"].map(|protocol| asks(subnet, protocol)));
    let first = lead(HOST_PORTS, "for one address of the host");
    [first].into_iter().chain(asked).chain([lead(PORTS, "for the host itself")]).collect()
}

fn incoming(family: Family, names: &Names, networks: &[Network]) -> Vec<Rule> {
    let neighbour = || {
        let words = "what is published on 127.0.0.1 is for the host alone";
        Rule::new("! -i lo -d 127.0.0.0/8", words, "-j RETURN")
    };
    (family == Family::V4).then(neighbour).into_iter().chain(to_host(names, networks)).collect()
}

fn outgoing(family: Family, names: &Names, networks: &[Network]) -> Vec<Rule> {
    let loopback = || Rule::new("-d ::1/128", "answers to ::1 would find no way back to it", "-j RETURN");
    (family == Family::V6).then(loopback).into_iter().chain(to_host(names, networks)).collect()
}

fn leaving(networks: &[Network], returning: &str) -> Vec<Rule> {
    let to_network = networks.iter().map(|Network { bridge, .. }| {
        Rule::new(&format!("-o {bridge}"), "to a container", &format!("-g {returning}"))
    });
    let to_itself = Rule::new("-o lo", "from the host to itself", "-j RETURN");
    let out = networks.iter().flat_map(|network| {
        let verdict = match network.source {
            Some(source) => format!("-j SNAT --to-source {source}"),
            None => "-j MASQUERADE".to_owned(),
        };
        let rule = move |subnet| Rule::new(&format!("-s {subnet}"), "from a network", &verdict);
        network.subnets.iter().map(rule)
    });
    to_network.chain([to_itself]).chain(out).collect()
}

fn returning(family: Family, networks: &[Network]) -> Vec<Rule> {
    let masquerade = |parts: &str, words| Rule::new(parts, words, "-j MASQUERADE");
    let host = || masquerade("-s 127.0.0.0/8", "from the host's 127.0.0.1 to a container");
    let by_port = networks.iter().flat_map(|network| &network.subnets).map(|subnet| {
        let parts = format!("-s {subnet} -m conntrack --ctstate DNAT");
        masquerade(&parts, "from a container by a published port to a container")
    });
    (family == Family::V4).then(host).into_iter().chain(by_port).collect()
}

/// A number of 32 bits that this text has, and others hardly (FNV-1a).
pub(super) fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// As iptables-restore(8) reads it: all of this table or nothing.
pub(super) fn script(table: &str, lines: &[String]) -> Vec<u8> {
    let mut text = format!("*{table}\n");
    for line in lines {
        // A text takes everything that is written to it.
        let _ = writeln!(text, "{line}");
    }
    text.push_str("COMMIT\n");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn network(number: u8, internal: bool) -> Network {
        Network {
            bridge: format!("br-{number}"),
            subnets: vec![format!("10.99.{number}.0/24").parse().unwrap()],
            source: None,
            internal,
        }
    }

    #[test]
    fn pure_chains_are_as_they_are_listed_and_comments_fit_and_differ() {
        let networks = [network(1, false), network(2, true)];
        let names = Names::of("tinyd-0a1b2c3d");
        for family in Family::BOTH {
            for (table, (listed, endings)) in tables(&names, family, &networks).iter().zip(CHAINS) {
                assert_eq!(table.name, listed);
                let absent = if family == Family::V6 { EARLY } else { "" };
                let expected =
                    endings.iter().filter(|ending| !OF_PORTS.contains(ending) && **ending != absent);
                let chains: Vec<_> = table.chains.iter().map(|chain| chain.name.clone()).collect();
                assert_eq!(chains, expected.map(|ending| names.chain(ending)).collect::<Vec<_>>());
                for chain in &table.chains {
                    let comments: HashSet<_> = chain.rules.iter().map(|rule| &rule.comment).collect();
                    assert_eq!(comments.len(), chain.rules.len(), "{chain:?}");
                }
                let rules = table.chains.iter().flat_map(|chain| &chain.rules);
                for rule in rules.chain(table.jumps.iter().map(|jump| &jump.rule)) {
                    // iptables(8) refuses longer ones.
                    assert!(rule.comment.len() < 256 && !rule.comment.contains('"'), "{rule:?}");
                }
            }
        }
        let longest = CHAINS.iter().flat_map(|(_, endings)| *endings).map(|ending| ending.len()).max();
        assert_eq!(longest, Some(LONGEST));
    }

    #[test]
    fn pure_an_internal_network_is_sealed_before_anybody_is_let_in() {
        let rules = crossing(&[network(1, false), network(2, true)], "entering");
        let place = |part: &str| rules.iter().position(|rule| rule.text.starts_with(part)).unwrap();
        assert!(place("-i br-2 -o br-2") < place("-i br-2 -m"));
        assert!(place("-i br-2 -m") < place("-o br-1 -m"));
        assert!(place("-o br-2 -m") < place("-o br-1 -m"));
        assert!(!rules.iter().any(|rule| rule.text.starts_with("-o br-2") && rule.text.contains("entering")));
    }
}
