//! [`LocalEngine`]: the trait's face of the verbs.

use crate::builder::EngineBuilder;
use crate::config::EngineConfig;
use crate::core::Core;
use crate::error::Error;
use crate::parts::Parts;
use crate::store::Store;
use crate::wait::{ConditionWaiter, LocalWaiter};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tinyd_engine::{
    After, ArchiveSummary, AttachRequest, CheckReport, ContainerExport, ContainerInspect, ContainerSpec,
    ContainerStats, ContainerSummary, CopyIn, CopyOut, Created, Engine, Events, EventsRequest, ExecSpec,
    FileChange, FileStat, ListRequest, Logs, LogsRequest, LookedAfter, NetworkCreate, NetworkInspect,
    NetworkJoin, NetworkSummary, PortChange, Process, RemoveRequest, Resources, RestartPolicy, Result,
    Retire, SecretCreate, SecretInspect, SecretSummary, Session, StartRequest, Started, SystemInfo,
    VersionInfo, VolumeCreate, VolumeExport, VolumeInspect, VolumeSnapshot, VolumeSummary, VolumeUsage,
    WaitCondition, Waiter,
};

/// The engine that runs containers from the calling process: no daemon, and no state but that on disk and in the kernel.
///
/// Any number of engines, in any number of processes, may work on the same folders at once.
#[derive(Clone)]
pub struct LocalEngine {
    core: Arc<Core>,
    lasting: bool,
}

impl LocalEngine {
    /// An engine that is wanted.
    #[must_use]
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }

    /// Opens it, as [`EngineBuilder::open`] says.
    pub(crate) fn open(config: EngineConfig, parts: Parts) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            return Err(Error::NotRoot.into());
        }
        let store = Store::open(&config)?;
        let lasting = config.lasting;
        let core = Core::new(store, config, parts);
        core.recover()?;
        Ok(Self { core: Arc::new(core), lasting })
    }

    /// The core, for a verb: what others left undone is behind it, as far as it can be put right.
    fn core(&self) -> &Core {
        if self.lasting {
            let _ = self.core.recover_patiently();
        }
        &self.core
    }
}

impl Engine for LocalEngine {
    fn create(&self, spec: &ContainerSpec) -> Result<Created> {
        self.core().create(spec).map_err(Error::into)
    }

    fn start(&self, container: &str, request: &StartRequest) -> Result<Started> {
        self.core().start(container, request).map_err(Error::into)
    }

    fn run(&self, spec: &ContainerSpec, request: &StartRequest) -> Result<Started> {
        self.core().run(spec, request).map_err(Error::into)
    }

    fn stop(&self, container: &str, grace: Option<Duration>) -> Result<String> {
        self.core().stop(container, grace).map_err(Error::into)
    }

    fn restart(&self, container: &str, grace: Option<Duration>) -> Result<String> {
        self.core().restart(container, grace).map_err(Error::into)
    }

    fn kill(&self, container: &str, signal: i32) -> Result<String> {
        self.core().kill(container, signal).map_err(Error::into)
    }

    fn pause(&self, container: &str) -> Result<String> {
        self.core().pause(container).map_err(Error::into)
    }

    fn unpause(&self, container: &str) -> Result<String> {
        self.core().unpause(container).map_err(Error::into)
    }

    fn rename(&self, container: &str, name: &str) -> Result<String> {
        self.core().rename(container, name).map_err(Error::into)
    }

    fn update(&self, container: &str, limits: &Resources) -> Result<String> {
        self.core().update(container, limits).map_err(Error::into)
    }

    fn set_restart_policy(&self, container: &str, policy: RestartPolicy) -> Result<String> {
        self.core().set_restart_policy(container, policy).map_err(Error::into)
    }

    fn are_ready(&self, after: &[After]) -> Result<bool> {
        self.core().are_ready(after).map_err(Error::into)
    }

    fn restart_due(&self, container: &str) -> Result<bool> {
        self.core.restart_due(container).map_err(Error::into)
    }

