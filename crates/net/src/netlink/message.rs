//! What is sent.

use rustix::io::Errno;

/// `NLM_F_REQUEST` of linux/netlink.h: every message to the kernel has it.
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`: say whether it was done.
const ACK: u16 = 0x4;
/// `NLM_F_ROOT | NLM_F_MATCH`: all that there are.
const DUMP: u16 = 0x300;
/// `NLM_F_CREATE | NLM_F_EXCL`: make it, and do not take one that is there.
const NEW: u16 = 0x600;

/// `NLM_F_REPLACE`: change what is there.
const REPLACE: u16 = 0x100;
/// `NLM_F_CREATE`: make it where it is not there.
const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: behind those that are there.
const APPEND: u16 = 0x800;

/// `NLA_F_NESTED`: this attribute holds attributes.
const NESTED: u16 = 0x8000;

/// Length, type, flags, sequence number and port.
const HEADER: usize = 16;

/// What a part of a batch does, which is acknowledged with its batch and not by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Changes or removes.
    Change,
    /// Makes something that must not be there yet.
    Make,
    /// Makes something, or finds that it is there.
    Ensure,
    /// Makes something as the last of its kind.
    Append,
}

/// A message that is being written: a header, the family's fixed part, and attributes.
pub(crate) struct Message {
    bytes: Vec<u8>,
    /// An attribute was longer than its length can say.
    too_long: bool,
}

impl Message {
    fn new(kind: u16, flags: u16, fixed: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(fixed);
        let mut message = Self { bytes, too_long: false };
        message.pad();
        message
    }

    /// To change or remove something.
    pub(crate) fn change(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, ACK, fixed)
    }

    /// To make something that must not be there yet.
    pub(crate) fn make(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, ACK | NEW, fixed)
    }

    /// To make something in the place of what is there.
    pub(crate) fn put_anew(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, ACK | NEW | REPLACE, fixed)
    }

    /// To make something, or to change it where it is there.
    pub(crate) fn put_in_place(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, ACK | CREATE | REPLACE, fixed)
    }

    /// To learn of one thing.
    pub(crate) fn get(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, 0, fixed)
    }

    /// To learn of all of a kind.
    pub(crate) fn list(kind: u16, fixed: &[u8]) -> Self {
        Self::new(kind, DUMP, fixed)
    }

    /// A part of a batch.
    pub(crate) fn part(part: Part, kind: u16, fixed: &[u8]) -> Self {
        let flags = match part {
            Part::Change => 0,
            Part::Make => NEW,
            Part::Ensure => CREATE,
            Part::Append => CREATE | APPEND,
        };
        Self::new(kind, flags, fixed)
    }

    /// Has it acknowledged.
    pub(super) fn acknowledged(&mut self) {
        let flags = u16::from_ne_bytes([self.bytes[6], self.bytes[7]]) | ACK;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    }

    /// Adds an attribute.
    pub(crate) fn put(&mut self, kind: u16, value: &[u8]) {
        let start = self.open(kind);
        self.bytes.extend(value);
        self.close(start);
    }

    /// Adds a number in the machine's order.
    pub(crate) fn put_u32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_ne_bytes());
    }

    /// Adds a number in the order of the wire, as all of netfilter has it.
    pub(crate) fn put_be32(&mut self, kind: u16, value: u32) {
        self.put(kind, &value.to_be_bytes());
    }

    /// Adds a text with its ending null.
    pub(crate) fn put_text(&mut self, kind: u16, text: &str) {
        let start = self.open(kind);
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
        self.close(start);
    }

    /// Adds an attribute that holds others, or a family's fixed part and others.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let start = self.open(kind | NESTED);
        fill(self);
        self.close(start);
    }

    /// What is behind the header.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[HEADER..]
    }

    /// Adds bytes that stand before nested attributes.
    pub(crate) fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.pad();
    }

    /// The bytes to be sent.
    ///
    /// # Errors
    /// `EMSGSIZE` when an attribute is longer than 65,535 bytes.
    pub(crate) fn finish(mut self, sequence: u32) -> Result<Vec<u8>, Errno> {
        let length = u32::try_from(self.bytes.len()).map_err(|_| Errno::MSGSIZE)?;
        if self.too_long {
            return Err(Errno::MSGSIZE);
        }
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        debug_assert!(self.bytes.len() >= HEADER);
        Ok(self.bytes)
    }

    fn open(&mut self, kind: u16) -> usize {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        start
    }

    /// Writes the attribute's length, which does not count the padding behind it.
    fn close(&mut self, start: usize) {
        match u16::try_from(self.bytes.len() - start) {
            Ok(length) => self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes()),
            Err(_) => self.too_long = true,
        }
        self.pad();
    }

    /// Everything begins at a multiple of four.
    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::reply::u16_at;
    use super::*;

    #[test]
    fn pure_attributes_are_aligned_and_their_lengths_are_their_own() {
        let mut message = Message::make(16, &[7; 5]);
        message.put_text(3, "eth0");
        message.nest(18, |inner| inner.put(1, &[9]));
        let bytes = message.finish(5).unwrap();
        let mut expected = vec![];
        expected.extend(48u32.to_ne_bytes());
        expected.extend(16u16.to_ne_bytes());
        expected.extend(0x605u16.to_ne_bytes());
        expected.extend(5u32.to_ne_bytes());
        expected.extend([0; 4]);
        expected.extend([7, 7, 7, 7, 7, 0, 0, 0]);
        expected.extend(9u16.to_ne_bytes());
        expected.extend(3u16.to_ne_bytes());
        expected.extend(b"eth0\0\0\0\0");
        expected.extend(12u16.to_ne_bytes());
        expected.extend(0x8012u16.to_ne_bytes());
        expected.extend(5u16.to_ne_bytes());
        expected.extend(1u16.to_ne_bytes());
        expected.extend([9, 0, 0, 0]);
        assert_eq!(bytes.len(), 48);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn pure_a_part_is_acknowledged_when_that_is_asked_for_alone() {
        let flags = |message: Message| u16_at(&message.finish(0).unwrap(), 6).unwrap();
        let parts = [(Part::Change, 1), (Part::Make, 0x601), (Part::Ensure, 0x401), (Part::Append, 0xc01)];
        for (part, expected) in parts {
            assert_eq!(flags(Message::part(part, 16, &[])), expected, "{part:?}");
            let mut message = Message::part(part, 16, &[]);
            message.acknowledged();
            assert_eq!(flags(message), expected | 4, "{part:?}");
        }
    }

    #[test]
    fn pure_an_attribute_that_is_too_long_is_an_error_and_not_a_shorter_one() {
        let mut message = Message::change(16, &[]);
        message.put(1, &[0; 65_531]);
        assert!(message.finish(0).is_ok());
        let mut message = Message::change(16, &[]);
        message.put(1, &[0; 65_532]);
        assert_eq!(message.finish(0), Err(Errno::MSGSIZE));
    }
}
