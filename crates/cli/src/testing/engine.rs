//! An engine that notes what it is asked, and does what a test says.

use super::session::{Peer, pair};
use super::{network, volume};
use nix::sys::signal::{Signal, raise};
use std::io::Write as _;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tinyd_engine::{
    After, ArchiveSummary, AttachRequest, ChangeKind, CheckReport, ContainerConfig, ContainerExport,
    ContainerInspect, ContainerSpec, ContainerState, ContainerStats, ContainerStatus, ContainerSummary,
    CopyIn, CopyOut, Created, Engine, Error, ErrorKind, Event, Events, EventsRequest, ExecSpec, ExitStatus,
    FileChange, FileKind, FileStat, Finding, GraphDriver, HostConfig, ListRequest, LogEntry, LogSource, Logs,
    LogsRequest, NetworkCreate, NetworkInspect, NetworkJoin, NetworkSettings, NetworkSummary, PortChange,
    Process, RemoveRequest, Resources, RestartPolicy, Result, SecretCreate, SecretInspect, SecretSpec,
    SecretSummary, Session, StartRequest, Started, StorageDriver, SystemInfo, VersionInfo, VolumeCreate,
    VolumeExport, VolumeInspect, VolumeSnapshot, VolumeSummary, VolumeUsage, WaitCondition, Waiter,
};

type Script = Box<dyn FnOnce(Peer) + Send>;

/// The id that every container gets.
const ID: &str = "68d19c54000011112222333344445555";

/// Every container exists but those whose name begins with `no`; those that begin with `odd` cannot be run.
#[derive(Default)]
pub(crate) struct FakeEngine {
    calls: Mutex<Vec<String>>,
    specs: Mutex<Vec<ContainerSpec>>,
    networks: Mutex<Vec<NetworkCreate>>,
    script: Mutex<Option<Script>>,
    /// Signals that arrive while a command is being started.
    pub(crate) signals_at_start: Mutex<Vec<Signal>>,
    pub(crate) containers: Mutex<Vec<ContainerSummary>>,
    pub(crate) log: Mutex<Vec<(LogSource, &'static str)>>,
    pub(crate) findings: Mutex<Vec<Finding>>,
    pub(crate) tty: Mutex<bool>,
}

impl FakeEngine {
    pub(super) fn script(&self, script: impl FnOnce(Peer) + Send + 'static) {
        *self.script.lock().expect("lock") = Some(Box::new(script));
    }

    /// What was asked, a line each.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("lock").clone()
    }

    /// The last container that was wanted.
    pub(crate) fn spec(&self) -> ContainerSpec {
        self.specs.lock().expect("lock").last().expect("a container").clone()
    }

    /// The last network that was wanted.
    pub(crate) fn network(&self) -> NetworkCreate {
        self.networks.lock().expect("lock").last().expect("a network").clone()
    }

    fn note(&self, call: String) {
        self.calls.lock().expect("lock").push(call);
    }

    fn id(&self, container: &str) -> Result<String> {
        match container.starts_with("no") {
            true => Err(Error::new(ErrorKind::NotFound, format!("no container '{container}'"))),
            false => Ok(format!("{container}-id")),
        }
    }

    fn session(&self) -> Box<dyn Session> {
        for signal in self.signals_at_start.lock().expect("lock").drain(..) {
            raise(signal).expect("raise");
        }
        let (session, peer) = pair();
        let script = self.script.lock().expect("lock").take().expect("a session was not expected");
        std::thread::spawn(move || script(peer));
        Box::new(session)
    }

    fn started(&self, id: String, request: &StartRequest) -> Started {
        let session = request.attach.then(|| self.session());
        Started { id, notes: vec!["a remark".to_owned()], session }
    }
}

/// The engine as the command line opens it.
pub(crate) struct Shared(pub(crate) Arc<FakeEngine>);

impl std::ops::Deref for Shared {
    type Target = FakeEngine;