    fn apply_restart_policies(&self) -> Result<Vec<String>> {
        self.core().apply_restart_policies(&|| true).map_err(Error::into)
    }

    fn change_ports(&self, container: &str, change: &PortChange) -> Result<String> {
        self.core().change_ports(container, change).map_err(Error::into)
    }

    fn stats(&self, container: &str) -> Result<ContainerStats> {
        self.core.stats(container).map_err(Error::into)
    }

    fn top(&self, container: &str) -> Result<Vec<Process>> {
        self.core.top(container).map_err(Error::into)
    }

    fn remove(&self, container: &str, request: &RemoveRequest) -> Result<String> {
        self.core().remove(container, request).map_err(Error::into)
    }

    fn attach(&self, container: &str, request: &AttachRequest) -> Result<Box<dyn Session>> {
        self.core().attach(container, request).map_err(Error::into)
    }

    fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Option<Box<dyn Session>>> {
        self.core().exec(container, spec).map_err(Error::into)
    }

    fn logs(&self, container: &str, request: &LogsRequest) -> Result<Box<dyn Logs>> {
        self.core().logs(container, request).map_err(Error::into)
    }

    fn wait(&self, container: &str) -> Result<Box<dyn Waiter>> {
        Ok(Box::new(LocalWaiter::new(&self.core, container)?))
    }

    fn wait_for(&self, container: &str, condition: WaitCondition) -> Result<Box<dyn Waiter>> {
        Ok(Box::new(ConditionWaiter::new(&self.core, container, condition)?))
    }

    fn events(&self, request: &EventsRequest) -> Result<Box<dyn Events>> {
        self.core.events(request).map_err(Error::into)
    }

    fn list(&self, request: &ListRequest) -> Result<Vec<ContainerSummary>> {
        self.core().list(*request).map_err(Error::into)
    }

    fn inspect(&self, container: &str) -> Result<ContainerInspect> {
        self.core().inspect(container).map_err(Error::into)
    }

    fn mount(&self, container: &str) -> Result<PathBuf> {
        self.core().mount(container).map_err(Error::into)
    }

    fn unmount(&self, container: &str) -> Result<String> {
        self.core().unmount(container).map_err(Error::into)
    }

    fn stat(&self, container: &str, path: &str, follow: bool) -> Result<Option<FileStat>> {
        self.core().stat(container, path, follow).map_err(Error::into)
    }

    fn copy_out(&self, container: &str, request: &CopyOut, to: OwnedFd) -> Result<ArchiveSummary> {
        self.core().copy_out(container, request, to).map_err(Error::into)
    }

    fn copy_in(&self, container: &str, request: &CopyIn, from: OwnedFd) -> Result<ArchiveSummary> {
        self.core().copy_in(container, request, from).map_err(Error::into)
    }

    fn diff(&self, container: &str) -> Result<Vec<FileChange>> {
        self.core().diff(container).map_err(Error::into)
    }

    fn export(&self, container: &str, request: &ContainerExport, to: OwnedFd) -> Result<ArchiveSummary> {
        self.core().export(container, request, to).map_err(Error::into)
    }

    fn create_network(&self, wanted: &NetworkCreate) -> Result<Created> {
        self.core().create_network(wanted).map_err(Error::into)
    }

    fn networks(&self) -> Result<Vec<NetworkSummary>> {
        self.core().networks().map_err(Error::into)
    }

    fn inspect_network(&self, network: &str) -> Result<NetworkInspect> {
        self.core().inspect_network(network).map_err(Error::into)
    }

    fn remove_network(&self, network: &str, force: bool) -> Result<String> {
        self.core().remove_network(network, force).map_err(Error::into)
    }

    fn connect_network(&self, container: &str, place: &NetworkJoin) -> Result<()> {
        self.core().connect_network(container, place).map_err(Error::into)
    }

    fn disconnect_network(&self, container: &str, network: &str) -> Result<()> {
        self.core().disconnect_network(container, network).map_err(Error::into)
    }

