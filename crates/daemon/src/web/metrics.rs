//! `/metrics`, for Prometheus: what runs, under the names that cAdvisor has made usual.

use super::answer::Refusal;
use super::{Web, api};
use crate::sampler::{Sample, Snapshot};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tinyd_engine::ContainerStatus;

/// Scrapers that come at once are told of the same look.
const AGE: Duration = Duration::from_secs(1);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A figure of each container; `None` where it is not counted.
struct Figure {
    /// Of a counter without `_total`, which the format appends.
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    value: fn(&Sample) -> Option<f64>,
}

const FIGURES: [Figure; 17] = [
    counter("container_cpu_usage_seconds", "Processor time used, in seconds", |one| {
        Some(number(stats(one)?.cpu_ns?) / 1e9)
    }),
    counter(
        "container_cpu_cfs_throttled_periods",
        "Periods in which its processor time was used up",
        |one| Some(number(stats(one)?.throttled_periods?)),
    ),
    gauge(
        "container_spec_cpu_quota",
        "Processor time in microseconds of each period, -1 without a limit",
        |one| {
            #[allow(clippy::cast_precision_loss, reason = "a metric is a double")]
            Some(api::quota(stats(one)?) as f64)
        },
    ),
    gauge("container_spec_cpu_period", "That period, in microseconds", |one| stats(one).map(|_| 100_000.0)),
    gauge("container_memory_usage_bytes", "Memory with all cache", |one| {
        Some(number(stats(one)?.memory_with_cache?))
    }),
    gauge("container_memory_working_set_bytes", "Memory without the cache that is given back first", |one| {
        Some(number(stats(one)?.memory?))
    }),
    gauge(
        "container_spec_memory_limit_bytes",
        "Most memory that it may use; without a limit the machine's",
        |one| Some(number(stats(one)?.memory_limit)),
    ),
    counter(
        "container_network_receive_bytes",
        "Bytes that came by its links, but for its own loopback",
        |one| Some(number(stats(one)?.net_received?)),
    ),
    counter("container_network_transmit_bytes", "Bytes that went by them", |one| {
        Some(number(stats(one)?.net_sent?))
    }),
    counter("container_fs_reads_bytes", "Bytes that were read from disks", |one| {
        Some(number(stats(one)?.block_read?))
    }),
    counter("container_fs_writes_bytes", "Bytes that were written to disks", |one| {
        Some(number(stats(one)?.block_written?))
    }),
    counter("container_oom_events", "Processes that the kernel killed for want of memory", |one| {
        Some(number(stats(one)?.oom_kills?))
    }),
    gauge("container_threads", "Processes and threads", |one| Some(number(stats(one)?.pids?))),
    gauge("container_threads_max", "Most of them", |one| Some(number(stats(one)?.pids_limit?))),
    gauge("container_start_time_seconds", "When it was last started, in seconds since 1970", |one| {
        Some(number(api::milliseconds(one.summary.started?)) / 1e3)
    }),
    gauge("container_paused", "1 while it is frozen", |one| {
        Some(f64::from(u8::from(one.summary.status == ContainerStatus::Paused)))
    }),
    gauge("container_exit_code", "How the command last ended", |one| {
        one.summary.exit.filter(|exit| !exit.unknown).map(|exit| f64::from(exit.code))
    }),
];

const fn counter(name: &'static str, help: &'static str, value: fn(&Sample) -> Option<f64>) -> Figure {
    Figure { name, help, kind: MetricType::Counter, value }
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&Sample) -> Option<f64>) -> Figure {
    Figure { name, help, kind: MetricType::Gauge, value }
}

fn stats(one: &Sample) -> Option<&tinyd_engine::ContainerStats> {
    one.usage.as_ref().map(|usage| &usage.stats)
}

#[allow(clippy::cast_precision_loss, reason = "a metric is a double")]
fn number(value: u64) -> f64 {
    value as f64
}

#[derive(Debug)]
struct Scrape(Arc<Snapshot>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let machine = &self.0.machine;
        let mut whole = |name: &str, help: &str, value: f64| {
            encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
        };
        whole("machine_memory_bytes", "Memory of the machine", number(machine.total_memory))?;
        whole(
            "machine_memory_used_bytes",
            "Memory that is neither free nor given back at once",
            number(machine.used_memory),
        )?;
        whole("machine_cpu_percent", "Of all processors together", machine.cpu_percent)?;
        self.states(&mut encoder)?;
        for figure in &FIGURES {
            let values = self.0.containers.iter().filter_map(|one| Some((one, (figure.value)(one)?)));
            let mut values = values.peekable();
            if values.peek().is_none() {
                continue;
            }
            let mut metric = encoder.encode_descriptor(figure.name, figure.help, None, figure.kind)?;
            for (one, value) in values {
                let summary = &one.summary;
                let name = summary.name.as_deref().unwrap_or_default();
                let labels = [("id", summary.id.as_str()), ("name", name), ("image", summary.image.as_str())];
                let mut metric = metric.encode_family(&labels)?;
                match figure.kind {
                    MetricType::Counter => metric.encode_counter::<NoLabelSet, f64, f64>(&value, None)?,
                    _ => metric.encode_gauge(&value)?,
                }
            }
        }
        Ok(())
    }
}

impl Scrape {
    fn states(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut metric =
            encoder.encode_descriptor("tinyd_containers", "Containers by state", None, MetricType::Gauge)?;
        use ContainerStatus::{Created, Paused, Restarting, Running, Stopped};
        for status in [Created, Running, Paused, Restarting, Stopped] {
            let count = self.0.containers.iter().filter(|one| one.summary.status == status).count();
            let word = status.to_string().to_lowercase();
            let count = number(u64::try_from(count).unwrap_or(u64::MAX));
            metric.encode_family(&[("state", word.as_str())])?.encode_gauge(&count)?;
        }
        Ok(())
    }
}

pub(super) async fn show(State(web): State<Web>) -> Result<Response, Refusal> {
    let now = web.sampler.current(AGE).await?;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Scrape(now)));
    let mut out = String::new();
    text::encode(&mut out, &registry)
        .map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], out).into_response())
}
