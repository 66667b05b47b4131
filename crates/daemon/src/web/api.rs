//! The JSON of the containers and of the machine.
//!
//! `/api/containers` and `/api/system` have the fields, the units and the presence by state that the seeds give them.
//! `/api/overview` has more, for the page; the events of `/api/stream` are the same.

use super::Web;
use super::answer::Refusal;
use crate::sampler::{Sample, Snapshot};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tinyd_engine::{ContainerStats, ContainerStatus};

/// How old an answer may be.
const AGE: Duration = Duration::from_millis(500);

/// Microseconds of a period of 100 ms that a thousandth of a processor is.
const QUOTA_PER_MILLI: u64 = 100;

#[derive(Serialize)]
struct Containers<'a> {
    containers: Vec<Container<'a>>,
}

/// A container as the seeds have it.
#[derive(Serialize)]
struct Container<'a> {
    id: &'a str,
    pid: u32,
    state: String,
    #[serde(flatten)]
    usage: Option<Use>,
}

#[derive(Serialize)]
struct Use {
    cpu_usage: u64,
    /// -1 without a limit, as the kernel has it.
    cpu_limit: i64,
    cpu_percent: f64,
    memory_usage: u64,
    memory_limit: u64,
    memory_percent: f64,
}

#[derive(Serialize)]
struct System {
    used_memory: u64,
    total_memory: u64,
    cpu_percent: f64,
}

#[derive(Serialize)]
struct Overview<'a> {
    /// Whether the page may offer to change something.
    control: bool,
    system: System,
    containers: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    name: Option<&'a str>,
    image: &'a str,
    command: &'a [String],
    created_ms: u64,
    started_ms: Option<u64>,
    finished_ms: Option<u64>,
    exit_code: Option<u8>,
    exit_unknown: bool,
    host_restarted: bool,
    oom_killed: bool,
    ports: &'a [String],
    networks: &'a [String],
    volumes: &'a [String],
    throttled_periods: Option<u64>,
    oom_kills: Option<u64>,
    pids: Option<u64>,
    pids_limit: Option<u64>,
    #[serde(flatten)]
    container: Container<'a>,
}

impl Use {
    fn of(sample: &Sample) -> Option<Self> {
        let usage = sample.usage.as_ref()?;
        let stats = &usage.stats;
        let memory_usage = stats.memory.unwrap_or(0);
        Some(Self {
            cpu_usage: stats.cpu_ns.unwrap_or(0),
            cpu_limit: quota(stats),
            cpu_percent: usage.cpu_percent,
            memory_usage,
            memory_limit: stats.memory_limit,
            memory_percent: percent(memory_usage, stats.memory_limit),
        })
    }
}

/// Processor time in microseconds of each 100 ms.
pub(super) fn quota(stats: &ContainerStats) -> i64 {
    let quota = stats.cpu_limit_milli.map(|milli| milli.saturating_mul(QUOTA_PER_MILLI));
    quota.map_or(-1, |quota| i64::try_from(quota).unwrap_or(i64::MAX))
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss, reason = "a percentage needs three digits")]
    let percent = part as f64 / whole as f64 * 100.0;
    (percent * 100.0).round() / 100.0
}

impl<'a> Container<'a> {
    fn of(sample: &'a Sample) -> Self {
        let summary = &sample.summary;
        let runs = summary.status == ContainerStatus::Running;
        Self {
            id: &summary.id,
            pid: summary.pid,
            state: summary.status.to_string(),
            usage: runs.then(|| Use::of(sample)).flatten(),
        }
    }
}

impl<'a> Shown<'a> {
    fn of(sample: &'a Sample) -> Self {
        let summary = &sample.summary;
        let stats = sample.usage.as_ref().map(|usage| &usage.stats);
        let exit = summary.exit.as_ref();
        Self {
            name: summary.name.as_deref(),
            image: &summary.image,
            command: &summary.command,
            created_ms: milliseconds(summary.created),
            started_ms: summary.started.map(milliseconds),
            finished_ms: summary.finished.map(milliseconds),
            exit_code: exit.map(|exit| exit.code),
            exit_unknown: exit.is_some_and(|exit| exit.unknown),
            host_restarted: exit.is_some_and(|exit| exit.host_restarted),
            oom_killed: exit.is_some_and(|exit| exit.oom_killed),
            ports: &summary.ports,
            networks: &summary.networks,
            volumes: &summary.volumes,
            throttled_periods: stats.and_then(|stats| stats.throttled_periods),
            oom_kills: stats.and_then(|stats| stats.oom_kills),
            pids: stats.and_then(|stats| stats.pids),
            pids_limit: stats.and_then(|stats| stats.pids_limit),
            container: Container { usage: Use::of(sample), ..Container::of(sample) },
        }
    }
}

