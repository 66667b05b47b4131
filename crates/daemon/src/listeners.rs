//! What serves: each listener is a task that ends when it is told to, and whose failure ends the daemon.

use crate::Error;
use crate::stopping::{Stop, Stopping, pair};
use std::future::Future;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Longer than an answer that is under way takes; what lasts longer is cut off.
const PATIENCE: Duration = Duration::from_secs(2);

/// The listeners of a daemon.
pub(crate) struct Listeners {
    running: JoinSet<Result<(), Error>>,
    stop: Stop,
    stopping: Stopping,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        let (stop, stopping) = pair();
        Self { running: JoinSet::new(), stop, stopping }
    }

    /// Starts one: it serves until the word that it is given.
    pub(crate) fn start<F>(&mut self, serve: impl FnOnce(Stopping) -> F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.start_on(&Handle::current(), serve);
    }

    /// The same, on other threads than the caller's.
    pub(crate) fn start_on<F>(&mut self, threads: &Handle, serve: impl FnOnce(Stopping) -> F)
    where
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        self.running.spawn_on(serve(self.stopping.clone()), threads);
    }

    /// Returns when one has failed.
    pub(crate) async fn failed(&mut self) -> Error {
        while let Some(ended) = self.running.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(source) => {
                    return Error::System {
                        operation: "run a listener",
                        source: std::io::Error::other(source),
                    };
                }
            }
        }
        std::future::pending().await
    }

    /// Ends all.
    pub(crate) async fn stop(mut self) {
        self.stop.stop();
        let ended = async { while self.running.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, ended).await;
        self.running.shutdown().await;
    }
}
