//! Marshalling: values into bytes, each at its alignment.

use super::aligned;

/// Bytes that begin at a multiple of eight in the message.
#[derive(Debug, Default)]
pub(in crate::systemd) struct Writer(Vec<u8>);

impl Writer {
    pub(in crate::systemd) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    pub(in crate::systemd) fn align(&mut self, alignment: usize) {
        self.0.resize(aligned(self.0.len(), alignment), 0);
    }

    pub(in crate::systemd) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(in crate::systemd) fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    pub(in crate::systemd) fn u64(&mut self, value: u64) {
        self.align(8);
        self.0.extend(value.to_le_bytes());
    }

    /// A string or the path of an object.
    pub(in crate::systemd) fn text(&mut self, text: &str) {
        self.u32(size(text.len()));
        self.0.extend(text.as_bytes());
        self.byte(0);
    }

    /// A signature, which is one of this crate's own: shorter than 256 bytes.
    pub(in crate::systemd) fn signature(&mut self, signature: &str) {
        self.byte(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.0.extend(signature.as_bytes());
        self.byte(0);
    }

    /// An array of what `fill` writes; its elements have the alignment. The gap before the first is not counted.
    pub(in crate::systemd) fn array(&mut self, alignment: usize, fill: impl FnOnce(&mut Self)) {
        self.u32(0);
        let place = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        fill(self);
        let filled = size(self.0.len() - start);
        self.0[place..place + 4].copy_from_slice(&filled.to_le_bytes());
    }

    pub(in crate::systemd) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }
}

/// Nothing that is written here comes near it: paths, names and some numbers.
fn size(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
