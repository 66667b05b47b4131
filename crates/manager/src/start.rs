//! `start`: a container that was made, or has stopped. The id, the command and the limits stay; the process is new.

use crate::core::Core;
use crate::erase::mounts_below;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::life::{Ended, Life};
use crate::lock::ContainerLock;
use crate::prepare::settled;
use crate::recover::LAST_EXIT_FILE;
use crate::session::{Left, LocalSession};
use crate::store::{
    RECORD_FILE, Record, START_ERROR_FILE, STARTED_FILE, StartError, let_pass, remove_tree, unlink,
};
use rustix::fs::{Mode, OFlags};
use tinyd_engine::{StartRequest, Started};
use tinyd_runtime::state::{EXIT_FILE, store};

impl Core {
    pub(crate) fn start(&self, word: &str, request: &StartRequest) -> Result<Started> {
        let id = self.resolve(word)?;
        self.await_others(&self.known(&id, word)?.spec)?;
        let lock = self.guard(&id)?;
        self.start_locked(&id, request, &lock, Verb::Start)
    }

    /// Starts a container whose lock is the caller's: for somebody, or by its policy.
    pub(crate) fn start_locked(
        &self,
        id: &str,
        request: &StartRequest,
        lock: &ContainerLock,
        verb: Verb,
    ) -> Result<Started> {
        let (word, id) = (id, id.to_owned());
        let mut record = self.known(&id, word)?;
        let refuse = |state, hint| {
            Err(Error::WrongState { action: "start", container: record.short().to_owned(), state, hint })
        };
        let before = match self.life(&record, Some(lock))? {
            Life::Created => None,
            Life::Stopped(ended) => Some(ended),
            Life::Running(_) => return refuse("runs already", None),
            Life::Gone(_) => return Err(self.no_such(word)),
        };
        if !mounts_below(&self.store.container(&id))?.is_empty() {
            return refuse("is mounted on the host", Some("unmount it first with tinyd umount"));
        }
        self.runtime()?;
        self.check_secrets(&record.spec)?;
        self.follow_networks(&mut record)?;
        if before.is_some() {
            // Its exit was told before its monitor had tidied up.
            self.await_monitor(&record.id)?;
            self.discard_cgroup(&id)?;
            // Of that a driver knows where one of its programs failed at the end.
            if self.holds_places(&record)? {
                self.leave_networks(&record)?;
            }
        }
        let intent = Intent::begin(&self.store, verb, &id, record.spec.name.as_deref())?;
        // From here on an intent says what was to be done.
        match verb {
            Verb::Restart => unlink(&self.store.due(&id))?,
            _ => self.begin_anew(&id, lock)?,
        }
        let launched = self
            .clear(&record, before.as_ref())
            .and_then(|()| self.launch(&record, request, &intent, &mut || {}));
        match launched {
            Ok(launch) => {
                unlink(&self.store.container_file(&id, LAST_EXIT_FILE))?;
                unlink(&self.store.container_file(&id, START_ERROR_FILE))?;
                intent.finish()?;
                let left = || Left::container(self, &record);
                let session = request.attach.then(|| LocalSession::of(left(), launch.link));
                Ok(Started { id, notes: Vec::new(), session })
            }
            Err(error) => {
                let mut left = self.undo_start(&id);
                left.extend(self.keep_error(&record, &error).err());
                Err(settled(intent, &left, error))
            }
        }
    }

    /// A network may have been removed and made anew while the container stood still: what was leased to it went with the
    /// old one. The record says which one it is on before anything is made there.
    fn follow_networks(&self, record: &mut Record) -> Result<()> {
        let mut changed = false;
        for place in &mut record.places {
            if let Some(network) = self.changed_network(&place.network)? {
                place.network = network;
                changed = true;
            }
        }
        if !changed {
            return Ok(());
        }
        let path = self.store.container_file(&record.id, RECORD_FILE);
        store(&path, record, false).map_err(|source| Error::file("write", path, source))
    }

    /// Puts the exit of the run before out of the way, so that a failure can bring it back, and marks that there is a
    /// new one.
    fn clear(&self, record: &Record, before: Option<&Ended>) -> Result<()> {
        let id = &record.id;
        if let Some(ended) = before {
            let last = self.store.container_file(id, LAST_EXIT_FILE);
            store(&last, ended, false).map_err(|source| Error::file("write", &last, source))?;
        }
        unlink(&self.store.container_file(id, EXIT_FILE))?;
        // Someone may have unmounted its root without us.
        let_pass(&self.store, id, None)?;
        remove_tree(&self.store.run_dir(id))?;
        let mark = self.store.container_file(id, STARTED_FILE);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(&mark, flags, Mode::from_raw_mode(0o600))
            .map(drop)
            .map_err(|errno| Error::file("write", mark, errno))
    }

    /// For `inspect`: why it does not run.
    fn keep_error(&self, record: &Record, error: &Error) -> Result<()> {
        let path = self.store.container_file(&record.id, START_ERROR_FILE);
        store(&path, &StartError { code: error.exit_code(), error: error.line() }, false)
            .map_err(|source| Error::file("write", path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, spec};
    use std::fs;
    use tinyd_runtime::FailureKind;
    use tinyd_runtime::state::ExitRecord;

    #[test]
    fn root_a_start_that_fails_says_why_and_keeps_the_container() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::failing(FailureKind::CommandNotFound));
        let id = core.create(&spec(place.path(), Some("web"))).unwrap().id;
        let Err(error) = core.start("web", &StartRequest::detached()) else { panic!("it started") };
        assert_eq!(tinyd_engine::Error::from(error).exit_code(), 127);
        let seen = core.inspect(&id).unwrap();
        assert_eq!((seen.state.status.as_str(), seen.state.exit_code), ("created", 127));
        assert!(seen.state.error.contains("told to fail"), "{}", seen.state.error);
        assert!(!core.store.intent(&id).exists());
        assert!(!core.store.container_file(&id, STARTED_FILE).exists());
    }

    #[test]
    fn root_a_second_start_that_fails_brings_the_first_exit_back() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::failing(FailureKind::Internal));
        let id = core.create(&spec(place.path(), None)).unwrap().id;
        fs::write(core.store.container_file(&id, STARTED_FILE), "").unwrap();
        let exit = ExitRecord { code: 9, oom_killed: false, started_ns: 1, finished_ns: 2 };
        store(&core.store.container_file(&id, EXIT_FILE), &exit, false).unwrap();
        assert!(core.start(&id, &StartRequest::detached()).is_err());
        let seen = core.inspect(&id).unwrap();
        assert_eq!((seen.state.status.as_str(), seen.state.exit_code), ("exited", 9));
        assert!(!core.store.container_file(&id, LAST_EXIT_FILE).exists());
    }

    #[test]
    fn root_a_start_removes_what_was_said_of_the_run_before() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), None)).unwrap().id;
        let run_dir = core.store.run_dir(&id);
        fs::create_dir(&run_dir).unwrap();
        let exit = ExitRecord { code: 9, oom_killed: false, started_ns: 1, finished_ns: 2 };
        store(&run_dir.join(EXIT_FILE), &exit, false).unwrap();
        let started = core.start(&id, &StartRequest::attached(None)).unwrap();
        assert!(started.session.is_some());
        assert!(!run_dir.exists());
        for gone in [EXIT_FILE, LAST_EXIT_FILE, START_ERROR_FILE] {
            assert!(!core.store.container_file(&id, gone).exists(), "{gone}");
        }
        assert!(core.store.container_file(&id, STARTED_FILE).exists());
    }
}
