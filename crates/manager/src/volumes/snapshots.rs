//! The states of volumes that are kept: `snapshot_volume`, `volume_snapshots`, `remove_snapshot`, `rollback_volume`.

use crate::containers::called;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::time;
use crate::volumes::users;
use crate::volumes::visit::no_snapshots;
use tinyd_engine::VolumeSnapshot;
use tinyd_volume::{Snapshots, VolumeState};

impl Core {
    pub(crate) fn snapshot_volume(&self, volume: &str, name: Option<&str>) -> Result<String> {
        // 2026-11-28T18:08:12.123Z without what no name may hold.
        let moment = || time::rfc3339(time::now_ns()).replace(':', "").chars().take(21).collect();
        let name = name.map_or_else(moment, str::to_owned);
        self.with_snapshots(volume, |snapshots, state| snapshots.snapshot(state, &name))?;
        Ok(name)
    }

    pub(crate) fn volume_snapshots(&self, volume: &str) -> Result<Vec<VolumeSnapshot>> {
        let all = self.with_snapshots(volume, |snapshots, state| snapshots.snapshots(state))?;
        Ok(all.into_iter().map(|one| VolumeSnapshot { name: one.name, created: one.created }).collect())
    }

    pub(crate) fn remove_snapshot(&self, volume: &str, name: &str) -> Result<String> {
        self.with_snapshots(volume, |snapshots, state| {
            match snapshots.snapshots(state)?.iter().any(|one| one.name == name) {
                true => snapshots.remove_snapshot(state, name),
                false => {
                    Err(tinyd_volume::Error::NoSnapshot { volume: state.label(), name: name.to_owned() })
                }
            }
        })?;
        Ok(name.to_owned())
    }

    pub(crate) fn rollback_volume(&self, volume: &str, name: &str) -> Result<String> {
        // Who starts now waits for the lock before the volume is mounted, and has its intent already.
        let _lock = self.volume_records().exclusive()?;
        let record = self.known_volume(volume)?;
        let mut running = Vec::new();
        for user in users::of(&record, &self.container_records()?) {
            if self.container_runs(user)? {
                running.push(called(user));
            }
        }
        if !running.is_empty() {
            running.sort();
            return Err(Error::VolumeRuns { name: record.state.name, containers: running });
        }
        self.with_snapshots(volume, |snapshots, state| snapshots.rollback(state, name))?;
        Ok(record.state.name)
    }

    fn with_snapshots<T>(
        &self,
        volume: &str,
        work: impl FnOnce(&dyn Snapshots, &VolumeState) -> tinyd_volume::Result<T>,
    ) -> Result<T> {
        let state = self.known_volume(volume)?.state;
        let driver = self.driver_of(&state)?;
        let snapshots = driver.snapshots().ok_or_else(|| no_snapshots(&state))?;
        work(snapshots, &state).map_err(|source| Error::Volume { source })
    }
}
