//! `state`: the specification's document of a container, which hooks get as well.

use super::SPECIFICATION;
use super::store::{Container, Status};
use super::{Context, Problem, only_id, say};
use crate::monitor::rfc3339;
use crate::plan::Bundle;
use serde_json::{Map, Value, json};

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let id = only_id("state", words)?;
    let container = Container::open(context, &id)?;
    let bundle = container.bundle().ok();
    let mut document = document(&container, bundle.as_ref(), container.status());
    let more = [
        ("rootfs", json!(container.record.rootfs)),
        ("created", json!(rfc3339(container.record.created_ns))),
        ("owner", json!("")),
    ];
    if let Some(map) = document.as_object_mut() {
        map.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    say(&format!("{document:#}"));
    Ok(0)
}

/// The container at this moment.
pub(super) fn document(container: &Container, bundle: Option<&Bundle>, status: Status) -> Value {
    let record = &container.record;
    let mut map = Map::new();
    map.insert("ociVersion".to_owned(), json!(SPECIFICATION));
    map.insert("id".to_owned(), json!(record.id));
    map.insert("status".to_owned(), json!(status.word()));
    let pid = if status.has_process() { container.pid() } else { 0 };
    map.insert("pid".to_owned(), json!(pid));
    map.insert("bundle".to_owned(), json!(record.bundle));
    if let Some(annotations) = bundle.and_then(|bundle| bundle.spec.annotations.as_ref()) {
        map.insert("annotations".to_owned(), json!(annotations));
    }
    Value::Object(map)
}
