//! `update`: other limits for a container that runs.

use super::options::{Flag, Parsed, Rest, parse, value};
use super::store::{Container, Status};
use super::{Context, Problem, cgroup, one_id};
use crate::config::{Read as _, Resources};
use crate::plan;
use crate::quantity::bytes;
use crate::{Failure, FailureKind};
use serde_json::{Value, json};
use std::io::Read as _;
use tinyd_cgroup::{Cgroup, Limits};

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
    value("kernel-memory", None),
    value("kernel-memory-tcp", None),
    value("pids-limit", None),
    value("l3-cache-schema", None),
    value("mem-bw-schema", None),
];

/// Where an option's number stands in the resources.
const NUMBERS: [(&str, &str); 9] = [
    ("blkio-weight", "/blockIO/weight"),
    ("cpu-period", "/cpu/period"),
    ("cpu-quota", "/cpu/quota"),
    ("cpu-burst", "/cpu/burst"),
    ("cpu-share", "/cpu/shares"),
    ("cpu-rt-period", "/cpu/realtimePeriod"),
    ("cpu-rt-runtime", "/cpu/realtimeRuntime"),
    ("cpu-idle", "/cpu/idle"),
    ("pids-limit", "/pids/limit"),
];

/// The same of those that are sizes, with a unit or without.
const SIZES: [(&str, &str); 5] = [
    ("memory", "/memory/limit"),
    ("memory-reservation", "/memory/reservation"),
    ("memory-swap", "/memory/swap"),
    ("kernel-memory", "/memory/kernel"),
    ("kernel-memory-tcp", "/memory/kernelTCP"),
];

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(FLAGS, words, Rest::Mixed)?;
    let id = one_id("update", &parsed)?;
    for option in ["l3-cache-schema", "mem-bw-schema"] {
        if parsed.last(option).is_some_and(|schema| !schema.is_empty()) {
            let problem = format!("update: --{option} is Intel RDT's, which no container is given here");
            return Err(Failure::new(FailureKind::Unsupported, problem).into());
        }
    }
    let resources = resources(&parsed)?;
    let mut limits = plan::limits_of(&resources)?;
    // Engines send all that they know, and not what a hook has let the container have besides (a GPU): what it may open is said
    // when it is created.
    limits.devices.clear();
    let container = Container::open(context, &id)?;
    let _lock = container.lock()?;
    limits.pids_max = plan::pids_of(&container.bundle()?, limits.pids_max);
    match container.status() {
        Status::Created | Status::Running | Status::Paused => {}
        status => {
            let problem = format!("update: container {id:?} is {}", status.word());
            return Err(Failure::new(FailureKind::NotRunning, problem).into());
        }
    }
    let failed =
        |error| Failure::new(FailureKind::Internal, format!("update container {id:?}")).caused_by(&error);
    let group = cgroup::open(&container.record)?;
    if resources.memory.and_then(|memory| memory.check_before_update) == Some(true) {
        expect_room(group.as_ref(), &limits)?;
    }
    lift_swap(group.as_ref(), &mut limits).and_then(|()| group.apply(&limits)).map_err(failed)?;
    Ok(0)
}

/// Who asks for that does not want to have something ended for want of memory.
fn expect_room(group: &dyn Cgroup, limits: &Limits) -> Result<(), Failure> {
    let stats =
        group.stats().map_err(|error| Failure::new(FailureKind::Internal, "update").caused_by(&error))?;
    let (Some(limit), Some(used)) = (limits.memory.limit_bytes, stats.memory.usage_bytes) else {
        return Ok(());
    };
    match u64::try_from(limit).is_ok_and(|limit| limit < used) {
        true => {
            let problem =
                format!("update: the limit of memory, {limit} bytes, is below the {used} that are used");
            Err(Failure::new(FailureKind::Invalid, problem))
        }
        false => Ok(()),
    }
}

/// Who takes the limit of memory away, and says nothing of the one of memory and swap together, means both: the second would still be
/// one of memory.
fn lift_swap(group: &dyn Cgroup, limits: &mut Limits) -> tinyd_cgroup::Result<()> {
    let memory = &mut limits.memory;
    if memory.limit_bytes == Some(-1) && memory.swap_bytes.is_none() {
        memory.swap_bytes = group.limits()?.memory.swap_bytes.map(|_| -1);
    }
    Ok(())
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
    for (name, place) in SIZES {
        if let Some(text) = parsed.last(name) {
            set(&mut document, place, json!(size(name, text)?));
        }
    }
    for (name, place) in [("cpuset-cpus", "/cpu/cpus"), ("cpuset-mems", "/cpu/mems")] {
        if let Some(list) = parsed.last(name) {
            set(&mut document, place, json!(list));
        }
    }
    Ok(document)
}

/// Bytes; -1 is no limit.
fn size(name: &str, text: &str) -> Result<i64, String> {
    let bytes = match text {
        "-1" => Some(-1),
        _ => bytes(text).and_then(|bytes| i64::try_from(bytes).ok()),
    };
    bytes.ok_or_else(|| {
        format!(
            "--{name} {text:?}: is no size; write it like 100m or 1.5g (b, k, m, g, t), or -1 for no limit"
        )
    })
}

fn set(document: &mut Value, place: &str, value: Value) {
    if let Some((object, name)) = place.trim_start_matches('/').split_once('/') {
        document[object][name] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(words: &[&str]) -> Result<tinyd_cgroup::Limits, String> {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        let parsed = parse(FLAGS, words, Rest::Mixed)?;
        let document = of_options(&parsed)?;
        let resources = Resources::of(&document).map_err(|wrong| wrong.to_string())?;
        plan::limits_of(&resources).map_err(|failure| failure.to_string())
    }

    #[test]
    fn pure_options_are_the_limits_that_they_name() {
        let words = ["--memory", "67108864", "--cpu-quota=-1", "--pids-limit", "7", "--cpuset-cpus", "0"];
        let found = limits(&words).unwrap();
        assert_eq!((found.memory.limit_bytes, found.pids_max), (Some(67_108_864), Some(7)));
        assert_eq!((found.cpu.quota_us, found.cpu.cpus.as_deref()), (Some(-1), Some("0")));
        assert_eq!(found.cpu.shares, None);
        let burst = &limits(&["--cpu-burst", "0"]).unwrap().settings[0];
        assert_eq!(burst.v1, Some(("cpu.cfs_burst_us".to_owned(), "0".to_owned())));
    }

    #[test]
    fn pure_memory_is_a_size() {
        let found = limits(&["--memory", "100M", "--memory-reservation=50mib", "--memory-swap", "1.5Gb"])
            .unwrap()
            .memory;
        let wanted = (Some(100 << 20), Some(50 << 20), Some(3 << 29));
        assert_eq!((found.limit_bytes, found.reservation_bytes, found.swap_bytes), wanted);
        let none = limits(&["--memory", "-1", "--memory-swap=-1"]).unwrap().memory;
        assert_eq!((none.limit_bytes, none.swap_bytes), (Some(-1), Some(-1)));
        let kernel = limits(&["--kernel-memory", "5m", "--kernel-memory-tcp", "6k"]).unwrap();
        let tcp = ("memory.kmem.tcp.limit_in_bytes".to_owned(), "6144".to_owned());
        assert_eq!((kernel.settings.len(), kernel.settings[0].v1.as_ref()), (1, Some(&tcp)));
        for wrong in ["100X", "-2", "", "1 m"] {
            let problem = limits(&["--memory", wrong]).unwrap_err();
            assert!(problem.contains("--memory") && problem.contains("100m"), "{problem}");
        }
    }
}
