//! The engine, asked on threads that may block.

use crate::starts::{Start, Starts};
use std::sync::Arc;
use std::time::Duration;
use tinyd_engine::{Engine, Error, ErrorKind, Result};
use tokio::sync::Semaphore;

/// So many questions at a time: what hangs (a server of volumes that is away) must not take all threads.
const AT_ONCE: u32 = 64;

/// So many verbs of clients at a time. Those may last: a client waits for as long as he likes.
const VERBS_AT_ONCE: u32 = 256;

/// Longer than a verb takes that answers at all; `stop` is given its own time.
const PATIENCE: Duration = Duration::from_secs(30);

/// An engine that can be asked from asynchronous code.
#[derive(Clone)]
pub(crate) struct Asker {
    engine: Arc<dyn Engine>,
    turns: Arc<Semaphore>,
    verbs: Arc<Semaphore>,
    starts: Starts,
}

impl Asker {
    pub(crate) fn new(engine: Arc<dyn Engine>) -> Self {
        let places = |count: u32| Arc::new(Semaphore::new(count as usize));
        Self { engine, turns: places(AT_ONCE), verbs: places(VERBS_AT_ONCE), starts: Starts::new() }
    }

    /// Something is about to be started, unless nothing may be any more; to be held until it is.
    pub(crate) fn starting(&self) -> Result<Start> {
        self.starts.begin()
    }

    pub(crate) fn starts(&self) -> &Starts {
        &self.starts
    }

    /// Asks. What has begun goes on to its end, also when nobody waits for the answer any more.
    pub(crate) async fn ask<T, F>(&self, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Engine) -> Result<T> + Send + 'static,
    {
        let asked = self.within(&self.turns, question);
        tokio::time::timeout(PATIENCE, asked).await.map_err(|_| busy())?
    }

    /// Does a client's verb, however long that takes.
    pub(crate) async fn does<T, F>(&self, verb: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Engine) -> Result<T> + Send + 'static,
    {
        self.within(&self.verbs, verb).await
    }

    async fn within<T, F>(&self, turns: &Arc<Semaphore>, question: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Engine) -> Result<T> + Send + 'static,
    {
        let turn = Arc::clone(turns).acquire_owned().await.map_err(|_| busy())?;
        let engine = Arc::clone(&self.engine);
        let answered = tokio::task::spawn_blocking(move || {
            let answer = question(engine.as_ref());
            drop(turn);
            answer
        });
        answered
            .await
            .map_err(|error| Error::with_source(ErrorKind::Internal, "the engine was not asked", &error))?
    }

    /// Waits until nothing is under way, for a time.
    pub(crate) async fn quiet(&self, patience: Duration) {
        let quiet = async {
            let _ = self.turns.acquire_many(AT_ONCE).await;
            let _ = self.verbs.acquire_many(VERBS_AT_ONCE).await;
        };
        let _ = tokio::time::timeout(patience, quiet).await;
    }
}

fn busy() -> Error {
    Error::new(ErrorKind::Internal, "the engine is busy: no answer in time")
}
