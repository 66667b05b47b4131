//! What the fuzz targets of `fuzz/` call. No part of any interface.

use tinyd_engine::LogEntry;

/// What a line of a log says, without its line feed; `None` when it is none.
pub fn log_line(line: &[u8]) -> Option<LogEntry> {
    crate::logs::entry_of(line)
}
