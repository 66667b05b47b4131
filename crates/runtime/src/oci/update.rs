//! `update`: other limits for a container that runs.

use super::options::{Flag, Parsed, Rest, parse, value};
use super::store::{Container, Status};
use super::{Context, Problem, cgroup, one_id};
use crate::plan;
use crate::{Failure, FailureKind};
use oci_spec::runtime::LinuxResources;
use serde_json::{Value, json};
use std::io::Read as _;

const FLAGS: &[Flag] = &[
    value("resources", Some('r')),
    value("blkio-weight", None),
    value("cpu-period", None),
    value("cpu-quota", None),
    value("cpu-burst", None),
    value("cpu-share", None),
    value("cpu-rt-period", None),
    value("cpu-rt-runtime", None),
    value("cpu-idle", None),
    value("cpuset-cpus", None),
    value("cpuset-mems", None),
    value("memory", None),
    value("memory-reservation", None),
    value("memory-swap", None),
    value("pids-limit", None),
];

/// Where an option's number stands in the resources.
const NUMBERS: [(&str, &str); 12] = [
    ("blkio-weight", "/blockIO/weight"),
    ("cpu-period", "/cpu/period"),
    ("cpu-quota", "/cpu/quota"),
    ("cpu-burst", "/cpu/burst"),
    ("cpu-share", "/cpu/shares"),
    ("cpu-rt-period", "/cpu/realtimePeriod"),
    ("cpu-rt-runtime", "/cpu/realtimeRuntime"),
    ("cpu-idle", "/cpu/idle"),
    ("memory", "/memory/limit"),
    ("memory-reservation", "/memory/reservation"),
    ("memory-swap", "/memory/swap"),
    ("pids-limit", "/pids/limit"),
];

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(FLAGS, words, Rest::Mixed)?;
    let id = one_id("update", &parsed)?;
    let limits = plan::limits_of(&resources(&parsed)?)?;
    let container = Container::open(context, &id)?;
    let _lock = container.lock()?;
    match container.status() {
        Status::Created | Status::Running | Status::Paused => {}
        status => {
            let problem = format!("update: container {id:?} is {}", status.word());
            return Err(Failure::new(FailureKind::NotRunning, problem).into());
        }
    }
    cgroup::open(&container.record)?.apply(&limits).map_err(|error| {
        Failure::new(FailureKind::Internal, format!("update container {id:?}")).caused_by(&error)
    })?;
    Ok(0)
}

/// What the document says, or the options.
fn resources(parsed: &Parsed) -> Result<LinuxResources, Problem> {
    let document = match parsed.last("resources") {
        Some(path) => {
            let wrong = |error: &dyn std::fmt::Display| format!("--resources {path}: {error}");
            let mut text = Vec::new();
            match path {
                "-" => std::io::stdin().read_to_end(&mut text),
                path => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text)),
            }
            .map_err(|error| wrong(&error))?;
            let mut document: Value = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
            // Without a limit it is none: our type would take it for 0.
            if let Some(resources) = document.as_object_mut()
                && resources.get("pids").is_some_and(|pids| pids["limit"].is_null())
            {
                resources.remove("pids");
            }
            return Ok(serde_json::from_value(document).map_err(|error| wrong(&error))?);
        }
        None => of_options(parsed)?,
    };
    Ok(serde_json::from_value(document).map_err(|error| error.to_string())?)
}

fn of_options(parsed: &Parsed) -> Result<Value, String> {
    let mut document = json!({ "blockIO": {}, "cpu": {}, "memory": {} });
    for (name, place) in NUMBERS {
        if let Some(number) = parsed.number::<i64>(name)? {
            set(&mut document, place, json!(number));
        }
    }
    for (name, place) in [("cpuset-cpus", "/cpu/cpus"), ("cpuset-mems", "/cpu/mems")] {
        if let Some(list) = parsed.last(name) {
            set(&mut document, place, json!(list));
        }
    }
    Ok(document)
}

fn set(document: &mut Value, place: &str, value: Value) {
    if let Some((object, name)) = place.trim_start_matches('/').split_once('/') {
        document[object][name] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_options_are_the_limits_that_they_name() {
        let words = ["--memory", "67108864", "--cpu-quota=-1", "--pids-limit", "7", "--cpuset-cpus", "0"];
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let parsed = parse(FLAGS, words, Rest::Mixed).unwrap();
        let Ok(resources) = resources(&parsed) else { panic!("they are resources") };
        let limits = plan::limits_of(&resources).unwrap();
        assert_eq!((limits.memory.limit_bytes, limits.pids_max), (Some(67_108_864), Some(7)));
        assert_eq!((limits.cpu.quota_us, limits.cpu.cpus.as_deref()), (Some(-1), Some("0")));
        assert_eq!(limits.cpu.shares, None);
    }
}
