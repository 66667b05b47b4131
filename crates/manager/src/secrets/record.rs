//! What is kept of a secret beside what it holds: `secrets/<name>.json`.

use crate::error::{Error, Result};
use crate::store::Kept;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretRecord {
    /// 32 hex digits: the name of the file that has what it holds.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: i64,
    /// What its maker wants to remember of it.
    pub labels: BTreeMap<String, String>,
}

impl Kept for SecretRecord {
    const FOLDER: &'static str = "secrets";

    fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn check_name(name: &str) -> Result<()> {
        tinyd_volume::check_name("secret name", name).map_err(|source| Error::Volume { source })
    }

    fn taken(name: &str) -> Error {
        Error::SecretTaken { name: name.to_owned() }
    }

    fn busy() -> Error {
        Error::SecretsBusy
    }
}
