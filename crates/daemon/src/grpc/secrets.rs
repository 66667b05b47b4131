//! What is done with secrets.

use super::{Service, read, reply};
use tinyd_api::proto::secrets_server::Secrets;
use tinyd_api::proto::*;
use tinyd_api::wire::Wire;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl Secrets for Service {
    async fn create(&self, request: Request<CreateSecretRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let wanted = read(request.secret)?;
        let done = self.ask(move |engine| engine.create_secret(&wanted, &request.content)).await?;
        Ok(Response::new(Name { name: done }))
    }

    async fn list(&self, _: Request<Empty>) -> Result<Response<SecretList>, Status> {
        let done = self.ask(|engine| engine.secrets()).await?;
        Ok(Response::new(SecretList { secrets: done.into_wire() }))
    }

    async fn inspect(&self, request: Request<SecretRequest>) -> Result<Response<SecretInspect>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.inspect_secret(&request.secret)).await?;
        reply(done)
    }

    async fn remove(&self, request: Request<SecretRequest>) -> Result<Response<Name>, Status> {
        let request = request.into_inner();
        let done = self.ask(move |engine| engine.remove_secret(&request.secret)).await?;
        Ok(Response::new(Name { name: done }))
    }
}
