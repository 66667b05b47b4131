//! One line of a log, as the monitor writes it.
//!
//! `<time> <stdout|stderr> <F|P> <bytes>`, where the time is RFC 3339 in UTC with nine digits: what comes before the bytes
//! has the same length in every line. `F` says that the line feed which ends the line was written by the command, `P` that
//! it was not. This is the format in which Kubernetes keeps the logs of its containers.

use crate::time;
use tinyd_engine::{LogEntry, LogSource};

/// `2026-11-22T02:36:02.123456789Z`.
const TIME: usize = 30;
/// Bytes before the command's own.
pub(super) const HEADER: usize = TIME + " stdout F ".len();

/// A line, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// When it was written: compares as the moments do.
    pub time: &'a [u8],
    source: LogSource,
    /// Its line feed is the command's.
    pub full: bool,
    data: &'a [u8],
}

impl<'a> Piece<'a> {
    /// Reads a line without its line feed; `None` when it is none.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        let (header, data) = line.split_at_checked(HEADER)?;
        let (time, rest) = header.split_at(TIME);
        let source = match rest.get(..8)? {
            b" stdout " => LogSource::Stdout,
            b" stderr " => LogSource::Stderr,
            _ => return None,
        };
        let full = match rest.get(8..)? {
            b"F " => true,
            b"P " => false,
            _ => return None,
        };
        let shaped = time[TIME - 1] == b'Z' && time[10] == b'T' && time[0].is_ascii_digit();
        shaped.then_some(Self { time, source, full, data })
    }

    /// As the engine gives it; `None` when its time is none.
    pub(super) fn entry(&self) -> Option<LogEntry> {
        let mut data = Vec::with_capacity(self.data.len() + 1);
        data.extend_from_slice(self.data);
        if self.full {
            data.push(b'\n');
        }
        let time = time::parse(std::str::from_utf8(self.time).ok()?)?;
        Some(LogEntry { time, source: self.source, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_lines() {
        let parse = |line: &'static str| Piece::parse(line.as_bytes()).and_then(|piece| piece.entry());
        let full = parse("2026-11-22T02:36:02.123456789Z stdout F a  b").unwrap();
        assert_eq!((full.source, full.data.as_slice()), (LogSource::Stdout, &b"a  b\n"[..]));
        let part = parse("2026-11-22T02:36:02.123456789Z stderr P ").unwrap();
        assert_eq!((part.source, part.data.as_slice()), (LogSource::Stderr, &b""[..]));
        for bad in [
            "",
            "2026-11-22T02:36:02.123456789Z stdout F",
            "2026-11-22T02:36:02.123456789Z stdin1 F x",
            "2026-11-22T02:36:02.123456789Z stdout X x",
            "xxxx-11-22T02:36:02.123456789Z stdout F x",
            "2026-99-22T02:36:02.123456789Z stdout F x",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
