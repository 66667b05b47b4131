//! The engine's trait, each method a call.

use super::descriptor::{self, OwnEnd};
use super::{Client, read};
use crate::proto;
use crate::wire::Wire;
use proto::session_input::Message as Open;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;
use tinyd_engine::*;

/// A container that is meant.
fn container(container: &str) -> proto::ContainerRequest {
    proto::ContainerRequest { container: container.to_owned() }
}

/// A network that is meant.
fn network(network: &str) -> proto::NetworkRequest {
    proto::NetworkRequest { network: network.to_owned() }
}

/// A volume that is meant.
fn volume(volume: &str) -> proto::VolumeRequest {
    proto::VolumeRequest { volume: volume.to_owned() }
}

/// What a call says that says nothing.
const NOTHING: proto::Empty = proto::Empty {};

impl Engine for Client {
    fn create(&self, spec: &ContainerSpec) -> Result<Created> {
        let request = proto::CreateRequest { spec: spec.clone().into_wire() };
        self.ask_for(self.containers().create(request))
    }

    fn start(&self, container: &str, request: &StartRequest) -> Result<Started> {
        let wanted = proto::StartRequest {
            container: container.to_owned(),
            window: request.window.map(Wire::into_wire),
        };
        match request.attach {
            true => self.attached(Open::Start(wanted)),
            false => self.ask_for(self.containers().start(wanted)).map(detached),
        }
    }

    fn run(&self, spec: &ContainerSpec, request: &StartRequest) -> Result<Started> {
        let wanted =
            proto::RunRequest { spec: spec.clone().into_wire(), window: request.window.map(Wire::into_wire) };
        match request.attach {
            true => self.attached(Open::Run(wanted)),
            false => self.ask_for(self.containers().run(wanted)).map(detached),
        }
    }

    fn stop(&self, container: &str, grace: Option<Duration>) -> Result<String> {
        let request =
            proto::StopRequest { container: container.to_owned(), grace: grace.map(Wire::into_wire) };
        Ok(self.ask(self.containers().stop(request))?.id)
    }

    fn restart(&self, container: &str, grace: Option<Duration>) -> Result<String> {
        let request =
            proto::StopRequest { container: container.to_owned(), grace: grace.map(Wire::into_wire) };
        Ok(self.ask(self.containers().restart(request))?.id)
    }

    fn kill(&self, container: &str, signal: i32) -> Result<String> {
        let request = proto::KillRequest { container: container.to_owned(), signal };
        Ok(self.ask(self.containers().kill(request))?.id)
    }

    fn pause(&self, name: &str) -> Result<String> {
        Ok(self.ask(self.containers().pause(container(name)))?.id)
    }

    fn unpause(&self, name: &str) -> Result<String> {
        Ok(self.ask(self.containers().unpause(container(name)))?.id)
    }

    fn rename(&self, container: &str, name: &str) -> Result<String> {
        let request = proto::RenameRequest { container: container.to_owned(), name: name.to_owned() };
        Ok(self.ask(self.containers().rename(request))?.id)
    }

    fn set_restart_policy(&self, container: &str, policy: RestartPolicy) -> Result<String> {
        let request =
            proto::SetRestartPolicyRequest { container: container.to_owned(), policy: policy.into_wire() };
        Ok(self.ask(self.containers().set_restart_policy(request))?.id)
    }

    fn are_ready(&self, after: &[After]) -> Result<bool> {
        let request = proto::AreReadyRequest { after: after.to_vec().into_wire() };
        Ok(self.ask(self.containers().are_ready(request))?.ready)
    }

    fn restart_due(&self, name: &str) -> Result<bool> {
        Ok(self.ask(self.containers().restart_due(container(name)))?.restarted)
    }

    fn apply_restart_policies(&self) -> Result<Vec<String>> {
        Ok(self.ask(self.system().apply_restart_policies(NOTHING))?.ids)
    }

    fn update(&self, container: &str, limits: &Resources) -> Result<String> {
        let request =
            proto::UpdateRequest { container: container.to_owned(), limits: limits.clone().into_wire() };
        Ok(self.ask(self.containers().update(request))?.id)
    }

    fn change_ports(&self, container: &str, change: &PortChange) -> Result<String> {
        let request =
            proto::ChangePortsRequest { container: container.to_owned(), change: change.clone().into_wire() };
        Ok(self.ask(self.containers().change_ports(request))?.id)
    }

