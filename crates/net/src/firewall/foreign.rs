//! Rules of others that drop what networks forward, whatever ours say: a packet goes on only where every table lets it.
//!
//! Such rules are found, and said. None is changed, and no policy. Where a network asks for it, two marked rules of ours go to
//! the place that the others have for such rules, and away again with the network.

use super::iptables::family::Family;
use super::iptables::others::Filter;
use super::{Variant, nft};
use nft::others::Chain;
use std::fs;
use std::io;

/// The table of firewalld.
const FIREWALLD: &str = "firewalld";

/// Where packets end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wall {
    /// `the chain FORWARD of the table ip filter (Docker)`.
    pub(crate) words: String,
    /// What its owner has to be asked for to let a bridge's packets pass; `None` where there is a place for rules.
    pub(crate) remedy: Option<String>,
}

/// What would drop packets of a bridge, of IPv4 and of IPv6 as far as they are of concern. `mark` is in the comments of rules
/// that were added for it.
pub(crate) fn walls(mark: &str, bridge: &str, families: [bool; 2]) -> io::Result<Vec<Wall>> {
    let chains = nft::others::chains()?;
    let concerns = |chain: &&Chain| {
        let is_for = chain.is_for();
        (0..2).any(|index| is_for[index] && families[index])
    };
    let mut walls = Vec::new();
    for chain in chains.iter().filter(|chain| chain.drops && !chain.is_of_iptables()).filter(concerns) {
        let table = chain.in_words();
        let remedy = match chain.table.as_str() {
            FIREWALLD => format!(
                "firewall-cmd --permanent --zone=trusted --add-interface={bridge} && firewall-cmd --reload"
            ),
            _ => {
                let rule =
                    |side: &str| format!("nft insert rule {table} {} {side} {bridge} accept", chain.name);
                format!("{} && {}", rule("iifname"), rule("oifname"))
            }
        };
        let words = format!("the chain {} of the table {table}", chain.name);
        walls.push(Wall { words, remedy: Some(remedy) });
    }
    for filter in filters(&chains, families)? {
        if filter.drops() && !filter.lets_pass(mark, bridge) {
            let owner = filter.place().and_then(|place| place.owner);
            let owner = owner.map(|owner| format!(" ({owner})")).unwrap_or_default();
            walls.push(Wall { words: format!("{}{owner}", filter.in_words()), remedy: None });
        }
    }
    Ok(walls)
}

/// Whether a bridge's rules are wherever there is a place for them.
pub(crate) fn lets_pass(mark: &str, bridge: &str, families: [bool; 2]) -> io::Result<bool> {
    let chains = nft::others::chains()?;
    Ok(filters(&chains, families)?.iter().all(|filter| filter.lets_pass(mark, bridge)))
}

/// Adds a bridge's rules wherever there is a place for them.
pub(crate) fn let_pass(mark: &str, bridge: &str, families: [bool; 2]) -> io::Result<()> {
    let chains = nft::others::chains()?;
    filters(&chains, families)?.iter().try_for_each(|filter| filter.let_pass(mark, bridge))
}

/// Takes a bridge's rules away. Goes on past errors and gives the first.
pub(crate) fn take_back(mark: &str, bridge: &str) -> io::Result<()> {
    let chains = nft::others::chains()?;
    let taken = filters(&chains, [true; 2])?;
    taken.iter().map(|filter| filter.take_back(mark, bridge)).fold(Ok(()), Result::and)
}

/// The tables `filter` of iptables(8) that there are. None is made by looking.
fn filters(chains: &[Chain], families: [bool; 2]) -> io::Result<Vec<Filter>> {
    let mut all = Vec::new();
    for family in Family::BOTH.into_iter().filter(|family| families[family.index()]) {
        let is = |chain: &Chain| {
            chain.is_of_iptables() && chain.name == "FORWARD" && chain.is_for()[family.index()]
        };
        if chains.iter().any(is) {
            all.push(Filter::read(Variant::Nft, family)?);
        }
        if has_legacy(family) {
            all.push(Filter::read(Variant::Legacy, family)?);
        }
    }
    Ok(all)
}

/// Whether the kernel has the table in its older place.
fn has_legacy(family: Family) -> bool {
    let file = ["ip_tables_names", "ip6_tables_names"][family.index()];
    let names = fs::read_to_string(format!("/proc/thread-self/net/{file}"));
    names.is_ok_and(|names| names.lines().any(|name| name == "filter"))
}
