//! The contract's services over any engine.

mod archive;
mod calls;
mod containers;
mod door;
mod farewell;
mod follow;
mod greeting;
mod guarded;
mod listen;
mod networks;
mod readiness;
mod secrets;
mod serve;
mod session;
mod stats;
mod system;
mod volumes;
mod wait;

pub(crate) use listen::Listener;
pub(crate) use readiness::Readiness;

use crate::asker::Asker;
use tinyd_api::proto::containers_server::ContainersServer;
use tinyd_api::proto::networks_server::NetworksServer;
use tinyd_api::proto::secrets_server::SecretsServer;
use tinyd_api::proto::system_server::SystemServer;
use tinyd_api::proto::volumes_server::VolumesServer;
use tinyd_api::status;
use tinyd_api::wire::Wire;
use tinyd_engine::{Engine, Error, ErrorKind, Result};
use tonic::service::Routes;
use tonic::{Response, Status};

/// The most bytes of a message from a client. What may be longer is sent in pieces.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// The services of an engine.
pub(crate) fn routes(engine: &Asker) -> Routes {
    let service = Service { engine: engine.clone() };
    let routes = Routes::default()
        .add_service(ContainersServer::new(service.clone()).max_decoding_message_size(MOST_BYTES))
        .add_service(NetworksServer::new(service.clone()).max_decoding_message_size(MOST_BYTES))
        .add_service(VolumesServer::new(service.clone()).max_decoding_message_size(MOST_BYTES))
        .add_service(SecretsServer::new(service.clone()).max_decoding_message_size(MOST_BYTES))
        .add_service(SystemServer::new(service).max_decoding_message_size(MOST_BYTES));
    let greeted = routes.into_axum_router().layer(axum::middleware::from_fn(greeting::greet));
    Routes::from(greeted)
}

/// An engine as the services see it.
#[derive(Clone)]
pub(crate) struct Service {
    engine: Asker,
}

impl Service {
    /// Does something that blocks where that disturbs nobody.
    async fn ask<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&dyn Engine) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, Status> {
        self.engine.does(verb).await.map_err(|error| status::of_error(&error))
    }
}

impl Service {
    /// The same with something that starts containers or commands.
    async fn begin<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&dyn Engine) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, Status> {
        let start = self.engine.starting().map_err(|error| status::of_error(&error))?;
        self.ask(move |engine| {
            let begun = verb(engine);
            drop(start);
            begun
        })
        .await
    }
}

/// What a verb gave, as it travels.
fn reply<T: Wire<M>, M>(value: T) -> std::result::Result<Response<M>, Status> {
    Ok(Response::new(value.into_wire()))
}

/// What a client sent, as the engine knows it.
fn read<M, T: Wire<M>>(message: M) -> std::result::Result<T, Status> {
    T::from_wire(message).map_err(|malformed| status::of_malformed(&malformed))
}

/// A part of a message that has to be there.
fn need<T>(part: Option<T>, what: &str) -> std::result::Result<T, Status> {
    part.ok_or_else(|| {
        status::of_error(&Error::new(ErrorKind::InvalidInput, format!("the request is malformed: no {what}")))
    })
}

/// A verb that panicked: the daemon goes on, and so do the containers.
fn broken(error: &tokio::task::JoinError) -> Status {
    status::of_error(&Error::with_source(
        ErrorKind::Internal,
        "the daemon broke off what was asked of it",
        error,
    ))
}
