//! What the fuzz targets call: readers that are nobody else's to call. No part of the interface.

use crate::systemd;

/// A message of D-Bus that was understood.
#[derive(Debug)]
pub struct Said {
    /// How many bytes it has.
    pub length: usize,
    /// The texts in its header and, where its arguments begin with one, that.
    pub texts: Vec<String>,
    /// A job that it says has ended, with the result.
    pub ended: Option<(String, String)>,
}

/// The messages that bytes begin with, until one is not understood.
pub fn messages(bytes: &[u8]) -> Vec<Said> {
    systemd::fuzzing(bytes)
}
