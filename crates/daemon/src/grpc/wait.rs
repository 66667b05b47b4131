//! Waiting for an exit, without a thread.

use super::Service;
use super::broken;
use super::readiness::Readiness;
use std::time::Duration;
use tinyd_api::proto::ExitStatus;
use tinyd_api::status;
use tinyd_api::wire::Wire;
use tinyd_engine::{Engine, Waiter};
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
        match waiter.as_fd().map(Readiness::of) {
            None => {}
            Some(Ok(ready)) => drop(tokio::time::timeout(LOOK_AGAIN, ready.readable()).await),
            // For want of a descriptor, which passes.
            Some(Err(_)) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}
