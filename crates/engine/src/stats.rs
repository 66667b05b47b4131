//! What a container uses.

use serde::{Deserialize, Serialize};

/// What a container uses and has used since it was started. A field is `None` where the host does not count it.
///
/// CPU time is a counter: two samples make a rate, over the difference of their `uptime_ns`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerStats {
    /// 32 hex digits.
    pub id: String,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// When this was read, in nanoseconds since the machine started.
    pub uptime_ns: u64,
    /// CPU time used, in nanoseconds.
    pub cpu_ns: Option<u64>,
    /// CPU time that it may use, in thousandths of a processor; `None` without a limit.
    pub cpu_limit_milli: Option<u64>,
    /// Periods in which its CPU time was used up.
    pub throttled_periods: Option<u64>,
    /// Memory in bytes, without the cache that is given back first (inactive file pages).
    pub memory: Option<u64>,
    /// Memory in bytes with all cache.
    pub memory_with_cache: Option<u64>,
    /// Most memory that it may use, in bytes; without a limit the machine's.
    pub memory_limit: u64,
    /// Bytes read from block devices; what came from the cache is not in it.
    pub block_read: Option<u64>,
    /// Bytes written to block devices.
    pub block_written: Option<u64>,
    /// Bytes received from its networks; `None` where the network namespace is not its own.
    pub net_received: Option<u64>,
    /// Bytes sent to them.
    pub net_sent: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Most of them; `None` without a limit.
    pub pids_limit: Option<u64>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: Option<u64>,
}
