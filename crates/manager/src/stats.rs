//! `stats`: what a container uses.

use crate::core::Core;
use crate::error::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use tinyd_engine::ContainerStats;

impl Core {
    pub(crate) fn stats(&self, word: &str) -> Result<ContainerStats> {
        const ACTION: &str = "count what is used by";
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        self.running(&record, ACTION, None)?;
        let failed =
            |source| Error::Cgroup { operation: ACTION, container: record.short().to_owned(), source };
        let group = self.open_cgroup(&id)?.ok_or_else(|| self.no_such(word))?;
        let used = group.stats().map_err(failed)?;
        let limits = group.limits().map_err(failed)?;
        let cpu_limit = limits.cpu.quota_us.zip(limits.cpu.period_us);
        let machine = crate::info::memory()?;
        Ok(ContainerStats {
            name: record.spec.name,
            uptime_ns: uptime_ns(),
            cpu_ns: used.cpu.usage_ns,
            cpu_limit_milli: cpu_limit.and_then(|(quota, period)| {
                // -1 is no limit.
                u64::try_from(quota).ok()?.checked_mul(1000)?.checked_div(period)
            }),
            throttled_periods: used.cpu.throttled_periods,
            memory: used.memory.working_set_bytes.or(used.memory.usage_bytes),
            memory_with_cache: used.memory.usage_bytes,
            memory_limit: used.memory.limit_bytes.map_or(machine, |limit| limit.min(machine)),
            pids: used.pids.current,
            pids_limit: used.pids.limit,
            oom_kills: used.oom_kills,
            id,
        })
    }
}

/// A clock that only goes forward, also while the machine sleeps.
fn uptime_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, rest) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds.unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(rest.unwrap_or(0))
}
