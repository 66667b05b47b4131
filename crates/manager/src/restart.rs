//! Restart policies: what is kept of them, and the start of a container whose policy wants it.
//!
//! The pause is slept by the monitor of the run before (`tinyd_runtime::restart`), which then runs the engine's clean-up
//! command. That one looks, under the container's lock, whether the start is still wanted. Where there is no such command, or
//! the monitor was killed, the next command of any engine does the same (`recover.rs`).

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::intent::Verb;
use crate::life::{Ended, Life};
use crate::lock::ContainerLock;
use crate::process::{self, until};
use crate::store::{Record, STARTED_FILE, UsedVolume, entries, unlink};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use tinyd_engine::{After, RestartPolicy, StartRequest};
use tinyd_runtime::restart::{Due, Policy, RestartPlan, RestartState};
use tinyd_runtime::state::{self, ProcessId, load};

/// Name of the record of a container's policy.
pub(crate) const RESTART_FILE: &str = "restart.json";
/// Name, in the run-time folder, of the record of the boot in which the policies were applied last.
const REVIVED_FILE: &str = "revived";
/// Name of the mark of a container that somebody stopped.
pub(crate) const STOPPED_FILE: &str = "stopped";
/// How long until it is looked again at a start of the machine whether others are there.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a monitor that is called off may take to go.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long others may work on a container before its start is put off.
const LOCK: Duration = Duration::from_secs(20);

/// Who stopped a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoppedBy {
    /// Somebody, by name: it stays as it is over a start of the machine, unless its policy is `always`.
    User,
    /// All were stopped, as when the machine goes down: what a start of the machine does is as if it had run.
    Engine,
}

impl StoppedBy {
    fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Engine => "engine",
        }
    }
}

impl Core {
    /// What is kept of a container's policy; `None` without one.
    pub(crate) fn restart_state(&self, id: &str) -> Result<Option<RestartState>> {
        let path = self.store.container_file(id, RESTART_FILE);
        load(&path).map_err(|source| Error::file("read", path, source))
    }

    fn keep_restart_state(&self, id: &str, state: &RestartState, sync: bool) -> Result<()> {
        let path = self.store.container_file(id, RESTART_FILE);
        state::store(&path, state, sync).map_err(|source| Error::file("write", path, source))
    }

    /// The start that is to come, if there is one.
    pub(crate) fn due(&self, id: &str) -> Result<Option<Due>> {
        let path = self.store.due(id);
        load(&path).map_err(|source| Error::file("read", path, source))
    }

    /// It has ended, and is about to be started again, or is just being.
    fn is_restarting(&self, record: &Record, life: &Life) -> Result<bool> {
        let id = &record.id;
        Ok(match life {
            Life::Running(_) | Life::Gone(_) => false,
            Life::Stopped(_) => {
                self.due(id)?.is_some()
                    || (self.store.intent(id).exists()
                        && self.restart_state(id)?.is_some_and(|state| state.count > 0))
            }
            // Its exit is put away while a start is under way.
            Life::Created => self.restart_state(id)?.is_some_and(|state| state.count > 0),
        })
    }

    /// Where a container stands, and whether it is about to be started again. One that has ended has done so for good, and was
    /// not just started again between two looks.
    pub(crate) fn life_shown(&self, record: &Record) -> Result<(Life, bool)> {
        let mut life = self.life(record, None)?;
        for _ in 0..5 {
            let restarting = self.is_restarting(record, &life)?;
            let Life::Stopped(ended) = &life else { return Ok((life, restarting)) };
            if restarting || self.restart_state(&record.id)?.is_none() {
                return Ok((life, restarting));
            }
            match self.life(record, None)? {
                Life::Stopped(again) if again == *ended => return Ok((life, false)),
                other => life = other,
            }
        }
        let restarting = self.is_restarting(record, &life)?;
        Ok((life, restarting))
    }

    /// The first content of a container's `restart.json`, if it has a policy.
    pub(crate) fn first_restart_state(&self, policy: RestartPolicy) -> Result<Option<Vec<u8>>> {
        if policy == RestartPolicy::No {
            return Ok(None);
        }
        self.make_due_folder()?;
        let state = RestartState { policy: kept(policy), ..RestartState::default() };
        let path = || self.store.run_root().join(RESTART_FILE);
        serde_json::to_vec(&state).map(Some).map_err(|source| Error::Record { path: path(), source })
    }

