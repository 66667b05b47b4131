//! What is there.

use super::element::{self, Element};
use super::schema::{SETS, Written};
use super::wire::{self, kind};
use crate::netlink::{Attributes, Message, Socket, u32_at};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};

/// Sets of networks come before the maps of ports.
const OF_NETWORKS: usize = 7;

/// The rules and networks of the table at one moment.
pub(super) struct Present {
    /// The moment: a number that each change of the host's rules raises.
    pub(super) generation: u32,
    /// Each rule's chain and comment.
    rules: Vec<(String, String)>,
    elements: BTreeMap<&'static str, BTreeSet<Element>>,
}

impl Present {
    /// Reads it. A table that is not there has nothing in it. What changed while it was read is noticed by who names the
    /// generation with a batch.
    pub(super) fn read(socket: &mut Socket, table: &str) -> Result<Self, Errno> {
        let generation = generation(socket)?;
        let rules = socket.list(|| list_rules(table), parse_rule)?;
        let mut elements = BTreeMap::new();
        for set in SETS.iter().take(OF_NETWORKS) {
            elements.insert(set.name, self::elements(socket, table, set.name)?.into_iter().collect());
        }
        Ok(Self { generation, rules, elements })
    }

    /// Whether the rules are these. Each chain has its own order; the kernel lists chain by chain.
    pub(super) fn has_rules(&self, wanted: &[Written]) -> bool {
        let of = |chain: &str| {
            let there = self.rules.iter().filter(move |(name, _)| name == chain);
            there.map(|(_, comment)| comment.as_str()).collect::<Vec<_>>()
        };
        let expected = |chain: &str| {
            let rules = wanted.iter().filter(move |rule| rule.chain == chain);
            rules.map(|rule| rule.comment.as_str()).collect::<Vec<_>>()
        };
        self.rules.len() == wanted.len()
            && super::schema::CHAINS.iter().all(|chain| of(chain.name) == expected(chain.name))
    }

    /// The elements of a set.
    pub(super) fn of(&self, set: &str) -> impl Iterator<Item = &Element> {
        self.elements.get(set).into_iter().flatten()
    }

    /// The one with this key that ends a range, or the one that does not.
    pub(super) fn find(&self, set: &str, wanted: &Element) -> Option<&Element> {
        self.of(set).find(|there| (&there.key, there.end) == (&wanted.key, wanted.end))
    }
}

/// How many rules are in a chain to which none jumps; `None` where it is not there.
pub(super) fn uses(socket: &mut Socket, table: &str, chain: &str) -> Result<Option<u32>, Errno> {
    let mut message = Message::get(kind::GET_CHAIN, &wire::HEADER);
    message.put_text(wire::TABLE, table);
    message.put_text(wire::chain::NAME, chain);
    let read = |payload: &[u8]| {
        let mut attributes = Attributes::behind(payload, wire::HEADER.len());
        let (_, value) = attributes.find(|(kind, _)| *kind == wire::chain::USES)?;
        u32_at(value, 0).map(u32::from_be)
    };
    match socket.get(message, read) {
        Ok(count) => Ok(Some(count)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The elements of a set; none where there is no such set.
pub(super) fn elements(socket: &mut Socket, table: &str, set: &str) -> Result<Vec<Element>, Errno> {
    match socket.list(|| element::list(table, set), |payload| Some(element::parse(payload))) {
        Ok(lists) => Ok(lists.concat()),
        Err(Errno::NOENT) => Ok(Vec::new()),
        Err(errno) => Err(errno),
    }
}

/// The element of a set that has the key of this one.
pub(super) fn find(
    socket: &mut Socket,
    table: &str,
    set: &str,
    wanted: &Element,
) -> Result<Option<Element>, Errno> {
    match socket.get(element::get(table, set, wanted), |payload| element::parse(payload).into_iter().next()) {
        Ok(element) => Ok(Some(element)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn generation(socket: &mut Socket) -> Result<u32, Errno> {
    let message = Message::get(kind::GET_GENERATION, &[0; wire::HEADER.len()]);
    socket.get(message, |payload| {
        let mut attributes = Attributes::behind(payload, wire::HEADER.len());
        let (_, value) = attributes.find(|(kind, _)| *kind == wire::GENERATION)?;
        u32_at(value, 0).map(u32::from_be)
    })
}

fn list_rules(table: &str) -> Message {
    let mut message = Message::list(kind::GET_RULE, &wire::HEADER);
    message.put_text(wire::TABLE, table);
    message
}

/// A rule without a comment is none of ours, and has an empty one.
pub(super) fn parse_rule(payload: &[u8]) -> Option<(String, String)> {
    let (mut chain, mut comment) = (None, String::new());
    for (kind, value) in Attributes::behind(payload, wire::HEADER.len()) {
        match kind {
            wire::rule::CHAIN => chain = text(value),
            wire::rule::USERDATA => comment = value.get(2..).and_then(text).unwrap_or_default(),
            _ => {}
        }
    }
    Some((chain?, comment))
}

fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    Some(str::from_utf8(bytes).ok()?.to_owned())
}
