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
#[derive(Clone, Debug)]
pub(crate) struct Live {
    /// Its processes and its start.
    pub state: RunState,
    /// Its monitor runs. Without one its exit may not be known.
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
    /// It ran when the host was started anew.
    #[serde(default)]
    pub host_restarted: bool,
}

impl Ended {
    fn unknown(started_ns: i64, finished_ns: i64, host_restarted: bool) -> Self {
        let record = ExitRecord { code: 255, oom_killed: false, started_ns, finished_ns };
        Self { record, unknown: true, host_restarted }
    }

    /// A run that ended without anyone who could say how.
    pub(crate) fn lost(started_ns: i64) -> Self {
        Self::unknown(started_ns, time::now_ns(), false)
    }

    /// As the engine's callers see it.
    pub(crate) fn status(&self) -> ExitStatus {
        ExitStatus {
            code: self.record.code,
            oom_killed: self.record.oom_killed,
            unknown: self.unknown,
            host_restarted: self.host_restarted,
        }
    }
}

impl From<ExitRecord> for Ended {
    fn from(record: ExitRecord) -> Self {
        Self { record, unknown: false, host_restarted: false }
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

impl Look {
    /// There is nothing to be put right.
    fn is_well(&self) -> bool {
        match self {
            Self::Created | Self::Stopped(_) => true,
            Self::Running(live) => live.monitored,
            Self::Left(_) => false,
        }
    }
}

impl From<Look> for Life {
    fn from(look: Look) -> Self {
        match look {
            Look::Created => Self::Created,
            Look::Running(live) => Self::Running(live),
            Look::Stopped(ended) | Look::Left(ended) => Self::Stopped(ended),
        }
    }
}

impl Core {
    /// Where a container stands. What a dead monitor left undone is done now, if nobody else works on the container;
    /// `lock` is the caller's own right to do so.
    pub(crate) fn life(&self, record: &Record, lock: Option<&ContainerLock>) -> Result<Life> {
        let seen = self.look(record)?;
        if seen.is_well() {
            return Ok(seen.into());
        }
        if let Some(lock) = lock {
            return self.tidy(record, lock);
        }
        match ContainerLock::try_acquire(&self.store, &record.id) {
            Ok(Some(own)) => self.tidy(record, &own),
            // Somebody else is at it, or there is no room for a lock: what was seen is true all the same.
            Ok(None) | Err(_) => Ok(seen.into()),
        }
    }

    fn tidy(&self, record: &Record, lock: &ContainerLock) -> Result<Life> {
        let ended = match self.look(record)? {
            Look::Left(ended) => ended,
            Look::Running(live) if !live.monitored => {
                // Without a new monitor it runs on as it did; the next command tries again, and `check` tells why.
                return Ok(Life::Running(self.take_over(record, live.clone(), lock).unwrap_or(live)));
            }
            well => return Ok(well.into()),
        };
        // A step that fails here does not make the answer wrong: start, remove and check meet it again and report it.
        // Its monitor, which would have told, is gone; or it told, and was killed afterwards.
        if !self.store.run_dir(&record.id).join(EXIT_FILE).exists() {
            self.announce(record, "die", &[("exitCode", ended.record.code.to_string())]);
        }
        if record.spec.remove {
            self.erase(&record.id, record.spec.name.as_deref());
            return Ok(Life::Gone(ended));
        }
        let _ = self.discard_cgroup(&record.id);
        let _ = self.leave_networks(record);
        let _ = self.unmount_volumes(record);
        let _ = store(&self.store.run_dir(&record.id).join(EXIT_FILE), &ended, false);
        let _ = store(&self.store.container_file(&record.id, EXIT_FILE), &ended, true);
        self.note_end(record, &ended);
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
                return Ok(match state.is_some_and(|state| process::is_at_work(state.monitor)) {
                    true => Look::Stopped(ended),
                    false => Look::Left(ended),
                });
            }
            // What was true before the machine started anew says nothing.
            if let Some(state) = read::<RunState>(&run_dir.join(STATE_FILE))?
                && state.boot_id == self.boot_id()?
            {
                if process::is_at_work(state.monitor) {
                    return Ok(Look::Running(Live { state, monitored: true }));
                }
                if run_dir.join(EXIT_FILE).exists() {
                    continue;
                }
                return Ok(match process::runs(state.init) {
                    true => Look::Running(Live { state, monitored: false }),
                    false => Look::Left(self.end_of(record, &state)),
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
        let ended = Ended::unknown(0, 0, true);
        Ok(if record.spec.remove { Look::Left(ended) } else { Look::Stopped(ended) })
    }
}

impl Core {
    /// The end of a command that nobody watched over. Where it is a zombie still, the kernel tells how it ended.
    fn end_of(&self, record: &Record, state: &RunState) -> Ended {
        let exit = state.init.open().and_then(tinyd_ns::pidfd::exit_of_other);
        let Some(exit) = exit else { return Ended::lost(state.started_ns) };
        let kills = self.open_cgroup(&record.id).ok().flatten().and_then(|group| group.oom_kills().ok());
        Ended::from(ExitRecord {
            code: exit.code(),
            oom_killed: kills.is_some_and(|kills| kills > 0),
            started_ns: state.started_ns,
            finished_ns: time::now_ns(),
        })
    }
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
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
        let launcher = std::sync::Arc::new(FakeLauncher::succeeding());
        let (_place, core) = testing::core_sharing(std::sync::Arc::clone(&launcher));
        let (init, init_id) = sleeper();
        let (monitor, monitor_id) = sleeper();
        let record = container(&core, false, Some(&state(init_id, monitor_id)));
        let both = core.life(&record, None);
        end(monitor);
        let alone = core.life(&record, None);
        let asked = std::mem::take(&mut *launcher.requests.lock().unwrap());
        // While its start is under way, whoever starts it sees to it.
        fs::write(core.store.intent(&record.id), "").unwrap();
        let starting = core.life(&record, None);
        fs::remove_file(core.store.intent(&record.id)).unwrap();
        end(init);
        assert!(
            matches!(asked.as_slice(), [tinyd_runtime::Request::TakeOver(start)] if start.id == record.id)
        );
        assert!(matches!(starting.unwrap(), Life::Running(Live { monitored: false, .. })));
        assert!(launcher.requests.lock().unwrap().is_empty());
        assert!(matches!(both.unwrap(), Life::Running(Live { monitored: true, .. })));
        assert!(matches!(alone.unwrap(), Life::Running(Live { monitored: false, .. })));
        let Life::Stopped(ended) = core.life(&record, None).unwrap() else { panic!("not stopped") };
        assert!(ended.unknown && ended.record.code == 255 && ended.record.started_ns == 7);
        assert!(!ended.host_restarted);
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
        assert!(ended.unknown && ended.host_restarted);
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
