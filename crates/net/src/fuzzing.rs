//! What the fuzz targets of `fuzz/` call: the readers of what other hosts, plugins and the kernel said. No part of any
//! interface.

pub use crate::cni::fuzzing::{Facts, Got, attachment, got, plan, record, refusal, result, versions};
pub use crate::firewall::nft::fuzzing::{Element, chain, elements, publications, rule, with_elements};
pub use crate::link::fuzzing::{address, link, number, route};
pub use crate::names::fuzzing::{Asked, entry, resolv_conf};

use crate::netlink::{Attributes, Message, Replies, Reply};

/// What a message of the kernel's is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Something of this kind.
    Item(u16, Vec<u8>),
    /// It was done; or the number of an error.
    Answer(Result<(), i32>),
    /// The end of a list.
    Done,
}

/// The messages of a packet that answer one of `count` requests, of which `first` is the first one's number; each with the
/// place of its request among them.
pub fn replies(packet: &[u8], first: u32, count: u32) -> Vec<(u32, Said)> {
    let (mut replies, mut all) = (Replies::to_batch(packet, first, count), Vec::new());
    while let Some(reply) = replies.next() {
        let said = match reply {
            Reply::Item { kind, payload } => Said::Item(kind, payload.to_vec()),
            Reply::Answer(answer) => Said::Answer(answer.map_err(rustix::io::Errno::raw_os_error)),
            Reply::Done => Said::Done,
        };
        all.push((replies.answered, said));
    }
    all
}

/// The attributes behind the first bytes of a payload.
pub fn attributes(payload: &[u8], fixed: usize) -> Vec<(u16, Vec<u8>)> {
    Attributes::behind(payload, fixed).map(|(kind, value)| (kind, value.to_vec())).collect()
}

/// A message with these attributes, without anything before them; `None` where one is too long to be said.
pub fn with_attributes(attributes: &[(u16, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut message = Message::get(0, &[]);
    attributes.iter().for_each(|(kind, value)| message.put(*kind, value));
    let payload = message.payload().to_vec();
    message.finish(0).is_ok().then_some(payload)
}

/// By what the kernel is told to forget a connection, if it can be told.
pub fn connection(payload: &[u8]) -> Option<Vec<(u16, Vec<u8>)>> {
    crate::conntrack::parse(payload, |_| true).map(|connection| connection.named_by)
}
