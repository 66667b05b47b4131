//! What makes the table whole, and networks a part of it.

use super::batch::Batch;
use super::element::{self, Element};
use super::present::Present;
use super::schema::{self, CHAINS, SETS, Written};
use super::wire::{self, chain, kind, rule, set};
use crate::firewall::NetworkRules;
use crate::netlink::Part;

/// Makes whatever is missing of the table, its sets and chains, and all rules anew. Elements stay.
pub(super) fn table(batch: &mut Batch, table: &str, rules: &[Written]) {
    batch.push(format!("make the table inet {table}"), wire::part(Part::Ensure, kind::NEW_TABLE, table));
    for (set, number) in SETS.iter().zip(1..) {
        batch.push(format!("make the set {} in {table}", set.name), new_set(table, set, number));
    }
    for chain in &CHAINS {
        batch.push(format!("make the chain {} in {table}", chain.name), new_chain(table, chain));
    }
    // Rules jump to chains: these are emptied only when all are there.
    for chain in &CHAINS {
        let mut message = wire::part(Part::Change, kind::DEL_RULE, table);
        message.put_text(rule::CHAIN, chain.name);
        batch.push(format!("empty the chain {} of {table}", chain.name), message);
    }
    for written in rules {
        let mut message = wire::part(Part::Append, kind::NEW_RULE, table);
        message.put_text(rule::CHAIN, written.chain);
        message.nest(rule::EXPRESSIONS, |list| list.fixed(&written.expressions));
        message.put(rule::USERDATA, &comment(&written.comment));
        batch.push(format!("add the rule {:?} to {} of {table}", written.comment, written.chain), message);
    }
}

fn new_set(table: &str, wanted: &schema::Set, number: u32) -> crate::netlink::Message {
    let mut message = wire::part(Part::Ensure, kind::NEW_SET, table);
    message.put_text(set::NAME, wanted.name);
    let data = wanted.data();
    let flags = if wanted.ranges { set::INTERVAL } else { 0 } | if data.is_some() { set::MAP } else { 0 };
    message.put_be32(set::FLAGS, flags);
    let (sort, length) = wanted.key();
    message.put_be32(set::KEY_TYPE, sort);
    message.put_be32(set::KEY_LENGTH, length);
    if let Some((sort, length)) = data {
        message.put_be32(set::DATA_TYPE, sort);
        message.put_be32(set::DATA_LENGTH, length);
    }
    message.put_be32(set::ID, number);
    if let Some(order) = wanted.order() {
        let [one, two, three, four] = order.to_ne_bytes();
        // `NFTNL_UDATA_SET_KEYBYTEORDER`, its length, and it.
        message.put(set::USERDATA, &[0, 4, one, two, three, four]);
    }
    message
}

fn new_chain(table: &str, wanted: &schema::Chain) -> crate::netlink::Message {
    let mut message = wire::part(Part::Ensure, kind::NEW_CHAIN, table);
    message.put_text(chain::NAME, wanted.name);
    if let Some(hook) = wanted.hook {
        message.nest(chain::HOOK, |inner| {
            inner.put_be32(chain::HOOK_NUMBER, hook.number);
            inner.put_be32(chain::HOOK_PRIORITY, hook.priority.cast_unsigned());
        });
        // `NF_ACCEPT`
        message.put_be32(chain::POLICY, 1);
        message.put_text(chain::TYPE, hook.sort);
    }
    message
}

/// A comment as nft(8) keeps it: of the kind 0, with its length and its ending null.
fn comment(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len() + 1).unwrap_or(u8::MAX);
    let mut bytes = vec![0, length];
    bytes.extend(text.bytes().take(usize::from(length) - 1));
    bytes.push(0);
    bytes
}

/// Makes the network's elements what they shall be.
pub(super) fn network(batch: &mut Batch, table: &str, network: &NetworkRules, present: &Present) {
    let wanted = element::of_network(network);
    for (set, elements) in element::once_of_network(network) {
        let there: Vec<_> = elements.iter().filter_map(|one| present.find(set, one).cloned()).collect();
        let stays =
            wanted.iter().any(|(name, wanted)| *name == set && there.iter().all(|one| wanted.contains(one)));
        if !there.is_empty() && !stays {
            let what = format!("remove what {} was from {set} of {table}", network.bridge);
            batch.push(what, element::remove(table, set, &there));
        }
    }
    for (set, elements) in wanted {
        let there = |one: &Element| present.find(set, one).is_some_and(|found| found == one);
        if !elements.iter().all(there) {
            let what = format!("add the network of {} to {set} of {table}", network.bridge);
            batch.push(what, element::add(Part::Ensure, table, set, &elements));
        }
    }
}

/// Removes the network's elements, as far as they are there.
pub(super) fn without_network(batch: &mut Batch, table: &str, network: &NetworkRules, present: &Present) {
    let mut all = element::of_network(network);
    all.retain(|(set, _)| element::once_of_network(network).iter().all(|(once, _)| once != set));
    all.extend(element::once_of_network(network));
    for (set, elements) in all {
        let there: Vec<_> = elements.iter().filter_map(|one| present.find(set, one).cloned()).collect();
        if !there.is_empty() {
            let what = format!("remove the network of {} from {set} of {table}", network.bridge);
            batch.push(what, element::remove(table, set, &there));
        }
    }
}
