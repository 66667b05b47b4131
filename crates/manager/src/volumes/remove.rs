//! `remove_volume` and `prune_volumes`, and the volumes that go with their container.

use crate::containers::called;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Intent, Verb};
use crate::store::Record;
use crate::volumes::{SIZE, VolumeRecord, VolumesLock, users};
use tinyd_runtime::Release;

impl Core {
    pub(crate) fn remove_volume(&self, name: &str) -> Result<String> {
        let lock = self.change_volumes()?;
        match self.find_volume(name)? {
            // Whoever was killed at it has been cleared up after by now.
            Some(record) if !record.whole => Err(Error::VolumeUnfinished { name: record.state.name }),
            Some(record) => self.remove_unused_volume(record, lock),
            None => Err(self.no_such_volume(name)),
        }
    }

    /// Takes back a volume that was made with a container which did not come to be. What another one has had by then is that one's
    /// data, too, and stays.
    pub(crate) fn remove_volume_made_with(&self, name: &str, container: &str) -> Result<()> {
        let lock = self.change_volumes()?;
        match self
            .find_volume(name)?
            .filter(|record| record.whole && record.maker.as_deref() == Some(container))
        {
            Some(record) => self.remove_unused_volume(record, lock).map(drop),
            None => Ok(()),
        }
    }

    /// Notes of the volumes of a new container that they are not its maker's alone any more.
    pub(crate) fn share_volumes(&self, container: &Record) -> Result<()> {
        let records = self.volume_records();
        let lock = records.exclusive()?;
        for used in &container.volumes {
            if let Some(mut record) = self.find_volume(&used.state.name)?
                && record.maker.as_deref().is_some_and(|maker| maker != container.id)
            {
                record.maker = None;
                records.change(&record, &lock)?;
            }
        }
        Ok(())
    }

    fn remove_unused_volume(&self, record: VolumeRecord, lock: VolumesLock) -> Result<String> {
        let containers = self.container_records()?;
        let mut users: Vec<String> = users::of(&record, &containers).map(called).collect();
        if !users.is_empty() {
            users.sort();
            return Err(Error::VolumeInUse { name: record.state.name, containers: users });
        }
        if self.is_visited(record.name())? {
            return Err(visited(&record));
        }
        self.take_idle_volume(record, lock)
    }

