//! What the machine and its containers use: looked at once for all who watch, and not at all while nobody does.
//!
//! Processor time is a counter, so its rate needs two looks. They are the daemon's own: who asks more often than another gets
//! the same figures and disturbs nobody.

mod machine;

use crate::asker::Asker;
use axum::body::Bytes;
use machine::{CpuTimes, Machine};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};
use tinyd_engine::{ContainerStats, ContainerStatus, ContainerSummary, Engine, ListRequest, Result};
use tokio::sync::Mutex;

/// A look that is older says nothing about now: there are then two, so far apart.
const STALE: Duration = Duration::from_secs(30);
const APART: Duration = Duration::from_millis(250);

/// The one who looks.
pub(crate) struct Sampler {
    asker: Asker,
    last: Mutex<Option<Look>>,
}

/// What there was at one moment.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) machine: Machine,
    /// All containers, newest first.
    pub(crate) containers: Vec<Sample>,
    /// What viewers are told of it, from the first one on: it is the same for all.
    pub(crate) event: OnceLock<Bytes>,
}

/// A container at one moment.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) summary: ContainerSummary,
    /// What it uses, while it has processes.
    pub(crate) usage: Option<Usage>,
}

/// What a container uses.
#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) stats: ContainerStats,
    /// Of one processor, over the time between two looks.
    pub(crate) cpu_percent: f64,
}

struct Look {
    at: Instant,
    cpu: CpuTimes,
    snapshot: Arc<Snapshot>,
}

impl Sampler {
    pub(crate) fn new(asker: Asker) -> Self {
        Self { asker, last: Mutex::new(None) }
    }

    /// What there is, at most so old.
    pub(crate) async fn current(&self, age: Duration) -> Result<Arc<Snapshot>> {
        // Whoever comes while somebody looks waits for the same look.
        let mut last = self.last.lock().await;
        if let Some(look) = last.as_ref().filter(|look| look.at.elapsed() < age) {
            return Ok(Arc::clone(&look.snapshot));
        }
        let before = match last.take().filter(|look| look.at.elapsed() < STALE) {
            Some(look) => look,
            None => {
                let first = self.look(None).await?;
                tokio::time::sleep(APART).await;
                first
            }
        };
        let look = self.look(Some(before)).await?;
        let snapshot = Arc::clone(&look.snapshot);
        *last = Some(look);
        Ok(snapshot)
    }

    async fn look(&self, before: Option<Look>) -> Result<Look> {
        self.asker.ask(move |engine| look(engine, before.as_ref())).await
    }
}

fn look(engine: &dyn Engine, before: Option<&Look>) -> Result<Look> {
    let (cpu, memory) = machine::read()?;
    let earlier: HashMap<&str, &ContainerStats> = before
        .iter()
        .flat_map(|look| look.snapshot.containers.iter().filter_map(|one| one.usage.as_ref()))
        .map(|usage| (usage.stats.id.as_str(), &usage.stats))
        .collect();
    // Those that have ended since they were listed are looked at once more, all together.
    let mut now = None;
    let containers = engine.list(&ListRequest { all: true })?.into_iter().filter_map(|summary| {
        let stats = has_processes(&summary).then(|| engine.stats(&summary.id).ok()).flatten();
        let summary = match has_processes(&summary) && stats.is_none() {
            true => match now.get_or_insert_with(|| engine.list(&ListRequest { all: true })) {
                Ok(now) => now.iter().find(|one| one.id == summary.id)?.clone(),
                Err(_) => summary,
            },
            false => summary,
        };
        let usage = stats.map(|stats| Usage {
            cpu_percent: cpu_percent(earlier.get(stats.id.as_str()).copied(), &stats, summary.started),
            stats,
        });
        Some(Sample { summary, usage })
    });
    let containers = containers.collect();
    let cpu_percent = before.map_or(0.0, |before| cpu.percent_since(&before.cpu));
    let machine = Machine { cpu_percent, ..memory };
    Ok(Look {
        at: Instant::now(),
        cpu,
        snapshot: Arc::new(Snapshot { machine, containers, event: OnceLock::new() }),
    })
}

fn has_processes(one: &ContainerSummary) -> bool {
    matches!(one.status, ContainerStatus::Running | ContainerStatus::Paused)
}

/// Of one processor. What was not there at the look before has its whole life as the time between.
fn cpu_percent(before: Option<&ContainerStats>, now: &ContainerStats, started: Option<SystemTime>) -> f64 {
    let used = now.cpu_ns.unwrap_or(0);
    let between = before.and_then(|before| {
        let used = used.checked_sub(before.cpu_ns?)?;
        let time = now.uptime_ns.checked_sub(before.uptime_ns).filter(|time| *time > 0)?;
        Some((used, time))
    });
    let whole = || {
        let life = started.and_then(|at| at.elapsed().ok()).unwrap_or_default();
        (used, u64::try_from(life.as_nanos()).unwrap_or(u64::MAX).max(1_000_000))
    };
    let (used, time) = between.unwrap_or_else(whole);
    #[allow(clippy::cast_precision_loss, reason = "a percentage needs three digits")]
    let percent = used as f64 / time as f64 * 100.0;
    machine::rounded(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(cpu_ns: u64, uptime_ns: u64) -> ContainerStats {
        ContainerStats { cpu_ns: Some(cpu_ns), uptime_ns, ..ContainerStats::default() }
    }

    #[test]
    fn a_rate_is_of_the_time_between_two_looks() {
        let second = 1_000_000_000;
        assert_eq!(cpu_percent(Some(&stats(second, second)), &stats(2 * second, 5 * second), None), 25.0);
        assert_eq!(cpu_percent(Some(&stats(0, second)), &stats(4 * second, 3 * second), None), 200.0);
    }

    #[test]
    fn one_that_was_started_anew_is_measured_over_its_life() {
        let started = SystemTime::now().checked_sub(Duration::from_secs(4));
        let found = cpu_percent(Some(&stats(9_000_000_000, 1)), &stats(1_000_000_000, 2), started);
        assert!((24.0..=25.0).contains(&found), "{found}");
        assert!(cpu_percent(None, &stats(0, 1), None).abs() < f64::EPSILON);
    }
}
