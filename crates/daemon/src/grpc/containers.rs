//! What is done with containers.

use super::archive::Pieces;
use super::follow::Followed;
use super::session::Outputs;
use super::stats::Figures;
use super::wait::Exits;
use super::{Service, need, read, reply};
use tinyd_api::proto::containers_server::Containers;
use tinyd_api::proto::*;
use tinyd_api::wire::Wire;
use tinyd_engine::{After, ExecSpec};
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl Containers for Service {
    async fn create(&self, request: Request<CreateRequest>) -> Result<Response<Created>, Status> {
        let request = request.into_inner();
        let spec = read(request.spec)?;
        let done = self.begin(move |engine| engine.create(&spec)).await?;
        reply(done)
    }

    async fn run(&self, request: Request<RunRequest>) -> Result<Response<Created>, Status> {
        let request = request.into_inner();
        let (spec, request) = (read(request.spec)?, detached(request.window)?);
        let done = self.begin(move |engine| engine.run(&spec, &request)).await?;
        started(done)
    }

    async fn start(&self, request: Request<StartRequest>) -> Result<Response<Created>, Status> {
        let request = request.into_inner();
        let how = detached(request.window)?;
        let done = self.begin(move |engine| engine.start(&request.container, &how)).await?;
        started(done)
    }

    type SessionStream = Outputs;

    async fn session(&self, request: Request<Streaming<SessionInput>>) -> Result<Response<Outputs>, Status> {
        self.converse(request.into_inner()).await.map(Response::new)
    }

    async fn exec(&self, request: Request<ExecRequest>) -> Result<Response<Empty>, Status> {
        let request = request.into_inner();
        // A session with one is another call.
        let spec = ExecSpec { detach: true, ..read(request.spec)? };
        self.begin(move |engine| engine.exec(&request.container, &spec).map(drop)).await?;
        Ok(Response::new(Empty {}))
    }

    async fn stop(&self, request: Request<StopRequest>) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let grace = read(request.grace)?;
        let done = self.ask(move |engine| engine.stop(&request.container, grace)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn restart(&self, request: Request<StopRequest>) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let grace = read(request.grace)?;
        let done = self.begin(move |engine| engine.restart(&request.container, grace)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn kill(&self, request: Request<KillRequest>) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.kill(&request.container, request.signal)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn pause(&self, request: Request<ContainerRequest>) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.pause(&request.container)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn unpause(&self, request: Request<ContainerRequest>) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.unpause(&request.container)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn rename(&self, request: Request<RenameRequest>) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.rename(&request.container, &request.name)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn set_restart_policy(
        &self,
        request: Request<SetRestartPolicyRequest>,
    ) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let policy = read(request.policy)?;
        let done = self.ask(move |engine| engine.set_restart_policy(&request.container, policy)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn are_ready(&self, request: Request<AreReadyRequest>) -> Result<Response<AreReadyReply>, Status> {
        let after: Vec<After> = read(request.into_inner().after)?;
        let ready = self.ask(move |engine| engine.are_ready(&after)).await?;
        Ok(Response::new(AreReadyReply { ready }))
    }

    async fn restart_due(
        &self,
        request: Request<ContainerRequest>,
    ) -> Result<Response<RestartDueReply>, Status> {
        let request = request.into_inner();
        let done = self.begin(move |engine| engine.restart_due(&request.container)).await?;
        Ok(Response::new(RestartDueReply { restarted: done }))
    }

    async fn top(&self, request: Request<ContainerRequest>) -> Result<Response<Processes>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.top(&request.container)).await?;
        Ok(Response::new(Processes { processes: done.into_wire() }))
    }

    async fn update(&self, request: Request<UpdateRequest>) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let limits = read(request.limits)?;
        let done = self.ask(move |engine| engine.update(&request.container, &limits)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn change_ports(
        &self,
        request: Request<ChangePortsRequest>,
    ) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let change = read(request.change)?;
        let done = self.ask(move |engine| engine.change_ports(&request.container, &change)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn stats(&self, request: Request<ContainerRequest>) -> Result<Response<ContainerStats>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.stats(&request.container)).await?;
        reply(done)
    }

    type WatchStatsStream = Figures;

    async fn watch_stats(&self, request: Request<WatchStatsRequest>) -> Result<Response<Figures>, Status> {
        self.watch_stats_of(request.into_inner()).await.map(Response::new)
    }

    async fn remove(
        &self,
        request: Request<RemoveContainerRequest>,
    ) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let how = read(request.request)?;
        let done = self.ask(move |engine| engine.remove(&request.container, &how)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    type LogsStream = Followed<LogPiece>;

    async fn logs(
        &self,
        request: Request<ContainerLogsRequest>,
    ) -> Result<Response<Followed<LogPiece>>, Status> {
        let request = request.into_inner();
        self.follow_log(request.container, read(request.request)?).await.map(Response::new)
    }

    type WaitStream = Exits;

    async fn wait(&self, request: Request<ContainerRequest>) -> Result<Response<Exits>, Status> {
        let container = request.into_inner().container;
        self.await_exit(move |engine| engine.wait(&container)).await.map(Response::new)
    }

    type WaitForStream = Exits;

    async fn wait_for(&self, request: Request<WaitForRequest>) -> Result<Response<Exits>, Status> {
        let request = request.into_inner();
        let condition = read(request.condition)?;
        self.await_exit(move |engine| engine.wait_for(&request.container, condition)).await.map(Response::new)
    }

    async fn list(&self, request: Request<ListRequest>) -> Result<Response<ContainerList>, Status> {
        let request = request.into_inner();
        let wanted = read(request)?;
        let done = self.ask(move |engine| engine.list(&wanted)).await?;
        Ok(Response::new(ContainerList { containers: done.into_wire() }))
    }

    async fn inspect(
        &self,
        request: Request<ContainerRequest>,
    ) -> Result<Response<ContainerInspect>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.inspect(&request.container)).await?;
        reply(done)
    }

    async fn mount(&self, request: Request<ContainerRequest>) -> Result<Response<Mounted>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.mount(&request.container)).await?;
        Ok(Response::new(Mounted { path: done.into_wire() }))
    }

    async fn unmount(&self, request: Request<ContainerRequest>) -> Result<Response<ContainerId>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.unmount(&request.container)).await?;
        Ok(Response::new(ContainerId { id: done }))
    }

    async fn stat(&self, request: Request<StatRequest>) -> Result<Response<StatReply>, Status> {
        let request = request.into_inner();
        let done =
            self.ask(move |engine| engine.stat(&request.container, &request.path, request.follow)).await?;
        Ok(Response::new(StatReply { stat: done.into_wire() }))
    }

    type CopyOutStream = Pieces;

    async fn copy_out(&self, request: Request<CopyOutRequest>) -> Result<Response<Pieces>, Status> {
        let request = request.into_inner();
        let wanted = read(request.request)?;
        let pieces =
            self.send_archive(move |engine, to| engine.copy_out(&request.container, &wanted, to)).await?;
        Ok(Response::new(pieces))
    }

    async fn copy_in(
        &self,
        request: Request<Streaming<CopyInInput>>,
    ) -> Result<Response<ArchiveSummary>, Status> {
        use copy_in_input::Message;
        let mut pieces = request.into_inner();
        let first = pieces.message().await?.and_then(|first| first.message);
        let Some(Message::Request(request)) = first else { return need(None, "place to copy to") };
        let wanted = read(request.request)?;
        let data = |piece: CopyInInput| match piece.message {
            Some(Message::Data(bytes)) => Some(bytes),
            _ => None,
        };
        let taken = self.receive_archive(pieces, data, move |engine, from| {
            engine.copy_in(&request.container, &wanted, from)
        });
        taken.await.map(Response::new)
    }

    async fn diff(&self, request: Request<ContainerRequest>) -> Result<Response<FileChanges>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.diff(&request.container)).await?;
        Ok(Response::new(FileChanges { changes: done.into_wire() }))
    }

    type ExportStream = Pieces;

    async fn export(&self, request: Request<ExportRequest>) -> Result<Response<Pieces>, Status> {
        let request = request.into_inner();
        let wanted = read(request.request)?;
        let pieces =
            self.send_archive(move |engine, to| engine.export(&request.container, &wanted, to)).await?;
        Ok(Response::new(pieces))
    }
}

/// A start that nobody stays with.
fn detached(window: Option<WindowSize>) -> Result<tinyd_engine::StartRequest, Status> {
    Ok(tinyd_engine::StartRequest { window: read(window)?, ..tinyd_engine::StartRequest::detached() })
}

fn started(started: tinyd_engine::Started) -> Result<Response<Created>, Status> {
    reply(tinyd_engine::Created { id: started.id, notes: started.notes })
}
