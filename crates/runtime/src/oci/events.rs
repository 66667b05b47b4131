//! `events`: what a container uses, again and again or once.

use super::options::{Rest, flag, parse, value};
use super::store::{Container, has_ended};
use super::{Context, Problem, cgroup, one_id, say};
use crate::launch::internal;
use crate::{Failure, FailureKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use tinyd_cgroup::{Cgroup, OomWatch, Stats};

/// How soon, and how often, a kill is looked for that was decided.
const MOMENT: Duration = Duration::from_millis(50);
const LOOKS: u32 = 20;

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(&[flag("stats", None), value("interval", None)], words, Rest::Mixed)?;
    let id = one_id("events", &parsed)?;
    let interval = interval(parsed.last("interval").unwrap_or("5s"))?;
    let container = Container::open(context, &id)?;
    if !container.status().has_process() {
        let problem = format!("events: container {id:?} is {}", container.status().word());
        return Err(Failure::new(FailureKind::NotRunning, problem).into());
    }
    let group = cgroup::open(&container.record)?;
    let mut kills = Kills {
        id: &id,
        group: group.as_ref(),
        watch: group.watch_oom().ok(),
        seen: group.oom_kills().unwrap_or(0),
    };
    loop {
        let stats = group.stats().map_err(|error| {
            Failure::new(FailureKind::Internal, format!("look at container {id:?}")).caused_by(&error)
        })?;
        say(&json!({ "type": "stats", "id": id, "data": data(&stats) }).to_string());
        if parsed.has("stats") {
            return Ok(0);
        }
        let pidfd = container.process();
        kills.watch_for(interval, pidfd.as_ref())?;
        if pidfd.is_none_or(|pidfd| has_ended(&pidfd)) {
            return Ok(0);
        }
    }
}

/// What the kernel killed in a group for want of memory.
struct Kills<'a> {
    id: &'a str,
    group: &'a dyn Cgroup,
    /// None where the kernel tells nobody: then it is looked each time.
    watch: Option<OomWatch>,
    seen: u64,
}

impl Kills<'_> {
    /// Tells of each for so long, or until the container ends.
    fn watch_for(&mut self, time: Duration, container: Option<&OwnedFd>) -> Result<(), Failure> {
        let until = Instant::now() + time;
        let mut ended = container.is_none();
        // The bell rings before the kill, where the groups are of version 1: for a while it is looked again.
        let mut looks = 0;
        while !ended && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let left = if looks > 0 { left.min(MOMENT) } else { left };
            let bell = self.watch.as_ref().map(|watch| PollFd::new(watch, watch.interest()));
            let end = container.map(|pidfd| PollFd::new(pidfd, PollFlags::IN));
            let mut fds: Vec<_> = end.into_iter().chain(bell).collect();
            let left = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            rustix::io::retry_on_intr(|| poll(&mut fds, Some(&left)))
                .map_err(|errno| internal("wait for what happens", errno))?;
            ended = fds.first().is_some_and(|end| !end.revents().is_empty());
            let rung = fds.get(1).is_some_and(|bell| !bell.revents().is_empty());
            drop(fds);
            looks = match rung && self.has_rung() {
                true => LOOKS,
                false => looks.saturating_sub(1),
            };
            if self.look() {
                looks = 0;
            }
        }
        self.look();
        Ok(())
    }

    /// Whether the bell was rung for want of memory. One that would ring for ever is put away.
    fn has_rung(&mut self) -> bool {
        let Some(watch) = &mut self.watch else { return false };
        let rung = watch.take().is_ok_and(|rung| rung);
        if !rung && watch.is_over() {
            self.watch = None;
        }
        rung
    }

    /// Tells of what was killed since the last look; whether there was anything.
    fn look(&mut self) -> bool {
        let kills = self.group.oom_kills().unwrap_or(self.seen);
        if kills <= self.seen {
            return false;
        }
        self.seen = kills;
        say(&json!({ "type": "oom", "id": self.id }).to_string());
        true
    }
}

/// Numbers with units, as `500ms`, `5s`, `1.5m`, `1h30m`.
fn interval(text: &str) -> Result<Duration, String> {
    let whole = || {
        let (mut rest, mut time) = (text, Duration::ZERO);
        while !rest.is_empty() {
            let end = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
            let (number, behind) = rest.split_at(end);
            let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, behind) = behind.split_at(letters);
            let scale = match unit {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
            let part = number.parse::<f64>().ok()? * scale;
            time = time.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
            rest = behind;
        }
        Some(time)
    };
    whole()
        .filter(|time| !time.is_zero() && Instant::now().checked_add(*time).is_some())
        .ok_or_else(|| format!("--interval {text:?}: a time such as 500ms, 5s or 1m30s is wanted"))
}

/// The shape that readers of runc's events know.
fn data(stats: &Stats) -> Value {
    let (cpu, memory) = (&stats.cpu, &stats.memory);
    json!({
        "cpu": {
            "usage": { "total": cpu.usage_ns, "user": cpu.user_ns, "kernel": cpu.system_ns },
            "throttling": {
                "periods": cpu.periods,
                "throttledPeriods": cpu.throttled_periods,
                "throttledTime": cpu.throttled_ns,
            },
        },
        "memory": {
            "cache": memory.cache_bytes,
            "usage": { "usage": memory.usage_bytes, "max": memory.peak_bytes, "limit": memory.limit_bytes },
            "swap": { "usage": memory.swap_bytes },
        },
        "pids": { "current": stats.pids.current, "limit": stats.pids.limit },
        "blkio": {
            "ioServiceBytesRecursive": [
                { "op": "Read", "value": stats.io.read_bytes },
                { "op": "Write", "value": stats.io.write_bytes },
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::interval;

    #[test]
    fn pure_intervals_have_units() {
        assert_eq!(interval("500ms").unwrap().as_millis(), 500);
        for (text, seconds) in [("2m", 120), ("1h", 3600), ("1h1m30s", 3690), ("1.5m", 90)] {
            assert_eq!(interval(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in ["", "5", "s", "0s", "-1s", "1d", "1..5s", "1s5", "inf s", "4000000000000000h"] {
            assert!(interval(text).unwrap_err().contains("--interval"), "{text}");
        }
    }
}