    /// It is missing where an engine of an earlier version made the run-time folder.
    fn make_due_folder(&self) -> Result<()> {
        let folder = self.store.run_root().join("restarting");
        match rustix::fs::mkdir(&folder, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(Error::file("make", folder, errno)),
        }
    }

    /// What a monitor is told of it.
    pub(crate) fn restart_plan(&self, record: &Record) -> Option<RestartPlan> {
        let id = &record.id;
        let mut command = self.clean_up.clone();
        command.iter_mut().for_each(|command| command.arguments.push(id.clone()));
        (!record.spec.remove).then(|| RestartPlan {
            state: self.store.container_file(id, RESTART_FILE),
            stopped: self.store.container_file(id, STOPPED_FILE),
            due: self.store.due(id),
            command,
        })
    }

    /// Gives a container another policy, for its next end.
    pub(crate) fn set_restart_policy(&self, word: &str, policy: RestartPolicy) -> Result<String> {
        let id = self.resolve(word)?;
        let lock = self.guard(&id)?;
        let record = self.known(&id, word)?;
        check(policy, record.spec.remove)?;
        let before = self.restart_state(&id)?;
        let state = RestartState { policy: kept(policy), ..before.unwrap_or_default() };
        self.make_due_folder()?;
        self.keep_restart_state(&id, &state, true)?;
        match self.due(&id)? {
            Some(due) if !due.wanted && !state.wants(due.code) => {
                self.call_off(&id, &lock)?;
            }
            Some(_) => {}
            // It stands still, and stays so until somebody starts it.
            None if !matches!(self.life(&record, Some(&lock))?, Life::Running(_)) => {
                self.mark_stopped(&record, StoppedBy::User)?;
            }
            None => {}
        }
        self.announce(&record, "update", &[]);
        Ok(id)
    }

    /// Notes that somebody stopped a container, before it ends. It is on the disk where that matters after a start of the
    /// machine.
    pub(crate) fn mark_stopped(&self, record: &Record, by: StoppedBy) -> Result<()> {
        if record.spec.remove || self.restart_state(&record.id)?.is_none() {
            return Ok(());
        }
        let path = self.store.container_file(&record.id, STOPPED_FILE);
        // One that somebody stopped by name stays so when all are stopped after it.
        if by == StoppedBy::Engine && self.is_stopped_by_user(&record.id) {
            return Ok(());
        }
        state::store(&path, &by.word(), true).map_err(|source| Error::file("write", path, source))
    }

    fn is_stopped_by_user(&self, id: &str) -> bool {
        let by = load::<String>(&self.store.container_file(id, STOPPED_FILE)).ok().flatten();
        by.is_some_and(|by| by == StoppedBy::User.word())
    }

    /// Somebody starts it: what was before does not count any more. Under the container's lock.
    pub(crate) fn begin_anew(&self, id: &str, lock: &ContainerLock) -> Result<()> {
        self.call_off(id, lock)?;
        // Also where there is no policy, which it may be given while it runs.
        unlink(&self.store.container_file(id, STOPPED_FILE))?;
        let Some(state) = self.restart_state(id)? else { return Ok(()) };
        if (state.count, state.pause_ms) != (0, 0) {
            self.keep_restart_state(
                id,
                &RestartState { policy: state.policy, ..RestartState::default() },
                false,
            )?;
        }
        Ok(())
    }

    /// How long it is until that.
    pub(crate) fn until_due(&self, id: &str, due: Due) -> Duration {
        let written = std::fs::metadata(self.store.due(id)).and_then(|file| file.modified());
        // Where the clock was set back nobody knows, and it is time.
        let passed = written.ok().and_then(|at| at.elapsed().ok()).unwrap_or(Duration::MAX);
        Duration::from_millis(due.pause_ms).saturating_sub(passed)
    }

    /// Ends the wait for a start that was to come; false when there was none. Its monitor is waited for, so that nothing of
    /// it is left.
    pub(crate) fn call_off(&self, id: &str, _lock: &ContainerLock) -> Result<bool> {
        let Some(due) = self.due(id)? else { return Ok(false) };
        unlink(&self.store.due(id))?;
        let run_dir = self.store.run_dir(id);
        until(PATIENCE, || {
            // It may be about to listen.
            tinyd_runtime::client::wake(&run_dir);
            Ok::<_, Error>((!process::is_at_work(due.monitor)).then_some(()))
        })?;
        unlink(&run_dir.join(tinyd_runtime::restart::WAKE_SOCKET))?;
        Ok(true)
    }

