//! `stats`: what a container uses.

use crate::core::Core;
use crate::error::{Error, Result};
use rustix::time::{ClockId, clock_gettime};
use tinyd_engine::ContainerStats;
use tinyd_net::Namespace;

impl Core {
    pub(crate) fn stats(&self, word: &str) -> Result<ContainerStats> {
        const ACTION: &str = "count what is used by";
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        let live = self.running(&record, ACTION, None)?;
        let failed =
            |source| Error::Cgroup { operation: ACTION, container: record.short().to_owned(), source };
        let group = self.open_cgroup(&id)?.ok_or_else(|| self.no_such(word))?;
        let used = group.stats().map_err(failed)?;
        let limits = group.limits().map_err(failed)?;
        let cpu_limit = limits.cpu.quota_us.zip(limits.cpu.period_us);
        let machine = crate::info::memory()?;
        let traffic = match record.netns {
            Namespace::Own if record.netns_of.is_none() => traffic(live.state.init.pid),
            _ => None,
        };
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
            block_read: used.io.read_bytes,
            block_written: used.io.write_bytes,
            net_received: traffic.map(|(received, _)| received),
            net_sent: traffic.map(|(_, sent)| sent),
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

/// Bytes that went in and out by the links of a process's network namespace, but for those that it sent to itself.
fn traffic(pid: u32) -> Option<(u64, u64)> {
    sum(&std::fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?)
}

/// Of proc_pid_net(5): two lines of headings, then `LINK: RECEIVED … SENT …`, the first and the ninth of sixteen numbers.
fn sum(text: &str) -> Option<(u64, u64)> {
    let mut all = (0u64, 0u64);
    for line in text.lines().skip(2) {
        // A link's name may hold a colon; a number does not.
        let (link, numbers) = line.rsplit_once(':')?;
        if link.trim() == "lo" {
            continue;
        }
        let numbers: Vec<&str> = numbers.split_ascii_whitespace().collect();
        all.0 = all.0.saturating_add(numbers.first()?.parse().ok()?);
        all.1 = all.1.saturating_add(numbers.get(8)?.parse().ok()?);
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_traffic_is_that_of_all_links_but_the_own_one() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n    lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n  \
                    eth0: 100 2 0 0 0 0 0 0 20 1 0 0 0 0 0 0\neth1:x: 1000 2 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n";
        assert_eq!(sum(text), Some((1100, 220)));
        assert_eq!(sum("a\nb\n"), Some((0, 0)));
        assert_eq!(sum("a\nb\neth0: 1 2\n"), None);
        assert!(traffic(std::process::id()).is_some());
    }
}
