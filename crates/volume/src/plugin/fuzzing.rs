//! What is understood of a plugin's answer, for the crate's [`fuzzing`](crate::fuzzing).

use super::http::Answer;
use super::protocol::Session;
use std::path::Path;
use std::time::Instant;

/// Reads an answer to `Mount`, and gives the place that it names.
///
/// # Errors
/// What is told to the user.
pub fn understood(answer: &Answer) -> Result<Option<String>, String> {
    let session = Session { plugin: "p", socket: Path::new("/p.sock"), until: Instant::now() };
    let said = session.read("VolumeDriver.Mount", "v", answer);
    said.map(|said| said.mountpoint).map_err(|fault| fault.error.to_string())
}
