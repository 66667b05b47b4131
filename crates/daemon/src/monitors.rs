//! The monitors of the containers, watched: one that is killed is replaced at once, and what was to follow the end of its container
//! follows.
//!
//! The kernel tells of a process's end by its descriptor, and the log of events of each start: nothing is asked while nothing
//! happens.

use crate::grpc::Readiness;
use crate::log;
use crate::starts::Starts;
use crate::stopping::Stopping;
use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tinyd_engine::{
    ContainerStatus, Error, EventFilter, Events, EventsRequest, ListRequest, LookedAfter, Result, Retire,
};
use tokio::sync::Semaphore;

/// The kind of their events.
const CONTAINER: &str = "container";
/// When it is tried again what could not be done.
const AGAIN: Duration = Duration::from_secs(5);
/// When it is looked at a container whose monitor cannot be watched, for want of descriptors.
const WITHOUT: Duration = Duration::from_secs(30);
/// So many are watched by descriptors at most, and so many looked at at a time.
const MOST: usize = 8192;
const AT_ONCE: usize = 16;
/// Starts that come within so short a time are heard of together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Who watches.
pub(crate) fn keep(engine: Arc<dyn Retire>, starts: Starts) -> Watched {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let descriptors = usize::try_from(limit / 2).unwrap_or(MOST).min(MOST);
    Watched {
        engine,
        starts,
        all: Arc::default(),
        turns: Arc::new(Semaphore::new(AT_ONCE)),
        descriptors: Arc::new(Semaphore::new(descriptors)),
    }
}

/// Those that are watched, each by a task of its own.
#[derive(Clone)]
pub(crate) struct Watched {
    engine: Arc<dyn Retire>,
    starts: Starts,
    /// By the container; `true` where it was started again since its task looked.
    all: Arc<Mutex<HashMap<String, bool>>>,
    /// What hangs (a server of volumes that is away) must not take all threads.
    turns: Arc<Semaphore>,
    /// Half of those that this process may have; the other half is for who asks something.
    descriptors: Arc<Semaphore>,
}

impl Watched {
    /// Watches all that there are, and all that come, until the word.
    pub(crate) async fn until(self, stopping: Stopping) {
        let watching = async {
            loop {
                if let Err(error) = self.watch(&stopping).await {
                    log::line(&format!("monitors are watched again after a while: {error}"));
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        let mut word = stopping.clone();
        tokio::select! {
            () = word.wait() => {}
            () = watching => {}
        }
    }

    /// Watches for as long as it is told of starts.
    async fn watch(&self, stopping: &Stopping) -> Result<()> {
        // Before the look: whoever starts between the two is told of.
        let mut events = self.ask(|engine| engine.events(&starts())).await?;
        for one in self.ask(|engine| engine.list(&ListRequest { all: true })).await? {
            if !matches!(one.status, ContainerStatus::Created | ContainerStatus::Stopped) {
                self.add(one.id, stopping);
            }
        }
        loop {
            let Some(fd) = events.as_fd() else { return Ok(()) };
            let ready = Readiness::of(fd).map_err(|error| failed(&error))?;
            ready.readable().await.map_err(|error| failed(&error))?;
            tokio::time::sleep(TOGETHER).await;
            let told = self.ask(move |_| told(events)).await?;
            told.ids.into_iter().for_each(|id| self.add(id, stopping));
            if told.some_lost {
                return Ok(());
            }
            events = told.rest;
        }
    }

    /// Watches a container that was started.
    fn add(&self, id: String, stopping: &Stopping) {
        match self.all.lock().unwrap_or_else(PoisonError::into_inner).entry(id) {
            Entry::Occupied(mut there) => *there.get_mut() = true,
            Entry::Vacant(place) => {
                let (watched, id, mut stopping) = (self.clone(), place.key().clone(), stopping.clone());
                place.insert(false);
                tokio::spawn(async move {
                    tokio::select! {
                        () = stopping.wait() => {}
                        () = watched.follow(id) => {}
                    }
                });
            }
        }
    }

    /// From one monitor of a container to the next.
    async fn follow(&self, id: String) {
        while let Some(looked) = self.look_after(&id).await {
            match looked {
                Ok(LookedAfter::Monitor(monitor)) => self.end_of(monitor).await,
                Ok(LookedAfter::Later(time)) => tokio::time::sleep(time).await,
                Ok(LookedAfter::Nobody) if self.is_over(&id) => return,
                Ok(LookedAfter::Nobody) => {}
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Looks after a container, which may be started by that. `None` when nothing may be started any more: all are about to be ended,
    /// or to be left to the next daemon.
    async fn look_after(&self, id: &str) -> Option<Result<LookedAfter>> {
        let _turn = self.turns.acquire().await.ok()?;
        let start = self.starts.begin().ok()?;
        let (engine, container) = (Arc::clone(&self.engine), id.to_owned());
        let looked = tokio::task::spawn_blocking(move || {
            let looked = engine.look_after(&container);
            drop(start);
            looked
        });
        Some(looked.await.unwrap_or_else(|error| Err(failed(&error))))
    }

    /// Returns when a process has ended; where there is no room to hold its descriptor, after a while.
    async fn end_of(&self, process: OwnedFd) {
        let Ok(_room) = self.descriptors.try_acquire() else {
            drop(process);
            return tokio::time::sleep(WITHOUT).await;
        };
        match Readiness::owning(process) {
            Ok(end) => drop(end.readable().await),
            Err(_) => tokio::time::sleep(AGAIN).await,
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
        let _turn = self.turns.acquire().await.map_err(|error| failed(&error))?;
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