    fn deref(&self) -> &FakeEngine {
        &self.0
    }
}

impl Engine for Shared {
    fn create(&self, spec: &ContainerSpec) -> Result<Created> {
        self.note("create".to_owned());
        self.specs.lock().expect("lock").push(spec.clone());
        Ok(Created { id: ID.to_owned(), notes: Vec::new() })
    }

    fn start(&self, container: &str, request: &StartRequest) -> Result<Started> {
        self.note(format!("start {container} {:?} {:?}", request.attach, request.window));
        if container.starts_with("odd") {
            return Err(Error::new(ErrorKind::CommandNotExecutable, "exec /etc"));
        }
        Ok(self.started(self.id(container)?, request))
    }

    fn run(&self, spec: &ContainerSpec, request: &StartRequest) -> Result<Started> {
        let window = request.window.map(|size| (size.rows, size.columns));
        self.note(format!("run attach={} window={window:?}", request.attach));
        self.specs.lock().expect("lock").push(spec.clone());
        match spec.command.first().map(String::as_str) {
            Some("nosuch") => {
                Err(Error::new(ErrorKind::CommandNotFound, "exec nosuch").with_hint("install it"))
            }
            _ => Ok(self.started(ID.to_owned(), request)),
        }
    }

    fn stop(&self, container: &str, grace: Option<Duration>) -> Result<String> {
        self.note(format!("stop {container} {grace:?}"));
        self.id(container)
    }

    fn restart(&self, container: &str, grace: Option<Duration>) -> Result<String> {
        self.note(format!("restart {container} {grace:?}"));
        self.id(container)
    }

    fn kill(&self, container: &str, signal: i32) -> Result<String> {
        self.note(format!("kill {container} {signal}"));
        self.id(container)
    }

    fn pause(&self, container: &str) -> Result<String> {
        self.note(format!("pause {container}"));
        self.id(container)
    }

    fn unpause(&self, container: &str) -> Result<String> {
        self.note(format!("unpause {container}"));
        self.id(container)
    }

    fn rename(&self, container: &str, name: &str) -> Result<String> {
        self.note(format!("rename {container} {name}"));
        self.id(container)
    }

    fn update(&self, container: &str, limits: &Resources) -> Result<String> {
        self.note(format!("update {container}"));
        let spec = ContainerSpec { resources: limits.clone(), ..ContainerSpec::default() };
        self.specs.lock().expect("lock").push(spec);
        self.id(container)
    }

    fn are_ready(&self, after: &[After]) -> Result<bool> {
        self.note(format!("are_ready {}", after.len()));
        Ok(true)
    }

    fn set_restart_policy(&self, container: &str, policy: RestartPolicy) -> Result<String> {
        self.note(format!("restart policy {container} {policy}"));
        self.id(container)
    }

    fn restart_due(&self, container: &str) -> Result<bool> {
        self.note(format!("restart due {container}"));
        self.id(container).map(|_| true)
    }

    fn apply_restart_policies(&self) -> Result<Vec<String>> {
        self.note("restart policies".to_owned());
        Ok(vec![ID.to_owned()])
    }

    fn change_ports(&self, container: &str, change: &PortChange) -> Result<String> {
        let added: Vec<_> = change.add.iter().map(|port| port.container_port.to_string()).collect();
        let removed: Vec<_> = change.remove.iter().map(ToString::to_string).collect();
        self.note(format!("ports {container} +{} -{}", added.join(","), removed.join(",")));
        self.id(container)
    }

    fn stats(&self, container: &str) -> Result<ContainerStats> {
        self.note(format!("stats {container}"));
        let id = self.id(container)?;
        // A second and half a processor further with each look.
        let looks = self.calls().iter().filter(|call| **call == format!("stats {container}")).count() as u64;
        Ok(ContainerStats {
            id,
            name: Some("web\x1b[2J".to_owned()),
            uptime_ns: looks * 1_000_000_000,
            cpu_ns: Some(looks * 500_000_000),
            memory: Some(64 << 20),
            memory_limit: 128 << 20,
            net_received: Some(3 << 20),
            net_sent: Some(1 << 10),
            pids: Some(3),
            ..ContainerStats::default()
        })
    }