    fn stats(&self, name: &str) -> Result<ContainerStats> {
        self.ask_for(self.containers().stats(container(name)))
    }

    fn top(&self, name: &str) -> Result<Vec<Process>> {
        read(self.ask(self.containers().top(container(name)))?.processes)
    }

    fn remove(&self, container: &str, request: &RemoveRequest) -> Result<String> {
        let request = proto::RemoveContainerRequest {
            container: container.to_owned(),
            request: (*request).into_wire(),
        };
        Ok(self.ask(self.containers().remove(request))?.id)
    }

    fn attach(&self, container: &str, request: &AttachRequest) -> Result<Box<dyn Session>> {
        let AttachRequest { stdin, window } = *request;
        let container = container.to_owned();
        let request = proto::AttachRequest { container, stdin, window: window.map(Wire::into_wire) };
        Ok(Box::new(self.open_session(Open::Attach(request))?.1))
    }

    fn exec(&self, container: &str, spec: &ExecSpec) -> Result<Option<Box<dyn Session>>> {
        let request = proto::ExecRequest { container: container.to_owned(), spec: spec.clone().into_wire() };
        match spec.detach {
            true => self.ask(self.containers().exec(request)).map(|_| None),
            false => Ok(Some(Box::new(self.open_session(Open::Exec(request))?.1))),
        }
    }

    fn logs(&self, container: &str, request: &LogsRequest) -> Result<Box<dyn Logs>> {
        let request = proto::ContainerLogsRequest {
            container: container.to_owned(),
            request: request.clone().into_wire(),
        };
        let pieces = self.ask(self.containers().logs(request))?;
        Ok(Box::new(RemoteLogs {
            pieces: descriptor::of_stream(&self.runtime, pieces)?,
            missed: 0,
            unlogged: 0,
        }))
    }

    fn wait(&self, name: &str) -> Result<Box<dyn Waiter>> {
        let exits = self.ask(self.containers().wait(container(name)))?;
        let exits = descriptor::of_stream(&self.runtime, exits)?;
        Ok(Box::new(RemoteWaiter { exits, ended: None }))
    }

    fn wait_for(&self, container: &str, condition: WaitCondition) -> Result<Box<dyn Waiter>> {
        let request =
            proto::WaitForRequest { container: container.to_owned(), condition: condition.into_wire() };
        let exits = self.ask(self.containers().wait_for(request))?;
        let exits = descriptor::of_stream(&self.runtime, exits)?;
        Ok(Box::new(RemoteWaiter { exits, ended: None }))
    }

    fn events(&self, request: &EventsRequest) -> Result<Box<dyn Events>> {
        let request: proto::EventsRequest = request.clone().into_wire();
        let events = self.ask(self.system().events(request))?;
        Ok(Box::new(RemoteEvents(descriptor::of_stream(&self.runtime, events)?)))
    }

    fn list(&self, request: &ListRequest) -> Result<Vec<ContainerSummary>> {
        read(self.ask(self.containers().list(Wire::<proto::ListRequest>::into_wire(*request)))?.containers)
    }

    fn inspect(&self, name: &str) -> Result<ContainerInspect> {
        self.ask_for(self.containers().inspect(container(name)))
    }

    fn mount(&self, name: &str) -> Result<PathBuf> {
        Ok(self.ask(self.containers().mount(container(name)))?.path.into())
    }

    fn unmount(&self, name: &str) -> Result<String> {
        Ok(self.ask(self.containers().unmount(container(name)))?.id)
    }

    fn stat(&self, container: &str, path: &str, follow: bool) -> Result<Option<FileStat>> {
        let request = proto::StatRequest { container: container.to_owned(), path: path.to_owned(), follow };
        read(self.ask(self.containers().stat(request))?.stat)
    }

    fn copy_out(&self, container: &str, request: &CopyOut, to: OwnedFd) -> Result<ArchiveSummary> {
        let request =
            proto::CopyOutRequest { container: container.to_owned(), request: request.clone().into_wire() };
        self.receive_archive(self.containers().copy_out(request), &to)
    }

    fn copy_in(&self, container: &str, request: &CopyIn, from: OwnedFd) -> Result<ArchiveSummary> {
        use proto::copy_in_input::Message;
        let wrap = |message| proto::CopyInInput { message: Some(message) };
        let request =
            proto::CopyInRequest { container: container.to_owned(), request: request.clone().into_wire() };
        let mut containers = self.containers();
        let call = async |pieces| containers.copy_in(pieces).await;
        self.send_archive(wrap(Message::Request(request)), move |data| wrap(Message::Data(data)), from, call)
    }

