//! What the daemon writes down, a line each, on its standard error: for whoever keeps its journal, which adds the time.
//!
//! A thread of its own writes. Whoever keeps the journal may be slow, or stand still: then lines are lost, and counted, and nobody
//! waits.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

/// How many lines may wait to be written.
const WAITING: usize = 1_024;
/// How long the last of them are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// To the thread that writes; none where it could not be started.
static WRITER: OnceLock<Option<SyncSender<Entry>>> = OnceLock::new();
static LOST: AtomicU64 = AtomicU64::new(0);

enum Entry {
    Line(String),
    /// All lines before it have been written.
    Mark(SyncSender<()>),
}

/// A call from this machine, and who made it.
pub(crate) fn call(path: &str, uid: u32, pid: Option<i32>) {
    line(&format!("call {path} uid={uid} pid={}", pid.unwrap_or_default()));
}

/// A call over a network. Who made it has shown a certificate.
pub(crate) fn call_from_afar(path: &str) {
    line(&format!("call {path} by certificate"));
}

/// A connection over a network that did not come to a call.
pub(crate) fn refused(from: SocketAddr, why: &std::io::Error) {
    line(&format!("refused {from}: {why}"));
}

/// Writes a line.
pub(crate) fn line(text: &str) {
    let sent = writer().is_some_and(|writer| writer.try_send(Entry::Line(shown(text))).is_ok());
    if !sent {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until what was said so far is written, for a moment.
pub(crate) fn flush() {
    let (mark, written) = sync_channel(1);
    if let Some(writer) = writer()
        && writer.try_send(Entry::Mark(mark)).is_ok()
    {
        let _ = written.recv_timeout(PATIENCE);
    }
}

/// A text as one line of an end of its own.
fn shown(text: &str) -> String {
    format!("{}\n", text.escape_debug())
}

fn writer() -> Option<&'static SyncSender<Entry>> {
    let start = || {
        let (sender, entries) = sync_channel(WAITING);
        let write = move || {
            for entry in entries {
                match entry {
                    Entry::Line(text) => write(&text),
                    Entry::Mark(mark) => drop(mark.try_send(())),
                }
            }
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(write).ok().map(|_| sender)
    };
    WRITER.get_or_init(start).as_ref()
}

/// Writes it in one piece. What cannot be written is not worth a failure.
fn write(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
    let lost = LOST.swap(0, Ordering::Relaxed);
    if lost > 0 {
        let _ = std::io::stderr().write_all(format!("{lost} lines are lost: nobody took them\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(shown("call /a\nuid=0 \u{202e}\u{1b}"), "call /a\\nuid=0 \\u{202e}\\u{1b}\n");
    }
}
