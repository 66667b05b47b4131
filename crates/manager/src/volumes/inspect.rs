//! `volumes` and `inspect_volume`.

use crate::containers::called;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::time;
use crate::volumes::users;
use tinyd_engine::{VolumeInspect, VolumeSummary};
use tinyd_volume::VolumeDetails;

impl Core {
    pub(crate) fn volumes(&self) -> Result<Vec<VolumeSummary>> {
        let containers = self.container_records()?;
        let mut records = self.volume_records().all()?;
        records.retain(|record| record.whole);
        let summary = |record| VolumeSummary {
            containers: users::of(&record, &containers).count(),
            created: time::from_ns(record.created_ns),
            mountpoint: record.state.path.display().to_string(),
            name: record.state.name,
            driver: record.state.driver,
            anonymous: record.anonymous,
            labels: record.labels,
        };
        Ok(records.into_iter().map(summary).collect())
    }

    pub(crate) fn inspect_volume(&self, name: &str) -> Result<VolumeInspect> {
        let record = self.known_volume(name)?;
        let containers = self.container_records()?;
        let driver = self.driver_of(&record.state)?;
        let seen = driver.inspect(&record.state).map_err(|source| Error::Volume { source })?;
        let details = match seen.available {
            true => driver.details(&record.state).map_err(|source| Error::Volume { source })?,
            false => VolumeDetails::default(),
        };
        let users = users::of(&record, &containers).map(|user| (user.id.clone(), called(user))).collect();
        Ok(VolumeInspect {
            created_at: time::rfc3339(record.created_ns),
            mountpoint: record.state.path.display().to_string(),
            name: record.state.name,
            driver: record.state.driver,
            options: record.state.options,
            labels: record.labels,
            scope: if details.is_global { "global" } else { "local" }.to_owned(),
            status: details.status,
            anonymous: record.anonymous,
            available: seen.available,
            containers: users,
        })
    }
}
