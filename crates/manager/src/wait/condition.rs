//! Waiting for more than the end of a run that is under way: for the next one's, for a start, for a removal.
//!
//! The end of what runs is told by its monitor; what comes before and after is seen at the folders, which are watched.

use super::LocalWaiter;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::{Ended, Life};
use crate::process::readable_by;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tinyd_engine::{ExitStatus, WaitCondition, Waiter};

/// How long a change may go unseen that no watch tells of.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What stands for an exit where there was none.
const NONE: ExitStatus = ExitStatus { code: 0, oom_killed: false, unknown: false, host_restarted: false };

/// Waits for a condition.
pub(crate) struct ConditionWaiter {
    core: Arc<Core>,
    id: String,
    condition: WaitCondition,
    changes: OwnedFd,
    /// The run that is under way.
    run: Option<LocalWaiter>,
    /// How the last run ended, when that was known before anything was waited for.
    before: Option<Ended>,
    /// The last exit that was seen.
    last: ExitStatus,
    met: Option<ExitStatus>,
}

/// What one look shows.
enum Seen {
    Met(ExitStatus),
    Runs,
    NotYet,
}

impl ConditionWaiter {
    pub(crate) fn new(core: &Arc<Core>, word: &str, condition: WaitCondition) -> Result<Self> {
        let id = core.resolve(word)?;
        let record = core.known(&id, word)?;
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let changes =
            inotify::init(flags).map_err(|errno| Error::file("watch", core.store.container(&id), errno))?;
        let before = match core.life(&record, None)? {
            Life::Stopped(ended) | Life::Gone(ended) => Some(ended),
            Life::Created | Life::Running(_) => None,
        };
        let last = before.as_ref().map_or(NONE, Ended::status);
        let mut waiter =
            Self { core: Arc::clone(core), id, condition, changes, run: None, before, last, met: None };
        // The watch comes before the look: what changes in between is seen by one of them.
        waiter.watch()?;
        waiter.advance()?;
        Ok(waiter)
    }

    /// Watches what is there to be watched; a folder that is not there is made in one that is.
    fn watch(&self) -> Result<()> {
        let store = &self.core.store;
        let containers = store.container(&self.id);
        let run_dir = store.run_dir(&self.id);
        let above = |path: &Path| path.parent().map(Path::to_owned).unwrap_or_default();
        let comes_and_goes = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        let all = [
            (above(&containers), comes_and_goes),
            (above(&run_dir), comes_and_goes),
            (containers, WatchFlags::MOVED_TO),
            (run_dir, WatchFlags::MOVED_TO),
        ];
        for (folder, flags) in all {
            match inotify::add_watch(&self.changes, &folder, flags | WatchFlags::ONLYDIR) {
                Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(errno) => return Err(Error::file("watch", folder, errno)),
            }
        }
        Ok(())
    }

    /// Looks once, and finds whom to ask next.
    fn advance(&mut self) -> Result<()> {
        match self.look()? {
            Seen::Met(status) => self.met = Some(status),
            Seen::Runs => {
                // It may have ended just now: then the next look says so.
                self.run = LocalWaiter::new(&self.core, &self.id).ok();
            }
            Seen::NotYet => self.run = None,
        }
        Ok(())
    }

    fn look(&mut self) -> Result<Seen> {
        use WaitCondition::{NextExit, NotRunning, Removed, Running};
        let life = match self.core.store.record(&self.id)? {
            Some(record) => self.core.life(&record, None)?,
            None => return self.gone().map(Seen::Met),
        };
        Ok(match (self.condition, life) {
            (Running, Life::Running(_)) => Seen::Met(NONE),
            (_, Life::Running(_)) => Seen::Runs,
            (NotRunning, Life::Created) => Seen::Met(NONE),
            (NotRunning, Life::Stopped(ended) | Life::Gone(ended)) => Seen::Met(ended.status()),
            (NextExit, Life::Stopped(ended) | Life::Gone(ended)) if self.before.as_ref() != Some(&ended) => {
                Seen::Met(ended.status())
            }
            (Removed, Life::Gone(ended)) => Seen::Met(ended.status()),
            (Removed, Life::Stopped(ended)) => {
                self.last = ended.status();
                Seen::NotYet
            }
            (_, Life::Gone(_)) => Seen::Met(self.gone()?),
            (_, Life::Created | Life::Stopped(_)) => Seen::NotYet,
        })
    }

    /// What it means that there is no container any more.
    fn gone(&self) -> Result<ExitStatus> {
        match self.condition {
            WaitCondition::Removed | WaitCondition::NotRunning => Ok(self.last),
            WaitCondition::NextExit | WaitCondition::Running => Err(self.core.no_such(&self.id)),
        }
    }

    fn until_met(&mut self) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.look_again()? {
                return Ok(status);
            }
            // What runs is told of by its monitor, however long it takes.
            let limit = self.run.is_none().then(|| Instant::now() + LOOK_AGAIN);
            if let Some(fd) = self.as_fd() {
                readable_by(fd, limit).map_err(|errno| self.failed(errno))?;
            }
        }
    }

    /// Looks at what has changed by now.
    fn look_again(&mut self) -> Result<Option<ExitStatus>> {
        if self.met.is_some() {
            return Ok(self.met);
        }
        match self.run.take() {
            Some(run) if !run.may_have_ended()? => {
                self.run = Some(run);
                return Ok(None);
            }
            Some(mut run) => {
                self.last = run.ended()?.status();
                // The end of what ran is both.
                if matches!(self.condition, WaitCondition::NotRunning | WaitCondition::NextExit) {
                    self.met = Some(self.last);
                    return Ok(self.met);
                }
            }
            None => self.forget()?,
        }
        self.watch()?;
        self.advance()?;
        Ok(self.met)
    }

    /// Takes the changes that were told: what they are about is looked at next.
    fn forget(&self) -> Result<()> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        loop {
            match rustix::io::read(&self.changes, &mut buffer) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(self.failed(errno)),
            }
        }
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::file("watch", self.core.store.container(&self.id), errno)
    }
}

impl Waiter for ConditionWaiter {
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match (self.met, &self.run) {
            (Some(_), _) => None,
            (None, Some(run)) => run.as_fd(),
            (None, None) => Some(self.changes.as_fd()),
        }
    }

    fn wait(&mut self) -> tinyd_engine::Result<ExitStatus> {
        self.until_met().map_err(Error::into)
    }

    fn try_wait(&mut self) -> tinyd_engine::Result<Option<ExitStatus>> {
        self.look_again().map_err(Error::into)
    }
}
