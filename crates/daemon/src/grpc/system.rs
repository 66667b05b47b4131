//! What is asked of the engine as a whole.

use super::follow::Followed;
use super::{Service, read, reply};
use tinyd_api::proto::system_server::System;
use tinyd_api::proto::*;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl System for Service {
    async fn check(&self, request: Request<CheckRequest>) -> Result<Response<CheckReport>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.check(request.repair)).await?;
        reply(done)
    }

    async fn cleanup(&self, request: Request<CleanupRequest>) -> Result<Response<ContainerIds>, Status> {
        let request = request.into_inner();
        let grace = read(request.grace)?;
        let done = self.ask(move |engine| engine.cleanup(grace)).await?;
        Ok(Response::new(ContainerIds { ids: done }))
    }

    async fn apply_restart_policies(&self, _: Request<Empty>) -> Result<Response<ContainerIds>, Status> {
        let done = self.begin(|engine| engine.apply_restart_policies()).await?;
        Ok(Response::new(ContainerIds { ids: done }))
    }

    type EventsStream = Followed<Event>;

    async fn events(&self, request: Request<EventsRequest>) -> Result<Response<Followed<Event>>, Status> {
        self.follow_events(read(request.into_inner())?).await.map(Response::new)
    }

    async fn info(&self, _: Request<Empty>) -> Result<Response<SystemInfo>, Status> {
        let done = self.ask(|engine| engine.info()).await?;
        reply(done)
    }

    async fn version(&self, _: Request<Empty>) -> Result<Response<VersionInfo>, Status> {
        let done = self.ask(|engine| engine.version()).await?;
        reply(done)
    }
}
