//! `check`: whatever has no owner.

use crate::cgroups::{MONITORS, PARENT};
use crate::core::Core;
use crate::erase::{mounts_below, unmount_below};
use crate::error::{Error, Result};
use crate::ids::is_id;
use crate::lock::ContainerLock;
use crate::store::{RECORD_FILE, entries, remove_tree, unlink};
use std::collections::BTreeSet;
use std::path::Path;
use tinyd_cgroup::CgroupPath;
use tinyd_engine::{CheckReport, Finding};

/// Findings as they are made, and whether they are put right.
struct Report {
    repair: bool,
    findings: Vec<Finding>,
}

impl Report {
    /// Notes a finding and puts it right, where that is wanted. A remedy returns what it could not do.
    fn find(&mut self, object: impl ToString, problem: &str, remedy: impl FnOnce() -> Vec<Error>) {
        let failures = if self.repair { remedy() } else { Vec::new() };
        let failure: Vec<String> = failures.iter().map(Error::line).collect();
        self.findings.push(Finding {
            object: object.to_string(),
            problem: problem.to_owned(),
            repaired: self.repair && failure.is_empty(),
            failure: (!failure.is_empty()).then(|| failure.join("; ")),
        });
    }
}

fn errors(result: Result<()>) -> Vec<Error> {
    result.err().into_iter().collect()
}

impl Core {
    pub(crate) fn check(&self, repair: bool) -> Result<CheckReport> {
        let mut report = Report { repair, findings: Vec::new() };
        self.check_intents(&mut report)?;
        self.check_containers(&mut report)?;
        let known: BTreeSet<String> = self.store.ids()?.into_iter().collect();
        // Whoever has an intent is at work: what it has made so far has an owner.
        let busy: BTreeSet<String> = entries(&self.store.run_root().join("intents"))?.into_iter().collect();
        let owned = |id: &str| known.contains(id) || busy.contains(id);
        for (link, owner) in self.store.names()? {
            if !owned(&owner) {
                report.find(link.display(), "is the name of no container", || errors(self.free(&link, &owner)));
            }
        }
        for (link, owner) in self.store.leases()? {
            if !owned(&owner) {
                report.find(link.display(), "is a lease of no container", || errors(self.free(&link, &owner)));
            }
        }
        let run = self.store.run_root().join("containers");
        for id in entries(&run)?.into_iter().filter(|id| is_id(id) && !owned(id)) {
            if !self.monitored(&id) {
                report.find(run.join(&id).display(), "is the run-time state of no container", || self.discard_run(&id));
            }
        }
        let locks = self.store.run_root().join("locks");
        for id in entries(&locks)?.into_iter().filter(|id| !owned(id)) {
            report.find(locks.join(&id).display(), "is the lock of no container", || errors(self.unlock(&id)));
        }
        let trash = self.store.root().join("trash");
        for name in entries(&trash)?.into_iter().filter(|id| !self.monitored(id)) {
            let path = trash.join(name);
            report.find(path.display(), "is what was left of a removal", || {
                errors(unmount_below(&path, true).and_then(|()| remove_tree(&path)))
            });
        }
        self.check_cgroups(&mut report, &known)?;
        Ok(CheckReport { findings: report.findings })
    }

    fn check_intents(&self, report: &mut Report) -> Result<()> {
        for id in entries(&self.store.run_root().join("intents"))? {
            let path = self.store.intent(&id);
            // The lock is asked for without keeping it: a live one's is never free.
            let free = match crate::intent::claim(&self.store, &id)? {
                crate::intent::Found::Dead(intent, plan) => {
                    drop(intent);
                    plan.is_none_or(|plan| plan.root == self.store.root())
                }
                _ => false,
            };
            if free {
                report.find(path.display(), "is work that a dead process left undone", || self.recover_one(&id));
            }
        }
        Ok(())
    }

