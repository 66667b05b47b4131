//! `spec`: a configuration to begin with.

use super::options::{Rest, flag, parse, value};
use super::{Problem, SPECIFICATION};
use crate::launch::internal;
use crate::plan::CONFIG;
use crate::{Failure, FailureKind};
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// What is written, but for the version: a shell, with what a command that is not trusted with more is given.
const TEMPLATE: &str = include_str!("spec/template.json");

pub(super) fn verb(words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(&[value("bundle", Some('b')), flag("rootless", None)], words, Rest::Mixed)?;
    let path = Path::new(parsed.last("bundle").unwrap_or(".")).join(CONFIG);
    let opened = OpenOptions::new().write(true).create_new(true).open(&path);
    let mut file = opened.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(
            FailureKind::Invalid,
            format!("{} is there already: remove it first", path.display()),
        ),
        _ => internal(&format!("make {}", path.display()), error),
    })?;
    let config =
        configuration(parsed.has("rootless")).map_err(|error| internal("read the template", error))?;
    let text = format!("{config:#}\n");
    file.write_all(text.as_bytes()).map_err(|error| internal(&format!("write {}", path.display()), error))?;
    Ok(0)
}

fn configuration(rootless: bool) -> serde_json::Result<Value> {
    let mut config: Value = serde_json::from_str(TEMPLATE)?;
    config["ociVersion"] = SPECIFICATION.into();
    if rootless {
        without_root(&mut config);
    }
    Ok(config)
}

/// For a caller who is not root: the ids of a user namespace, and nothing that takes more.
fn without_root(config: &mut Value) {
    let map = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
    let linux = &mut config["linux"];
    linux["uidMappings"] = map(rustix::process::geteuid().as_raw());
    linux["gidMappings"] = map(rustix::process::getegid().as_raw());
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces.push(json!({ "type": "user" }));
    }
    if let Some(linux) = linux.as_object_mut() {
        linux.remove("resources");
    }
    if let Some(mounts) = config["mounts"].as_array_mut() {
        for mount in mounts {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "gid=5");
            }
        }
    }
}
