//! Taking away volumes that are half made or half removed, because whoever worked on them died.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::intent::{Found, Intent, Verb, claim};
use crate::store::unlink;
use crate::volumes::bind::is_of_host;
use crate::volumes::staging::Place;
use crate::volumes::{VolumeRecord, VolumesLock};

impl Core {
    /// The right to change the volumes' records, where what dead processes left is taken away first, as far as that can be
    /// done.
    pub(super) fn change_volumes(&self) -> Result<VolumesLock> {
        let lock = self.volume_records().exclusive()?;
        for record in self.torn_volumes()? {
            // What cannot be taken away is for `check` to say, and keeps nobody from the others.
            drop(self.take_torn(&record));
        }
        for file in self.volume_records().torn()? {
            unlink(&file)?;
        }
        Ok(lock)
    }

    /// Takes away what dead processes left of volumes.
    pub(crate) fn sweep_volumes(&self) -> Result<()> {
        let _lock = self.volume_records().exclusive()?;
        self.torn_volumes()?.iter().try_for_each(|record| self.take_torn(record))
    }

    /// Takes a volume away that was not whole, unless somebody works on it. While the lock over all is held.
    fn take_torn(&self, record: &VolumeRecord) -> Result<()> {
        let intent = match claim(&self.store, &record.id)? {
            Found::Held => return Ok(()),
            Found::Dead(intent, _) => intent,
            // Lost with a restart of the machine; or the work was done just now.
            Found::Nothing => Intent::begin(&self.store, Verb::Volume, &record.id, Some(record.name()))?,
        };
        let now = self.find_volume(record.name())?;
        if let Some(now) = now.filter(|now| now.id == record.id && !now.whole) {
            self.take_volume(&now)?;
        }
        intent.finish()
    }

    /// The volumes that are half made or removed; somebody may be at work on them.
    pub(crate) fn torn_volumes(&self) -> Result<Vec<VolumeRecord>> {
        let mut records = self.volume_records().all()?;
        records.retain(|record| !record.whole);
        Ok(records)
    }

    /// Puts right what a dead process left of a volume, whose intent this process holds; returns what failed.
    pub(crate) fn settle_volume(&self, name: &str) -> Vec<Error> {
        let settle = || match self.find_volume(name)? {
            Some(record) if !record.whole => self.take_volume(&record),
            // It was not there yet, is gone already, or is whole.
            _ => Ok(()),
        };
        settle().err().into_iter().collect()
    }

    /// Takes away a volume whose record says that it is not whole, while this process holds its intent: what the driver
    /// made, and then the record. What is gone already is no error.
    pub(super) fn take_volume(&self, record: &VolumeRecord) -> Result<()> {
        let driver = self.driver_of(&record.state)?;
        let mut state = record.state.clone();
        if !record.made && record.found {
            // Its maker died before it was its own.
            return self.volume_records().remove(record.name());
        }
        if !record.made {
            // Its maker died before it could say where it is: the driver knows, if it was made at all.
            let there = driver.list().map_err(|source| Error::Volume { source })?;
            match there.into_iter().find(|other| other.name == state.name) {
                Some(found) => state = found,
                None => return self.volume_records().remove(record.name()),
            }
        }
        if is_of_host(&state) && state.path.is_dir() {
            // Whoever filled it was killed: the folder stays, and the driver knows nothing of what was to come. Who fills it by now, for
            // another volume, has seen to that.
            let place = Place::open(&state.path)?;
            if place.is_alone()? {
                place.settle()?;
            }
        }
        driver.remove(&state).map_err(|source| Error::Volume { source })?;
        self.volume_records().remove(record.name())
    }
}