    fn check_containers(&self, report: &mut Report) -> Result<()> {
        for id in self.store.ids()? {
            let folder = self.store.container(&id);
            if self.store.intent(&id).exists() {
                continue;
            }
            match self.store.record(&id) {
                Ok(Some(record)) => {
                    self.life(&record, None)?;
                    let mounted = mounts_below(&folder)?;
                    let merged = folder.canonicalize().unwrap_or(folder.clone()).join("merged");
                    // What `mount` mounted is wanted.
                    for point in mounted.iter().filter(|point| !point.starts_with(&merged)) {
                        report.find(point.display(), "is mounted in a container's folder", || {
                            errors(unmount_below(point, false))
                        });
                    }
                }
                Ok(None) if !folder.exists() => {}
                Ok(None) => {
                    report.find(folder.join(RECORD_FILE).display(), "is missing", || self.erase_locked(&id));
                }
                Err(error @ Error::Record { .. }) => {
                    // What it was cannot be told: to remove it is the user's decision.
                    let problem = format!("cannot be understood ({}); tinyd rm {id} removes the container", error.line());
                    report.findings.push(Finding {
                        object: folder.join(RECORD_FILE).display().to_string(),
                        problem,
                        repaired: false,
                        failure: None,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Several engines share the machine's `tinyd` group, so an unknown one is only ever removed when it is empty.
    fn check_cgroups(&self, report: &mut Report, known: &BTreeSet<String>) -> Result<()> {
        let failed = |source| Error::Cgroup { operation: "look into", container: PARENT.to_owned(), source };
        let driver = self.cgroups()?;
        let parent = CgroupPath::new(PARENT).map_err(failed)?;
        for id in driver.children(&parent).map_err(failed)? {
            if id == MONITORS || self.store.intent(&id).exists() || self.monitored(&id) {
                continue;
            }
            let path = parent.join(&id).map_err(failed)?;
            let populated = match driver.open(&path).and_then(|group| group.is_populated()) {
                Ok(populated) => populated,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(failed(error)),
            };
            let remove = || -> Vec<Error> {
                let removed = driver.open(&path).and_then(|group| group.remove());
                removed.err().filter(|error| !error.is_not_found()).map(failed).into_iter().collect()
            };
            let object = format!("cgroup {path}");
            match (known.contains(&id), populated) {
                // A container whose monitor is gone and whose processes are not.
                (true, true) => {}
                (true, false) => report.find(object, "is of a container that does not run", remove),
                (false, false) => report.find(object, "has neither a container here nor processes", remove),
                (false, true) => report.find(object, "has processes and no container here", || {
                    vec![failed(tinyd_cgroup::Error::InvalidPath {
                        path: path.to_string(),
                        reason: "it may be another engine's, which is not disturbed",
                    })]
                }),
            }
        }
        Ok(())
    }

    fn monitored(&self, id: &str) -> bool {
        let state = self.store.run_dir(id).join(tinyd_runtime::state::STATE_FILE);
        let state = tinyd_runtime::state::load::<tinyd_runtime::state::RunState>(&state).ok().flatten();
        state.is_some_and(|state| crate::process::runs(state.monitor))
    }

    fn free(&self, link: &Path, owner: &str) -> Result<()> {
        self.store.unlink_owned(link, owner)
    }

    fn unlock(&self, id: &str) -> Result<()> {
        // Held, it is somebody's who is about to find out that there is no such container.
        match ContainerLock::try_acquire(&self.store, id)? {
            Some(_lock) => unlink(&self.store.lock(id)),
            None => Ok(()),
        }
    }

    fn erase_locked(&self, id: &str) -> Vec<Error> {
        match self.guard(id) {
            // It may have come to be whole in the meantime.
            Ok(_lock) if self.store.record(id).is_ok_and(|record| record.is_some()) => Vec::new(),
            Ok(_lock) => self.erase(id, None),
            Err(error) => vec![error],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids;
    use crate::testing::{self, FakeLauncher, spec};
    use std::fs;

    #[test]
    fn root_all_that_has_no_owner_is_found_and_put_right() {
        if !testing::root() {
            return;
        }
        let (place, core) = testing::core(FakeLauncher::succeeding());
        let kept = core.create(&spec(place.path(), Some("kept"))).unwrap().id;
        let mine = |report: &CheckReport| -> Vec<Finding> {
            // The machine's cgroups are shared with whatever else runs here.
            let of_mine = |finding: &&Finding| !finding.object.starts_with("cgroup");
            report.findings.iter().filter(of_mine).cloned().collect()
        };
        assert_eq!(mine(&core.check(false).unwrap()), []);
        let ghost = "e".repeat(32);
        crate::names::take(&core.store, "ghost", &ghost).unwrap();
        ids::lease(&core.store, &ghost).unwrap();
        fs::create_dir(core.store.run_dir(&ghost)).unwrap();
        fs::create_dir(core.store.trash(&ghost)).unwrap();
        fs::create_dir(core.store.container(&"d".repeat(32))).unwrap();
        fs::write(core.store.intent(&"c".repeat(32)), "").unwrap();
        fs::write(core.store.lock(&ghost), "").unwrap();
        let found = mine(&core.check(false).unwrap());
        assert_eq!(found.len(), 7, "{found:#?}");
        assert!(found.iter().all(|finding| !finding.repaired));
        let repaired = mine(&core.check(true).unwrap());
        assert!(repaired.len() == 7 && repaired.iter().all(|finding| finding.repaired), "{repaired:#?}");
        assert_eq!(mine(&core.check(false).unwrap()), []);
        assert_eq!(core.store.ids().unwrap(), [kept]);
    }
}
