//! Waiting for an exit, without a thread.

use super::Service;
use super::broken;
use super::readiness::Readiness;
use std::time::Duration;
use tinyd_api::proto::ExitStatus;
use tinyd_api::status;
use tinyd_api::wire::Wire;
use tinyd_engine::{Engine, Error, ErrorKind, Waiter};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// How long a change may go unseen that no descriptor tells of.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// One exit.
pub(super) type Exits = ReceiverStream<Result<ExitStatus, Status>>;

impl Service {
    /// Waits as `wait` says.
    pub(super) async fn await_exit(
        &self,
        wait: impl FnOnce(&dyn Engine) -> tinyd_engine::Result<Box<dyn Waiter>> + Send + 'static,
    ) -> Result<Exits, Status> {
        let waiter = self.ask(wait).await?;
        let (sender, exits) = mpsc::channel(1);
        tokio::spawn(async move {
            tokio::select! {
                exit = exit(waiter) => {
                    // Nobody may be there any more.
                    let _ = sender.send(exit).await;
                }
                () = sender.closed() => {}
            }
        });
        Ok(ReceiverStream::new(exits))
    }
}

/// Looks whenever something may have changed. Nobody waits in a thread, where he could not be told that his client has left.
async fn exit(mut waiter: Box<dyn Waiter>) -> Result<ExitStatus, Status> {
    loop {
        let looked = tokio::task::spawn_blocking(move || (waiter.try_wait(), waiter)).await;
        let (exit, back) = looked.map_err(|error| broken(&error))?;
        if let Some(exit) = exit.map_err(|error| status::of_error(&error))? {
            return Ok(exit.into_wire());
        }
        waiter = back;
        let Some(ready) = waiter.as_fd().map(Readiness::of) else { continue };
        let ready = ready.map_err(|error| {
            status::of_error(&Error::with_source(ErrorKind::Internal, "wait for a container", &error))
        })?;
        let _ = tokio::time::timeout(LOOK_AGAIN, ready.readable()).await;
    }
}
