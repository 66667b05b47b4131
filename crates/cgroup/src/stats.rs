//! What a group uses; fields are `None` where the host has no such controller.

use serde::{Deserialize, Serialize};

/// CPU time since the group was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    /// Nanoseconds in all.
    pub usage_ns: Option<u64>,
    /// Nanoseconds in user mode.
    pub user_ns: Option<u64>,
    /// Nanoseconds in the kernel.
    pub system_ns: Option<u64>,
    /// Periods in which the quota was watched.
    pub periods: Option<u64>,
    /// Periods in which it was used up.
    pub throttled_periods: Option<u64>,
    /// Nanoseconds spent waiting for the next period.
    pub throttled_ns: Option<u64>,
}

/// Memory in bytes, groups below included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    /// All memory charged to the group, page cache included.
    pub usage_bytes: Option<u64>,
    /// Page cache within it.
    pub cache_bytes: Option<u64>,
    /// Usage without the cache that is given back first (inactive file pages): what `docker stats` shows.
    pub working_set_bytes: Option<u64>,
    /// Shared memory within it: tmpfs files, System V and anonymous shared mappings.
    pub shmem_bytes: Option<u64>,
    /// Swap used.
    pub swap_bytes: Option<u64>,
    /// The most that was ever charged (v2: Linux 5.19).
    pub peak_bytes: Option<u64>,
    /// The hard limit; `None` without one.
    pub limit_bytes: Option<u64>,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PidsStats {
    /// How many there are, groups below included.
    pub current: Option<u64>,
    /// How many there may be; `None` without a limit.
    pub limit: Option<u64>,
}

/// Input and output on all block devices together since the group was made, groups below included. On v1 some kernels
/// (6.1 is one, 6.18 is not) count only for groups that have a rate ([`crate::IoDeviceLimit`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoStats {
    /// Bytes read. What came from the page cache is not in it.
    pub read_bytes: Option<u64>,
    /// Bytes written. Version 1 does not know whose the pages are that are written back: only direct and synchronous
    /// writes are in it.
    pub write_bytes: Option<u64>,
    /// Reads.
    pub read_ops: Option<u64>,
    /// Writes.
    pub write_ops: Option<u64>,
}

/// How much of the time processes waited for a resource (Documentation/accounting/psi.rst). Averages are in
/// hundredths of a percent: 10,000 is all of the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stall {
    /// Over the last 10 seconds.
    pub avg10: u32,
    /// Over the last minute.
    pub avg60: u32,
    /// Over the last five minutes.
    pub avg300: u32,
    /// Microseconds in all.
    pub total_us: u64,
}

/// Pressure on one resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// At least one process waited.
    pub some: Stall,
    /// All of them waited at the same time.
    pub full: Stall,
}

/// Pressure on all resources, groups below included; only a v2 hierarchy has it, also one beside v1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PressureStats {
    /// Waiting for a CPU.
    pub cpu: Option<Pressure>,
    /// Waiting for memory.
    pub memory: Option<Pressure>,
    /// Waiting for input and output.
    pub io: Option<Pressure>,
}

/// All of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// CPU time.
    pub cpu: CpuStats,
    /// Memory.
    pub memory: MemoryStats,
    /// Processes and threads.
    pub pids: PidsStats,
    /// Processes killed for want of memory.
    pub oom_kills: Option<u64>,
    /// Input and output on block devices.
    pub io: IoStats,
    /// Waiting for resources.
    pub pressure: PressureStats,
}

impl Stats {
    /// Takes from `other` the controllers that this one has not.
    pub(crate) fn or(mut self, other: Self) -> Self {
        if self.cpu.usage_ns.is_none() {
            let throttling = self.cpu;
            self.cpu = other.cpu;
            self.cpu.periods = throttling.periods.or(other.cpu.periods);
            self.cpu.throttled_periods = throttling.throttled_periods.or(other.cpu.throttled_periods);
            self.cpu.throttled_ns = throttling.throttled_ns.or(other.cpu.throttled_ns);
        }
        if self.memory.usage_bytes.is_none() {
            self.memory = other.memory;
        }
        if self.pids.current.is_none() {
            self.pids = other.pids;
        }
        self.oom_kills = self.oom_kills.or(other.oom_kills);
        if self.io.read_bytes.is_none() {
            self.io = other.io;
        }
        let (mine, others) = (&mut self.pressure, other.pressure);
        mine.cpu = mine.cpu.or(others.cpu);
        mine.memory = mine.memory.or(others.memory);
        mine.io = mine.io.or(others.io);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_or_fills_whole_controllers_only() {
        let mut v1 = Stats::default();
        v1.memory.usage_bytes = Some(10);
        v1.cpu.periods = Some(3);
        let mut v2 = Stats { oom_kills: Some(1), ..Default::default() };
        v2.memory = MemoryStats { usage_bytes: Some(99), limit_bytes: Some(100), ..Default::default() };
        v2.cpu = CpuStats { usage_ns: Some(7), periods: Some(9), ..Default::default() };
        v2.io.read_bytes = Some(5);
        v2.pressure.cpu = Some(Pressure::default());
        let both = v1.or(v2);
        assert_eq!((both.io, both.pressure), (v2.io, v2.pressure));
        assert_eq!(both.memory, MemoryStats { usage_bytes: Some(10), ..Default::default() });
        assert_eq!((both.cpu.usage_ns, both.cpu.periods, both.oom_kills), (Some(7), Some(3), Some(1)));
    }
}
