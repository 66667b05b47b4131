//! What calls run on: the thread of whoever makes one, for as long as he waits for its answer. What goes on by itself, the streams
//! of sessions and logs, is driven by one thread in the background, which is there from the first of those on.

use super::failed;
use nix::sys::signal::{SigSet, SigmaskHow};
use rustix::event::EventfdFlags;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use tinyd_engine::Result;
use tokio::runtime::{Builder, EnterGuard, Runtime};
use tokio::sync::oneshot;

/// As many descriptors as a runtime of tokio takes for itself, and the first connection.
const DESCRIPTORS: usize = 8;

/// It may be used from several threads at once. Whichever waits drives what the others wait for too.
pub(super) struct Background {
    runtime: Arc<Runtime>,
    /// The thread ends with this.
    thread: Mutex<Option<oneshot::Sender<()>>>,
}

impl Background {
    pub(super) fn new() -> Result<Self> {
        room().map_err(|error| failed("make a client", error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = Arc::new(runtime.map_err(|error| failed("make a client", error))?);
        Ok(Self { runtime, thread: Mutex::default() })
    }

    /// Waits for it. Nothing that blocks otherwise belongs in there: others may be waiting for what this thread drives.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Lets it go on by itself.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            *thread = Some(start(Arc::clone(&self.runtime))?);
        }
        drop(thread);
        self.runtime.spawn(task);
        Ok(())
    }
}

/// A runtime that cannot have its descriptors ends the whole process: it is an error here, of which somebody is told.
fn room() -> io::Result<()> {
    let eventfd = || rustix::event::eventfd(0, EventfdFlags::CLOEXEC);
    let _descriptors = (0..DESCRIPTORS).map(|_| eventfd()).collect::<rustix::io::Result<Vec<_>>>()?;
    Ok(())
}

/// Starts the thread. Signals are none of its business: whoever made the client may wait for them in a thread of his own.
fn start(runtime: Arc<Runtime>) -> Result<oneshot::Sender<()>> {
    let (word, over) = oneshot::channel();
    let blocked = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let started = std::thread::Builder::new().name("tinyd-client".to_owned()).spawn(move || {
        let _ = runtime.block_on(over);
    });
    if let Ok(before) = blocked {
        // It was this one just now.
        let _ = before.thread_set_mask();
    }
    started.map(|_| word).map_err(|error| failed("start a thread", error))
}
