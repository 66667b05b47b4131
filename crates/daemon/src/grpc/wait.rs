//! Waiting for an exit, without a thread.

use super::Service;
use super::broken;
use super::readiness::Readiness;
use tinyd_api::proto::ExitStatus;
use tinyd_api::status;
use tinyd_api::wire::Wire;
use tinyd_engine::{Engine, Error, ErrorKind, Waiter};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// One exit.
pub(super) type Exits = ReceiverStream<Result<ExitStatus, Status>>;

impl Service {
    /// Waits as `wait` says.
    pub(super) async fn await_exit(
        &self,
        wait: impl FnOnce(&dyn Engine) -> tinyd_engine::Result<Box<dyn Waiter>> + Send + 'static,
    ) -> Result<Exits, Status> {
        let waiter = self.ask(wait).await?;
        let ready = waiter.as_fd().map(Readiness::of).transpose().map_err(|error| {
            status::of_error(&Error::with_source(ErrorKind::Internal, "wait for a container", &error))
        })?;
        let (sender, exits) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                exit = exit(waiter, ready) => {
                    // Nobody may be there any more.
                    let _ = sender.send(exit).await;
                }
                () = sender.closed() => {}
            }
        });
        Ok(ReceiverStream::new(exits))
    }
}

async fn exit(mut waiter: Box<dyn Waiter>, ready: Option<Readiness>) -> Result<ExitStatus, Status> {
    if let Some(ready) = ready {
        // Where it cannot be watched it is waited for.
        let _ = ready.readable().await;
    }
    let waited = tokio::task::spawn_blocking(move || waiter.wait()).await;
    let exit = waited.map_err(|error| broken(&error))?.map_err(|error| status::of_error(&error))?;
    Ok(exit.into_wire())
}