    /// Removes the volumes that no container uses: those without a name of their own, or all. Goes on past errors, and
    /// returns the first, which tells what was removed.
    pub(crate) fn prune_volumes(&self, all: bool) -> Result<Vec<String>> {
        let unused = {
            let containers = self.container_records()?;
            let mut records = self.volume_records().all()?;
            records.retain(|record| {
                // One that is being made, or whose container is, has no user yet.
                let coming = [&record.maker, &record.container];
                let coming = coming.into_iter().flatten().any(|id| self.store.intent(id).exists());
                record.whole
                    && !coming
                    && (all || record.anonymous)
                    && users::of(record, &containers).next().is_none()
            });
            records
        };
        let (mut removed, mut failed) = (Vec::new(), None);
        for record in unused {
            match self.remove_volume(record.name()) {
                Ok(name) => removed.push(name),
                // Somebody was faster, or uses it now.
                Err(
                    Error::NoSuchVolume { .. } | Error::VolumeInUse { .. } | Error::VolumeUnfinished { .. },
                ) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if !removed.is_empty() || failed.is_none() {
            self.announce_of("volume", "prune", "", &[]);
        }
        match failed {
            Some(error) => Err(error.after(removed)),
            None => Ok(removed),
        }
    }

    /// Removes the volumes that were made for a container and go with it. Goes on past errors and returns them.
    ///
    /// Its record names them; where it has none any more, or never had one, all volumes are looked at.
    pub(crate) fn remove_own_volumes(&self, id: &str, record: Option<&Record>) -> Vec<Error> {
        let names: Vec<String> = match record {
            Some(record) => {
                let anonymous = record.volumes.iter().filter(|used| used.mount.name.is_none());
                anonymous.map(|used| used.state.name.clone()).collect()
            }
            None => match self.volume_records().names() {
                Ok(names) => names,
                Err(error) => return vec![error],
            },
        };
        names.iter().filter_map(|name| self.remove_own(id, name).err()).collect()
    }

    fn remove_own(&self, id: &str, name: &str) -> Result<()> {
        let is_own = |record: &VolumeRecord| record.container.as_deref() == Some(id);
        if !self.find_volume(name)?.as_ref().is_some_and(is_own) {
            return Ok(());
        }
        let lock = self.change_volumes()?;
        let Some(mut record) = self.find_volume(name)?.filter(is_own) else { return Ok(()) };
        if users::of(&record, &self.container_records()?).any(|user| user.id != id) {
            // Another container has taken it over by `--volumes-from`: it outlives the one that it was made for.
            record.container = None;
            return self.volume_records().change(&record, &lock);
        }
        // It goes with its container, whoever reads it: a plain one at once, and who saves it is told.
        self.take_idle_volume(record, lock).map(drop)
    }

    /// How the monitor of a container that removes itself takes the volumes away that go with it, into the folder in the trash;
    /// and whether those are all.
    pub(crate) fn release_own_volumes(&self, record: &Record) -> (Vec<Release>, bool) {
        let trash = self.store.trash(&record.id);
        let (mut steps, mut all) = (Vec::new(), true);
        for used in record.volumes.iter().filter(|used| used.mount.name.is_none()) {
            let driver = self.driver_of(&used.state);
            if !driver.is_ok_and(|driver| driver.is_plain(&used.state)) {
                all = false;
                continue;
            }
            let name = &used.state.name;
            // The file system may hold it to a size, and would remember that.
            steps.extend(
                used.state.options.contains_key(SIZE).then(|| Release::Limit(used.state.path.clone())),
            );
            steps.push(Release::Rename(used.state.path.clone(), trash.join(format!("volume-{name}"))));
            steps.push(Release::Unlink(self.volume_records().file(name)));
        }
        (steps, all)
    }

    /// Lets the volumes that were made for a container outlive it.
    pub(crate) fn keep_own_volumes(&self, record: &Record) -> Result<()> {
        for used in record.volumes.iter().filter(|used| used.mount.name.is_none()) {
            let lock = self.volume_records().exclusive()?;
            if let Some(mut volume) = self.find_volume(&used.state.name)?
                && volume.container.take().is_some()
            {
                self.volume_records().change(&volume, &lock)?;
            }
        }
        Ok(())
    }

    fn take_idle_volume(&self, mut record: VolumeRecord, lock: VolumesLock) -> Result<String> {
        // A driver that is not there could not take anything away, now or later.
        let driver = self.driver_of(&record.state)?;
        let name = record.name().to_owned();
        // Those that are left of containers that are gone: the next command would have had them unmounted.
        for user in driver.users(&record.state).map_err(|source| Error::Volume { source })? {
            if self.is_visited_by(&user)? {
                return Err(visited(&record));
            }
            driver.unmount(&record.state, &user).map_err(|source| Error::Volume { source })?;
        }
        let intent = Intent::begin(&self.store, Verb::Volume, &record.id, Some(&name))?;
        record.whole = false;
        self.volume_records().change(&record, &lock)?;
        drop(lock);
        if let Err(error) = self.take_volume(&record) {
            // Else a failure leaves the intent: the next command tries again.
            if self.keep_refused(record)? {
                intent.finish()?;
            }
            return Err(error);
        }
        intent.finish()?;
        self.announce_of("volume", "destroy", &name, &[("driver", record.state.driver)]);
        Ok(name)
    }

    /// A volume whose driver has refused to remove it is there as before. Whether it is: one that is not whole any more can only go.
    fn keep_refused(&self, mut record: VolumeRecord) -> Result<bool> {
        if self.driver_of(&record.state)?.inspect(&record.state).is_ok_and(|seen| !seen.available) {
            return Ok(false);
        }
        record.whole = true;
        let records = self.volume_records();
        records.change(&record, &records.shared()?)?;
        Ok(true)
    }
}

fn visited(record: &VolumeRecord) -> Error {
    let containers = vec!["another command, which reads or writes it".to_owned()];
    Error::VolumeInUse { name: record.state.name.clone(), containers }
}
