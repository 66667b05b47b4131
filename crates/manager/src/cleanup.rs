//! `cleanup`: everything stops, and what this engine holds of the machine, but for what is on its disk, is given back.

use crate::cgroups::{MONITORS, PARENT};
use crate::core::Core;
use crate::erase::unmount_below;
use crate::error::{Error, Result};
use crate::life::{Ended, Life};
use crate::process::until;
use crate::restart::StoppedBy;
use crate::store::let_pass;
use crate::time;
use std::time::Duration;
use tinyd_cgroup::CgroupPath;
use tinyd_engine::ListRequest;
use tinyd_runtime::state::{EXIT_FILE, ExitRecord, store};

/// How long the monitors of those that have ended may take to tidy up.
const TIDY: Duration = Duration::from_secs(5);

/// So many containers are stopped at the same time, a thread each that mostly waits.
const AT_ONCE: usize = 256;

impl Core {
    /// Stops all containers, unmounts the roots that were mounted for other tools, and removes the control groups. Goes on
    /// past errors and returns the first; done twice, the second time does nothing.
    pub(crate) fn cleanup(&self, grace: Option<Duration>) -> Result<Vec<String>> {
        let mut errors = Vec::new();
        let stopped = self.stop_all(grace, &mut errors)?;
        for id in &stopped {
            // One that removes itself is in nobody's list any more, and its monitor may be at it still.
            errors.extend(until(TIDY, || Ok(self.open_cgroup(id)?.is_none().then_some(()))).err());
        }
        for id in self.store.ids()? {
            errors.extend(self.let_go(&id).err());
        }
        errors.extend(self.recover().err());
        errors.extend(self.leave_cgroups().err());
        match errors.into_iter().next() {
            None => Ok(stopped),
            Some(error) => Err(error),
        }
    }

    /// As [`cleanup`](Self::cleanup); and what was never started has stopped from then on.
    pub(crate) fn retire(&self, grace: Option<Duration>) -> Result<Vec<String>> {
        // First: whoever is killed on his way has more to start again, and not less.
        self.forget_revival()?;
        let stopped = self.cleanup(grace);
        let mut errors = Vec::new();
        for id in self.store.ids()? {
            errors.extend(self.never_to_start(&id).err());
        }
        match errors.into_iter().next() {
            None => stopped,
            Some(error) => stopped.and(Err(error)),
        }
    }

    /// Writes the end of a container that has had no beginning.
    fn never_to_start(&self, id: &str) -> Result<()> {
        let lock = match self.guard(id) {
            Ok(lock) => lock,
            Err(Error::NoSuchContainer { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let Ok(Some(record)) = self.store.record(id) else { return Ok(()) };
        // One that removes itself has no end that could be looked at later.
        if record.spec.remove || !matches!(self.life(&record, Some(&lock))?, Life::Created) {
            return Ok(());
        }
        let end = ExitRecord { code: 0, oom_killed: false, started_ns: 0, finished_ns: time::now_ns() };
        let path = self.store.container_file(id, EXIT_FILE);
        store(&path, &Ended::from(end), true).map_err(|source| Error::file("write", path, source))
    }

    /// The ids of those that were stopped.
    fn stop_all(&self, grace: Option<Duration>, errors: &mut Vec<Error>) -> Result<Vec<String>> {
        let running: Vec<_> = self.list(ListRequest { all: false })?.into_iter().map(|one| one.id).collect();
        let mut stopped = Vec::new();
        for some in running.chunks(AT_ONCE) {
            let results: Vec<_> = std::thread::scope(|scope| {
                let stopping: Vec<_> = some
                    .iter()
                    .map(|id| scope.spawn(move || self.stop_by(id, grace, StoppedBy::Engine)))
                    .collect();
                stopping.into_iter().filter_map(|one| one.join().ok()).collect()
            });
            for result in results {
                match result {
                    Ok(id) => stopped.push(id),
                    // It ended by itself meanwhile.
                    Err(Error::NoSuchContainer { .. } | Error::WrongState { .. }) => {}
                    Err(error) => errors.push(error),
                }
            }
        }
        Ok(stopped)
    }

    /// Leaves a container that stands still with its folder alone.
    fn let_go(&self, id: &str) -> Result<()> {
        let lock = match self.guard(id) {
            Ok(lock) => lock,
            Err(Error::NoSuchContainer { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        // One that cannot be understood is left to `check`, one that was just started to whoever started it.
        let Ok(Some(record)) = self.store.record(id) else { return Ok(()) };
        if matches!(self.life(&record, Some(&lock))?, Life::Running(_) | Life::Gone(_)) {
            return Ok(());
        }
        self.await_monitor(&record.id)?;
        self.discard_cgroup(id)?;
        self.leave_networks(&record)?;
        self.unmount_volumes(&record)?;
        unmount_below(&self.store.container_file(id, "merged"), false)?;
        let_pass(&self.store, id, None)
    }

    /// The groups that hold all others. Other engines of the machine share them: what is used stays.
    fn leave_cgroups(&self) -> Result<()> {
        let failed = |source| Error::Cgroups { operation: "remove", path: PARENT.to_owned(), source };
        let parent = CgroupPath::new(PARENT).map_err(failed)?;
        let driver = self.cgroups()?;
        driver.prune(&parent.join(MONITORS).map_err(failed)?).map_err(failed)?;
        driver.prune(&parent).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{self, FakeLauncher, spec};

    #[test]
    fn root_what_stands_still_stays_as_it_is_however_often() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), Some("web"))).unwrap().id;
        let before = core.inspect(&id).unwrap();
        for _ in 0..2 {
            assert_eq!(core.cleanup(None).unwrap(), Vec::<String>::new());
            assert_eq!(core.inspect(&id).unwrap(), before);
        }
    }

    #[test]
    fn root_what_was_never_started_has_stopped_and_can_be_started() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), Some("web"))).unwrap().id;
        for _ in 0..2 {
            assert_eq!(core.retire(None).unwrap(), Vec::<String>::new());
            let state = core.inspect(&id).unwrap().state;
            assert_eq!((state.status.as_str(), state.exit_code, state.exit_unknown), ("exited", 0, false));
        }
        core.start(&id, &tinyd_engine::StartRequest::detached()).unwrap();
    }
}
