//! Where a container stands, found from what is on disk, on tmpfs and in the kernel, and never from memory.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::lock::ContainerLock;
use crate::process;
use crate::store::{Record, STARTED_FILE};
use crate::time;
use serde::{Deserialize, Serialize};
use std::path::Path;
use tinyd_engine::ExitStatus;
use tinyd_runtime::state::{EXIT_FILE, ExitRecord, RunState, STATE_FILE, load, store};

/// Where a container stands.
#[derive(Debug)]
pub(crate) enum Life {
    /// Made, never started; or its start is still under way.
    Created,
    /// Its command runs.
    Running(Live),
    /// Its command has ended.
    Stopped(Ended),
    /// It has ended and, as it was asked to, removed itself: there is no container any more.
    Gone(Ended),
}

/// A command that runs.
#[derive(Debug)]
pub(crate) struct Live {
    /// Its processes and its start.
    pub state: RunState,
    /// Its monitor runs. Without one its exit will not be known.
    pub monitored: bool,
}

/// How a command ended: what the runtime records, and whether it was recorded by anyone at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// What the runtime writes. Times are 0 where they are not known.
    #[serde(flatten)]
    pub record: ExitRecord,
    /// Nothing was left to take the exit.
    #[serde(default)]
    pub unknown: bool,
}

impl Ended {
    fn unknown(started_ns: i64, finished_ns: i64) -> Self {
        Self { record: ExitRecord { code: 255, oom_killed: false, started_ns, finished_ns }, unknown: true }
    }

    /// A run that ended without anyone who could say how.
    pub(crate) fn lost(started_ns: i64) -> Self {
        Self::unknown(started_ns, time::now_ns())
    }

    /// As the engine's callers see it.
    pub(crate) fn status(&self) -> ExitStatus {
        ExitStatus { code: self.record.code, oom_killed: self.record.oom_killed, unknown: self.unknown }
    }
}

impl From<ExitRecord> for Ended {
    fn from(record: ExitRecord) -> Self {
        Self { record, unknown: false }
    }
}

/// What is to be seen, before anything is put right.
enum Look {
    Created,
    Running(Live),
    Stopped(Ended),
    /// It has ended, and whoever should have tidied up is gone.
    Left(Ended),
}

impl Core {
    /// Where a container stands. What a dead monitor left undone is done now, if nobody else works on the container;
    /// `lock` is the caller's own right to do so.
    pub(crate) fn life(&self, record: &Record, lock: Option<&ContainerLock>) -> Result<Life> {
        let ended = match self.look(record)? {
            Look::Left(ended) => ended,
            Look::Created => return Ok(Life::Created),
            Look::Running(live) => return Ok(Life::Running(live)),
            Look::Stopped(ended) => return Ok(Life::Stopped(ended)),
        };
        let own = match lock {
            Some(_) => None,
            None => match ContainerLock::try_acquire(&self.store, &record.id)? {
                Some(own) => Some(own),
                // Somebody else is at it.
                None => return Ok(Life::Stopped(ended)),
            },
        };
        let life = self.tidy(record);
        drop(own);
        life
    }

    fn tidy(&self, record: &Record) -> Result<Life> {
        let ended = match self.look(record)? {
            Look::Left(ended) => ended,
            Look::Created => return Ok(Life::Created),
            Look::Running(live) => return Ok(Life::Running(live)),
            Look::Stopped(ended) => return Ok(Life::Stopped(ended)),
        };
        // A step that fails here does not make the answer wrong: start, remove and check meet it again and report it.
        if record.spec.remove {
            self.erase(&record.id, record.spec.name.as_deref());
            return Ok(Life::Gone(ended));
        }
        let _ = self.discard_cgroup(&record.id);
        let _ = store(&self.store.run_dir(&record.id).join(EXIT_FILE), &ended, false);
        let _ = store(&self.store.container_file(&record.id, EXIT_FILE), &ended, true);
        Ok(Life::Stopped(ended))
    }