    fn top(&self, container: &str) -> Result<Vec<Process>> {
        self.note(format!("top {container}"));
        self.id(container).map(|_| Vec::new())
    }

    fn remove(&self, container: &str, request: &RemoveRequest) -> Result<String> {
        self.note(format!("remove {container} {} {}", request.force, request.volumes));
        self.id(container)
    }

    fn attach(&self, container: &str, request: &AttachRequest) -> Result<Box<dyn Session>> {
        self.note(format!("attach {container} {} {:?}", request.stdin, request.window));
        self.id(container)?;
        Ok(self.session())
    }

    fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Option<Box<dyn Session>>> {
        self.note(format!("exec {container} {spec:?}"));
        self.id(container)?;
        Ok((!spec.detach).then(|| self.session()))
    }

    fn logs(&self, container: &str, request: &LogsRequest) -> Result<Box<dyn Logs>> {
        self.note(format!("logs {container} {:?} {}", request.tail, request.follow));
        self.id(container)?;
        Ok(Box::new(FakeLogs(self.log.lock().expect("lock").clone().into_iter())))
    }

    fn wait(&self, container: &str) -> Result<Box<dyn Waiter>> {
        self.note(format!("wait {container}"));
        self.id(container)?;
        Ok(Box::new(FakeWaiter))
    }

    fn wait_for(&self, container: &str, condition: WaitCondition) -> Result<Box<dyn Waiter>> {
        self.note(format!("wait {container} {condition:?}"));
        self.id(container)?;
        Ok(Box::new(FakeWaiter))
    }

    fn events(&self, request: &EventsRequest) -> Result<Box<dyn Events>> {
        self.note(format!(
            "events {:?} {:?} {} {:?}",
            request.since, request.until, request.follow, request.filters
        ));
        Ok(Box::new(FakeEvents(vec![
            event(7, "container", "die", &[("exitCode", "3"), ("name", "c\u{1b}[1")]),
            event(9, "engine", "lost", &[("count", "2")]),
        ])))
    }

    fn list(&self, request: &ListRequest) -> Result<Vec<ContainerSummary>> {
        self.note(format!("list {}", request.all));
        Ok(self.containers.lock().expect("lock").clone())
    }

    fn inspect(&self, container: &str) -> Result<ContainerInspect> {
        self.note(format!("inspect {container}"));
        Ok(inspected(self.id(container)?, *self.tty.lock().expect("lock")))
    }

    fn mount(&self, container: &str) -> Result<PathBuf> {
        self.id(container).map(|id| format!("/merged/{id}").into())
    }

    fn unmount(&self, container: &str) -> Result<String> {
        self.id(container)
    }

    fn stat(&self, container: &str, path: &str, follow: bool) -> Result<Option<FileStat>> {
        self.note(format!("stat {container} {path} {follow}"));
        self.id(container)?;
        let kind = match path.contains("file") {
            _ if path.contains("link") && !follow => FileKind::Symlink,
            true => FileKind::File,
            false => FileKind::Folder,
        };
        let target = (kind == FileKind::Symlink).then(|| "/srv/real-file".to_owned());
        let modified = UNIX_EPOCH;
        let found = FileStat { path: path.to_owned(), kind, mode: 0o644, size: 0, modified, target };
        Ok((found.kind == FileKind::Symlink || !path.contains("missing")).then_some(found))
    }

    fn copy_out(&self, container: &str, request: &CopyOut, to: OwnedFd) -> Result<ArchiveSummary> {
        self.note(format!("copy_out {container} {} {} {:?}", request.path, request.follow, request.name));
        let _ = std::fs::File::from(to).write_all(b"archive");
        self.id(container).map(|_| ArchiveSummary::default())
    }

