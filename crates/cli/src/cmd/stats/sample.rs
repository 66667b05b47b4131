//! What a line of `stats` shows: two looks at a container, and the difference.

use crate::format::size::size;
use serde_json::{Value, json};
use tinyd_engine::ContainerStats;

/// Digits of an id where it is cut.
const SHORT: usize = 12;

/// What stands where the host does not count.
const UNKNOWN: &str = "--";

/// A container between two looks.
pub(super) struct Sample {
    now: ContainerStats,
    /// Processor time in hundredths of one processor; `None` where it is not counted.
    cpu_percent: Option<f64>,
}

impl Sample {
    /// `None` for one that was not there at the first look: over no time there is no rate.
    pub(super) fn between(before: &[ContainerStats], now: &ContainerStats) -> Option<Self> {
        let before = before.iter().find(|one| one.id == now.id)?;
        let time = now.uptime_ns.checked_sub(before.uptime_ns).filter(|&time| time > 0)?;
        // A counter that went back is that of a new run.
        let used = now.cpu_ns.zip(before.cpu_ns).map(|(now, before)| now.saturating_sub(before));
        let cpu_percent = used.map(|used| used as f64 * 100.0 / time as f64);
        Some(Self { now: now.clone(), cpu_percent })
    }

    /// The cells of the table, in its order.
    pub(super) fn cells(&self) -> Vec<String> {
        vec![
            self.id().to_owned(),
            self.name().to_owned(),
            percent(self.cpu_percent),
            self.memory(),
            percent(self.memory_percent()),
            pair(self.now.net_received, self.now.net_sent),
            pair(self.now.block_read, self.now.block_written),
            number(self.now.pids),
        ]
    }

    /// The same for programs, with Docker's names, and the plain numbers beside them.
    pub(super) fn json(&self) -> Value {
        let now = &self.now;
        json!({
            "ID": self.id(),
            "Container": now.id,
            "Name": self.name(),
            "CPUPerc": percent(self.cpu_percent),
            "MemUsage": self.memory(),
            "MemPerc": percent(self.memory_percent()),
            "NetIO": pair(now.net_received, now.net_sent),
            "BlockIO": pair(now.block_read, now.block_written),
            "PIDs": number(now.pids),
            "CPUNanoseconds": now.cpu_ns,
            "CPULimitMilli": now.cpu_limit_milli,
            "ThrottledPeriods": now.throttled_periods,
            "MemoryBytes": now.memory,
            "MemoryBytesWithCache": now.memory_with_cache,
            "MemoryLimitBytes": now.memory_limit,
            "NetBytesReceived": now.net_received,
            "NetBytesSent": now.net_sent,
            "BlockBytesRead": now.block_read,
            "BlockBytesWritten": now.block_written,
            "PidsLimit": now.pids_limit,
            "OOMKills": now.oom_kills,
        })
    }

    fn id(&self) -> &str {
        self.now.id.get(..SHORT).unwrap_or(&self.now.id)
    }

    fn name(&self) -> &str {
        self.now.name.as_deref().unwrap_or_else(|| self.id())
    }

    fn memory(&self) -> String {
        let used = self.now.memory.map_or_else(|| UNKNOWN.to_owned(), size);
        format!("{used} / {}", size(self.now.memory_limit))
    }

    fn memory_percent(&self) -> Option<f64> {
        let limit = Some(self.now.memory_limit).filter(|&limit| limit > 0)?;
        self.now.memory.map(|used| used as f64 * 100.0 / limit as f64)
    }
}

/// What stands above a field of a template in a table.
pub(super) fn heading(field: &str) -> String {
    match field {
        "ID" => "CONTAINER ID".to_owned(),
        "CPUPerc" => "CPU %".to_owned(),
        "MemPerc" => "MEM %".to_owned(),
        "MemUsage" => "MEM USAGE / LIMIT".to_owned(),
        "NetIO" => "NET I/O".to_owned(),
        "BlockIO" => "BLOCK I/O".to_owned(),
        _ => field.to_ascii_uppercase(),
    }
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:.2}%"))
}

/// In, and out.
fn pair(one: Option<u64>, other: Option<u64>) -> String {
    let shown = |value: Option<u64>| value.map_or_else(|| UNKNOWN.to_owned(), size);
    format!("{} / {}", shown(one), shown(other))
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| UNKNOWN.to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_two_looks_at_one_run() {
        let at = |uptime_ns, cpu_ns| ContainerStats { uptime_ns, cpu_ns, ..Default::default() };
        let before = [at(1_000, Some(500))];
        let percent = |now: &ContainerStats| Sample::between(&before, now).map(|sample| sample.cpu_percent);
        assert_eq!(percent(&at(3_000, Some(1_500))), Some(Some(50.0)));
        assert_eq!(percent(&at(3_000, Some(100))), Some(Some(0.0)));
        assert_eq!(percent(&at(3_000, None)), Some(None));
        assert_eq!(percent(&at(1_000, Some(600))), None);
        assert_eq!(percent(&ContainerStats { id: "other".into(), ..at(3_000, Some(1)) }), None);
    }
}
