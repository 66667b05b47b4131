//! `features`: what this build can do, in the specification's words.

use super::hooks::Moment;
use super::options::{Rest, parse};
use super::{Problem, SPECIFICATION, say};
use crate::annotation;
use crate::config::{MemoryFlag, MemoryMode};
use crate::plan::mount_options;
use serde_json::{Value, json};
use tinyd_ns::Namespaces;
use tinyd_ns::caps::Capability;
use tinyd_ns::seccomp::{Action, Architecture, FilterFlag, Op};

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
            "seccomp": {
                "enabled": true,
                "actions": Action::ALL,
                "operators": Op::ALL,
                "archs": Architecture::ALL,
                "knownFlags": FilterFlag::ALL,
                "supportedFlags": FilterFlag::ALL,
            },
            "apparmor": { "enabled": true },
            "selinux": { "enabled": true },
            "memoryPolicy": {
                "modes": words(MemoryMode::ALL),
                "flags": words(MemoryFlag::ALL),
            },
            "intelRdt": { "enabled": false, "schemata": false, "monitoring": false },
            "mountExtensions": { "idmap": { "enabled": true } },
            "netDevices": { "enabled": true },
        },
        "annotations": { "dev.tinyd.version": env!("CARGO_PKG_VERSION") },
        "potentiallyUnsafeConfigAnnotations": annotation::ALL,
    })
}

fn words<T>(all: &[(&'static str, T)]) -> Vec<&'static str> {
    all.iter().map(|(word, _)| *word).collect()
}

/// The word for a namespace that `/proc` calls otherwise.
fn in_the_specification(name: &'static str) -> &'static str {
    match name {
        "mnt" => "mount",
        "net" => "network",
        name => name,
    }
}
