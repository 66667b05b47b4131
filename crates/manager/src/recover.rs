//! Putting right what a verb left undone when its process died.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::intent::{Found, Intent, Plan, Verb, claim};
use crate::life::{Ended, read};
use crate::lock::ContainerLock;
use crate::process::until;
use crate::store::{STARTED_FILE, entries, rename, unlink};
use crate::volumes::Silent;
use std::time::{Duration, UNIX_EPOCH};
use tinyd_runtime::state::EXIT_FILE;

/// Name of the exit of the run before, while a start is under way.
pub(crate) const LAST_EXIT_FILE: &str = "exit.json.last";

impl Core {
    /// Looks at all intents and at the trash, which costs nothing when there is nothing there, and puts right what dead
    /// processes left, and what somebody flushed of networks.
    ///
    /// What cannot be put right keeps its intent: the next command tries again, and `check` reports it. It must not keep
    /// commands from other containers.
    pub(crate) fn recover(&self) -> Result<()> {
        self.recover_before(false)
    }

    /// The same for one who asks again and again.
    pub(crate) fn recover_patiently(&self) -> Result<()> {
        self.recover_before(true)
    }

    fn recover_before(&self, is_patient: bool) -> Result<()> {
        let mut silent = Silent::default();
        for id in entries(&self.store.run_root().join("intents"))? {
            silent.unless(self, &id, || self.recover_one(&id).is_empty());
        }
        self.unmount_left(&mut silent)?;
        self.thaw_left()?;
        for id in entries(&self.store.root().join("trash"))?.into_iter().filter(|id| ids::is_id(id)) {
            silent.unless(self, &id, || self.finish_removal(&id).is_empty());
        }
        self.mend_networks();
        self.restart_left(is_patient)
    }

    /// Goes on with a removal that a monitor was killed in: a container that removes itself has no intent for that.
    /// Returns what failed.
    pub(crate) fn finish_removal(&self, id: &str) -> Vec<Error> {
        let at_work = || self.store.intent(id).exists() || self.monitored(id);
        if at_work() {
            return Vec::new();
        }
        // Whoever tidies up after a dead monitor holds this.
        let Ok(Some(_lock)) = ContainerLock::try_acquire(&self.store, id) else { return Vec::new() };
        match self.store.trash(id).exists() && !at_work() {
            true => self.erase(id, None),
            false => Vec::new(),
        }
    }

    /// Removes the locks of containers that are gone: whoever held one, or waited for it, was killed before he could. To look at
    /// all of them is for who comes once and stays; they hold nobody up.
    pub(crate) fn sweep_locks(&self) -> Result<()> {
        for id in entries(&self.store.run_root().join("locks"))? {
            if ids::is_id(&id) && !self.store.container(&id).exists() {
                // One that is held is removed by its holder, and so is this one.
                let _ = ContainerLock::try_acquire(&self.store, &id)?;
            }
        }
        Ok(())
    }

    /// Puts one dead intent right; returns what failed. One that is held, or gone, is left alone.
    pub(crate) fn recover_one(&self, id: &str) -> Vec<Error> {
        match claim(&self.store, id) {
            Ok(Found::Dead(intent, plan)) => self.put_right(intent, plan),
            Ok(Found::Nothing | Found::Held) => Vec::new(),
            Err(error) => vec![error],
        }
    }

    /// The right to change a container that is there, with nothing under way on it.
    pub(crate) fn guard(&self, id: &str) -> Result<ContainerLock> {
        self.quiet(id, ContainerLock::acquire(&self.store, id)?)
    }

