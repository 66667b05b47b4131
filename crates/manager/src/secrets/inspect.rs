//! `secrets` and `inspect_secret`: all but what they hold.

use super::users;
use crate::containers::called;
use crate::core::Core;
use crate::error::Result;
use crate::time;
use tinyd_engine::{SecretDriver, SecretInspect, SecretSpec, SecretSummary};

impl Core {
    pub(crate) fn secrets(&self) -> Result<Vec<SecretSummary>> {
        let containers = self.container_records()?;
        let summary = |record: super::SecretRecord| SecretSummary {
            containers: users(&record.name, &containers).count(),
            id: record.id,
            name: record.name,
            created: time::from_ns(record.created_ns),
            labels: record.labels,
        };
        Ok(self.secret_records().all()?.into_iter().map(summary).collect())
    }

    pub(crate) fn inspect_secret(&self, name: &str) -> Result<SecretInspect> {
        let record = self.known_secret(name)?;
        let containers = self.container_records()?;
        let created = time::rfc3339(record.created_ns);
        Ok(SecretInspect {
            containers: users(name, &containers).map(|user| (user.id.clone(), called(user))).collect(),
            id: record.id,
            created_at: created.clone(),
            updated_at: created,
            spec: SecretSpec {
                name: record.name,
                driver: SecretDriver { name: "file".to_owned() },
                labels: record.labels,
            },
        })
    }
}
