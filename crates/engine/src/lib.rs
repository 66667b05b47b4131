//! The contract of the container engine: the [`Engine`] trait and its plain request and reply types.
//!
//! Programs are written against this crate and get an engine from elsewhere: `tinyd-manager` runs containers in the
//! process itself, a client of the daemon talks to another one. Both behave the same.
//!
//! *Invariant:* this crate has no behaviour of its own beyond its types, and depends on serde alone.
//!
//! ```
//! use tinyd_engine::{ContainerSpec, Engine, Error, StartRequest};
//!
//! /// Runs `true` in a root made from this machine, and tells whether it succeeded.
//! fn smoke_test(engine: &dyn Engine) -> Result<bool, Error> {
//!     let spec = ContainerSpec::new("host", ["true"]).removed_on_exit();
//!     let ended = engine.run(&spec, &StartRequest::attached(None))?.collect()?;
//!     Ok(ended.exit.code == 0)
//! }
//! ```
//!
//! Names: a container is addressed by its exact id (32 hex digits), its exact name or a prefix of its id that fits no
//! other container. Times are [`std::time::SystemTime`], sizes are bytes, CPU time is microseconds of a period.
#![forbid(unsafe_code)]

mod attach;
mod check;
mod container;
mod error;
mod events;
mod exec;
mod files;
mod health;
mod info;
mod inspect;
mod list;
mod logs;
mod network;
mod process;
mod restart;
mod retire;
mod secret;
mod session;
mod spec;
mod stats;
mod version;
mod volume;

pub use attach::AttachRequest;
pub use check::{CheckReport, Finding};
pub use container::{ContainerStatus, ExitStatus, RemoveRequest, StartRequest, WindowSize};
pub use error::{Error, ErrorKind, Result};
pub use events::{Event, EventFilter, Events, EventsRequest, EventsSince};
pub use exec::ExecSpec;
pub use files::{ChangeKind, ContainerExport, CopyIn, CopyOut, FileChange, FileKind, FileStat};
pub use health::{HealthCheck, HealthStatus, OnUnhealthy};
pub use info::{Plugins, StorageDriver, SystemInfo};
pub use inspect::{
    ContainerConfig, ContainerInspect, ContainerState, DeviceConfig, EndpointSettings, GraphDriver,
    HealthConfig, HealthLogEntry, HealthState, HostConfig, LogConfig, MountPoint, NetworkSettings,
    PortBinding, RestartPolicyConfig, SecretConfig, ThrottleConfig, UlimitConfig,
};
pub use list::{ContainerSummary, ListRequest};
pub use logs::{LogEntry, LogSource, Logs, LogsRequest};
pub use network::{
    DEFAULT_NETWORK, Ipam, IpamConfig, NetworkContainer, NetworkCreate, NetworkInspect, NetworkSummary,
    NoSubnet, Subnet, network_name,
};
pub use process::Process;
pub use restart::RestartPolicy;
pub use retire::{LookedAfter, Retire};
pub use secret::{SecretCreate, SecretDriver, SecretInspect, SecretSpec, SecretSummary};
pub use session::{Collected, Input, Output, Session, WaitCondition, Waiter};
pub use spec::{
    After, AfterCondition, BindMount, ContainerSpec, Device, Dns, ExtraHost, HostPort, HugepageLimit,
    ImageMount, IoLimit, LogDriver, LogOptions, NetworkJoin, NetworkMode, PortChange, PortMapping,
    PortProtocol, Propagation, Recursive, Relabel, Resources, SeccompProfile, SecretMount, Security,
    TmpfsMount, Ulimit, UserNamespace, VolumeMount, VolumesFrom,
};
pub use stats::ContainerStats;
pub use version::VersionInfo;
pub use volume::{
    ArchiveSummary, Compression, VolumeCreate, VolumeExport, VolumeInspect, VolumeSnapshot, VolumeSummary,
    VolumeUsage,
};

/// The id of a container or network, and what its maker should be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Created {
    /// 32 hex digits.
    pub id: String,
    /// Remarks for the user, a sentence each: a default that could not be had, a folder that was made.
    pub notes: Vec<String>,
}

