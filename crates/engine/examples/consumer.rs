//! A program that uses a container engine: it is written against the trait alone, and tried here with an engine that
//! only takes notes.
//!
//! `cargo run -p tinyd-engine --example consumer`. With `tinyd_manager::LocalEngine` in the place of `Notes` the same
//! program runs real containers.

use std::io::Write as _;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use std::os::fd::OwnedFd;
use tinyd_engine::{
    After, ArchiveSummary, AttachRequest, CheckReport, ContainerExport, ContainerInspect, ContainerSpec,
    ContainerStats, ContainerSummary, CopyIn, CopyOut, Created, Engine, Error, ErrorKind, Events,
    EventsRequest, ExecSpec, ExitStatus, FileChange, FileStat, ListRequest, Logs, LogsRequest, NetworkCreate,
    NetworkInspect, NetworkJoin, NetworkSummary, PortChange, Process, RemoveRequest, Resources,
    RestartPolicy, Result, SecretCreate, SecretInspect, SecretSummary, Session, StartRequest, Started,
    SystemInfo, VersionInfo, VolumeCreate, VolumeExport, VolumeInspect, VolumeSnapshot, VolumeSummary,
    VolumeUsage, WaitCondition, Waiter,
};

/// The program: builds a project in a container with limits, shows what went wrong, and leaves nothing.
fn build(engine: &dyn Engine, project: &str) -> Result<bool> {
    let mut spec = ContainerSpec::new("host", ["make", "-C", project]);
    spec.name = Some("build".to_owned());
    spec.resources.memory = Some(512 << 20);
    let run = engine.run(&spec, &StartRequest::detached())?;
    let exit = engine.wait(&run.id)?.wait()?;
    if exit.code != 0 {
        let mut logs = engine.logs(&run.id, &LogsRequest { tail: Some(20), ..LogsRequest::default() })?;
        while let Some(entry) = logs.next()? {
            // Whoever reads no error messages has no use for this one.
            let _ = std::io::stderr().write_all(&entry.data);
        }
    }
    engine.remove(&run.id, &RemoveRequest::default())?;
    Ok(exit.code == 0)
}

fn main() -> Result<()> {
    let engine = Notes::default();
    assert!(build(&engine, "/src")?);
    let notes = engine.0.into_inner().unwrap_or_default();
    assert_eq!(notes, ["run host make -C /src", "wait 1", "remove 1"]);
    let _ = writeln!(std::io::stdout(), "{}", notes.join("\n"));
    Ok(())
}

/// An engine in which every command succeeds at once.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn note(&self, what: String) {
        if let Ok(mut notes) = self.0.lock() {
            notes.push(what);
        }
    }
}

fn unsupported<T>(verb: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, format!("{verb}: this engine only takes notes")))
}

impl Engine for Notes {
    fn run(&self, spec: &ContainerSpec, _: &StartRequest) -> Result<Started> {
        self.note(format!("run {} {}", spec.image, spec.command.join(" ")));
        Ok(Started { id: "1".to_owned(), notes: Vec::new(), session: None })
    }

    fn wait(&self, container: &str) -> Result<Box<dyn Waiter>> {
        self.note(format!("wait {container}"));
        Ok(Box::new(Ended))
    }

    fn pause(&self, _: &str) -> Result<String> {
        unsupported("pause")
    }

    fn unpause(&self, _: &str) -> Result<String> {
        unsupported("unpause")
    }

    fn rename(&self, _: &str, _: &str) -> Result<String> {
        unsupported("rename")
    }

    fn update(&self, _: &str, _: &Resources) -> Result<String> {
        unsupported("update")
    }

    fn are_ready(&self, _: &[After]) -> Result<bool> {
        unsupported("are_ready")
    }
    fn set_restart_policy(&self, _: &str, _: RestartPolicy) -> Result<String> {
        unsupported("set_restart_policy")
    }
    fn restart_due(&self, _: &str) -> Result<bool> {
        unsupported("restart_due")
    }
    fn apply_restart_policies(&self) -> Result<Vec<String>> {
        unsupported("apply_restart_policies")
    }
    fn change_ports(&self, _: &str, _: &PortChange) -> Result<String> {
        unsupported("update")
    }

    fn stats(&self, _: &str) -> Result<ContainerStats> {
        unsupported("stats")
    }

    fn top(&self, _: &str) -> Result<Vec<Process>> {
        unsupported("top")
    }

    fn remove(&self, container: &str, _: &RemoveRequest) -> Result<String> {
        self.note(format!("remove {container}"));
        Ok(container.to_owned())
    }

    fn create(&self, _: &ContainerSpec) -> Result<Created> {
        unsupported("create")
    }

    fn start(&self, _: &str, _: &StartRequest) -> Result<Started> {
        unsupported("start")
    }

    fn stop(&self, _: &str, _: Option<Duration>) -> Result<String> {
        unsupported("stop")
    }

    fn restart(&self, _: &str, _: Option<Duration>) -> Result<String> {
        unsupported("restart")
    }

    fn kill(&self, _: &str, _: i32) -> Result<String> {
        unsupported("kill")
    }

    fn attach(&self, _: &str, _: &AttachRequest) -> Result<Box<dyn Session>> {
        unsupported("attach")
    }

    fn exec(&self, _: &str, _: &ExecSpec) -> Result<Option<Box<dyn Session>>> {
        unsupported("exec")
    }

