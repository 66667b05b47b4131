//! The packets between a monitor (or an exec) and whoever talks to it.
//!
//! The socket is `SOCK_SEQPACKET`: a packet is a kind, one byte, and its payload. The end of the connection is an empty
//! read. Payloads that are records are JSON; streams are plain bytes.
//!
//! | kind | from | payload |
//! |---|---|---|
//! | `RequestPart` | client | a piece of the request's JSON, more follows |
//! | `Request` | client | the last piece |
//! | `Stdin` | client | bytes for the command |
//! | `StdinClosed` | client | – |
//! | `Resize` | client | rows, columns: two little-endian `u16` |
//! | `Signal` | client | number: little-endian `i32` |
//! | `Attach` | client | a byte, 1 where it gives input too; then, where there is a terminal at its end, the size as in `Resize` |
//! | `Detach` | client | – (it leaves, and what it is attached to goes on) |
//! | `ConnectedPart` | client | a piece of the JSON of `Connected`, more follows |
//! | `Connected` | client | the last piece of what undoes the connection and what serves it: [`Connected`](crate::Connected) |
//! | `Namespace` | monitor | – (the network namespace's descriptor) |
//! | `Started` | monitor | pid: little-endian `u32` |
//! | `Failed` | monitor | [`Failure`](crate::Failure) |
//! | `Stdout`, `Stderr` | monitor | bytes of the command |
//! | `Attached` | monitor | – (from here on comes what the command writes) |
//! | `Lost` | monitor | how many bytes were left out here, for a client that was too slow: little-endian `u64` |
//! | `Exited` | monitor | [`ExitRecord`](crate::state::ExitRecord) |

/// The most bytes that a packet carries after its kind. Small enough for every kernel's default socket buffer.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// A buffer that any packet fits into. Nothing is written to it but what is received: most packets are short, and each page
/// that is touched is a fault, and stays with a monitor for as long as it lives.
pub(crate) fn buffer() -> Vec<u8> {
    Vec::with_capacity(MAX_PAYLOAD + 1)
}

/// What a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A piece of the request, more follows.
    RequestPart = 1,
    /// The last piece of the request.
    Request = 2,
    /// Bytes for the command's standard input.
    Stdin = 3,
    /// No more input.
    StdinClosed = 4,
    /// The terminal's size.
    Resize = 5,
    /// A signal for the command.
    Signal = 6,
    /// The network namespace is connected.
    Connected = 7,
    /// A piece of what is told of that, more follows.
    ConnectedPart = 8,
    /// Wants the output of a command that runs already, and may give input.
    Attach = 9,
    /// Leaves, and the command goes on.
    Detach = 10,
    /// The command runs.
    Started = 16,
    /// It could not be started; nothing is left of it.
    Failed = 17,
    /// Bytes that it wrote.
    Stdout = 18,
    /// Bytes that it wrote to its standard error.
    Stderr = 19,
    /// It has ended.
    Exited = 20,
    /// The network namespace to be connected; comes before `Started`.
    Namespace = 21,
    /// Attached: the output comes from here on.
    Attached = 22,
    /// Output that was left out for a client that was too slow.
    Lost = 23,
}

impl Kind {
    /// The kind of a packet's first byte.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::RequestPart,
            2 => Self::Request,
            3 => Self::Stdin,
            4 => Self::StdinClosed,
            5 => Self::Resize,
            6 => Self::Signal,
            7 => Self::Connected,
            8 => Self::ConnectedPart,
            9 => Self::Attach,
            10 => Self::Detach,
            16 => Self::Started,
            17 => Self::Failed,
            18 => Self::Stdout,
            19 => Self::Stderr,
            20 => Self::Exited,
            21 => Self::Namespace,
            22 => Self::Attached,
            23 => Self::Lost,
            _ => return None,
        })
    }
}

/// Splits a packet into its kind and its payload; `None` for what no version of this protocol sends.
pub fn parse(packet: &[u8]) -> Option<(Kind, &[u8])> {
    let (kind, payload) = packet.split_first()?;
    Some((Kind::from_byte(*kind)?, payload))
}

/// Reads the payload of `Resize`.
pub fn parse_resize(payload: &[u8]) -> Option<(u16, u16)> {
    let bytes: [u8; 4] = payload.try_into().ok()?;
    Some((u16::from_le_bytes([bytes[0], bytes[1]]), u16::from_le_bytes([bytes[2], bytes[3]])))
}

/// Writes the payload of `Resize`.
pub fn resize(rows: u16, columns: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (rows.to_le_bytes(), columns.to_le_bytes());
    [a, b, c, d]
}

/// Writes the payload of `Attach`: whether there will be input, and the size of the terminal.
pub fn attach(input: bool, window: Option<(u16, u16)>) -> Vec<u8> {
    let size = window.map(|(rows, columns)| resize(rows, columns));
    [&[u8::from(input)][..], size.as_ref().map_or(&[][..], |size| &size[..])].concat()
}

/// Reads the payload of `Attach`.
pub fn parse_attach(payload: &[u8]) -> Option<(bool, Option<(u16, u16)>)> {
    match payload.split_first()? {
        (input @ (0 | 1), []) => Some((*input == 1, None)),
        (input @ (0 | 1), size) => Some((*input == 1, Some(parse_resize(size)?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_its_byte() {
        for byte in 0..=u8::MAX {
            if let Some(kind) = Kind::from_byte(byte) {
                assert_eq!(kind as u8, byte);
                assert_eq!(parse(&[byte, 7]), Some((kind, &[7][..])));
            }
        }
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[99]), None);
    }

    #[test]
    fn a_window_size_survives() {
        assert_eq!(parse_resize(&resize(50, 132)), Some((50, 132)));
        assert_eq!(parse_resize(&[1, 2, 3]), None);
    }

    #[test]
    fn what_an_attaching_client_says_survives() {
        for said in [(true, Some((50, 132))), (false, Some((0, 0))), (true, None), (false, None)] {
            assert_eq!(parse_attach(&attach(said.0, said.1)), Some(said));
        }
        for bad in [&[][..], &[2], &[1, 2, 3], &[1, 0, 0, 0, 0, 0]] {
            assert_eq!(parse_attach(bad), None, "{bad:?}");
        }
    }
}
