//! The engine as a whole.

use super::messages;

messages! {
    Finding { object, problem, repaired, failure }
    CheckReport { findings, notes }
    SystemInfo {
        server_version, containers, containers_running, containers_paused, containers_stopped, driver,
        driver_status, storage_drivers, plugins, default_runtime, cgroup_driver, cgroup_version,
        security_options, kernel_version, operating_system, os_type, architecture, processors, mem_total,
        root_dir, name, warnings
    }
    Event { number, time, kind, action, id, attributes }
    StorageDriver { name, available, note }
    Plugins { volume, network }
    VersionInfo { engine, runtime, runtime_path, oci, kernel, cgroup, arch }
}
