//! Where a target has its files.

use std::path::PathBuf;

/// A folder in memory, which is not there yet: one for each thread, for targets may run side by side in one process.
pub(crate) fn of(target: &str) -> PathBuf {
    let thread = format!("{:?}", std::thread::current().id());
    let number: String = thread.chars().filter(char::is_ascii_digit).collect();
    PathBuf::from(format!("/dev/shm/tinyd-fuzz-{target}-{}-{number}", std::process::id()))
}
