//! Device nodes.

use super::read::{objects, words};
use std::path::PathBuf;

objects! {
    Device {
        path: PathBuf = "path",
        typ: DeviceType = "type",
        major: i64 = "major" or 0,
        minor: i64 = "minor" or 0,
        file_mode: Option<u32> = "fileMode",
        uid: Option<u32> = "uid",
        gid: Option<u32> = "gid",
    }
}

words! {
    /// `u` is a character device whose input and output are not buffered, which none is.
    DeviceType {
        All = "a",
        Block = "b",
        Char = "c",
        Unbuffered = "u",
        Fifo = "p",
    }
}
