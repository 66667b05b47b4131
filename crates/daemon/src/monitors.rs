//! The monitors of the containers, watched: one that is killed is replaced at once, and what was to follow the end of its container
//! follows.
//!
//! The kernel tells of a process's end by its descriptor, and the log of events of each start: nothing is asked while nothing
//! happens.

use crate::grpc::Readiness;
use crate::log;
use crate::stopping::Stopping;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyd_engine::{ContainerStatus, Error, EventFilter, Events, EventsRequest, ListRequest, Result, Retire};

/// The kind of their events.
const CONTAINER: &str = "container";
/// When it is tried again what could not be done.
const AGAIN: Duration = Duration::from_secs(5);
/// Starts that come within so short a time are heard of together.
const TOGETHER: Duration = Duration::from_millis(10);

/// Watches all that there are, and all that come, until the word.
pub(crate) async fn keep(engine: Arc<dyn Retire>, mut stopping: Stopping) {
    let watched = Watched { engine, stopping: stopping.clone(), all: Arc::default() };
    loop {
        let watching = async {
            if let Err(error) = watched.watch().await {
                log::line(&format!("monitors are watched again after a while: {error}"));
            }
            tokio::time::sleep(AGAIN).await;
        };
        tokio::select! {
            () = stopping.wait() => return,
            () = watching => {}
        }
    }
}

/// Those that are watched, each by a task of its own.
#[derive(Clone)]
struct Watched {
    engine: Arc<dyn Retire>,
    stopping: Stopping,
    /// By the container; `true` where it was started again since its task looked.
    all: Arc<Mutex<HashMap<String, bool>>>,
}

impl Watched {
    /// Watches for as long as it is told of starts.
    async fn watch(&self) -> Result<()> {
        // Before the look: whoever starts between the two is told of.
        let mut events = self.ask(|engine| engine.events(&starts())).await?;
        for one in self.ask(|engine| engine.list(&ListRequest { all: true })).await? {
            if !matches!(one.status, ContainerStatus::Created | ContainerStatus::Stopped) {
                self.add(one.id);
            }
        }
        loop {
            let Some(fd) = events.as_fd() else { return Ok(()) };
            let ready = Readiness::of(fd).map_err(|error| failed(&error))?;
            ready.readable().await.map_err(|error| failed(&error))?;
            tokio::time::sleep(TOGETHER).await;
            let told = self.ask(move |_| told(events)).await?;
            told.ids.into_iter().for_each(|id| self.add(id));
            if told.some_lost {
                return Ok(());
            }
            events = told.rest;
        }
    }

    /// Watches a container that was started.
    fn add(&self, id: String) {
        match self.all.lock().unwrap_or_else(PoisonError::into_inner).entry(id) {
            Entry::Occupied(mut there) => *there.get_mut() = true,
            Entry::Vacant(place) => {
                let (watched, id) = (self.clone(), place.key().clone());
                place.insert(false);
                tokio::spawn(async move { watched.follow(id).await });
            }
        }
    }

    /// From one monitor of a container to the next.
    async fn follow(self, id: String) {
        let mut stopping = self.stopping.clone();
        let following = async {
            loop {
                let container = id.clone();
                match self.ask(move |engine| engine.look_after(&container)).await {
                    Ok(Some(monitor)) => match Readiness::of(monitor.as_fd()) {
                        Ok(end) => drop((end.readable().await, monitor)),
                        Err(_) => tokio::time::sleep(AGAIN).await,
                    },
                    Ok(None) if self.is_over(&id) => return,
                    Ok(None) => {}
                    Err(_) => tokio::time::sleep(AGAIN).await,
                }
            }
        };
        tokio::select! {
            () = stopping.wait() => {}
            () = following => {}
        }
    }

    /// Forgets one that is not watched over by anybody, unless it was started again meanwhile.
    fn is_over(&self, id: &str) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let again = all.get_mut(id).is_some_and(std::mem::take);
        if !again {
            all.remove(id);
        }
        !again
    }

    /// Asks the engine, on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Retire) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let engine = Arc::clone(&self.engine);
        let asked = tokio::task::spawn_blocking(move || question(engine.as_ref()));
        asked.await.map_err(|error| failed(&error))?
    }
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::with_source(tinyd_engine::ErrorKind::Internal, "watch the monitors", error)
}

fn starts() -> EventsRequest {
    let filters = vec![EventFilter::Kind(CONTAINER.to_owned()), EventFilter::Action("start".to_owned())];
    EventsRequest { since: None, until: None, follow: true, filters }
}

/// Who was started by now.
struct Told {
    ids: Vec<String>,
    /// Nobody knows who else was.
    some_lost: bool,
    rest: Box<dyn Events>,
}

fn told(mut events: Box<dyn Events>) -> Result<Told> {
    let (mut ids, mut some_lost) = (Vec::new(), false);
    while let Some(event) = events.try_next()? {
        // That some were lost is told whatever is asked for.
        match event.kind == CONTAINER {
            true => ids.push(event.id),
            false => some_lost = true,
        }
    }
    Ok(Told { ids, some_lost, rest: events })
}