    fn logs(&self, _: &str, _: &LogsRequest) -> Result<Box<dyn Logs>> {
        unsupported("logs")
    }

    fn wait_for(&self, _: &str, _: WaitCondition) -> Result<Box<dyn Waiter>> {
        Ok(Box::new(Ended))
    }

    fn events(&self, _: &EventsRequest) -> Result<Box<dyn Events>> {
        unsupported("events")
    }
    fn list(&self, _: &ListRequest) -> Result<Vec<ContainerSummary>> {
        unsupported("list")
    }

    fn inspect(&self, _: &str) -> Result<ContainerInspect> {
        unsupported("inspect")
    }

    fn mount(&self, _: &str) -> Result<PathBuf> {
        unsupported("mount")
    }

    fn unmount(&self, _: &str) -> Result<String> {
        unsupported("unmount")
    }

    fn stat(&self, _: &str, _: &str, _: bool) -> Result<Option<FileStat>> {
        unsupported("stat")
    }

    fn copy_out(&self, _: &str, _: &CopyOut, _: OwnedFd) -> Result<ArchiveSummary> {
        unsupported("copy_out")
    }

    fn copy_in(&self, _: &str, _: &CopyIn, _: OwnedFd) -> Result<ArchiveSummary> {
        unsupported("copy_in")
    }

    fn diff(&self, _: &str) -> Result<Vec<FileChange>> {
        unsupported("diff")
    }

    fn export(&self, _: &str, _: &ContainerExport, _: OwnedFd) -> Result<ArchiveSummary> {
        unsupported("export")
    }

    fn create_network(&self, _: &NetworkCreate) -> Result<Created> {
        unsupported("create_network")
    }

    fn networks(&self) -> Result<Vec<NetworkSummary>> {
        unsupported("networks")
    }

    fn inspect_network(&self, _: &str) -> Result<NetworkInspect> {
        unsupported("inspect_network")
    }

    fn remove_network(&self, _: &str, _: bool) -> Result<String> {
        unsupported("remove_network")
    }

    fn connect_network(&self, _: &str, _: &NetworkJoin) -> Result<()> {
        unsupported("connect_network")
    }

    fn disconnect_network(&self, _: &str, _: &str) -> Result<()> {
        unsupported("disconnect_network")
    }

    fn prune_networks(&self) -> Result<Vec<String>> {
        unsupported("prune_networks")
    }

    fn create_secret(&self, _: &SecretCreate, _: &[u8]) -> Result<String> {
        unsupported("create_secret")
    }

    fn secrets(&self) -> Result<Vec<SecretSummary>> {
        unsupported("secrets")
    }

    fn inspect_secret(&self, _: &str) -> Result<SecretInspect> {
        unsupported("inspect_secret")
    }

    fn remove_secret(&self, _: &str) -> Result<String> {
        unsupported("remove_secret")
    }

    fn create_volume(&self, _: &VolumeCreate) -> Result<String> {
        unsupported("create_volume")
    }

    fn volumes(&self) -> Result<Vec<VolumeSummary>> {
        unsupported("volumes")
    }

    fn inspect_volume(&self, _: &str) -> Result<VolumeInspect> {
        unsupported("inspect_volume")
    }

    fn volume_usage(&self) -> Result<Vec<VolumeUsage>> {
        unsupported("volume_usage")
    }

    fn remove_volume(&self, _: &str) -> Result<String> {
        unsupported("remove_volume")
    }

    fn prune_volumes(&self, _: bool) -> Result<Vec<String>> {
        unsupported("prune_volumes")
    }

    fn export_volume(&self, _: &str, _: &VolumeExport, _: OwnedFd) -> Result<ArchiveSummary> {
        unsupported("export_volume")
    }

    fn import_volume(&self, _: &VolumeCreate, _: OwnedFd) -> Result<ArchiveSummary> {
        unsupported("import_volume")
    }

    fn clone_volume(&self, _: &str, _: &VolumeCreate) -> Result<String> {
        unsupported("clone_volume")
    }

    fn snapshot_volume(&self, _: &str, _: Option<&str>) -> Result<String> {
        unsupported("snapshot_volume")
    }

    fn volume_snapshots(&self, _: &str) -> Result<Vec<VolumeSnapshot>> {
        unsupported("volume_snapshots")
    }

    fn remove_snapshot(&self, _: &str, _: &str) -> Result<String> {
        unsupported("remove_snapshot")
    }

    fn rollback_volume(&self, _: &str, _: &str) -> Result<String> {
        unsupported("rollback_volume")
    }

    fn reload_networks(&self, _: &[String]) -> Result<Vec<String>> {
        unsupported("reload_networks")
    }

    fn check(&self, _: bool) -> Result<CheckReport> {
        unsupported("check")
    }

    fn cleanup(&self, _: Option<Duration>) -> Result<Vec<String>> {
        unsupported("cleanup")
    }

    fn info(&self) -> Result<SystemInfo> {
        unsupported("info")
    }

    fn version(&self) -> Result<VersionInfo> {
        unsupported("version")
    }
}

/// The exit of a command that has ended already.
struct Ended;

impl Waiter for Ended {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        Ok(ExitStatus { code: 0, oom_killed: false, unknown: false, host_restarted: false })
    }
}