    /// Waits until nothing is under way on a container whose lock this is.
    pub(crate) fn quiet(&self, id: &str, lock: ContainerLock) -> Result<ContainerLock> {
        let quiet = until(Duration::from_secs(20), || match claim(&self.store, id)? {
            Found::Nothing => Ok(Some(())),
            Found::Held => Ok(None),
            Found::Dead(intent, plan) => match self.put_right(intent, plan).into_iter().next() {
                None => Ok(Some(())),
                Some(error) => Err(error),
            },
        })?;
        let folder = self.store.container(id);
        if !folder.try_exists().map_err(|error| Error::file("look for", folder, error))? {
            return Err(self.no_such(id));
        }
        quiet.map(|()| lock).ok_or_else(|| Error::Busy { container: ids::short(id).to_owned() })
    }

    fn put_right(&self, intent: Intent, plan: Option<Plan>) -> Vec<Error> {
        let errors = match plan {
            // It died before it had done anything.
            None => Vec::new(),
            // Another engine's, which shares only the run-time folder: its own commands do it.
            Some(plan) if plan.root != self.store.root() => return Vec::new(),
            Some(plan) if !ids::is_id(&plan.id) => Vec::new(),
            Some(Plan { verb: Verb::Start, id, .. }) => self.undo_start(&id),
            Some(Plan { verb: Verb::Restart, id, .. }) => self.undo_restart(&id),
            Some(Plan { verb: Verb::Update, id, limits, .. }) => {
                self.settle_update(&id, limits.map(|limits| *limits))
            }
            Some(Plan { verb: Verb::Rename, id, .. }) => self.settle_rename(&id),
            Some(Plan { verb: Verb::Ports, id, .. }) => self.settle_ports(&id),
            Some(Plan { verb: Verb::Network, .. }) => self.sweep_networks(),
            Some(Plan { verb: Verb::Volume, name, .. }) => self.settle_volume(&name.unwrap_or_default()),
            Some(Plan { verb: Verb::Place, id, name, .. }) => {
                self.settle_place(&id, &name.unwrap_or_default())
            }
            // A removal is gone on with; what was being made is taken back.
            Some(Plan { verb: Verb::Create | Verb::Run | Verb::Remove, id, name, .. }) => {
                self.erase(&id, name.as_deref())
            }
        };
        if errors.is_empty() {
            return intent.finish().err().into_iter().collect();
        }
        errors
    }

    /// Takes a start back: the container stays as it was before.
    pub(crate) fn undo_start(&self, id: &str) -> Vec<Error> {
        let errors = self.discard_run(id);
        if !errors.is_empty() {
            // What the run leaves of itself would come over what is put back.
            return errors;
        }
        let last = self.store.container_file(id, LAST_EXIT_FILE);
        let steps = match last.exists() {
            true => vec![rename(&last, &self.store.container_file(id, EXIT_FILE))],
            false => vec![self.forget_exit(id), unlink(&self.store.container_file(id, STARTED_FILE))],
        };
        steps.into_iter().filter_map(Result::err).collect()
    }

    /// Forgets the exit of a start that is taken back, which its monitor may have recorded: it began after the intent.
    fn forget_exit(&self, id: &str) -> Result<()> {
        let (intent, exit) = (self.store.intent(id), self.store.container_file(id, EXIT_FILE));
        let Some(ended) = read::<Ended>(&exit)? else { return Ok(()) };
        let begun = std::fs::metadata(&intent).and_then(|intent| intent.modified());
        let begun = begun.map_err(|error| Error::file("look at", intent, error))?;
        let begun = begun.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        match u128::try_from(ended.record.started_ns).is_ok_and(|started| started >= begun) {
            true => unlink(&exit),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, spec};
    use std::fs;
    use tinyd_engine::ContainerStatus;
    use tinyd_runtime::state::{ProcessId, RunState, STATE_FILE, store};

    /// Everything below the engine's folders but what is prepared once.
    fn left(core: &Core) -> Vec<String> {
        let mut found = Vec::new();
        for (root, folders) in [
            (core.store.root(), ["containers", "names", "ids", "trash"].as_slice()),
            (core.store.run_root(), &["containers", "intents", "locks"]),
        ] {
            for folder in folders {
                found.extend(
                    entries(&root.join(folder)).unwrap().into_iter().map(|name| format!("{folder}/{name}")),
                );
            }
        }
        found
    }

    #[test]
    fn root_a_run_whose_client_died_leaves_nothing() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let prepared = core.prepare(&spec(place.path(), Some("web")), Verb::Run).unwrap();
        let id = prepared.record.id.clone();
        fs::create_dir(core.store.run_dir(&id)).unwrap();
        // While its maker lives it is left alone.
        core.recover().unwrap();
        assert!(core.store.container(&id).exists());
        drop(prepared.intent);
        core.recover().unwrap();
        assert_eq!(left(&core), Vec::<String>::new());
    }

