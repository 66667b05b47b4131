//! All that is known of a container, in the shape and with the names of Docker's `inspect`, so that scripts written for
//! it work. Times are RFC 3339 in UTC; a moment that has not come is `0001-01-01T00:00:00Z`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerInspect {
    /// 32 hex digits.
    pub id: String,
    /// When it was made.
    pub created: String,
    /// The program.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Where it stands.
    pub state: ContainerState,
    /// The image as it was given.
    pub image: String,
    /// How often its policy has started it again since somebody started it.
    pub restart_count: u32,
    /// The name with a slash before it, as Docker has it.
    pub name: String,
    /// `overlay`.
    pub driver: String,
    /// Name of the OCI runtime.
    pub runtime: String,
    /// Where its log lies.
    pub log_path: String,
    /// The generated files that it sees.
    pub hostname_path: String,
    /// `/etc/hosts`.
    pub hosts_path: String,
    /// `/etc/resolv.conf`.
    pub resolv_conf_path: String,
    /// Its folder: an OCI bundle.
    pub bundle: String,
    /// The overlay's folders: LowerDir, UpperDir, WorkDir, MergedDir.
    pub graph_driver: GraphDriver,
    /// What was asked of the host.
    pub host_config: HostConfig,
    /// Folders and volumes.
    pub mounts: Vec<MountPoint>,
    /// What was asked of the command.
    pub config: ContainerConfig,
    /// Networks.
    pub network_settings: NetworkSettings,
    /// The namespaces its processes have of their own: `pid`, `mnt`, …, with the inode of each while it runs.
    pub namespaces: BTreeMap<String, String>,
}

/// Where a container stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// `created`, `running`, `paused`, `restarting`, `exited`.
    pub status: String,
    /// Its command runs, frozen or not, or is about to be started again.
    pub running: bool,
    /// It is frozen.
    pub paused: bool,
    /// Its command has ended, and is about to be started again.
    pub restarting: bool,
    /// The kernel killed a process of it for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Always false: kept for the shape.
    pub dead: bool,
    /// The first process as the host numbers it, 0 when there is none.
    pub pid: u32,
    /// The monitor's process, 0 when there is none.
    pub monitor_pid: u32,
    /// How the command ended, 0 until then.
    pub exit_code: i32,
    /// The exit code is not known.
    pub exit_unknown: bool,
    /// Why the last start failed, or that the host was restarted while it ran; empty otherwise.
    pub error: String,
    /// When its command was last started.
    pub started_at: String,
    /// When its command last ended.
    pub finished_at: String,
    /// Bytes that it wrote in its last run and that are in no log, because there was no room for them.
    pub log_lost_bytes: u64,
    /// How it has fared at its health checks; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthState>,
}

/// What is kept of the output, as Docker has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogConfig {
    /// `json-file`, whatever the files' format is, or `none`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// `max-size` in bytes, and `max-file`.
    pub config: BTreeMap<String, String>,
}

/// How a container has fared at its health checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthState {
    /// `starting`, `healthy`, `unhealthy`.
    pub status: String,
    /// How often in a row they have failed.
    pub failing_streak: u32,
    /// The last five, the oldest first.
    pub log: Vec<HealthLogEntry>,
}

/// How a health check went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthLogEntry {
    /// When it was started.
    pub start: String,
    /// When it had ended.
    pub end: String,
    /// The command's code; -1 where it took too long or could not be run.
    pub exit_code: i32,
    /// The end of what it wrote, at most 4 KiB.
    pub output: String,
}

/// The health check of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthConfig {
    /// `CMD-SHELL` and the command.
    pub test: Vec<String>,
    /// In nanoseconds.
    pub interval: u64,
    /// In nanoseconds.
    pub timeout: u64,
    /// In nanoseconds.
    pub start_period: u64,
    /// How often in a row it has to fail.
    pub retries: u32,
    /// `none`, `restart`, `kill`, `stop`.
    pub on_unhealthy: String,
}

/// Where the root file system comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct GraphDriver {
    /// `overlay`.
    pub name: String,
    /// LowerDir, UpperDir, WorkDir, MergedDir.
    pub data: BTreeMap<String, String>,
}