    fn prune_networks(&self) -> Result<Vec<String>> {
        self.core().prune_networks().map_err(Error::into)
    }

    fn reload_networks(&self, networks: &[String]) -> Result<Vec<String>> {
        self.core().reload_networks(networks).map_err(Error::into)
    }

    fn create_volume(&self, wanted: &VolumeCreate) -> Result<String> {
        self.core().create_volume(wanted).map_err(Error::into)
    }

    fn volumes(&self) -> Result<Vec<VolumeSummary>> {
        self.core().volumes().map_err(Error::into)
    }

    fn inspect_volume(&self, volume: &str) -> Result<VolumeInspect> {
        self.core().inspect_volume(volume).map_err(Error::into)
    }

    fn volume_usage(&self) -> Result<Vec<VolumeUsage>> {
        self.core().volume_usage().map_err(Error::into)
    }

    fn remove_volume(&self, volume: &str) -> Result<String> {
        self.core().remove_volume(volume).map_err(Error::into)
    }

    fn prune_volumes(&self, all: bool) -> Result<Vec<String>> {
        self.core().prune_volumes(all).map_err(Error::into)
    }

    fn export_volume(&self, volume: &str, request: &VolumeExport, to: OwnedFd) -> Result<ArchiveSummary> {
        self.core().export_volume(volume, request, to).map_err(Error::into)
    }

    fn import_volume(&self, wanted: &VolumeCreate, from: OwnedFd) -> Result<ArchiveSummary> {
        self.core().import_volume(wanted, from).map_err(Error::into)
    }

    fn clone_volume(&self, volume: &str, wanted: &VolumeCreate) -> Result<String> {
        self.core().clone_volume(volume, wanted).map_err(Error::into)
    }

    fn snapshot_volume(&self, volume: &str, name: Option<&str>) -> Result<String> {
        self.core().snapshot_volume(volume, name).map_err(Error::into)
    }

    fn volume_snapshots(&self, volume: &str) -> Result<Vec<VolumeSnapshot>> {
        self.core().volume_snapshots(volume).map_err(Error::into)
    }

    fn remove_snapshot(&self, volume: &str, name: &str) -> Result<String> {
        self.core().remove_snapshot(volume, name).map_err(Error::into)
    }

    fn rollback_volume(&self, volume: &str, name: &str) -> Result<String> {
        self.core().rollback_volume(volume, name).map_err(Error::into)
    }

    fn create_secret(&self, wanted: &SecretCreate, content: &[u8]) -> Result<String> {
        self.core().create_secret(wanted, content).map_err(Error::into)
    }

    fn secrets(&self) -> Result<Vec<SecretSummary>> {
        self.core().secrets().map_err(Error::into)
    }

    fn inspect_secret(&self, secret: &str) -> Result<SecretInspect> {
        self.core().inspect_secret(secret).map_err(Error::into)
    }

    fn remove_secret(&self, secret: &str) -> Result<String> {
        self.core().remove_secret(secret).map_err(Error::into)
    }

    fn check(&self, repair: bool) -> Result<CheckReport> {
        self.core().check(repair).map_err(Error::into)
    }

    fn cleanup(&self, grace: Option<Duration>) -> Result<Vec<String>> {
        self.core.cleanup(grace).map_err(Error::into)
    }

    fn info(&self) -> Result<SystemInfo> {
        self.core.info().map_err(Error::into)
    }

    fn version(&self) -> Result<VersionInfo> {
        self.core.version().map_err(Error::into)
    }
}

impl Retire for LocalEngine {
    fn retire(&self, grace: Option<Duration>) -> Result<Vec<String>> {
        self.core.retire(grace).map_err(Error::into)
    }

    fn revive(&self, goes_on: &dyn Fn() -> bool) -> Result<Vec<String>> {
        self.core.revive(goes_on).map_err(Error::into)
    }

    fn look_after(&self, container: &str) -> Result<LookedAfter> {
        self.core.look_after(container).map_err(Error::into)
    }
}
