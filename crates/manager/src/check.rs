//! `check`: whatever has no owner.

use crate::cgroups::{MONITORS, PARENT, present};
use crate::core::Core;
use crate::erase::{mounts_below, unmount_below};
use crate::error::{Error, Result};
use crate::ids::{self, is_id};
use crate::life::Life;
use crate::lock::ContainerLock;
use crate::store::{RECORD_FILE, Record, entries, remove_tree, unlink};
use crate::volumes::VolumeRecord;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tinyd_cgroup::CgroupPath;
use tinyd_engine::{CheckReport, Finding};
use tinyd_net::NetworkState;
use tinyd_volume::VolumeDriver;

/// How long what is under way may look as if it were nobody's: a group that was just made is empty until its first process
/// joins, and what is removed takes its time.
const SETTLING: Duration = Duration::from_millis(500);

/// Findings as they are made, and whether they are put right.
struct Report {
    repair: bool,
    findings: Vec<Finding>,
}

impl Report {
    /// Notes a finding and puts it right, where that is wanted. A remedy returns what it could not do.
    fn find(&mut self, object: impl AsRef<Path>, problem: &str, remedy: impl FnOnce() -> Vec<Error>) {
        let failures = if self.repair { remedy() } else { Vec::new() };
        let failure: Vec<String> = failures.iter().map(Error::line).collect();
        self.findings.push(Finding {
            object: object.as_ref().display().to_string(),
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
        self.check_state(&mut report)?;
        self.check_cgroups(&mut report)?;
        let networks = self.whole_networks()?;
        let notes = networks.iter().flat_map(|network| self.notes_of(&network.state)).collect();
        Ok(CheckReport { findings: report.findings, notes })
    }

    /// Everything but the control groups, which the engines of a machine share.
    fn check_state(&self, report: &mut Report) -> Result<()> {
        self.check_intents(report)?;
        self.check_containers(report)?;
        self.check_networks(report)?;
        self.check_volumes(report)?;
        self.check_secret_files(report)?;
        let known: BTreeSet<String> = self.store.ids()?.into_iter().collect();
        // Whoever has an intent is at work: what it has made so far has an owner.
        let busy: BTreeSet<String> = entries(&self.store.run_root().join("intents"))?.into_iter().collect();
        // Whoever came since then had his intent before anything else.
        let comes = |id: &str| {
            [self.store.intent(id), self.store.container(id)]
                .iter()
                .any(|path| path.try_exists().unwrap_or(true))
        };
        let owned = |id: &str| known.contains(id) || busy.contains(id) || comes(id);
        for (link, owner) in self.store.names()? {
            if !owned(&owner) {
                report.find(&link, "is the name of no container", || errors(self.free(&link, &owner)));
            }
        }
        for (link, owner) in self.store.leases()? {
            if !owned(&owner) {
                report.find(&link, "is a lease of no container", || errors(self.free(&link, &owner)));
            }
        }
        for (network, id) in self.held_places()? {
            if self.monitored(&id) {
                continue;
            }
            let object = format!("the place of {} on network {}", ids::short(&id), network.spec.name);
            if !owned(&id) {
                report.find(object, "is of no container", || errors(self.free_place(&network, &id)));
            } else if self.stands_still(&id)? && self.holds_place(&network, &id)? {
                // Its monitor could not give it back, or the machine was started anew.
                let problem = "is held, and the container does not run";
                report.find(object, problem, || errors(self.free_place_locked(&network, &id)));
            }
        }
        let run = self.store.run_root().join("containers");
        for id in entries(&run)?.into_iter().filter(|id| is_id(id) && !owned(id)) {
            // A removal empties it, the record of the monitor too, while the container's folder is in the trash: see below.
            let going = self.monitored(&id) || self.store.trash(&id).exists();
            if !going && run.join(&id).exists() {
                report.find(run.join(&id), "is the run-time state of no container", || self.discard_run(&id));
            }
        }
        let locks = self.store.run_root().join("locks");
        for id in entries(&locks)?.into_iter().filter(|id| !owned(id)) {
            report.find(locks.join(&id), "is the lock of no container", || errors(self.unlock(&id)));
        }
        let trash = self.store.root().join("trash");
        let mut discarded = entries(&trash)?;
        if !discarded.is_empty() {
            // A monitor that has told the exit is still removing.
            std::thread::sleep(SETTLING);
            discarded = entries(&trash)?;
        }
        for name in discarded.into_iter().filter(|id| !self.monitored(id)) {
            let path = trash.join(&name);
            report.find(&path, "is what was left of a removal", || match is_id(&name) {
                true => self.finish_removal(&name),
                false => errors(unmount_below(&path, true).and_then(|()| remove_tree(&path))),
            });
        }
        Ok(())
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
                report.find(&path, "is work that a dead process left undone", || self.recover_one(&id));
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
                    if let Life::Running(live) = self.life(&record, None)?
                        && !live.monitored
                    {
                        report.find(&folder, "runs without a monitor: its exit will not be known", || {
                            errors(self.take_over_locked(&record))
                        });
                    }
                    let mounted = mounts_below(&folder)?;
                    let merged = folder.canonicalize().unwrap_or(folder.clone()).join("merged");
                    // What `mount` mounted is wanted.
                    for point in mounted.iter().filter(|point| !point.starts_with(&merged)) {
                        report.find(point, "is mounted in a container's folder", || {
                            errors(unmount_below(point, false))
                        });
                    }
                }
                Ok(None) if !folder.exists() => {}
                Ok(None) => {
                    report.find(folder.join(RECORD_FILE), "is missing", || self.erase_locked(&id));
                }
                Err(error @ Error::Record { .. }) => {
                    // What it was cannot be told: to remove it is the user's decision.
                    let problem = format!(
                        "cannot be understood ({}); tinyd rm {id} removes the container",
                        error.line()
                    );
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

    fn check_networks(&self, report: &mut Report) -> Result<()> {
        for name in self.torn_networks()? {
            let file = self.network_records().file(&name);
            report.find(file, "is a network that was half made or half removed", || self.sweep_networks());
        }
        for network in self.whole_networks()? {
            let missing = || self.missing_of(&network.state);
            if missing()?.is_empty() {
                continue;
            }
            // One that somebody makes or takes away, or a container that just ended.
            std::thread::sleep(SETTLING);
            let missing = missing()?;
            let still = self.network_records().get(network.name())?.is_some_and(|record| record.whole);
            if still && !missing.is_empty() {
                let problem = format!("lacks {}, which somebody took away", missing.join(", "));
                report.find(format!("network {}", network.name()), &problem, || {
                    errors(self.reload_networks(&[network.name().to_owned()]).map(drop))
                });
            }
        }
        for name in self.network_records().names()? {
            if let Err(error @ Error::Record { .. }) = self.network_records().get(&name) {
                report.findings.push(Finding {
                    object: self.network_records().file(&name).display().to_string(),
                    problem: format!("cannot be understood ({})", error.line()),
                    repaired: false,
                    failure: None,
                });
            }
        }
        Ok(())
    }

    fn check_volumes(&self, report: &mut Report) -> Result<()> {
        let records = self.volume_records();
        for volume in self.torn_volumes()? {
            if !self.store.intent(&volume.id).exists() {
                report.find(
                    records.file(volume.name()),
                    "is a volume that was half made or half removed",
                    || errors(self.sweep_volumes()),
                );
            }
        }
        for volume in records.all()?.into_iter().filter(|volume| volume.whole) {
            let Some(id) = &volume.container else { continue };
            let there = || self.store.container(id).exists() || self.store.trash(id).exists();
            if !there() && !self.store.intent(id).exists() && records.get(volume.name())?.is_some() {
                report.find(records.file(volume.name()), "is a volume of a container that is gone", || {
                    self.remove_own_volumes(id, None)
                });
            }
        }
        self.check_users_of_volumes(report)?;
        for name in records.names()? {
            if let Err(error @ Error::Record { .. }) = records.get(&name) {
                report.findings.push(Finding {
                    object: records.file(&name).display().to_string(),
                    problem: format!("cannot be understood ({})", error.line()),
                    repaired: false,
                    failure: None,
                });
            }
        }
        Ok(())
    }

    fn check_users_of_volumes(&self, report: &mut Report) -> Result<()> {
        // A volume whose driver is not there, or does not answer, is not for this to find.
        let lost = |volume: &VolumeRecord| self.lost_users(&volume.state).unwrap_or_default();
        for volume in self.volume_records().all()?.into_iter().filter(|volume| volume.whole) {
            if lost(&volume).is_empty() {
                continue;
            }
            // Of a container that just ended, or of a command that is just done.
            std::thread::sleep(SETTLING);
            for user in lost(&volume) {
                let problem = format!("is mounted for {user}, which does not run");
                report.find(format!("volume {}", volume.name()), &problem, || {
                    let unmount = |driver: Arc<dyn VolumeDriver>| {
                        driver.unmount(&volume.state, &user).map_err(|source| Error::Volume { source })
                    };
                    errors(self.driver_of(&volume.state).and_then(unmount))
                });
            }
        }
        Ok(())
    }

    fn check_secret_files(&self, report: &mut Report) -> Result<()> {
        let records = self.secret_records();
        if records.names()?.is_empty() && !records.file("x").with_file_name("data").exists() {
            return Ok(());
        }
        // Who makes or removes one is at it: there is nothing to find in what is half done.
        let Some(_lock) = records.try_exclusive()? else { return Ok(()) };
        for file in records.torn()?.into_iter().chain(self.lost_secrets()?) {
            report.find(&file, "is what was left of a secret", || errors(unlink(&file)));
        }
        for name in records.names()? {
            let problem = match self.check_secret(&name) {
                Ok(()) => continue,
                Err(error) => format!("{}; tinyd secret rm {name} removes it", error.line()),
            };
            report.findings.push(Finding {
                object: records.file(&name).display().to_string(),
                problem,
                repaired: false,
                failure: None,
            });
        }
        Ok(())
    }

    /// Several engines share the machine's `tinyd` group, so an unknown one is only ever removed when it is empty.
    fn check_cgroups(&self, report: &mut Report) -> Result<()> {
        let failed = |source| Error::Cgroups { operation: "look into", path: PARENT.to_owned(), source };
        let driver = self.cgroups()?;
        let parent = CgroupPath::new(PARENT).map_err(failed)?;
        let mut idle = Vec::new();
        for id in driver.children(&parent).map_err(failed)? {
            if id == MONITORS || self.store.intent(&id).exists() || self.monitored(&id) {
                continue;
            }
            let path = parent.join(&id).map_err(failed)?;
            let group = match present(driver.open(&path)).map_err(failed)? {
                Some(group) => group,
                None => continue,
            };
            match present(group.is_populated()).map_err(failed)? {
                None => {}
                Some(false) => idle.push((path, group)),
                // A container whose monitor is gone and whose processes are not.
                Some(true) if self.store.container(&id).exists() => {}
                Some(true) => report.findings.push(Finding {
                    object: format!("cgroup {path}"),
                    problem: "has processes and no container here: it may be another engine's".to_owned(),
                    repaired: false,
                    failure: None,
                }),
            }
        }
        if !idle.is_empty() {
            std::thread::sleep(SETTLING);
        }
        for (path, group) in idle {
            if present(group.is_populated()).map_err(failed)? == Some(false) {
                let remove = || -> Vec<Error> { group.remove().map_err(failed).err().into_iter().collect() };
                report.find(format!("cgroup {path}"), "has no processes and no monitor", remove);
            }
        }
        Ok(())
    }

    /// Its monitor lives.
    pub(crate) fn monitored(&self, id: &str) -> bool {
        let state = self.store.run_dir(id).join(tinyd_runtime::state::STATE_FILE);
        let state = tinyd_runtime::state::load::<tinyd_runtime::state::RunState>(&state).ok().flatten();
        state.is_some_and(|state| crate::process::is_at_work(state.monitor))
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

    /// Nobody is at work at it either.
    fn stands_still(&self, id: &str) -> Result<bool> {
        let record = match self.store.record(id) {
            Err(Error::Record { .. }) => None,
            record => record?,
        };
        let Some(record) = record.filter(|_| !self.store.intent(id).exists()) else { return Ok(false) };
        Ok(matches!(self.life(&record, None)?, Life::Created | Life::Stopped(_)))
    }

    /// Asked again: its monitor may just have done the last of its work.
    fn holds_place(&self, network: &NetworkState, id: &str) -> Result<bool> {
        let held = self.driver(&network.driver)?.held_for(network);
        Ok(held.map_err(|source| Error::Network { source })?.iter().any(|holder| holder == id))
    }

    fn free_place_locked(&self, network: &NetworkState, id: &str) -> Result<()> {
        let _lock = self.guard(id)?;
        match self.stands_still(id)? {
            true => self.free_place(network, id),
            false => Ok(()),
        }
    }

    fn take_over_locked(&self, record: &Record) -> Result<()> {
        let lock = self.guard(&record.id)?;
        match self.life(record, Some(&lock))? {
            Life::Running(live) if !live.monitored => self.take_over(record, live, &lock).map(drop),
            _ => Ok(()),
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
        let check = |repair| {
            let mut report = Report { repair, findings: Vec::new() };
            core.check_state(&mut report).unwrap();
            report.findings
        };
        assert_eq!(check(false), []);
        let ghost = "e".repeat(32);
        crate::names::take(&core.store, "ghost", &ghost).unwrap();
        ids::lease(&core.store, &ghost).unwrap();
        fs::create_dir(core.store.run_dir(&ghost)).unwrap();
        fs::create_dir(core.store.trash(&"b".repeat(32))).unwrap();
        fs::create_dir(core.store.container(&"d".repeat(32))).unwrap();
        fs::write(core.store.intent(&"c".repeat(32)), "").unwrap();
        fs::write(core.store.lock(&ghost), "").unwrap();
        let found = check(false);
        assert_eq!(found.len(), 7, "{found:#?}");
        assert!(found.iter().all(|finding| !finding.repaired));
        let repaired = check(true);
        assert!(repaired.len() == 7 && repaired.iter().all(|finding| finding.repaired), "{repaired:#?}");
        assert_eq!(check(false), []);
        assert_eq!(core.store.ids().unwrap(), [kept]);
    }

    #[test]
    fn root_what_a_removal_has_still_to_do_is_one_finding() {
        if !testing::root() {
            return;
        }
        let (_place, core) = testing::core(FakeLauncher::succeeding());
        let id = "a".repeat(32);
        fs::create_dir(core.store.trash(&id)).unwrap();
        // The monitor has emptied it, and with it what says that there is a monitor.
        fs::create_dir(core.store.run_dir(&id)).unwrap();
        let mut report = Report { repair: true, findings: Vec::new() };
        core.check_state(&mut report).unwrap();
        let problems: Vec<_> = report.findings.iter().map(|finding| finding.problem.as_str()).collect();
        assert_eq!(problems, ["is what was left of a removal"]);
        assert!(!core.store.run_dir(&id).exists() && !core.store.trash(&id).exists());
    }
}
