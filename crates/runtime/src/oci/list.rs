//! `list`: all containers.

use super::options::{Rest, flag, parse, value};
use super::store::{Container, Status};
use super::{Context, Problem, SPECIFICATION, say};
use crate::monitor::rfc3339;
use serde_json::{Value, json};

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let flags = [value("format", Some('f')), flag("quiet", Some('q'))];
    let parsed = parse(&flags, words, Rest::Mixed)?;
    let containers = Container::all(context);
    if parsed.has("quiet") {
        containers.iter().for_each(|container| say(&container.record.id));
        return Ok(0);
    }
    match parsed.last("format") {
        Some("json") => say(&Value::from_iter(containers.iter().map(document)).to_string()),
        None | Some("table") => {
            say(&format!("{:<20} {:<10} {:<10} {:<30} BUNDLE", "ID", "PID", "STATUS", "CREATED"));
            for container in &containers {
                let (record, status) = (&container.record, container.status());
                let pid = pid(container, status);
                let (created, bundle) = (rfc3339(record.created_ns), record.bundle.display());
                say(&format!("{:<20} {pid:<10} {:<10} {created:<30} {bundle}", record.id, status.word()));
            }
        }
        Some(other) => return Err(format!("--format {other}: table or json").into()),
    }
    Ok(0)
}

fn document(container: &Container) -> Value {
    let (record, status) = (&container.record, container.status());
    json!({
        "ociVersion": SPECIFICATION,
        "id": record.id,
        "pid": pid(container, status),
        "status": status.word(),
        "bundle": record.bundle,
        "rootfs": record.rootfs,
        "created": rfc3339(record.created_ns),
    })
}

fn pid(container: &Container, status: Status) -> u32 {
    if status.has_process() { container.pid() } else { 0 }
}
