//! The processes of a container.

use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// A process of a container, as the kernel tells of it. Names and arguments are the process's own words, whatever they hold: who
/// shows them escapes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number on the host.
    pub pid: u32,
    /// Its number inside.
    pub inner_pid: u32,
    /// The number of its parent on the host; for the first process of a container that of its monitor.
    pub parent: u32,
    /// Its effective user, by the number inside.
    pub uid: u32,
    /// The same by the number on the host.
    pub host_uid: u32,
    /// What it does, by the letter of proc_pid_stat(5).
    pub state: char,
    /// The name of its program, 15 bytes at most.
    pub name: String,
    /// Its arguments, the first few KiB of them; none where it has none, or where it did not let them be read in time.
    pub arguments: Vec<String>,
    /// There are more.
    pub cut: bool,
    /// Its terminal, as in `pts/0`.
    pub terminal: Option<String>,
    /// When it was started.
    pub started: SystemTime,
    /// How long ago that was, in nanoseconds.
    pub age_ns: u64,
    /// CPU time that it used, in nanoseconds.
    pub cpu_ns: u64,
    /// Its niceness.
    pub nice: i64,
    /// How many threads it has.
    pub threads: u64,
    /// Bytes of its address space.
    pub virtual_bytes: u64,
    /// Bytes of it that are in memory.
    pub resident_bytes: u64,
}
