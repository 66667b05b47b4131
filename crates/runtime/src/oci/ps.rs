//! `ps`: the processes of a container.

use super::options::{Rest, parse, value};
use super::store::Container;
use super::{Context, Problem, cgroup, say};
use crate::launch::internal;
use crate::{Failure, FailureKind};
use std::process::Command;

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(&[value("format", Some('f'))], words, Rest::AsItIs)?;
    let Some((id, options)) = parsed.rest.split_first() else {
        return Err("ps: the container's id is missing".to_owned().into());
    };
    let container = Container::open(context, id)?;
    let pids = cgroup::open(&container.record)?.processes().map_err(|error| {
        Failure::new(FailureKind::Internal, format!("list the processes of container {id:?}"))
            .caused_by(&error)
    })?;
    match parsed.last("format") {
        Some("json") => say(&serde_json::json!(pids).to_string()),
        None | Some("table") => table(&pids, options)?,
        Some(other) => return Err(format!("--format {other}: table or json").into()),
    }
    Ok(0)
}

/// The lines of ps(1) that are about these processes.
fn table(pids: &[u32], options: &[String]) -> Result<(), Failure> {
    let options = if options.is_empty() { vec!["-ef".to_owned()] } else { options.to_vec() };
    let output = Command::new("ps").args(&options).output().map_err(|error| internal("run ps", error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Failure::new(FailureKind::Invalid, format!("ps {} failed: {said}", options.join(" "))));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let Some(column) = header.split_whitespace().position(|title| title == "PID") else {
        return Err(Failure::new(
            FailureKind::Invalid,
            "these options of ps show no PID, by which processes are told",
        ));
    };
    say(header);
    for line in lines {
        let pid = line.split_whitespace().nth(column).and_then(|field| field.parse().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            say(line);
        }
    }
    Ok(())
}
