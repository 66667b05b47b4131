//! `info`: what the engine has, what it stands on, and what it does without on this host.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::userns;
use std::fs;
use tinyd_cgroup::{CgroupDriver, CpuLimits, Limits, MemoryLimits, Version};
use tinyd_engine::{ContainerStatus, ListRequest, Plugins, StorageDriver, SystemInfo};

impl Core {
    pub(crate) fn info(&self) -> Result<SystemInfo> {
        let containers = self.list(ListRequest { all: true })?;
        let count = |status| containers.iter().filter(|one| one.status == status).count();
        let (running, paused) = (count(ContainerStatus::Running), count(ContainerStatus::Paused));
        let cgroups = self.cgroups()?;
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        let mut warnings: Vec<String> = userns::missing().into_iter().collect();
        warnings.extend(missing_limits(cgroups));
        let mut security = vec!["name=seccomp,profile=default".to_owned(), "name=cgroupns".to_owned()];
        security.extend(userns::missing().is_none().then(|| "name=userns".to_owned()));
        let root = self.store.root();
        Ok(SystemInfo {
            server_version: env!("CARGO_PKG_VERSION").to_owned(),
            containers: containers.len(),
            containers_running: running,
            containers_paused: paused,
            containers_stopped: containers.len() - running - paused,
            driver: "overlay".to_owned(),
            driver_status: vec![("Backing Filesystem".to_owned(), backing(root)?)],
            storage_drivers: storage_drivers(),
            plugins: Plugins {
                volume: self.volumes.iter().map(|driver| driver.name().to_owned()).collect(),
                network: self.networks.iter().map(|driver| driver.name().to_owned()).collect(),
            },
            default_runtime: "tinyd-runtime".to_owned(),
            cgroup_driver: "cgroupfs".to_owned(),
            cgroup_version: version(cgroups).to_owned(),
            security_options: security,
            kernel_version: text(uname.release()),
            operating_system: operating_system(),
            os_type: "linux".to_owned(),
            architecture: text(uname.machine()),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            mem_total: memory()?,
            root_dir: root.display().to_string(),
            name: text(uname.nodename()),
            warnings,
        })
    }
}

/// A way of mounting cgroups in a word.
pub(crate) fn version(driver: &dyn CgroupDriver) -> &'static str {
    match driver.version() {
        Version::V1 => "v1",
        Version::V2 => "v2",
        Version::Hybrid => "hybrid",
    }
}

/// Overlay is the one driver. Its forerunner, aufs, never came into the kernel; users of older engines may look for it.
fn storage_drivers() -> Vec<StorageDriver> {
    let aufs = "aufs is in no current kernel; overlay does what it did".to_owned();
    vec![
        StorageDriver { name: "overlay".to_owned(), available: true, note: String::new() },
        StorageDriver { name: "aufs".to_owned(), available: false, note: aufs },
    ]
}

/// The limits that cannot be set here.
fn missing_limits(driver: &dyn CgroupDriver) -> Vec<String> {
    let memory = MemoryLimits { limit_bytes: Some(64 << 20), ..MemoryLimits::default() };
    let cpu = CpuLimits { quota_us: Some(10_000), period_us: Some(100_000), ..CpuLimits::default() };
    let wanted = [
        ("memory", Limits { memory, ..Limits::default() }),
        ("processor time", Limits { cpu, ..Limits::default() }),
        ("processes", Limits { pids_max: Some(10), ..Limits::default() }),
    ];
    let missing =
        wanted.into_iter().filter_map(|(what, limits)| Some((what, driver.validate(&limits).err()?)));
    missing.map(|(what, error)| format!("{what} cannot be limited: {error}")).collect()
}

/// The type of the file system that containers are kept on.
fn backing(root: &std::path::Path) -> Result<String> {
    let found = tinyd_fs::mountinfo::read().map_err(|source| Error::Tree {
        operation: "look for the mount of",
        path: root.to_owned(),
        source: Box::new(source),
    })?;
    let real = root.canonicalize().map_err(|source| Error::file("resolve", root, source))?;
    // The last of those that hold it lies over the others.
    let holds = found.into_iter().filter(|mount| real.starts_with(&mount.mount_point));
    let mount = holds.max_by_key(|mount| mount.mount_point.components().count());
    Ok(mount.map_or_else(|| "unknown".to_owned(), |mount| mount.fs_type))
}

/// `PRETTY_NAME` of os-release(5).
fn operating_system() -> String {
    let read = |path| fs::read_to_string(path).ok();
    let text = read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("Linux", |name| name.trim_matches(['"', '\''])).to_owned()
}

/// `MemTotal` of proc_meminfo(5), in bytes.
pub(crate) fn memory() -> Result<u64> {
    const PATH: &str = "/proc/meminfo";
    let text = fs::read_to_string(PATH).map_err(|source| Error::file("read", PATH, source))?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.trim().strip_suffix(" kB")).and_then(|number| number.parse().ok());
    let malformed = || std::io::Error::new(std::io::ErrorKind::InvalidData, "there is no MemTotal in it");
    kib.map(|kib: u64| kib * 1024).ok_or_else(|| Error::file("understand", PATH, malformed()))
}