/// When a container is started again after its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RestartPolicyConfig {
    /// `no`, `on-failure`, `always`, `unless-stopped`.
    pub name: String,
    /// How often one that failed is, 0 where that is not limited.
    pub maximum_retry_count: u32,
}

/// What was asked of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostConfig {
    /// `SOURCE:TARGET[:ro]`.
    pub binds: Vec<String>,
    /// `none`, `host` or a network's name.
    pub network_mode: String,
    /// Ports as they were asked for: `80/tcp` and the host's; its port is empty where any free one will do.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    /// What is kept of its output.
    pub log_config: LogConfig,
    /// The container goes when its command ends.
    pub auto_remove: bool,
    /// When it is started again after its end.
    pub restart_policy: RestartPolicyConfig,
    /// What has to be there before it is started: `db`, `db:healthy`.
    #[serde(default)]
    pub after: Vec<String>,
    /// The root file system cannot be written.
    pub readonly_rootfs: bool,
    /// Bytes, 0 without a limit.
    pub memory: u64,
    /// Microseconds of a period, 0 without a limit.
    pub cpu_quota: u64,
    /// Microseconds, 0 when the default.
    pub cpu_period: u64,
    /// Weight, 0 when the default.
    pub cpu_shares: u64,
    /// The processors that it may use, empty for all.
    pub cpuset_cpus: String,
    /// The memory nodes that it may use, empty for all.
    pub cpuset_mems: String,
    /// Memory and swap together in bytes, 0 when the default, -1 without a limit.
    pub memory_swap: i64,
    /// Bytes that it keeps when memory is short, 0 for none.
    pub memory_reservation: u64,
    /// Processes and threads, -1 without a limit.
    pub pids_limit: i64,
    /// Disks and the bytes that may be read from them in a second.
    pub blkio_device_read_bps: Vec<ThrottleConfig>,
    /// Disks and the bytes that may be written to them in a second.
    pub blkio_device_write_bps: Vec<ThrottleConfig>,
    /// Disks and the reads that may be asked of them in a second.
    #[serde(rename = "BlkioDeviceReadIOps")]
    pub blkio_device_read_iops: Vec<ThrottleConfig>,
    /// Disks and the writes that may be asked of them in a second.
    #[serde(rename = "BlkioDeviceWriteIOps")]
    pub blkio_device_write_iops: Vec<ThrottleConfig>,
    /// Sizes of huge pages, `2MB`, and the bytes that may be had in pages of it.
    pub hugetlb_limits: BTreeMap<String, u64>,
    /// Bits that may leave it in a second, 0 without a limit.
    #[serde(default)]
    pub net_rate_egress: u64,
    /// Bits that may come to it in a second, 0 without a limit.
    #[serde(default)]
    pub net_rate_ingress: u64,
    /// The class of its packets, 0 without one.
    #[serde(default)]
    pub net_cls_classid: u32,
    /// Devices of the host.
    pub devices: Vec<DeviceConfig>,
    /// Everything is allowed.
    pub privileged: bool,
    /// Capabilities beside those that every container has.
    pub cap_add: Vec<String>,
    /// Capabilities that it does not have.
    pub cap_drop: Vec<String>,
    /// An init stands in front of the command.
    pub init: bool,
    /// Limits of its processes.
    pub ulimits: Vec<UlimitConfig>,
    /// Kernel settings.
    pub sysctls: BTreeMap<String, String>,
    /// Bytes of `/dev/shm`.
    pub shm_size: u64,
    /// `size`: how many bytes may be written to the root file system, where that is limited.
    pub storage_opt: BTreeMap<String, String>,
    /// File systems in memory: path inside and options.
    pub tmpfs: BTreeMap<String, String>,
    /// `no-new-privileges`, `seccomp=unconfined`.
    pub security_opt: Vec<String>,
    /// `auto` or `host`.
    pub userns_mode: String,
    /// The cgroup that the container's own lies in.
    pub cgroup_parent: String,
    /// The container's cgroup, below each hierarchy's root.
    pub cgroup_path: String,
    /// Paths that show nothing.
    pub masked_paths: Vec<String>,
    /// Paths that cannot be written.
    pub readonly_paths: Vec<String>,
}