    fn copy_in(&self, container: &str, request: &CopyIn, from: OwnedFd) -> Result<ArchiveSummary> {
        let length = std::io::copy(&mut std::fs::File::from(from), &mut std::io::sink()).expect("read");
        let some = if length > 0 { "something" } else { "nothing" };
        self.note(format!("copy_in {container} {} {} {some}", request.path, request.keep_owners));
        Ok(ArchiveSummary { notes: vec!["a remark".to_owned()], ..ArchiveSummary::default() })
    }

    fn diff(&self, container: &str) -> Result<Vec<FileChange>> {
        self.id(container)?;
        let change = |kind, path: &str| FileChange { kind, path: path.to_owned() };
        Ok(vec![
            change(ChangeKind::Changed, "/etc"),
            change(ChangeKind::Added, "/etc/a\nb"),
            change(ChangeKind::Deleted, "/gone"),
        ])
    }

    fn export(&self, container: &str, request: &ContainerExport, to: OwnedFd) -> Result<ArchiveSummary> {
        self.note(format!("export {container} {:?}", request.compression));
        self.id(container)?;
        std::fs::File::from(to).write_all(b"archive").expect("it can be written");
        Ok(ArchiveSummary::default())
    }

    fn create_network(&self, wanted: &NetworkCreate) -> Result<Created> {
        self.note("create_network".to_owned());
        self.networks.lock().expect("lock").push(wanted.clone());
        let notes = wanted.internal.then(|| "a remark".to_owned()).into_iter().collect();
        Ok(Created { id: self.id(wanted.name.as_deref().unwrap_or("chosen"))?, notes })
    }

    fn networks(&self) -> Result<Vec<NetworkSummary>> {
        self.note("networks".to_owned());
        Ok(network::summaries())
    }

    fn inspect_network(&self, network: &str) -> Result<NetworkInspect> {
        self.note(format!("inspect_network {network}"));
        Ok(NetworkInspect { name: self.id(network)?, scope: "local".into(), ..Default::default() })
    }

    fn remove_network(&self, network: &str, force: bool) -> Result<String> {
        self.note(format!("remove_network {network} {force}"));
        self.id(network)
    }

    fn connect_network(&self, container: &str, place: &NetworkJoin) -> Result<()> {
        self.note(format!("connect_network {container} {place:?}"));
        self.id(container).map(drop)
    }

    fn disconnect_network(&self, container: &str, network: &str) -> Result<()> {
        self.note(format!("disconnect_network {container} {network}"));
        self.id(container).map(drop)
    }

    fn prune_networks(&self) -> Result<Vec<String>> {
        Ok(["a", "b"].map(String::from).to_vec())
    }

    fn reload_networks(&self, networks: &[String]) -> Result<Vec<String>> {
        self.note(format!("reload_networks {networks:?}"));
        match networks {
            [] => Ok(["a", "b"].map(String::from).to_vec()),
            some => some.iter().map(|network| self.id(network)).collect(),
        }
    }

    fn create_volume(&self, wanted: &VolumeCreate) -> Result<String> {
        self.note(format!("create_volume {wanted:?}"));
        self.id(wanted.name.as_deref().unwrap_or("unnamed")).map(|_| wanted.name.clone().unwrap_or_default())
    }

    fn volumes(&self) -> Result<Vec<VolumeSummary>> {
        Ok(volume::summaries())
    }

    fn inspect_volume(&self, volume: &str) -> Result<VolumeInspect> {
        self.id(volume).map(|_| VolumeInspect { name: volume.to_owned(), ..VolumeInspect::default() })
    }

    fn volume_usage(&self) -> Result<Vec<VolumeUsage>> {
        Ok(volume::usage())
    }

    fn remove_volume(&self, volume: &str) -> Result<String> {
        self.note(format!("remove_volume {volume}"));
        self.id(volume).map(|_| volume.to_owned())
    }

