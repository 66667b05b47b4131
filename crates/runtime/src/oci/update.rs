//! `update`: other limits for a container that runs.

use super::options::{Flag, Parsed, Rest, parse, value};
use super::store::{Container, Status};
use super::{Context, Problem, cgroup, one_id};
use crate::config::{Read as _, Resources};
use crate::plan;
use crate::{Failure, FailureKind};
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
fn resources(parsed: &Parsed) -> Result<Resources, Problem> {
    let Some(path) = parsed.last("resources") else {
        return Ok(Resources::of(&of_options(parsed)?).map_err(|wrong| wrong.to_string())?);
    };
    let mut text = Vec::new();
    let read = match path {
        "-" => std::io::stdin().read_to_end(&mut text),
        path => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut text)),
    };
    let read = read.and_then(|_| plan::read(&text));
    Ok(read.map_err(|error| format!("--resources {path}: {error}"))?)
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
