//! What is done with networks.

use super::{Service, need, read, reply};
use tinyd_api::proto::networks_server::Networks;
use tinyd_api::proto::*;
use tinyd_api::wire::Wire;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Networks for Service {
    async fn create(&self, request: Request<CreateNetworkRequest>) -> Result<Response<Created>, Status> {
        let request = request.into_inner();
        let wanted = read(request.network)?;
        let done = self.ask(move |engine| engine.create_network(&wanted)).await?;
        reply(done)
    }

    async fn list(&self, _: Request<Empty>) -> Result<Response<NetworkList>, Status> {
        let done = self.ask(|engine| engine.networks()).await?;
        Ok(Response::new(NetworkList { networks: done.into_wire() }))
    }

    async fn inspect(&self, request: Request<NetworkRequest>) -> Result<Response<NetworkInspect>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.inspect_network(&request.network)).await?;
        reply(done)
    }

    async fn remove(&self, request: Request<RemoveNetworkRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.remove_network(&request.network, request.force)).await?;
        Ok(Response::new(Name { name: done }))
    }

    async fn connect_container(&self, request: Request<ConnectRequest>) -> Result<Response<Empty>, Status> {
        let request = request.into_inner();
        let place = need(request.place, "place")?;
        let place = read(place)?;
        self.ask(move |engine| engine.connect_network(&request.container, &place)).await?;
        Ok(Response::new(Empty {}))
    }

    async fn disconnect_container(
        &self,
        request: Request<DisconnectRequest>,
    ) -> Result<Response<Empty>, Status> {
        let request = request.into_inner();
        self.ask(move |engine| engine.disconnect_network(&request.container, &request.network)).await?;
        Ok(Response::new(Empty {}))
    }

    async fn prune(&self, _: Request<Empty>) -> Result<Response<Names>, Status> {
        let done = self.ask(|engine| engine.prune_networks()).await?;
        Ok(Response::new(Names { names: done }))
    }

    async fn reload(&self, request: Request<Names>) -> Result<Response<Names>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.reload_networks(&request.names)).await?;
        Ok(Response::new(Names { names: done }))
    }
}