    fn prune_volumes(&self, all: bool) -> Result<Vec<String>> {
        self.note(format!("prune_volumes {all}"));
        Ok(["a", "b"].map(String::from).to_vec())
    }

    fn export_volume(&self, volume: &str, request: &VolumeExport, to: OwnedFd) -> Result<ArchiveSummary> {
        let frozen = if request.freeze { " frozen" } else { "" };
        self.note(format!("export_volume {volume} {:?} {:?}{frozen}", request.compression, request.snapshot));
        self.id(volume)?;
        std::fs::File::from(to).write_all(b"archive").expect("it can be written");
        Ok(ArchiveSummary { notes: vec!["a remark".to_owned()], ..ArchiveSummary::default() })
    }

    fn import_volume(&self, wanted: &VolumeCreate, from: OwnedFd) -> Result<ArchiveSummary> {
        let text = std::io::read_to_string(std::fs::File::from(from)).expect("it can be read");
        self.note(format!("import_volume {:?} {:?} {text:?}", wanted.name, wanted.driver));
        Ok(ArchiveSummary::default())
    }

    fn clone_volume(&self, volume: &str, wanted: &VolumeCreate) -> Result<String> {
        self.note(format!("clone_volume {volume} {:?}", wanted.driver));
        self.id(volume).map(|_| wanted.name.clone().unwrap_or_default())
    }

    fn snapshot_volume(&self, volume: &str, name: Option<&str>) -> Result<String> {
        self.id(volume).map(|_| name.unwrap_or("now").to_owned())
    }

    fn volume_snapshots(&self, volume: &str) -> Result<Vec<VolumeSnapshot>> {
        self.id(volume).map(|_| volume::snapshots())
    }

    fn remove_snapshot(&self, volume: &str, name: &str) -> Result<String> {
        self.note(format!("remove_snapshot {volume} {name}"));
        self.id(name).map(|_| name.to_owned())
    }

    fn rollback_volume(&self, volume: &str, name: &str) -> Result<String> {
        self.note(format!("rollback_volume {volume} {name}"));
        self.id(name).map(|_| volume.to_owned())
    }

    fn create_secret(&self, wanted: &SecretCreate, content: &[u8]) -> Result<String> {
        self.note(format!("create_secret {} {:?} {}", wanted.name, wanted.labels, content.len()));
        self.id(&wanted.name).map(|_| wanted.name.clone())
    }

    fn secrets(&self) -> Result<Vec<SecretSummary>> {
        let one = |name: &str, containers| SecretSummary {
            id: ID.to_owned(),
            name: name.to_owned(),
            containers,
            created: UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            labels: Default::default(),
        };
        Ok(vec![one("db", 1), one("key", 0)])
    }

    fn inspect_secret(&self, secret: &str) -> Result<SecretInspect> {
        let spec = SecretSpec { name: secret.to_owned(), ..SecretSpec::default() };
        self.id(secret).map(|_| SecretInspect { spec, ..SecretInspect::default() })
    }

    fn remove_secret(&self, secret: &str) -> Result<String> {
        self.id(secret).map(|_| secret.to_owned())
    }

    fn check(&self, repair: bool) -> Result<CheckReport> {
        self.note(format!("check {repair}"));
        let notes = vec!["this machine drops much".to_owned()];
        Ok(CheckReport { findings: self.findings.lock().expect("lock").clone(), notes })
    }

    fn cleanup(&self, grace: Option<Duration>) -> Result<Vec<String>> {
        self.note(format!("cleanup {grace:?}"));
        Ok(vec![ID.to_owned()])
    }

    fn info(&self) -> Result<SystemInfo> {
        Ok(SystemInfo {
            server_version: "9.9.9".into(),
            containers: 3,
            containers_running: 1,
            containers_stopped: 2,
            driver: "overlay".into(),
            driver_status: vec![("Backing Filesystem".into(), "ext4".into())],
            storage_drivers: vec![StorageDriver {
                name: "aufs".into(),
                available: false,
                note: "it is in no kernel".into(),
            }],
            mem_total: 3 << 30,
            warnings: vec!["no swap[2J".into()],
            ..SystemInfo::default()
        })
    }