/// A container that was started, and the session with it when one was asked for.
pub struct Started {
    /// 32 hex digits.
    pub id: String,
    /// Remarks for the user, a sentence each.
    pub notes: Vec<String>,
    /// The attached session: present exactly when [`StartRequest::attach`] was set.
    pub session: Option<Box<dyn Session>>,
}

/// A container engine.
///
/// Verbs that end by themselves are synchronous. What may take for ever ([`Session`], [`Waiter`], [`Logs`], [`Events`]) is an object
/// with a descriptor that can be polled. Every verb validates its whole request before its first effect.
pub trait Engine: Send + Sync {
    /// Makes a container without running it.
    fn create(&self, spec: &ContainerSpec) -> Result<Created>;

    /// Starts a container that was created or has stopped. The command, limits and id stay; the process is new.
    fn start(&self, container: &str, request: &StartRequest) -> Result<Started>;

    /// [`create`](Engine::create) and [`start`](Engine::start) in one; when the start fails, nothing of the container
    /// is left.
    fn run(&self, spec: &ContainerSpec, request: &StartRequest) -> Result<Started>;

    /// Asks the command to end (SIGTERM) and kills the container when it has not by `grace`; `None` is ten seconds.
    /// Returns the full id. One that does not run is an error.
    fn stop(&self, container: &str, grace: Option<std::time::Duration>) -> Result<String>;

    /// Starts a container's command anew: stops it first where it runs, as [`stop`](Engine::stop) does. Everything but the process
    /// stays. Returns the full id.
    fn restart(&self, container: &str, grace: Option<std::time::Duration>) -> Result<String>;

    /// Sends a signal, by number, to the container's first process. Returns the full id.
    fn kill(&self, container: &str, signal: i32) -> Result<String>;

    /// Freezes all of a container's processes. Returns the full id. One that does not run, or is frozen, is an error.
    fn pause(&self, container: &str) -> Result<String>;

    /// Lets the processes of a frozen container go on. Returns the full id.
    fn unpause(&self, container: &str) -> Result<String>;

    /// Gives a container another name, running or not; the old one is free at once. Returns the full id.
    fn rename(&self, container: &str, name: &str) -> Result<String>;

    /// Changes the limits that are `Some`, at once where it runs, and for its later starts. Returns the full id.
    fn update(&self, container: &str, limits: &Resources) -> Result<String>;

    /// Says when a container is started again that ends from now on, and whether one that has just ended is. Returns the full id.
    fn set_restart_policy(&self, container: &str, policy: RestartPolicy) -> Result<String>;

    /// Whether those are there that a container is to be started after; an error where one of them will not be. A start waits
    /// for them by itself: this is for who wants to be able to do something else meanwhile.
    fn are_ready(&self, after: &[After]) -> Result<bool>;

    /// Starts a container again that has ended, if its policy and whoever stopped it meanwhile want that still; `false` when
    /// there is nothing to be done. It is for the clean-up command, which a monitor runs when the pause after an end is over.
    fn restart_due(&self, container: &str) -> Result<bool>;

    /// Starts the containers that a start of the machine is to start: those whose policy is `always`, those `unless-stopped`
    /// that nobody had stopped by name, and those `on-failure` that failed and nobody had stopped. Returns the ids of those
    /// that it started; on a failure everything else was done all the same.
    fn apply_restart_policies(&self) -> Result<Vec<String>>;

    /// Leads further ports of the host to a container, or ports no more that led there: at once where it runs, and at its later
    /// starts. All of that is done, or nothing. Returns the full id.
    fn change_ports(&self, container: &str, change: &PortChange) -> Result<String>;

    /// What a container that runs uses.
    fn stats(&self, container: &str) -> Result<ContainerStats>;

    /// The processes of a container that runs, by their numbers inside.
    fn top(&self, container: &str) -> Result<Vec<Process>>;

