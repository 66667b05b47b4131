//! HTTP/2 by hand, for what no library would send: frames as they stand on the wire (RFC 9113).

mod hpack;
mod wire;

pub use hpack::{block, call, literal};
pub use wire::Wire;

/// What every connection begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The kinds of frames.
pub mod kind {
    #![allow(missing_docs, reason = "they are the RFC's")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const CONTINUATION: u8 = 9;
}

/// The last frame of a stream, and the answer to SETTINGS and PING.
pub const END_STREAM: u8 = 1;
/// The last frame of a block of headers.
pub const END_HEADERS: u8 = 4;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`].
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0 for the connection.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Any frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { kind, flags, stream, payload: payload.into() }
    }

    /// Settings, which are all as they are by default.
    pub fn settings() -> Frame {
        Frame::new(kind::SETTINGS, 0, 0, [])
    }

    /// A ping.
    pub fn ping() -> Frame {
        Frame::new(kind::PING, 0, 0, *b"12345678")
    }

    /// Breaks a stream off.
    pub fn reset(stream: u32) -> Frame {
        // CANCEL.
        Frame::new(kind::RST_STREAM, 0, stream, 8_u32.to_be_bytes())
    }

    /// How it stands on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a frame is short").to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// Why a connection ends, where this tells that.
    pub fn reason(&self) -> Option<u32> {
        let code = self.payload.get(4..8).filter(|_| self.kind == kind::GOAWAY)?;
        Some(u32::from_be_bytes(code.try_into().ok()?))
    }
}
