//! What is done with volumes.

use super::archive::Pieces;
use super::{Service, need, read, reply};
use tinyd_api::proto::volumes_server::Volumes;
use tinyd_api::proto::*;
use tinyd_api::wire::Wire;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl Volumes for Service {
    async fn create(&self, request: Request<CreateVolumeRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let wanted = read(request.volume)?;
        let done = self.ask(move |engine| engine.create_volume(&wanted)).await?;
        Ok(Response::new(Name { name: done }))
    }

    async fn list(&self, _: Request<Empty>) -> Result<Response<VolumeList>, Status> {
        let done = self.ask(|engine| engine.volumes()).await?;
        Ok(Response::new(VolumeList { volumes: done.into_wire() }))
    }

    async fn inspect(&self, request: Request<VolumeRequest>) -> Result<Response<VolumeInspect>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.inspect_volume(&request.volume)).await?;
        reply(done)
    }

    async fn usage(&self, _: Request<Empty>) -> Result<Response<VolumeUsages>, Status> {
        let done = self.ask(|engine| engine.volume_usage()).await?;
        Ok(Response::new(VolumeUsages { volumes: done.into_wire() }))
    }

    async fn remove(&self, request: Request<VolumeRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.remove_volume(&request.volume)).await?;
        Ok(Response::new(Name { name: done }))
    }

    async fn prune(&self, request: Request<PruneVolumesRequest>) -> Result<Response<Names>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.prune_volumes(request.all)).await?;
        Ok(Response::new(Names { names: done }))
    }

    type ExportStream = Pieces;

    async fn export(&self, request: Request<ExportVolumeRequest>) -> Result<Response<Pieces>, Status> {
        let request = request.into_inner();
        let wanted = read(request.request)?;
        let pieces =
            self.send_archive(move |engine, to| engine.export_volume(&request.volume, &wanted, to)).await?;
        Ok(Response::new(pieces))
    }

    async fn import(
        &self,
        request: Request<Streaming<ImportVolumeInput>>,
    ) -> Result<Response<ArchiveSummary>, Status> {
        use import_volume_input::Message;
        let mut pieces = request.into_inner();
        let first = pieces.message().await?.and_then(|first| first.message);
        let Some(Message::Volume(wanted)) = first else { return need(None, "volume") };
        let wanted = read(wanted)?;
        let data = |piece: ImportVolumeInput| match piece.message {
            Some(Message::Data(bytes)) => Some(bytes),
            _ => None,
        };
        let taken =
            self.receive_archive(pieces, data, move |engine, from| engine.import_volume(&wanted, from));
        taken.await.map(Response::new)
    }

    async fn clone_volume(&self, request: Request<CloneVolumeRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let wanted = read(request.wanted)?;
        let done = self.ask(move |engine| engine.clone_volume(&request.volume, &wanted)).await?;
        Ok(Response::new(Name { name: done }))
    }

    async fn snapshot(&self, request: Request<SnapshotVolumeRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let done =
            self.ask(move |engine| engine.snapshot_volume(&request.volume, request.name.as_deref())).await?;
        Ok(Response::new(Name { name: done }))
    }

    async fn snapshots(&self, request: Request<VolumeRequest>) -> Result<Response<VolumeSnapshots>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.volume_snapshots(&request.volume)).await?;
        Ok(Response::new(VolumeSnapshots { snapshots: done.into_wire() }))
    }

    async fn remove_snapshot(&self, request: Request<SnapshotRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.remove_snapshot(&request.volume, &request.name)).await?;
        Ok(Response::new(Name { name: done }))
    }

    async fn rollback(&self, request: Request<SnapshotRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.rollback_volume(&request.volume, &request.name)).await?;
        Ok(Response::new(Name { name: done }))
    }
}