    /// Removes a container with everything that is its own. Returns the full id.
    fn remove(&self, container: &str, request: &RemoveRequest) -> Result<String>;

    /// Attaches to a running container's own command.
    fn attach(&self, container: &str, request: &AttachRequest) -> Result<Box<dyn Session>>;

    /// Runs a further command in a running container. `None` for a detached one.
    fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Option<Box<dyn Session>>>;

    /// What the container wrote, as far as it is kept.
    fn logs(&self, container: &str, request: &LogsRequest) -> Result<Box<dyn Logs>>;

    /// Waits for a container's exit.
    fn wait(&self, container: &str) -> Result<Box<dyn Waiter>>;

    /// Waits until this is so of a container.
    fn wait_for(&self, container: &str, condition: WaitCondition) -> Result<Box<dyn Waiter>>;

    /// What has happened to containers, networks, volumes and secrets since the machine was started, as far as it is kept, and
    /// what happens.
    fn events(&self, request: &EventsRequest) -> Result<Box<dyn Events>>;

    /// The containers that there are, newest first.
    fn list(&self, request: &ListRequest) -> Result<Vec<ContainerSummary>>;

    /// All that is known of a container.
    fn inspect(&self, container: &str) -> Result<ContainerInspect>;

    /// Mounts a stopped container's root file system at `merged` in its folder, for other tools, and returns that path.
    fn mount(&self, container: &str) -> Result<std::path::PathBuf>;

    /// Undoes [`mount`](Engine::mount). Returns the full id.
    fn unmount(&self, container: &str) -> Result<String>;

    /// What a path of a container is, running or not; `None` where there is nothing. A link at its end is followed, or told of
    /// itself.
    fn stat(&self, container: &str, path: &str, follow: bool) -> Result<Option<FileStat>>;

    /// Writes a tar archive of a file or folder of a container, running or not, to a file, pipe or socket. Its owners are the
    /// numbers of the inside.
    fn copy_out(
        &self,
        container: &str,
        request: &CopyOut,
        to: std::os::fd::OwnedFd,
    ) -> Result<ArchiveSummary>;

    /// Unpacks a tar archive, which is read to its end, into a folder of a container, running or not. How it is compressed is
    /// seen by its first bytes. What is there already is replaced file by file; a folder never is by something else.
    fn copy_in(
        &self,
        container: &str,
        request: &CopyIn,
        from: std::os::fd::OwnedFd,
    ) -> Result<ArchiveSummary>;

    /// What a container has changed of its image, by path.
    fn diff(&self, container: &str) -> Result<Vec<FileChange>>;

    /// Writes a tar archive of a container's root file system, without what is mounted in it.
    fn export(
        &self,
        container: &str,
        request: &ContainerExport,
        to: std::os::fd::OwnedFd,
    ) -> Result<ArchiveSummary>;

    /// Makes a network. Returns its full id, with what of this host keeps it from working.
    ///
    /// Its ranges of addresses overlap no other network's; of two that are asked for at once and would, one is refused.
    fn create_network(&self, wanted: &NetworkCreate) -> Result<Created>;

    /// The networks that there are, by name; those that every host has come first.
    fn networks(&self) -> Result<Vec<NetworkSummary>>;

    /// All that is known of a network.
    fn inspect_network(&self, network: &str) -> Result<NetworkInspect>;

    /// Removes a network. Returns its name. One that a container uses is refused; with `force`, only one that a running
    /// container uses, and those that stand still cannot be started again while there is no network of that name.
    fn remove_network(&self, network: &str, force: bool) -> Result<String>;

    /// Gives a container a place on a further network: at once where it runs, and at its later starts.
    fn connect_network(&self, container: &str, place: &NetworkJoin) -> Result<()>;

    /// Takes a container from a network: at once where it runs, and at its later starts.
    fn disconnect_network(&self, container: &str, network: &str) -> Result<()>;

    /// Removes the networks that no container uses, but for the default one. Returns their names.
    fn prune_networks(&self) -> Result<Vec<String>>;

