//! The whole.

use super::read::objects;
use super::{Hooks, Linux, Mount, Process};
use std::collections::HashMap;
use std::path::PathBuf;

objects! {
    Spec {
        version: String = "ociVersion",
        process: Option<Process> = "process",
        root: Option<Root> = "root",
        hostname: Option<String> = "hostname",
        domainname: Option<String> = "domainname",
        mounts: Option<Vec<Mount>> = "mounts",
        hooks: Option<Hooks> = "hooks",
        annotations: Option<HashMap<String, String>> = "annotations",
        linux: Option<Linux> = "linux",
    }

    Root {
        path: PathBuf = "path",
        readonly: Option<bool> = "readonly",
    }
}
