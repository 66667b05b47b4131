//! The messages of D-Bus, as far as systemd is talked to with them (D-Bus Specification, "Message Protocol").
//!
//! What is written is little-endian. What is read may be either, and no length in it is believed: each is checked
//! against the bytes that are there, and what is larger than [`LARGEST`] is not read at all.

mod message;
#[cfg(test)]
pub(super) mod oracle;
mod reader;
mod signature;
mod value;
mod writer;

pub(super) use message::{Body, Call, FIXED, Kind, Message, length};
pub(super) use reader::Reader;
pub(super) use value::Value;
pub(super) use writer::Writer;

/// The largest message that is read. The specification allows 128 MiB; what systemd says of jobs has some hundred bytes,
/// and its longest signals some ten thousand.
pub(super) const LARGEST: usize = 1 << 20;

/// What is wrong with bytes that were to be a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

type Read<T> = std::result::Result<T, Malformed>;

/// The next multiple of an alignment, which is a power of two.
fn aligned(at: usize, alignment: usize) -> usize {
    at.next_multiple_of(alignment)
}