    fn diff(&self, name: &str) -> Result<Vec<FileChange>> {
        read(self.ask(self.containers().diff(container(name)))?.changes)
    }

    fn export(&self, container: &str, request: &ContainerExport, to: OwnedFd) -> Result<ArchiveSummary> {
        let request =
            proto::ExportRequest { container: container.to_owned(), request: request.clone().into_wire() };
        self.receive_archive(self.containers().export(request), &to)
    }

    fn create_network(&self, wanted: &NetworkCreate) -> Result<Created> {
        let request = proto::CreateNetworkRequest { network: wanted.clone().into_wire() };
        self.ask_for(self.networks().create(request))
    }

    fn networks(&self) -> Result<Vec<NetworkSummary>> {
        read(self.ask(self.networks().list(NOTHING))?.networks)
    }

    fn inspect_network(&self, name: &str) -> Result<NetworkInspect> {
        self.ask_for(self.networks().inspect(network(name)))
    }

    fn remove_network(&self, network: &str, force: bool) -> Result<String> {
        let request = proto::RemoveNetworkRequest { network: network.to_owned(), force };
        Ok(self.ask(self.networks().remove(request))?.name)
    }

    fn connect_network(&self, container: &str, place: &NetworkJoin) -> Result<()> {
        let request =
            proto::ConnectRequest { container: container.to_owned(), place: place.clone().into_wire() };
        self.ask(self.networks().connect_container(request)).map(drop)
    }

    fn disconnect_network(&self, container: &str, network: &str) -> Result<()> {
        let request =
            proto::DisconnectRequest { container: container.to_owned(), network: network.to_owned() };
        self.ask(self.networks().disconnect_container(request)).map(drop)
    }

    fn prune_networks(&self) -> Result<Vec<String>> {
        Ok(self.ask(self.networks().prune(NOTHING))?.names)
    }

    fn reload_networks(&self, networks: &[String]) -> Result<Vec<String>> {
        Ok(self.ask(self.networks().reload(proto::Names { names: networks.to_vec() }))?.names)
    }

    fn create_volume(&self, wanted: &VolumeCreate) -> Result<String> {
        let request = proto::CreateVolumeRequest { volume: wanted.clone().into_wire() };
        Ok(self.ask(self.volumes().create(request))?.name)
    }

    fn volumes(&self) -> Result<Vec<VolumeSummary>> {
        read(self.ask(self.volumes().list(NOTHING))?.volumes)
    }

    fn inspect_volume(&self, name: &str) -> Result<VolumeInspect> {
        self.ask_for(self.volumes().inspect(volume(name)))
    }

    fn volume_usage(&self) -> Result<Vec<VolumeUsage>> {
        read(self.ask(self.volumes().usage(NOTHING))?.volumes)
    }

    fn remove_volume(&self, name: &str) -> Result<String> {
        Ok(self.ask(self.volumes().remove(volume(name)))?.name)
    }

    fn prune_volumes(&self, all: bool) -> Result<Vec<String>> {
        Ok(self.ask(self.volumes().prune(proto::PruneVolumesRequest { all }))?.names)
    }

    fn export_volume(&self, volume: &str, request: &VolumeExport, to: OwnedFd) -> Result<ArchiveSummary> {
        let request =
            proto::ExportVolumeRequest { volume: volume.to_owned(), request: request.clone().into_wire() };
        self.receive_archive(self.volumes().export(request), &to)
    }

    fn import_volume(&self, wanted: &VolumeCreate, from: OwnedFd) -> Result<ArchiveSummary> {
        use proto::import_volume_input::Message;
        let wrap = |message| proto::ImportVolumeInput { message: Some(message) };
        let mut volumes = self.volumes();
        let call = async |pieces| volumes.import(pieces).await;
        let first = wrap(Message::Volume(wanted.clone().into_wire()));
        self.send_archive(first, move |data| wrap(Message::Data(data)), from, call)
    }

    fn clone_volume(&self, volume: &str, wanted: &VolumeCreate) -> Result<String> {
        let request =
            proto::CloneVolumeRequest { volume: volume.to_owned(), wanted: wanted.clone().into_wire() };
        Ok(self.ask(self.volumes().clone_volume(request))?.name)
    }

