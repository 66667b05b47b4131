//! The volumes of an engine: their records, their verbs, and which of them a container uses.
//!
//! A volume is a record in `ROOT/volumes` and whatever its driver made. Whoever makes or removes one holds the lock over all
//! of them ([`RecordsLock`]) while its record changes, and an intent while the driver works: a record that is not whole and
//! has no live intent belongs to a process that died, and whoever meets it takes the volume away ([`sweep`]). Who uses a
//! volume is never counted: the containers' records say it ([`users`]).

mod bind;
mod create;
mod docker;
mod fill;
mod freeze;
mod from;
mod inspect;
mod mount;
pub(crate) mod options;
mod record;
mod remove;
mod snapshots;
mod staging;
mod sweep;
mod transfer;
mod usage;
mod users;
mod visit;

pub(crate) use fill::limited;
pub(crate) use mount::Silent;
pub(crate) use record::VolumeRecord;
pub(crate) use transfer::{CHUNK, compression, told};

use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::{Records, RecordsLock};
use std::collections::BTreeMap;
use std::sync::Arc;
use tinyd_volume::{VolumeDriver, VolumeState};

/// The driver of a volume for which nobody said another.
pub(crate) const DEFAULT_DRIVER: &str = "local";
/// The option by which drivers note the size of a volume.
const SIZE: &str = "size";

/// The lock over all volumes.
pub(crate) type VolumesLock = RecordsLock<VolumeRecord>;

impl Core {
    pub(crate) fn volume_records(&self) -> Records<VolumeRecord> {
        self.store.records()
    }

    /// The driver of that name: one of the engine's own, or a volume plugin of this machine, which may be found by the options
    /// of its volume.
    pub(crate) fn volume_driver(
        &self,
        name: &str,
        options: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn VolumeDriver>> {
        if let Some(driver) = self.volumes.iter().find(|driver| driver.name() == name) {
            return Ok(Arc::clone(driver));
        }
        let missing = |source| Error::NoVolumeDriver {
            name: name.to_owned(),
            there: self.volumes.iter().map(|driver| driver.name().to_owned()).collect(),
            source,
        };
        match &self.volume_plugins {
            Some(find) => {
                find(name, options).map(Arc::from).map_err(|source| missing(Some(Box::new(source))))
            }
            None => Err(missing(None)),
        }
    }

    /// The driver that made a volume.
    pub(crate) fn driver_of(&self, volume: &VolumeState) -> Result<Arc<dyn VolumeDriver>> {
        self.volume_driver(&volume.driver, &volume.options)
    }

    /// The record of a volume that is whole.
    pub(crate) fn known_volume(&self, name: &str) -> Result<VolumeRecord> {
        let found = self.find_volume(name)?;
        found.filter(|record| record.whole).ok_or_else(|| self.no_such_volume(name))
    }

    /// The record of a volume, be it half made. Only what is a valid name becomes part of a path.
    fn find_volume(&self, name: &str) -> Result<Option<VolumeRecord>> {
        match tinyd_volume::check_name("volume name", name) {
            Ok(()) => self.volume_records().get(name),
            Err(_) => Ok(None),
        }
    }

    pub(crate) fn no_such_volume(&self, name: &str) -> Error {
        let others = self.volume_records().names().unwrap_or_default();
        let similar = crate::resolve::most_similar(name, others.iter().map(String::as_str));
        Error::NoSuchVolume { name: name.to_owned(), similar }
    }
}

#[cfg(test)]
mod tests;