    #[test]
    fn root_a_start_whose_client_died_leaves_the_container() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), None)).unwrap().id;
        let intent = Intent::begin(&core.store, Verb::Start, &id, None).unwrap();
        fs::write(core.store.container_file(&id, STARTED_FILE), "").unwrap();
        fs::create_dir(core.store.run_dir(&id)).unwrap();
        drop(intent);
        core.recover().unwrap();
        assert!(!core.store.run_dir(&id).exists());
        let listed = core.list(tinyd_engine::ListRequest { all: true }).unwrap();
        assert_eq!(listed.iter().map(|one| one.status).collect::<Vec<_>>(), [ContainerStatus::Created]);
    }

    #[test]
    fn root_a_removal_that_was_cut_short_is_gone_on_with() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), Some("web"))).unwrap().id;
        drop(Intent::begin(&core.store, Verb::Remove, &id, Some("web")).unwrap());
        fs::rename(core.store.container(&id), core.store.trash(&id)).unwrap();
        core.recover().unwrap();
        assert_eq!(left(&core), Vec::<String>::new());
    }

    #[test]
    fn root_what_a_killed_monitor_left_in_the_trash_goes_with_all_that_belongs_to_it() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), Some("web"))).unwrap().id;
        fs::rename(core.store.container(&id), core.store.trash(&id)).unwrap();
        let run_dir = core.store.run_dir(&id);
        fs::create_dir(&run_dir).unwrap();
        let me = ProcessId::of(std::process::id()).unwrap();
        let state = |monitor| RunState { init: me, monitor, started_ns: 1, boot_id: String::new() };
        // While its monitor lives it is left alone.
        store(&run_dir.join(STATE_FILE), &state(me), false).unwrap();
        core.recover().unwrap();
        assert!(core.store.trash(&id).exists() && run_dir.exists());
        let dead = ProcessId { start_time: me.start_time + 1, unique: None, ..me };
        store(&run_dir.join(STATE_FILE), &state(dead), false).unwrap();
        core.recover().unwrap();
        assert_eq!(left(&core), Vec::<String>::new());
    }

    #[test]
    fn root_a_lock_of_no_container_goes_when_a_daemon_comes() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let id = core.create(&spec(place.path(), None)).unwrap().id;
        let [gone, held] = ["1", "2"].map(|digit| digit.repeat(32));
        for id in [&id, &gone, &held] {
            fs::write(core.store.lock(id), "").unwrap();
        }
        let holder = ContainerLock::try_acquire(&core.store, &held).unwrap().unwrap();
        core.revive(&|| true).unwrap();
        let there = [&id, &gone, &held].map(|id| core.store.lock(id).exists());
        assert_eq!(there, [true, false, true]);
        drop(holder);
        assert!(!core.store.lock(&held).exists());
    }

    #[test]
    fn root_an_intent_of_another_engine_is_left_to_it() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let root = place.path().join("other");
        let plan = Plan { verb: Verb::Run, id: "1".repeat(32), name: None, root, limits: None };
        fs::write(core.store.intent(&plan.id), serde_json::to_vec(&plan).unwrap()).unwrap();
        core.recover().unwrap();
        assert!(core.store.intent(&plan.id).exists());
    }
}