    /// Stops a container that is about to be started again; false when it is not.
    pub(crate) fn stop_due(&self, record: &Record, by: StoppedBy) -> Result<bool> {
        if self.due(&record.id)?.is_none() {
            return Ok(false);
        }
        // Whoever is starting it has this: afterwards it runs, or waits again.
        let lock = self.guard(&record.id)?;
        if self.due(&record.id)?.is_none() {
            return Ok(false);
        }
        self.mark_stopped(record, by)?;
        self.call_off(&record.id, &lock)
    }

    /// A command has ended by itself and nobody who could have started it again saw that: the next command does.
    pub(crate) fn note_end(&self, record: &Record, ended: &Ended) {
        let id = &record.id;
        let code = ended.record.code;
        let wanted = matches!(self.restart_state(id), Ok(Some(state)) if state.wants(code));
        if wanted && !self.store.container_file(id, STOPPED_FILE).exists() {
            self.note_due(id, Due { monitor: NOBODY, pause_ms: 0, code, wanted: false });
        }
    }

    fn note_due(&self, id: &str, due: Due) {
        // Without room for it the container stays ended, which the next look shows.
        let _ = state::store(&self.store.due(id), &due, false);
    }

    /// A start by a policy whose process was killed: it is tried again.
    pub(crate) fn undo_restart(&self, id: &str) -> Vec<Error> {
        let errors = self.undo_start(id);
        if let Ok(Some(record)) = self.store.record(id)
            && let Ok(Life::Stopped(ended)) = self.life(&record, None)
            && matches!(self.due(id), Ok(None))
        {
            self.note_end(&record, &ended);
        }
        errors
    }

    /// Starts the containers whose monitors were to do it and cannot any more. What fails is left to the next command. Who may come
    /// again, and soon, is patient: each has its pause. So has one whose start has failed, whoever comes.
    ///
    /// Nobody waits here for a server of volumes that may not answer: such a start is another process's.
    pub(crate) fn restart_left(&self, is_patient: bool) -> Result<()> {
        for id in entries(&self.store.run_root().join("restarting"))? {
            let Ok(Some(due)) = self.due(&id) else { continue };
            let has_pause = is_patient || due.monitor == NOBODY;
            let is_time = !has_pause || self.until_due(&id, due).is_zero();
            if is_time && !process::is_at_work(due.monitor) {
                let _ = match self.may_wait_for_volumes(&id) {
                    true => self.restart_aside(&id),
                    false => self.restart_due(&id).map(drop),
                };
            }
        }
        Ok(())
    }

    fn may_wait_for_volumes(&self, id: &str) -> bool {
        let asks = |used: &UsedVolume| {
            self.driver_of(&used.state).is_ok_and(|driver| driver.asks_others(&used.state))
        };
        matches!(self.store.record(id), Ok(Some(record)) if record.volumes.iter().any(asks))
    }

