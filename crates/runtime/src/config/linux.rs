//! What only Linux has.

use super::read::{objects, words};
use super::{Device, MemoryPolicy, Personality, Resources};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;

objects! {
    /// Its seccomp profile is read elsewhere, by who compiles it.
    Linux {
        namespaces: Option<Vec<Namespace>> = "namespaces",
        uid_mappings: Option<Vec<IdMapping>> = "uidMappings",
        gid_mappings: Option<Vec<IdMapping>> = "gidMappings",
        time_offsets: Option<HashMap<String, TimeOffset>> = "timeOffsets",
        devices: Option<Vec<Device>> = "devices",
        net_devices: Option<HashMap<String, NetDevice>> = "netDevices",
        cgroups_path: Option<PathBuf> = "cgroupsPath",
        resources: Option<Resources> = "resources",
        intel_rdt: Option<Value> = "intelRdt",
        sysctl: Option<HashMap<String, String>> = "sysctl",
        rootfs_propagation: Option<String> = "rootfsPropagation",
        masked_paths: Option<Vec<String>> = "maskedPaths",
        readonly_paths: Option<Vec<String>> = "readonlyPaths",
        mount_label: Option<String> = "mountLabel",
        personality: Option<Personality> = "personality",
        memory_policy: Option<MemoryPolicy> = "memoryPolicy",
    }

    Namespace {
        typ: NamespaceKind = "type",
        path: Option<PathBuf> = "path",
    }

    #[derive(Copy)]
    IdMapping {
        container_id: u32 = "containerID" or 0,
        host_id: u32 = "hostID" or 0,
        size: u32 = "size" or 0,
    }

    TimeOffset {
        secs: Option<i64> = "secs",
        nanosecs: Option<u32> = "nanosecs",
    }

    NetDevice {
        name: Option<String> = "name",
    }
}

words! {
    NamespaceKind {
        Mount = "mount",
        Cgroup = "cgroup",
        Uts = "uts",
        Ipc = "ipc",
        User = "user",
        Pid = "pid",
        Network = "network",
        Time = "time",
    }
}
