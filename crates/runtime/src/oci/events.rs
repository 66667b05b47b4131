//! `events`: what a container uses, again and again or once.

use super::options::{Rest, flag, parse, value};
use super::store::{Container, Status};
use super::{Context, Problem, cgroup, one_id, say};
use crate::{Failure, FailureKind};
use serde_json::{Value, json};
use std::time::Duration;
use tinyd_cgroup::Stats;

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
    let mut seen = group.oom_kills().unwrap_or(0);
    loop {
        let stats = group.stats().map_err(|error| {
            Failure::new(FailureKind::Internal, format!("look at container {id:?}")).caused_by(&error)
        })?;
        say(&json!({ "type": "stats", "id": id, "data": data(&stats) }).to_string());
        if parsed.has("stats") {
            return Ok(0);
        }
        std::thread::sleep(interval);
        if container.status() == Status::Stopped {
            return Ok(0);
        }
        let kills = group.oom_kills().unwrap_or(seen);
        if kills > seen {
            seen = kills;
            say(&json!({ "type": "oom", "id": id }).to_string());
        }
    }
}

/// A number with a unit: `500ms`, `5s`, `1m`.
fn interval(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let scale = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => 0,
    };
    let time = number.parse::<u64>().ok().and_then(|number| number.checked_mul(scale));
    time.filter(|time| *time > 0)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("--interval {text:?}: a time such as 500ms, 5s or 1m is wanted"))
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
        assert_eq!(interval("2m").unwrap().as_secs(), 120);
        for text in ["", "5", "s", "0s", "-1s", "1h"] {
            assert!(interval(text).unwrap_err().contains("--interval"), "{text}");
        }
    }
}