    /// Has the command that a monitor would run start a container, and waits for nothing. Until it has ended the note of the
    /// start is its own. Without such a command the start is this process's after all.
    fn restart_aside(&self, id: &str) -> Result<()> {
        let Some(command) = &self.clean_up else { return self.restart_due(id).map(drop) };
        // Under the lock: the command waits for it, and nobody else starts a second one.
        let Some(_lock) = ContainerLock::try_acquire(&self.store, id)? else { return Ok(()) };
        let Some(due) = self.due(id)?.filter(|due| !process::is_at_work(due.monitor)) else { return Ok(()) };
        let child = Command::new(&command.program)
            .args(&command.arguments)
            .arg(id)
            .env_clear()
            .envs(command.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.map_err(|source| Error::file("run", &command.program, source))?;
        if let Ok(monitor) = ProcessId::of(child.id()) {
            self.note_due(id, Due { monitor, ..due });
        }
        // Without a thread it is a zombie until this process ends, and no harm.
        let wait = move || drop(child.wait());
        let _ = std::thread::Builder::new().name("restart".to_owned()).spawn(wait);
        Ok(())
    }

    /// Starts a container that has ended, if its policy wants that still; false when nothing is to be done. A start that
    /// fails is one that counts, and the next one is further away.
    pub(crate) fn restart_due(&self, word: &str) -> Result<bool> {
        let id = self.resolve(word)?;
        // Whoever calls it off has the lock, and waits until the caller of this has ended.
        let lock = until(LOCK, || match self.due(&id)? {
            None => Ok(Some(None)),
            Some(_) => Ok(ContainerLock::try_acquire(&self.store, &id)?.map(Some)),
        })?;
        let lock = match lock {
            None => return Err(Error::Busy { container: ids::short(&id).to_owned() }),
            Some(None) => return Ok(false),
            Some(Some(lock)) => self.quiet(&id, lock)?,
        };
        let Some(due) = self.due(&id)? else { return Ok(false) };
        let state = self.restart_state(&id)?.unwrap_or_default();
        let stopped = self.store.container_file(&id, STOPPED_FILE).exists();
        let record = self.known(&id, word)?;
        let stands = matches!(self.life(&record, Some(&lock))?, Life::Stopped(_));
        if stopped || !stands || !(due.wanted || state.wants(due.code)) {
            unlink(&self.store.due(&id))?;
            return Ok(false);
        }
        let state = RestartState { count: state.count.saturating_add(1), pause_ms: due.pause_ms, ..state };
        self.keep_restart_state(&id, &state, false)?;
        match self.start_locked(word, &StartRequest::detached(), &lock, Verb::Restart) {
            Ok(_) => Ok(true),
            Err(error) => {
                let pause = state.pause_after(Duration::ZERO).as_millis();
                if due.wanted || state.wants(due.code) {
                    let pause_ms = u64::try_from(pause).unwrap_or(u64::MAX);
                    // The monitor that sleeps until then sees that it is its own still.
                    let sleeps = process::is_at_work(due.monitor) && due.monitor.pid != std::process::id();
                    let monitor = if sleeps { due.monitor } else { NOBODY };
                    self.note_due(&id, Due { pause_ms, monitor, ..due });
                }
                Err(error)
            }
        }
    }

    /// Starts what the policies say, once for each start of the machine and after all were laid to rest.
    pub(crate) fn revive(&self, goes_on: &dyn Fn() -> bool) -> Result<Vec<String>> {
        self.sweep_locks()?;
        let path = self.store.run_root().join(REVIVED_FILE);
        let last = load::<String>(&path).map_err(|source| Error::file("read", &path, source))?;
        match last.as_deref() == Some(self.boot_id()?) {
            true => Ok(Vec::new()),
            false => self.apply_restart_policies(goes_on),
        }
    }

    /// All are about to be stopped, and not one by one.
    pub(crate) fn forget_revival(&self) -> Result<()> {
        unlink(&self.store.run_root().join(REVIVED_FILE))
    }

    /// What a start of the machine does: starts the containers whose policies want it. Goes on past errors; returns the ids
    /// of those that were started. Who says that it is not to go on has the rest started by the next one.
    pub(crate) fn apply_restart_policies(&self, goes_on: &dyn Fn() -> bool) -> Result<Vec<String>> {
        let mut started = Vec::new();
        let mut errors = Vec::new();
        let mut ids: Vec<_> = Vec::new();
        for id in self.store.ids()? {
            if let Ok(Some(record)) = self.store.record(&id) {
                ids.push((record.created_ns, id));
            }
        }
        // In the order in which they were made: who needs another one was made after it.
        ids.sort();
        let mut left: Vec<String> = ids.into_iter().map(|(_, id)| id).collect();
        while !left.is_empty() {
            let mut waiting = Vec::new();
            for id in left {
                if !goes_on() {
                    return Ok(started);
                }
                match self.start_at_boot(&id, &waiting) {
                    Ok(AtBoot::Started) => started.push(id),
                    Ok(AtBoot::Waits) => waiting.push(id),
                    Ok(AtBoot::Stays) | Err(Error::NoSuchContainer { .. }) => {}
                    Err(error) => errors.push(error),
                }
            }
            // Whoever needs what is not there yet keeps none of the others but those that need him.
            left = waiting;
            if !left.is_empty() {
                std::thread::sleep(AGAIN);
            }
        }
        let path = self.store.run_root().join(REVIVED_FILE);
        let kept = state::store(&path, &self.boot_id()?, false);
        errors.extend(kept.err().map(|source| Error::file("write", path, source)));
        match errors.into_iter().next() {
            None => Ok(started),
            Some(error) => Err(error),
        }
    }

    /// `waiting` are those that were looked at before and could not be started yet.
    fn start_at_boot(&self, id: &str, waiting: &[String]) -> Result<AtBoot> {
        let record = self.known(id, id)?;
        let after = &record.spec.after;
        // Of one that waits itself its last run, which may have been before the machine's start, says nothing.
        let waits = |one: &After| self.resolve(&one.container).is_ok_and(|id| waiting.contains(&id));
        if !after.is_empty()
            && self.is_wanted_at_boot(&record, None)?
            && (after.iter().any(waits) || !self.are_ready(after)?)
        {
            return Ok(AtBoot::Waits);
        }
        let lock = self.guard(id)?;
        if !self.is_wanted_at_boot(&record, Some(&lock))? {
            return Ok(AtBoot::Stays);
        }
        self.begin_anew(id, &lock)?;
        self.start_locked(id, &StartRequest::detached(), &lock, Verb::Restart).map(|_| AtBoot::Started)
    }

    fn is_wanted_at_boot(&self, record: &Record, lock: Option<&ContainerLock>) -> Result<bool> {
        let id = &record.id;
        let Some(state) = self.restart_state(id)?.filter(|state| state.policy != Policy::No) else {
            return Ok(false);
        };
        let Life::Stopped(ended) = self.life(record, lock)? else { return Ok(false) };
        let was_started = record.launched || self.store.container_file(id, STARTED_FILE).exists();
        let wanted = match state.policy {
            Policy::Always => true,
            _ => state.wants(ended.record.code) && !self.is_stopped_by_user(id),
        };
        Ok(was_started && wanted && self.due(id)?.is_none())
    }
}

/// What a start of the machine does to a container.
enum AtBoot {
    Started,
    /// Others have to be there first.
    Waits,
    Stays,
}

/// No process: its start lies before that of the machine's first one.
const NOBODY: ProcessId = ProcessId { pid: 1, start_time: u64::MAX, unique: Some(u64::MAX) };

/// Whether a container may have this policy.
pub(crate) fn check(policy: RestartPolicy, remove: bool) -> Result<()> {
    if remove && policy != RestartPolicy::No {
        let why = "contradicts the removal of the container at its end (--rm)";
        return Err(Error::invalid("restart policy", policy.to_string(), why));
    }
    Ok(())
}

/// As the monitor is told it.
pub(crate) fn kept(policy: RestartPolicy) -> Policy {
    match policy {
        RestartPolicy::No => Policy::No,
        RestartPolicy::OnFailure { max_retries } => Policy::OnFailure(max_retries),
        RestartPolicy::Always => Policy::Always,
        RestartPolicy::UnlessStopped => Policy::UnlessStopped,
    }
}

/// As everyone else is.
pub(crate) fn told(policy: Policy) -> RestartPolicy {
    match policy {
        Policy::No => RestartPolicy::No,
        Policy::OnFailure(max_retries) => RestartPolicy::OnFailure { max_retries },
        Policy::Always => RestartPolicy::Always,
        Policy::UnlessStopped => RestartPolicy::UnlessStopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, spec};
    use std::sync::Arc;
    use tinyd_runtime::FailureKind;
    use tinyd_runtime::state::{EXIT_FILE, ExitRecord};

    #[test]
    fn root_a_start_that_has_failed_has_its_pause_whoever_comes() {
        if !testing::root() {
            return;
        }
        let launcher = Arc::new(FakeLauncher::failing(FailureKind::Internal));
        let (place, core) = testing::core_sharing(Arc::clone(&launcher));
        let wanted =
            tinyd_engine::ContainerSpec { restart: RestartPolicy::Always, ..spec(place.path(), None) };
        let id = core.create(&wanted).unwrap().id;
        let exit = ExitRecord { code: 9, oom_killed: false, started_ns: 1, finished_ns: 2 };
        state::store(&core.store.container_file(&id, EXIT_FILE), &exit, false).unwrap();
        let me = ProcessId::of(std::process::id()).unwrap();
        let dead = ProcessId { start_time: me.start_time + 1, unique: None, ..me };
        core.note_due(&id, Due { monitor: dead, pause_ms: 40_000, code: 9, wanted: false });
        // Its monitor was killed in the pause, which nobody sleeps any more.
        core.recover().unwrap();
        let tried = || launcher.requests.lock().unwrap().len();
        let due = core.due(&id).unwrap().unwrap();
        assert_eq!((tried(), due.monitor, due.pause_ms), (1, NOBODY, 60_000));
        core.recover().unwrap();
        assert_eq!(tried(), 1);
        core.note_due(&id, Due { pause_ms: 0, ..due });
        core.recover().unwrap();
        assert_eq!(tried(), 2);
    }
}
