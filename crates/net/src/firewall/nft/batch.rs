//! Changes that are made together or not at all.

use super::wire;
use crate::netlink::{Message, Refused, Socket};
use rustix::io::Errno;
use std::io;

/// Something was not done.
#[derive(Debug, thiserror::Error)]
#[error("nftables: cannot {what}")]
pub(super) struct NotDone {
    /// The operation and its object, as they follow `cannot`.
    pub(super) what: String,
    #[source]
    pub(super) source: io::Error,
}

impl NotDone {
    pub(super) fn new(what: impl Into<String>, errno: Errno) -> Self {
        Self { what: what.into(), source: errno.into() }
    }
}

impl From<NotDone> for io::Error {
    fn from(error: NotDone) -> Self {
        Self::new(error.source.kind(), error)
    }
}

/// Which part of a batch was refused, and why.
#[derive(Debug)]
pub(super) struct PartRefused {
    /// Its place in the batch; `None` for the batch as such.
    pub(super) index: Option<usize>,
    pub(super) errno: Errno,
    what: String,
}

impl From<PartRefused> for NotDone {
    fn from(refused: PartRefused) -> Self {
        Self::new(refused.what, refused.errno)
    }
}

/// Changes in their order, each with what it does in words that follow `cannot`.
#[derive(Default)]
pub(super) struct Batch(Vec<(String, Message)>);

impl Batch {
    pub(super) fn push(&mut self, what: impl Into<String>, message: Message) {
        self.0.push((what.into(), message));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has all of it done, provided that the host's rules are still of this generation: `ERESTART` where they are not.
    pub(super) fn send(self, socket: &mut Socket, generation: Option<u32>) -> Result<(), PartRefused> {
        self.ended_by(wire::begin(generation), Some(wire::end()), socket)
    }

    /// Asks whether all of it would be done: a batch without an end is looked at and forgotten.
    pub(super) fn try_out(self, socket: &mut Socket) -> Result<(), PartRefused> {
        self.ended_by(wire::begin(None), None, socket)
    }

    fn ended_by(self, begin: Message, end: Option<Message>, socket: &mut Socket) -> Result<(), PartRefused> {
        let (texts, parts): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        let messages = [begin].into_iter().chain(parts).chain(end).collect();
        socket.batch(messages).map_err(|Refused { index, errno }| {
            // The first message is the beginning of the batch.
            let index = index.checked_sub(1).filter(|index| *index < texts.len());
            let what = index.and_then(|index| texts.into_iter().nth(index));
            PartRefused { index, errno, what: what.unwrap_or_else(|| "change the rules".to_owned()) }
        })
    }

    /// As one packet, for whoever sends it without reading an answer.
    pub(super) fn packet(self) -> Result<Vec<u8>, Errno> {
        let parts = self.0.into_iter().map(|(_, message)| message);
        let mut packet = Vec::new();
        for (message, sequence) in [wire::begin(None)].into_iter().chain(parts).chain([wire::end()]).zip(1..)
        {
            packet.extend(message.finish(sequence)?);
        }
        Ok(packet)
    }
}