impl System {
    fn of(snapshot: &Snapshot) -> Self {
        let machine = &snapshot.machine;
        Self {
            used_memory: machine.used_memory,
            total_memory: machine.total_memory,
            cpu_percent: machine.cpu_percent,
        }
    }
}

/// Milliseconds since 1970.
pub(super) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Response, Refusal> {
    let text = serde_json::to_string(value).map_err(|error| {
        let kind = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        Refusal::new(kind, format!("the answer cannot be written: {error}"))
    })?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

pub(super) async fn containers(State(web): State<Web>) -> Result<Response, Refusal> {
    let now = web.sampler.current(AGE).await?;
    json(&Containers { containers: now.containers.iter().map(Container::of).collect() })
}

pub(super) async fn system(State(web): State<Web>) -> Result<Response, Refusal> {
    json(&System::of(web.sampler.current(AGE).await?.as_ref()))
}

pub(super) async fn overview(State(web): State<Web>) -> Result<Response, Refusal> {
    let now = web.sampler.current(AGE).await?;
    json(&overview_of(&web, &now))
}

fn overview_of<'a>(web: &Web, now: &'a Snapshot) -> Overview<'a> {
    Overview {
        control: web.control.is_some(),
        system: System::of(now),
        containers: now.containers.iter().map(Shown::of).collect(),
    }
}

/// The overview as text, for an event.
pub(super) fn overview_text(web: &Web, now: &Snapshot) -> Option<String> {
    serde_json::to_string(&overview_of(web, now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::Usage;
    use tinyd_engine::{ContainerSummary, ExitStatus};

    fn sample(status: ContainerStatus, usage: Option<Usage>) -> Sample {
        let summary = ContainerSummary {
            id: "container_id".to_owned(),
            name: Some("web".to_owned()),
            image: "host".to_owned(),
            command: vec!["sleep".to_owned()],
            created: UNIX_EPOCH,
            started: None,
            finished: None,
            status,
            exit: Some(ExitStatus { code: 137, oom_killed: true, unknown: false, host_restarted: false }),
            pid: if usage.is_some() { 12345 } else { 0 },
            ports: Vec::new(),
            networks: Vec::new(),
            health: None,
            volumes: Vec::new(),
        };
        Sample { summary, usage }
    }

    fn usage() -> Option<Usage> {
        let stats = ContainerStats {
            cpu_ns: Some(1_000_000_000),
            cpu_limit_milli: Some(250),
            memory: Some(67_108_864),
            memory_limit: 134_217_728,
            ..ContainerStats::default()
        };
        Some(Usage { stats, cpu_percent: 25.5 })
    }

    #[test]
    fn one_that_runs_is_as_in_the_seed() {
        let sample = sample(ContainerStatus::Running, usage());
        let text = serde_json::to_string(&Containers { containers: vec![Container::of(&sample)] }).unwrap();
        let seed = r#"{"containers":[{"id":"container_id","pid":12345,"state":"RUNNING","cpu_usage":1000000000,"cpu_limit":25000,"cpu_percent":25.5,"memory_usage":67108864,"memory_limit":134217728,"memory_percent":50.0}]}"#;
        assert_eq!(text, seed);
    }

    #[test]
    fn one_that_does_not_run_has_three_fields() {
        for (status, usage) in [(ContainerStatus::Stopped, None), (ContainerStatus::Paused, usage())] {
            let sample = sample(status, usage);
            let value = serde_json::to_value(Container::of(&sample)).unwrap();
            let mut fields: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
            fields.sort_unstable();
            assert_eq!(fields, ["id", "pid", "state"], "{status}");
        }
        let shown = serde_json::to_value(Shown::of(&sample(ContainerStatus::Paused, usage()))).unwrap();
        assert_eq!((&shown["memory_percent"], &shown["oom_killed"]), (&50.0.into(), &true.into()));
    }
}
