//! What the machine as a whole uses: `/proc/meminfo` and `/proc/stat` (proc(5)).

use tinyd_engine::{Error, ErrorKind, Result};

/// The machine at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Machine {
    /// Memory that is neither free nor given back at once, in bytes.
    pub(crate) used_memory: u64,
    /// All memory, in bytes.
    pub(crate) total_memory: u64,
    /// Of all processors together.
    pub(crate) cpu_percent: f64,
}

/// Ticks since the machine started, all of them and those without work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTimes {
    all: u64,
    idle: u64,
}

/// Reads both; the machine's `cpu_percent` is left to who has an earlier look.
pub(super) fn read() -> Result<(CpuTimes, Machine)> {
    let file = |path: &str| {
        std::fs::read_to_string(path)
            .map_err(|error| Error::with_source(ErrorKind::Internal, format!("read {path}"), &error))
    };
    let strange = |path: &str| Error::new(ErrorKind::Internal, format!("{path} is not as proc(5) has it"));
    let cpu = cpu_times(&file("/proc/stat")?).ok_or_else(|| strange("/proc/stat"))?;
    let memory = memory(&file("/proc/meminfo")?).ok_or_else(|| strange("/proc/meminfo"))?;
    Ok((cpu, memory))
}

impl CpuTimes {
    pub(super) fn percent_since(&self, before: &Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        let idle = self.idle.saturating_sub(before.idle).min(all);
        if all == 0 {
            return 0.0;
        }
        #[allow(clippy::cast_precision_loss, reason = "a percentage needs three digits")]
        rounded((all - idle) as f64 / all as f64 * 100.0)
    }
}

/// A percentage with two digits behind the point.
pub(crate) fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal; guests' time is part of user's.
fn cpu_times(stat: &str) -> Option<CpuTimes> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> =
        line.split_ascii_whitespace().take(8).map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
    let idle = ticks.get(3)?.saturating_add(ticks.get(4).copied().unwrap_or(0));
    Some(CpuTimes { all: ticks.iter().sum(), idle })
}

fn memory(meminfo: &str) -> Option<Machine> {
    let kibibytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let total_memory = kibibytes("MemTotal")?;
    let used_memory = total_memory.saturating_sub(kibibytes("MemAvailable")?);
    Some(Machine { used_memory, total_memory, cpu_percent: 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_what_cannot_be_given_at_once() {
        let found = memory("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable: 400 kB\n").unwrap();
        assert_eq!((found.used_memory, found.total_memory), (600 * 1024, 1000 * 1024));
        assert_eq!(memory("MemTotal: many kB\n"), None);
    }

    #[test]
    fn processors_are_busy_when_they_are_not_idle() {
        let before = cpu_times("cpu  10 0 10 70 10 0 0 0 5 0\ncpu0 1 2 3 4\n").unwrap();
        assert_eq!(before, CpuTimes { all: 100, idle: 80 });
        let now = cpu_times("cpu  50 0 20 110 20 0 0 0 5 0\n").unwrap();
        assert_eq!(now.percent_since(&before), 50.0);
        assert_eq!(before.percent_since(&now), 0.0);
        assert_eq!(cpu_times("intr 1 2\n"), None);
    }

    #[test]
    fn this_machine_can_be_read() {
        let (cpu, memory) = read().unwrap();
        assert!(cpu.all > cpu.idle && memory.total_memory > memory.used_memory);
    }
}
