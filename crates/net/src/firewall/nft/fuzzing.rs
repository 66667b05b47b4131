//! What is read of messages about rules, for the crate's [`fuzzing`](crate::fuzzing).

use super::{element, others, present, wire};
use crate::firewall::Publication;
use crate::netlink::{Attributes, Part};

/// An element of a set: its key, what it leads to, and whether a range ends there.
pub type Element = (Vec<u8>, Option<Vec<u8>>, bool);

fn plain(element: element::Element) -> Element {
    (element.key, element.data, element.end)
}

/// The elements that a message holds.
pub fn elements(payload: &[u8]) -> Vec<Element> {
    element::parse(payload).into_iter().map(plain).collect()
}

/// A message that adds elements; `None` where they are too many for one.
pub fn with_elements(elements: &[Element]) -> Option<Vec<u8>> {
    let all = elements.iter().cloned().map(|(key, data, end)| element::Element { key, data, end });
    let message = element::add(Part::Make, "t", "s", &all.collect::<Vec<_>>());
    let payload = message.payload().to_vec();
    message.finish(0).is_ok().then_some(payload)
}

/// The published ports of a message, with the element that each was read of, and the one that is written for it.
pub fn publications(payload: &[u8]) -> Vec<(Publication, [Element; 2])> {
    let read = |element: element::Element| {
        let publication = element::publication(&element)?;
        let again = element::of_publication(&publication).1;
        Some((publication, [plain(element), plain(again)]))
    };
    element::parse(payload).into_iter().filter_map(read).collect()
}

/// A rule: its chain and its comment. And whether it takes every packet, whosever it is.
pub fn rule(payload: &[u8]) -> Option<(String, String, bool)> {
    let mut attributes = Attributes::behind(payload, wire::HEADER.len());
    let expressions = attributes.find(|(kind, _)| *kind == wire::rule::EXPRESSIONS);
    let drops = expressions.is_some_and(|(_, list)| others::drops_all(list));
    present::parse_rule(payload).map(|(chain, comment)| (chain, comment, drops))
}

/// A chain in words, and whether it is for IPv4 and for IPv6, and drops what is forwarded.
pub fn chain(payload: &[u8]) -> Option<(String, [bool; 2], bool)> {
    others::parse(payload).map(|(chain, _)| (chain.in_words(), chain.is_for(), chain.drops))
}