    fn snapshot_volume(&self, volume: &str, name: Option<&str>) -> Result<String> {
        let request =
            proto::SnapshotVolumeRequest { volume: volume.to_owned(), name: name.map(str::to_owned) };
        Ok(self.ask(self.volumes().snapshot(request))?.name)
    }

    fn volume_snapshots(&self, name: &str) -> Result<Vec<VolumeSnapshot>> {
        read(self.ask(self.volumes().snapshots(volume(name)))?.snapshots)
    }

    fn remove_snapshot(&self, volume: &str, name: &str) -> Result<String> {
        let request = proto::SnapshotRequest { volume: volume.to_owned(), name: name.to_owned() };
        Ok(self.ask(self.volumes().remove_snapshot(request))?.name)
    }

    fn rollback_volume(&self, volume: &str, name: &str) -> Result<String> {
        let request = proto::SnapshotRequest { volume: volume.to_owned(), name: name.to_owned() };
        Ok(self.ask(self.volumes().rollback(request))?.name)
    }

    fn create_secret(&self, wanted: &SecretCreate, content: &[u8]) -> Result<String> {
        let request =
            proto::CreateSecretRequest { secret: wanted.clone().into_wire(), content: content.to_vec() };
        Ok(self.ask(self.secrets().create(request))?.name)
    }

    fn secrets(&self) -> Result<Vec<SecretSummary>> {
        read(self.ask(self.secrets().list(NOTHING))?.secrets)
    }

    fn inspect_secret(&self, secret: &str) -> Result<SecretInspect> {
        self.ask_for(self.secrets().inspect(proto::SecretRequest { secret: secret.to_owned() }))
    }

    fn remove_secret(&self, secret: &str) -> Result<String> {
        Ok(self.ask(self.secrets().remove(proto::SecretRequest { secret: secret.to_owned() }))?.name)
    }

    fn check(&self, repair: bool) -> Result<CheckReport> {
        self.ask_for(self.system().check(proto::CheckRequest { repair }))
    }

    fn cleanup(&self, grace: Option<Duration>) -> Result<Vec<String>> {
        let request = proto::CleanupRequest { grace: grace.map(Wire::into_wire) };
        Ok(self.ask(self.system().cleanup(request))?.ids)
    }

    fn info(&self) -> Result<SystemInfo> {
        self.ask_for(self.system().info(NOTHING))
    }

    fn version(&self) -> Result<VersionInfo> {
        self.ask_for(self.system().version(NOTHING))
    }
}

impl Client {
    fn attached(&self, open: Open) -> Result<Started> {
        let (created, session) = self.open_session(open)?;
        Ok(Started { session: Some(Box::new(session)), ..detached(created) })
    }
}

fn detached(created: Created) -> Started {
    Started { id: created.id, notes: created.notes, session: None }
}

/// A log that comes from the daemon.
struct RemoteLogs {
    pieces: OwnEnd<proto::LogPiece>,
    missed: u64,
    unlogged: u64,
}

impl Logs for RemoteLogs {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.pieces.as_fd())
    }

    fn next(&mut self) -> Result<Option<LogEntry>> {
        let Some(piece) = self.pieces.receive()? else { return Ok(None) };
        (self.missed, self.unlogged) = (piece.missed, piece.unlogged);
        piece.entry.map(read).transpose()
    }

    fn missed(&self) -> u64 {
        self.missed
    }

    fn unlogged(&self) -> u64 {
        self.unlogged
    }
}

/// Events that come from the daemon.
struct RemoteEvents(OwnEnd<proto::Event>);

impl Events for RemoteEvents {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn next(&mut self) -> Result<Option<Event>> {
        self.0.receive_as()
    }

    fn try_next(&mut self) -> Result<Option<Event>> {
        match self.0.is_readable()? {
            true => self.0.receive_as(),
            false => Ok(None),
        }
    }
}

/// The exit that the daemon waits for.
struct RemoteWaiter {
    exits: OwnEnd<proto::ExitStatus>,
    ended: Option<ExitStatus>,
}

impl Waiter for RemoteWaiter {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.ended.is_none().then(|| self.exits.as_fd())
    }

    fn wait(&mut self) -> Result<ExitStatus> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        let ended = self.exits.receive_as()?.ok_or_else(|| {
            Error::new(ErrorKind::Internal, "the daemon went away before it told the exit code")
        })?;
        self.ended = Some(ended);
        Ok(ended)
    }
}
