//! A new monitor for a container that has lost its own: the first command that meets it sees to that, so that its exit is
//! known and its output goes on to its log.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::{Life, Live};
use crate::lock::ContainerLock;
use crate::process::{self, until};
use crate::store::Record;
use std::time::Duration;
use tinyd_engine::{LookedAfter, StartRequest};
use tinyd_runtime::Request;
use tinyd_runtime::state::{RunState, STATE_FILE, load};

/// When it is looked again where somebody works on a container, and where it could not be given a new monitor.
const SOON: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(5);
/// How long a command that may end a container waits for another one that is giving it a new monitor.
const PATIENCE: Duration = Duration::from_secs(5);

impl Core {
    /// Puts right what a dead monitor left; says what is to be waited for.
    pub(crate) fn look_after(&self, id: &str) -> Result<LookedAfter> {
        // Whoever was starting it may have been killed as well.
        let _ = self.recover_one(id);
        // Again: where one of a container that has ended was killed, that is started.
        for _ in 0..3 {
            let record = match self.store.record(id) {
                Ok(Some(record)) => record,
                // Gone, or for `check` to tell of.
                Ok(None) | Err(Error::Record { .. }) => return Ok(LookedAfter::Nobody),
                Err(error) => return Err(error),
            };
            let mut life = self.life(&record, None)?;
            if matches!(life, Life::Created | Life::Stopped(_)) {
                // With the lock: else it was seen, and not put right, because of somebody who works on it.
                let Some(lock) = ContainerLock::try_acquire(&self.store, id)? else { break };
                life = self.life(&record, Some(&lock))?;
            }
            match life {
                Life::Running(live) if live.monitored => match live.state.monitor.open() {
                    Some(monitor) => return Ok(LookedAfter::Monitor(monitor)),
                    // It has ended since, or there is no room for a descriptor.
                    None => continue,
                },
                Life::Running(_) => return Ok(LookedAfter::Later(LATER)),
                Life::Gone(_) => return Ok(LookedAfter::Nobody),
                Life::Created | Life::Stopped(_) => {}
            }
            let Some(due) = self.due(id)? else { return Ok(LookedAfter::Nobody) };
            if process::is_at_work(due.monitor) {
                // It sleeps until the next start.
                return Ok(due.monitor.open().map_or(LookedAfter::Later(SOON), LookedAfter::Monitor));
            }
            let left = self.until_due(id, due);
            if !left.is_zero() {
                return Ok(LookedAfter::Later(left));
            }
            self.restart_due(id)?;
        }
        Ok(LookedAfter::Later(SOON))
    }

    /// As [`life`](Self::life), for a command that may end the container. Where another command is giving it a new monitor,
    /// that is waited for: an end before somebody listens has no exit.
    pub(crate) fn life_before_its_end(&self, record: &Record) -> Result<Life> {
        let life = self.life(record, None)?;
        if !matches!(&life, Life::Running(live) if !live.monitored) {
            return Ok(life);
        }
        match until(PATIENCE, || ContainerLock::try_acquire(&self.store, &record.id)) {
            Ok(Some(lock)) => self.life(record, Some(&lock)),
            // Held for so long, or without room for a lock. An exit is not worth a container that cannot be stopped.
            Ok(None) | Err(_) => Ok(life),
        }
    }

    /// Starts a new monitor for a container that runs without one; gives the container as it stands then. The monitor holds
    /// the caller's lock too until the container is its own: of several commands one does this.
    pub(crate) fn take_over(&self, record: &Record, live: Live, lock: &ContainerLock) -> Result<Live> {
        // Whoever is about to start or remove it will kill it, and not want its exit.
        if self.store.intent(&record.id).exists() {
            return Ok(live);
        }
        let mut start = self.start_request(record, &StartRequest::detached());
        start.sync = None;
        // What the last monitor was told at the start is known to nobody else any more.
        let endpoints = match self.endpoints(&record.id) {
            // Damaged, it tells nothing; a container without a monitor would be worse.
            Err(Error::File { source, .. }) if source.raw_os_error().is_none() => Vec::new(),
            endpoints => endpoints?,
        };
        self.keep_steps(record, &endpoints)?;
        let request = Request::TakeOver(Box::new(start));
        self.launcher.launch(&self.runtime()?, &request, Some(lock.as_fd()), None, &mut || {}).map_err(
            |source| Error::Launch { operation: "take over", container: record.short().to_owned(), source },
        )?;
        let path = self.store.run_dir(&record.id).join(STATE_FILE);
        let state = load::<RunState>(&path).map_err(|source| Error::file("read", path, source))?;
        // One that has ended by now has no state any more: whoever asks next sees so.
        Ok(state.map_or(live, |state| Live { monitored: process::is_at_work(state.monitor), state }))
    }
}