    fn version(&self) -> Result<VersionInfo> {
        Ok(VersionInfo {
            engine: "9.9.9".into(),
            runtime: "9.9.8".into(),
            runtime_path: "/x/tinyd-runtime".into(),
            oci: "1.2.0".into(),
            kernel: "6.18".into(),
            cgroup: "hybrid".into(),
            arch: "amd64".into(),
        })
    }
}

struct FakeWaiter;

impl Waiter for FakeWaiter {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        Ok(ExitStatus { code: 42, oom_killed: false, unknown: false, host_restarted: false })
    }
}

struct FakeLogs(std::vec::IntoIter<(LogSource, &'static str)>);

impl Logs for FakeLogs {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn next(&mut self) -> Result<Option<LogEntry>> {
        let entry =
            |(source, text): (LogSource, &str)| LogEntry { time: UNIX_EPOCH, source, data: text.into() };
        Ok(self.0.next().map(entry))
    }
}

/// A container of a list, made now.
pub(crate) fn summary(
    id: &str,
    name: Option<&str>,
    status: ContainerStatus,
    exit: Option<u8>,
) -> ContainerSummary {
    ContainerSummary {
        id: id.to_owned(),
        name: name.map(str::to_owned),
        image: "/root/redis".to_owned(),
        command: ["/bin/sleep", "3000"].map(String::from).to_vec(),
        created: SystemTime::now(),
        started: None,
        finished: None,
        status,
        exit: exit.map(|code| ExitStatus {
            code,
            oom_killed: code == 137,
            unknown: false,
            host_restarted: false,
        }),
        pid: 0,
        health: None,
        ports: Vec::new(),
        networks: vec!["tinyd".to_owned()],
        volumes: Vec::new(),
    }
}

fn inspected(id: String, tty: bool) -> ContainerInspect {
    ContainerInspect {
        name: format!("/{id}"),
        id,
        created: String::new(),
        path: "sh".into(),
        args: vec!["-c".into(), "x\u{1b}".into()],
        state: ContainerState {
            status: "running".into(),
            running: true,
            paused: false,
            restarting: false,
            health: None,
            oom_killed: false,
            dead: false,
            pid: 77,
            monitor_pid: 76,
            exit_code: 0,
            exit_unknown: false,
            error: String::new(),
            started_at: String::new(),
            log_lost_bytes: 0,
            finished_at: String::new(),
        },
        image: "host".into(),
        restart_count: 0,
        driver: "overlay".into(),
        runtime: "tinyd-runtime".into(),
        log_path: String::new(),
        hostname_path: String::new(),
        hosts_path: String::new(),
        resolv_conf_path: String::new(),
        bundle: String::new(),
        graph_driver: GraphDriver { name: "overlay".into(), data: Default::default() },
        host_config: HostConfig::default(),
        mounts: Vec::new(),
        config: ContainerConfig { tty, open_stdin: true, ..Default::default() },
        network_settings: NetworkSettings { ports: network::ports(), ..Default::default() },
        namespaces: Default::default(),
    }
}

/// Events that are all there already.
struct FakeEvents(Vec<Event>);

impl Events for FakeEvents {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn next(&mut self) -> Result<Option<Event>> {
        self.try_next()
    }

    fn try_next(&mut self) -> Result<Option<Event>> {
        Ok((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

fn event(number: u64, kind: &str, action: &str, attributes: &[(&str, &str)]) -> Event {
    Event {
        number,
        time: UNIX_EPOCH + Duration::from_secs(1),
        kind: kind.to_owned(),
        action: action.to_owned(),
        id: ID.to_owned(),
        attributes: attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    }
}
