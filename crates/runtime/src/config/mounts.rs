//! Mounts.

use super::IdMapping;
use super::read::objects;
use std::path::PathBuf;

objects! {
    Mount {
        destination: PathBuf = "destination",
        typ: Option<String> = "type",
        source: Option<PathBuf> = "source",
        options: Option<Vec<String>> = "options",
        uid_mappings: Option<Vec<IdMapping>> = "uidMappings",
        gid_mappings: Option<Vec<IdMapping>> = "gidMappings",
    }
}
