//! What the daemon writes down, a line each, on its standard error: for whoever keeps its journal, which adds the time.

use std::io::Write as _;
use std::net::SocketAddr;

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

/// Writes a line in one piece. What cannot be written is not worth a failure.
pub(crate) fn line(text: &str) {
    let _ = std::io::stderr().write_all(format!("{}\n", text.escape_debug()).as_bytes());
}
