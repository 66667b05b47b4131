//! Health checks: what a monitor is told of them, and what it has found.

use crate::cgroups;
use crate::core::Core;
use crate::ended::SIGTERM;
use crate::error::{Error, Result};
use crate::life::Life;
use crate::store::Record;
use crate::time;
use std::time::Duration;
use tinyd_engine::{
    ContainerSpec, HealthCheck, HealthConfig, HealthLogEntry, HealthState, HealthStatus, OnUnhealthy,
};
use tinyd_runtime::ExecRequest;
use tinyd_runtime::health::{HEALTH_FILE, HealthPlan, HealthRecord, Status, Then};
use tinyd_runtime::state::load;

/// How long a command has to end by itself that is stopped.
const GRACE: u64 = 10_000;
/// Docker's least.
const LEAST: Duration = Duration::from_millis(1);

/// Whether a container may have its check.
pub(crate) fn check(spec: &ContainerSpec) -> Result<()> {
    let Some(health) = &spec.health else { return Ok(()) };
    let wrong = |what: &'static str, value: String, why: &'static str| Err(Error::invalid(what, value, why));
    if health.command.trim().is_empty() || health.command.contains('\0') {
        return wrong("health check", health.command.clone(), "is no command");
    }
    for (what, time) in [("health interval", health.interval), ("health timeout", health.timeout)] {
        if time < LEAST {
            return wrong(what, format!("{time:?}"), "is less than a millisecond");
        }
    }
    if health.retries == 0 {
        return wrong("number of health retries", "0".to_owned(), "must be at least 1");
    }
    if spec.remove && health.on_unhealthy == OnUnhealthy::Restart {
        let why = "contradicts the removal of the container at its end (--rm)";
        return wrong("action for a container that is not healthy", "restart".to_owned(), why);
    }
    Ok(())
}

impl Core {
    /// What a container's monitor does for its health.
    pub(crate) fn health_plan(&self, record: &Record) -> Option<HealthPlan> {
        let (spec, id) = (&record.spec, &record.id);
        let health = spec.health.as_ref()?;
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4);
        Some(HealthPlan {
            exec: ExecRequest {
                id: id.clone(),
                bundle: self.store.container(id),
                run_dir: self.store.run_dir(id),
                cgroup: cgroups::path(record),
                protect_program: record.slot.is_none(),
                args: ["/bin/sh", "-c", &health.command].map(str::to_owned).to_vec(),
                env: Vec::new(),
                cwd: None,
                user: None,
                terminal: false,
                interactive: false,
                detach: false,
                window: None,
                events: None,
            },
            interval_ms: ms(health.interval),
            timeout_ms: ms(health.timeout),
            retries: health.retries,
            start_period_ms: ms(health.start_period),
            then: match health.on_unhealthy {
                OnUnhealthy::None => Then::Nothing,
                OnUnhealthy::Restart => Then::Restart,
                OnUnhealthy::Kill => Then::Kill,
                OnUnhealthy::Stop => Then::Stop,
            },
            stop_signal: spec.stop_signal.unwrap_or(SIGTERM),
            grace_ms: spec.stop_timeout.map_or(GRACE, |seconds| u64::from(seconds) * 1000),
        })
    }

    fn health_record(&self, record: &Record) -> Result<Option<HealthRecord>> {
        if record.spec.health.is_none() {
            return Ok(None);
        }
        let path = self.store.run_dir(&record.id).join(HEALTH_FILE);
        let known = load(&path).map_err(|source| Error::file("read", path, source))?;
        Ok(Some(known.unwrap_or_default()))
    }

    /// How a container that runs stands.
    pub(crate) fn health_status(&self, record: &Record, life: &Life) -> Result<Option<HealthStatus>> {
        match life {
            Life::Running(_) => Ok(self.health_record(record)?.map(|known| told(known.status))),
            _ => Ok(None),
        }
    }

    /// How its last run has fared.
    pub(crate) fn health_state(&self, record: &Record) -> Result<Option<HealthState>> {
        let entry = |result: tinyd_runtime::health::HealthResult| HealthLogEntry {
            start: time::rfc3339(result.started_ns),
            end: time::rfc3339(result.finished_ns),
            exit_code: result.code,
            output: result.output,
        };
        Ok(self.health_record(record)?.map(|known| HealthState {
            status: told(known.status).to_string(),
            failing_streak: known.failing,
            log: known.log.into_iter().map(entry).collect(),
        }))
    }
}

fn told(status: Status) -> HealthStatus {
    match status {
        Status::Starting => HealthStatus::Starting,
        Status::Healthy => HealthStatus::Healthy,
        Status::Unhealthy => HealthStatus::Unhealthy,
    }
}

/// In Docker's shape.
pub(crate) fn config(health: &HealthCheck) -> HealthConfig {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    HealthConfig {
        test: vec!["CMD-SHELL".to_owned(), health.command.clone()],
        interval: ns(health.interval),
        timeout: ns(health.timeout),
        start_period: ns(health.start_period),
        retries: health.retries,
        on_unhealthy: health.on_unhealthy.word().to_owned(),
    }
}
