//! `features`: what this build can do, in the specification's words.

use super::hooks::Moment;
use super::options::{Rest, parse};
use super::{Problem, SPECIFICATION, say};
use crate::plan::mount_options;
use serde_json::{Value, json};
use tinyd_ns::Namespaces;
use tinyd_ns::caps::Capability;

/// Actions of a filter.
const ACTIONS: [&str; 10] = [
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_PROCESS",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_LOG",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_NOTIFY",
    "",
];

pub(super) fn verb(words: Vec<String>) -> Result<u8, Problem> {
    parse(&[], words, Rest::Mixed)?;
    say(&format!("{:#}", document()));
    Ok(0)
}

fn document() -> Value {
    let namespaces: Vec<_> =
        Namespaces::all().iter().filter_map(Namespaces::file_name).map(in_the_specification).collect();
    let capabilities: Vec<_> = Capability::ALL.iter().map(|capability| capability.name()).collect();
    json!({
        "ociVersionMin": "1.0.0",
        "ociVersionMax": SPECIFICATION,
        "hooks": Moment::ALL.map(Moment::word),
        "mountOptions": mount_options(),
        "linux": {
            "namespaces": namespaces,
            "capabilities": capabilities,
            "cgroup": { "v1": true, "v2": true, "systemd": true, "systemdUser": false, "rdma": true },
            "seccomp": { "enabled": true, "actions": ACTIONS.iter().filter(|action| !action.is_empty()).collect::<Vec<_>>() },
            "apparmor": { "enabled": false },
            "selinux": { "enabled": false },
            "intelRdt": { "enabled": false },
            "mountExtensions": { "idmap": { "enabled": true } },
        },
        "annotations": { "dev.tinyd.version": env!("CARGO_PKG_VERSION") },
        "potentiallyUnsafeConfigAnnotations": [],
    })
}

/// The word for a namespace that `/proc` calls otherwise.
fn in_the_specification(name: &'static str) -> &'static str {
    match name {
        "mnt" => "mount",
        "net" => "network",
        name => name,
    }
}
