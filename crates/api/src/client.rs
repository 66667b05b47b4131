//! An engine in another process: the client of a daemon.

mod archive;
mod background;
mod connect;
mod descriptor;
mod engine;
mod line;
mod session;

pub use connect::Tls;

use self::background::Background;
use crate::proto::containers_client::ContainersClient;
use crate::proto::networks_client::NetworksClient;
use crate::proto::secrets_client::SecretsClient;
use crate::proto::system_client::SystemClient;
use crate::proto::volumes_client::VolumesClient;
use crate::status;
use crate::version::{self, VERSION, VERSION_KEY};
use crate::wire::Wire;
use line::{Line, Named};
use std::future::Future;
use std::sync::Arc;
use tinyd_engine::{Error, ErrorKind, Result};
use tonic::{Response, Status};

/// The longest answer. What a container with very many files has changed is one.
const MOST_BYTES: usize = 64 << 20;

/// An engine that a daemon runs.
///
/// Its methods block, as those of any engine do: they must not be called from within an asynchronous task.
pub struct Client {
    runtime: Arc<Background>,
    line: Line,
}

impl Client {
    /// A connection for one call.
    fn channel(&self) -> Named {
        // What carries a new one on is a task.
        let _within = self.runtime.enter();
        self.line.for_a_call()
    }

    fn containers(&self) -> ContainersClient<Named> {
        ContainersClient::new(self.channel()).max_decoding_message_size(MOST_BYTES)
    }

    fn networks(&self) -> NetworksClient<Named> {
        NetworksClient::new(self.channel()).max_decoding_message_size(MOST_BYTES)
    }

    fn volumes(&self) -> VolumesClient<Named> {
        VolumesClient::new(self.channel()).max_decoding_message_size(MOST_BYTES)
    }

    fn secrets(&self) -> SecretsClient<Named> {
        SecretsClient::new(self.channel()).max_decoding_message_size(MOST_BYTES)
    }

    fn system(&self) -> SystemClient<Named> {
        SystemClient::new(self.channel()).max_decoding_message_size(MOST_BYTES)
    }

    /// Waits for an answer.
    fn ask<M>(&self, call: impl Future<Output = std::result::Result<Response<M>, Status>>) -> Result<M> {
        answered(self.runtime.block_on(call))
    }

    /// Waits for an answer that is one of the engine's types.
    fn ask_for<M, T: Wire<M>>(
        &self,
        call: impl Future<Output = std::result::Result<Response<M>, Status>>,
    ) -> Result<T> {
        read(self.ask(call)?)
    }
}

/// What an answer holds, once it is known to be of a server that is understood.
fn answered<M>(answer: std::result::Result<Response<M>, Status>) -> Result<M> {
    let metadata = match &answer {
        Ok(response) => response.metadata(),
        Err(status) => status.metadata(),
    };
    if let Some(server) = metadata.get(VERSION_KEY).and_then(|value| value.to_str().ok()) {
        version::check(VERSION, server)?;
    }
    match answer {
        Ok(response) => Ok(response.into_inner()),
        Err(status) => Err(status::to_error(&status)),
    }
}

/// A message as one of the engine's types.
fn read<M, T: Wire<M>>(message: M) -> Result<T> {
    T::from_wire(message).map_err(|malformed| {
        Error::new(ErrorKind::Internal, format!("the daemon's answer is malformed: {malformed}"))
    })
}

/// A system call of this side that failed.
fn failed(operation: &str, error: impl std::error::Error + 'static) -> Error {
    Error::with_source(ErrorKind::Internal, operation, &error)
}