    /// Brings back what somebody took of networks (rules, published ports, addresses, settings, links), of all where none is
    /// named, without disturbing connections that are under way. Returns their names. On a failure everything else was done
    /// all the same.
    fn reload_networks(&self, networks: &[String]) -> Result<Vec<String>>;

    /// Makes a volume. Returns its name. One that is there and is of the kind that is asked for is left as it is, and is no
    /// error.
    fn create_volume(&self, wanted: &VolumeCreate) -> Result<String>;

    /// The volumes that there are, by name.
    fn volumes(&self) -> Result<Vec<VolumeSummary>>;

    /// All that is known of a volume.
    fn inspect_volume(&self, volume: &str) -> Result<VolumeInspect>;

    /// How much there is of each volume, by name. What a server far away has is looked at for some seconds at most.
    fn volume_usage(&self) -> Result<Vec<VolumeUsage>>;

    /// Removes a volume with its data. Returns its name. One that a container uses, running or not, is refused.
    fn remove_volume(&self, volume: &str) -> Result<String>;

    /// Removes the volumes that no container uses: those without a name of their own, or `all`. Returns their names.
    fn prune_volumes(&self, all: bool) -> Result<Vec<String>>;

    /// Writes a tar archive of a volume to a file, pipe or socket. Of a driver that keeps states it is that of one moment.
    fn export_volume(
        &self,
        volume: &str,
        request: &VolumeExport,
        to: std::os::fd::OwnedFd,
    ) -> Result<ArchiveSummary>;

    /// Makes a volume of a tar archive, which is read to its end; how it is compressed is seen by its first bytes. Without a name
    /// in use: all of the archive becomes the volume, or there is none.
    fn import_volume(&self, wanted: &VolumeCreate, from: std::os::fd::OwnedFd) -> Result<ArchiveSummary>;

    /// Makes a volume, of the same kind where none is named, that begins as another one is. Returns its name.
    fn clone_volume(&self, volume: &str, wanted: &VolumeCreate) -> Result<String>;

    /// Keeps the state that a volume has now, under a name, or one made of the time. Returns the name.
    fn snapshot_volume(&self, volume: &str, name: Option<&str>) -> Result<String>;

    /// The states of a volume that are kept, the oldest first.
    fn volume_snapshots(&self, volume: &str) -> Result<Vec<VolumeSnapshot>>;

    /// Forgets a state of a volume. Returns its name.
    fn remove_snapshot(&self, volume: &str, name: &str) -> Result<String>;

    /// Makes a volume be as it was. Returns its name. One that a running container uses is refused.
    fn rollback_volume(&self, volume: &str, name: &str) -> Result<String>;

    /// Keeps a secret: 1 to 512,000 bytes, which no other method gives back. Returns its name. One of that name must not be there.
    fn create_secret(&self, wanted: &SecretCreate, content: &[u8]) -> Result<String>;

    /// The secrets that there are, by name.
    fn secrets(&self) -> Result<Vec<SecretSummary>>;

    /// What is told of a secret: all but what it holds.
    fn inspect_secret(&self, secret: &str) -> Result<SecretInspect>;

    /// Forgets a secret. Returns its name. One that a container uses, running or not, is refused: it could not be started again.
    fn remove_secret(&self, secret: &str) -> Result<String>;

    /// Looks for whatever has no owner (mounts, cgroups, folders, leases), and puts it right when `repair` is set.
    fn check(&self, repair: bool) -> Result<CheckReport>;

    /// Stops all containers, each asked to end and killed when it has not by `grace` (`None`: its own time, or ten seconds),
    /// and gives back what they hold of the machine: processes, control groups, mounted roots. They stay, and can be started
    /// again. Done twice, the second time does nothing. Returns the ids of those that were stopped; on a failure everything
    /// else was done all the same.
    fn cleanup(&self, grace: Option<std::time::Duration>) -> Result<Vec<String>>;

    /// What the engine has, what it stands on, and what it does without on this host.
    fn info(&self) -> Result<SystemInfo>;

    /// Which engine this is.
    fn version(&self) -> Result<VersionInfo>;
}