/// How fast a disk may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ThrottleConfig {
    /// Its device file on the host.
    pub path: String,
    /// Bytes, or reads or writes, in a second.
    pub rate: u64,
}

/// A device of the host inside the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceConfig {
    /// Its file on the host.
    pub path_on_host: String,
    /// Its file inside.
    pub path_in_container: String,
    /// Some of `rwm`.
    pub cgroup_permissions: String,
}

/// A limit of a process; -1 is no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct UlimitConfig {
    /// `nofile`.
    pub name: String,
    /// What holds.
    pub soft: i64,
    /// How far the process itself may raise it.
    pub hard: i64,
}

/// A folder of the host, or a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct MountPoint {
    /// `bind`, `volume`, `image`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The volume's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Path on the host, or the image as it was given.
    pub source: String,
    /// The part of the volume or image that is mounted; empty where that is all of it.
    #[serde(default, rename = "SubPath", skip_serializing_if = "String::is_empty")]
    pub subpath: String,
    /// Path inside.
    pub destination: String,
    /// The kind of volume.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// The words that it was asked for with: `ro`, `z`, `idmap`; may be empty.
    pub mode: String,
    /// It can be written.
    #[serde(rename = "RW")]
    pub writable: bool,
    /// Its files have the owners inside that they have on the disk, although the container has ids of its own. Without a user
    /// namespace there is nothing to map.
    #[serde(default, rename = "IDMapped", skip_serializing_if = "std::ops::Not::not")]
    pub id_mapped: bool,
    /// `rprivate`, `rslave`, …: where mounts show that are made below it later.
    pub propagation: String,
}

/// What was asked of the command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// Host name inside.
    pub hostname: String,
    /// `USER[:GROUP]`.
    pub user: String,
    /// It has a terminal.
    pub tty: bool,
    /// Its standard input is kept open.
    pub open_stdin: bool,
    /// Its whole environment.
    pub env: Vec<String>,
    /// The command with its arguments.
    pub cmd: Vec<String>,
    /// The image as it was given.
    pub image: String,
    /// Its first folder.
    pub working_dir: String,
    /// What stands before the command.
    pub entrypoint: Option<Vec<String>>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the command to end, by name or number.
    pub stop_signal: String,
    /// Seconds that it then has, `None` for the default.
    pub stop_timeout: Option<u32>,
    /// How it is found out that it is healthy; absent where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<HealthConfig>,
    /// Secrets that it reads: never what they hold.
    pub secrets: Vec<SecretConfig>,
}

/// A secret of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SecretConfig {
    /// Its name.
    pub name: String,
    /// Where it is read inside.
    pub target: String,
    /// The owner's number inside; `None` for the command's user.
    #[serde(rename = "UID")]
    pub uid: Option<u32>,
    /// The group's number inside; `None` for that of the command's user.
    #[serde(rename = "GID")]
    pub gid: Option<u32>,
    /// The bits of its mode, as a number.
    pub mode: u32,
}

/// Networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// Address on the first network, empty without one.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// Length of its subnet's prefix.
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    /// Where its default route goes, empty without one.
    pub gateway: String,
    /// Address of IPv6, empty without one.
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    /// Hardware address, empty without one.
    pub mac_address: String,
    /// Published ports: `80/tcp` and where it is reached.
    pub ports: BTreeMap<String, Vec<PortBinding>>,
    /// The network namespace while it runs, empty when it is the host's.
    pub sandbox_key: String,
    /// Its place on each network, by the network's name; the addresses are empty while it does not run.
    pub networks: BTreeMap<String, EndpointSettings>,
}

/// A place on a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointSettings {
    /// Further names that the others on the network find it by.
    pub aliases: Vec<String>,
    /// What its link is called inside, empty while there is none.
    pub interface: String,
    /// Address of IPv4, empty without one.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// Length of its subnet's prefix.
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    /// Where its default route goes, empty where it goes through another network or there is none.
    pub gateway: String,
    /// Address of IPv6, empty without one.
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    /// Length of its subnet's prefix.
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: u8,
    /// Hardware address, empty without one.
    pub mac_address: String,
}

/// A port of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct PortBinding {
    /// The host's address.
    pub host_ip: String,
    /// Its number.
    pub host_port: String,
}
