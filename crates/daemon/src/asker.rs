//! The engine, asked on threads that may block.

use std::sync::Arc;
use std::time::Duration;
use tinyd_engine::{Engine, Error, ErrorKind, Result};
use tokio::sync::Semaphore;

/// So many questions at a time: what hangs (a server of volumes that is away) must not take all threads.
const AT_ONCE: u32 = 64;

/// Longer than a verb takes that answers at all; `stop` is given its own time.
const PATIENCE: Duration = Duration::from_secs(30);

/// An engine that can be asked from asynchronous code.
#[derive(Clone)]
pub(crate) struct Asker {
    engine: Arc<dyn Engine>,
    turns: Arc<Semaphore>,
}

impl Asker {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        Self { engine, turns: Arc::new(Semaphore::new(AT_ONCE as usize)) }
    }

    /// Asks. What has begun goes on to its end, also when nobody waits for the answer any more.
    pub(crate) async fn ask<T, F>(&self, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Engine) -> Result<T> + Send + 'static,
    {
        let busy = || Error::new(ErrorKind::Internal, "the engine is busy: no answer in time");
        let asked = async {
            let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| busy())?;
            let engine = Arc::clone(&self.engine);
            let answered = tokio::task::spawn_blocking(move || {
                let answer = question(engine.as_ref());
                drop(turn);
                answer
            });
            answered.await.map_err(|error| {
                Error::with_source(ErrorKind::Internal, "the engine was not asked", &error)
            })?
        };
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| busy())?
    }

    /// Waits until nothing is under way, for a time.
    pub(crate) async fn quiet(&self, patience: Duration) {
        let _ = tokio::time::timeout(patience, self.turns.acquire_many(AT_ONCE)).await;
    }
}