    fn look(&self, record: &Record) -> Result<Look> {
        let run_dir = self.store.run_dir(&record.id);
        let on_disk = self.store.container_file(&record.id, EXIT_FILE);
        // Three looks: between two reads a start may end, and a command may end.
        for _ in 0..3 {
            if let Some(ended) = read::<Ended>(&run_dir.join(EXIT_FILE))? {
                if !record.spec.remove && on_disk.exists() {
                    return Ok(Look::Stopped(ended));
                }
                let state = read::<RunState>(&run_dir.join(STATE_FILE))?;
                return Ok(match state.is_some_and(|state| process::runs(state.monitor)) {
                    true => Look::Stopped(ended),
                    false => Look::Left(ended),
                });
            }
            // What was true before the machine started anew says nothing.
            if let Some(state) = read::<RunState>(&run_dir.join(STATE_FILE))?
                && state.boot_id == self.boot_id()?
            {
                if process::runs(state.monitor) {
                    return Ok(Look::Running(Live { state, monitored: true }));
                }
                if run_dir.join(EXIT_FILE).exists() {
                    continue;
                }
                return Ok(match process::runs(state.init) {
                    true => Look::Running(Live { state, monitored: false }),
                    false => Look::Left(Ended::lost(state.started_ns)),
                });
            }
            if let Some(ended) = read::<Ended>(&on_disk)? {
                return Ok(if record.spec.remove { Look::Left(ended) } else { Look::Stopped(ended) });
            }
            let started = record.launched || self.store.container_file(&record.id, STARTED_FILE).exists();
            if !started || self.store.intent(&record.id).exists() {
                return Ok(Look::Created);
            }
        }
        // It was started, and the machine went down under it.
        let ended = Ended::unknown(0, 0);
        Ok(if record.spec.remove { Look::Left(ended) } else { Look::Stopped(ended) })
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    load(path).map_err(|source| Error::file("read", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, FakeLauncher, record};
    use std::fs;
    use std::process::{Child, Command};
    use tinyd_runtime::state::{ProcessId, boot_id};

    fn sleeper() -> (Child, ProcessId) {
        let child = Command::new("sleep").arg("100").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        (child, id)
    }

    fn end(mut child: Child) {
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A container with this state, if any, in its run-time folder.
    fn container(core: &Core, remove: bool, state: Option<&RunState>) -> Record {
        let mut record = record(&core.store);
        record.launched = true;
        record.spec.remove = remove;
        fs::create_dir_all(core.store.container(&record.id)).unwrap();
        fs::write(
            core.store.container_file(&record.id, crate::store::RECORD_FILE),
            serde_json::to_vec(&record).unwrap(),
        )
        .unwrap();
        let run_dir = core.store.run_dir(&record.id);
        if let Some(state) = state {
            fs::create_dir_all(&run_dir).unwrap();
            store(&run_dir.join(STATE_FILE), state, false).unwrap();
        }
        record
    }

    fn state(init: ProcessId, monitor: ProcessId) -> RunState {
        RunState { init, monitor, started_ns: 7, boot_id: boot_id().unwrap() }
    }

    #[test]
    fn root_a_lost_monitor_is_told_from_a_lost_container() {
        if !testing::root() {
            return;
        }
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let (init, init_id) = sleeper();
        let (monitor, monitor_id) = sleeper();
        let record = container(&core, false, Some(&state(init_id, monitor_id)));
        let both = core.life(&record, None);
        end(monitor);
        let alone = core.life(&record, None);
        end(init);
        assert!(matches!(both.unwrap(), Life::Running(Live { monitored: true, .. })));
        assert!(matches!(alone.unwrap(), Life::Running(Live { monitored: false, .. })));
        let Life::Stopped(ended) = core.life(&record, None).unwrap() else { panic!("not stopped") };
        assert!(ended.unknown && ended.record.code == 255 && ended.record.started_ns == 7);
        // It is on disk now, and the next look finds the same.
        let copy: Ended = read(&core.store.container_file(&record.id, EXIT_FILE)).unwrap().unwrap();
        assert_eq!(copy, ended);
        let Life::Stopped(again) = core.life(&record, None).unwrap() else { panic!("not stopped") };
        assert_eq!(again, ended);
    }

    #[test]
    fn root_a_container_that_removes_itself_is_removed_when_its_monitor_could_not() {
        if !testing::root() {
            return;
        }
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let (dead, id) = sleeper();
        end(dead);
        let record = container(&core, true, Some(&state(id, id)));
        let exit = ExitRecord { code: 3, oom_killed: false, started_ns: 1, finished_ns: 2 };
        store(&core.store.run_dir(&record.id).join(EXIT_FILE), &exit, false).unwrap();
        let Life::Gone(ended) = core.life(&record, None).unwrap() else { panic!("not gone") };
        assert_eq!((ended.record.code, ended.unknown), (3, false));
        assert!(!core.store.container(&record.id).exists());
        assert!(!core.store.run_dir(&record.id).exists());
        assert!(!core.store.trash(&record.id).exists());
    }

    #[test]
    fn pure_after_a_reboot_the_disk_decides() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let me = ProcessId::of(std::process::id()).unwrap();
        let old = RunState { boot_id: "another boot".to_owned(), ..state(me, me) };
        let record = container(&core, false, Some(&old));
        // Started, no exit on disk: the power went.
        let Life::Stopped(ended) = core.life(&record, None).unwrap() else { panic!("not stopped") };
        assert!(ended.unknown);
        // While its intent is there its start is under way.
        fs::write(core.store.intent(&record.id), "").unwrap();
        assert!(matches!(core.life(&record, None).unwrap(), Life::Created));
        fs::remove_file(core.store.intent(&record.id)).unwrap();
        let exit = ExitRecord { code: 5, oom_killed: true, started_ns: 1, finished_ns: 2 };
        store(&core.store.container_file(&record.id, EXIT_FILE), &exit, false).unwrap();
        let Life::Stopped(ended) = core.life(&record, None).unwrap() else { panic!("not stopped") };
        assert_eq!(ended, Ended::from(exit));
    }

    #[test]
    fn pure_one_that_was_never_started_is_created() {
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let mut record = container(&core, false, None);
        record.launched = false;
        assert!(matches!(core.life(&record, None).unwrap(), Life::Created));
        fs::write(core.store.container_file(&record.id, STARTED_FILE), "").unwrap();
        assert!(matches!(core.life(&record, None).unwrap(), Life::Stopped(_)));
    }
}
