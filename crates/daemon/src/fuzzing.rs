//! What the fuzz targets of `fuzz/` call. No part of any interface.

use crate::web::head;

/// Where the head of a request ends, when it does not within the first `seen` bytes.
pub fn head_end(received: &[u8], seen: usize) -> Option<usize> {
    head::end(received, seen)
}

/// Whether a whole head is passed on; else the status that it is refused with.
///
/// # Errors
/// The status.
pub fn check_head(head: &[u8]) -> Result<(), u16> {
    head::check(head).map_err(|(status, _)| status)
}
