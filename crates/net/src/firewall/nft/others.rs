//! Others' chains that packets meet when they are forwarded, and whether they end there.

use super::batch::NotDone;
use super::wire::{ONE, TABLE, VERDICT, chain, kind, rule};
use crate::netlink::{Attributes, Message, Socket, u32_at};
use rustix::io::Errno;
use std::io;

/// `struct nfgenmsg`.
const HEADER: usize = 4;
/// `NF_INET_FORWARD`
const FORWARD: u32 = 2;
/// `NF_DROP`, as a policy and as a verdict.
const DROP: u32 = 0;
/// `NFPROTO_INET`, `NFPROTO_IPV4`, `NFPROTO_IPV6`.
const INET: u8 = 1;
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// Attributes of an expression (`NFTA_EXPR_…`), and of a few kinds of them.
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
const IMMEDIATE_DATA: u16 = 2;
const VERDICT_CODE: u16 = 1;
/// `NFTA_TARGET_NAME`, `NFTA_MATCH_NAME`.
const EXTENSION_NAME: u16 = 1;

/// A chain of anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::firewall) struct Chain {
    family: u8,
    pub(in crate::firewall) table: String,
    pub(in crate::firewall) name: String,
    /// Packets that are forwarded meet it by itself, and what none of its rules lets pass ends there.
    pub(in crate::firewall) drops: bool,
}

impl Chain {
    /// It is for packets of IPv4, and for those of IPv6.
    pub(in crate::firewall) fn is_for(&self) -> [bool; 2] {
        [[INET, IPV4].contains(&self.family), [INET, IPV6].contains(&self.family)]
    }

    /// As nft(8) words it: `ip filter`.
    pub(in crate::firewall) fn in_words(&self) -> String {
        let family = match self.family {
            IPV4 => "ip",
            IPV6 => "ip6",
            _ => "inet",
        };
        format!("{family} {}", self.table)
    }

    pub(in crate::firewall) fn is_of_iptables(&self) -> bool {
        self.table == "filter" && self.family != INET
    }
}

/// All chains of tables for IPv4, IPv6 and both. A kernel without nf_tables has none.
pub(in crate::firewall) fn chains() -> io::Result<Vec<Chain>> {
    let failed = |errno| NotDone::new("list the chains of all tables", errno);
    let mut socket = match Socket::open_netfilter(None) {
        Err(Errno::PROTONOSUPPORT) => return Ok(Vec::new()),
        socket => socket.map_err(failed)?,
    };
    let message = || Message::list(kind::GET_CHAIN, &[0; HEADER]);
    let mut all = match socket.list(message, parse) {
        Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(Vec::new()),
        all => all.map_err(failed)?,
    };
    for (chain, is_forward) in &mut all {
        if *is_forward && !chain.drops {
            chain.drops = ends_with_drop(&mut socket, chain).map_err(failed)?;
        }
    }
    Ok(all.into_iter().map(|(chain, _)| chain).collect())
}

/// A chain, and whether what is forwarded meets it.
pub(super) fn parse(payload: &[u8]) -> Option<(Chain, bool)> {
    let family = *payload.first()?;
    if ![INET, IPV4, IPV6].contains(&family) {
        return None;
    }
    let (mut table, mut name, mut hook, mut drops, mut filters) = (None, None, None, false, false);
    for (kind, value) in Attributes::behind(payload, HEADER) {
        match kind {
            TABLE => table = text(value),
            chain::NAME => name = text(value),
            chain::HOOK => hook = number(value, chain::HOOK_NUMBER),
            chain::POLICY => drops = u32_at(value, 0).map(u32::from_be) == Some(DROP),
            chain::TYPE => filters = text(value).as_deref() == Some("filter"),
            _ => {}
        }
    }
    let is_forward = hook == Some(FORWARD) && filters;
    Some((Chain { family, table: table?, name: name?, drops: drops && is_forward }, is_forward))
}

fn ends_with_drop(socket: &mut Socket, chain: &Chain) -> Result<bool, Errno> {
    let message = || {
        let mut message = Message::list(kind::GET_RULE, &[chain.family, 0, 0, 0]);
        message.put_text(TABLE, &chain.table);
        message.put_text(rule::CHAIN, &chain.name);
        message
    };
    let read = |payload: &[u8]| {
        let mut attributes = Attributes::behind(payload, HEADER);
        // (A kernel may list rules of other chains too.)
        let of = Attributes::behind(payload, HEADER).find(|(kind, _)| *kind == rule::CHAIN)?;
        let expressions = attributes.find(|(kind, _)| *kind == rule::EXPRESSIONS);
        (text(of.1)? == chain.name).then(|| expressions.is_some_and(|(_, list)| drops_all(list)))
    };
    Ok(socket.list(message, read)?.last().copied().unwrap_or(false))
}

/// Whether a rule is for all packets and none goes on behind it.
pub(super) fn drops_all(expressions: &[u8]) -> bool {
    let mut drops = false;
    for (kind, expression) in Attributes::behind(expressions, 0) {
        let part = |wanted| Attributes::behind(expression, 0).find(|(kind, _)| *kind == wanted);
        let Some(name) = part(EXPRESSION_NAME).and_then(|(_, name)| text(name)) else { return false };
        let data = part(EXPRESSION_DATA).map(|(_, data)| data).unwrap_or_default();
        let extension = || {
            let (_, name) = Attributes::behind(data, 0).find(|(kind, _)| *kind == EXTENSION_NAME)?;
            text(name)
        };
        match name.as_str() {
            _ if kind != ONE => return false,
            "counter" | "log" | "limit" => {}
            "match" if extension().as_deref() == Some("comment") => {}
            "reject" => drops = true,
            "target" if extension().as_deref() == Some("REJECT") => drops = true,
            "immediate" => drops = verdict(data) == Some(DROP),
            _ => return false,
        }
    }
    drops
}

fn verdict(immediate: &[u8]) -> Option<u32> {
    let (_, data) = Attributes::behind(immediate, 0).find(|(kind, _)| *kind == IMMEDIATE_DATA)?;
    let (_, verdict) = Attributes::behind(data, 0).find(|(kind, _)| *kind == VERDICT)?;
    number(verdict, VERDICT_CODE)
}

fn number(nest: &[u8], wanted: u16) -> Option<u32> {
    let (_, value) = Attributes::behind(nest, 0).find(|(kind, _)| *kind == wanted)?;
    u32_at(value, 0).map(u32::from_be)
}

fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
    Some(str::from_utf8(bytes).ok()?.to_owned())
}
