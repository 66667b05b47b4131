//! The secrets of an engine: what containers' commands read, and nobody else.
//!
//! `ROOT/secrets/<name>.json` is a secret's record, and `ROOT/secrets/data/<id>` what it holds: root's alone, and in no other
//! file. The monitor copies it into the memory of a container at each start; the container's record and its bundle have the name
//! alone. Who makes or removes one holds the lock over all of them; a file of data that no record names is left of one who was
//! killed at that, and goes with the next change.

mod change;
mod inspect;
mod mount;
mod record;

pub(crate) use record::SecretRecord;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::{Kept as _, Record, Records, entries};
use std::path::PathBuf;

impl Core {
    pub(crate) fn secret_records(&self) -> Records<SecretRecord> {
        self.store.records()
    }

    /// Where that is kept which secrets hold.
    fn secret_data(&self) -> PathBuf {
        self.store.root().join("secrets/data")
    }

    /// The record of a secret. Only what is a valid name becomes part of a path.
    pub(crate) fn known_secret(&self, name: &str) -> Result<SecretRecord> {
        let found = match SecretRecord::check_name(name) {
            Ok(()) => self.secret_records().get(name)?,
            Err(_) => None,
        };
        found.ok_or_else(|| {
            let others = self.secret_records().names().unwrap_or_default();
            let similar = crate::resolve::most_similar(name, others.iter().map(String::as_str));
            Error::NoSuchSecret { name: name.to_owned(), similar }
        })
    }

    /// The files of data that no record names, while nobody makes or removes a secret. None where a record cannot be read: it
    /// may be its.
    pub(crate) fn lost_secrets(&self) -> Result<Vec<PathBuf>> {
        let records = self.secret_records();
        let all = records.all()?;
        if all.len() != records.names()?.len() {
            return Ok(Vec::new());
        }
        let folder = self.secret_data();
        let lost = |id: &String| all.iter().all(|record| record.id != *id);
        Ok(entries(&folder)?.into_iter().filter(lost).map(|id| folder.join(id)).collect())
    }
}

/// The containers that use a secret.
fn users<'a>(name: &'a str, all: &'a [Record]) -> impl Iterator<Item = &'a Record> {
    all.iter().filter(move |record| record.spec.secrets.iter().any(|secret| secret.name == name))
}
