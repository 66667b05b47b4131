//! `create_secret` and `remove_secret`.

use super::{SecretRecord, users};
use crate::containers::called;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::{Kept as _, RecordsLock, make_folder, unlink};
use crate::{ids, time};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use tinyd_engine::SecretCreate;

/// As many bytes as Podman's and Docker's hold.
const MOST: usize = 512_000;

impl Core {
    pub(crate) fn create_secret(&self, wanted: &SecretCreate, content: &[u8]) -> Result<String> {
        SecretRecord::check_name(&wanted.name)?;
        if content.is_empty() {
            return Err(Error::invalid("secret", &wanted.name, "would hold nothing"));
        }
        if content.len() > MOST {
            let problem = format!("would hold more than the {MOST} bytes that a secret may");
            return Err(Error::invalid("secret", &wanted.name, problem));
        }
        let records = self.secret_records();
        let lock = self.change_secrets()?;
        if records.file(&wanted.name).exists() {
            return Err(Error::SecretTaken { name: wanted.name.clone() });
        }
        let record = SecretRecord {
            id: ids::new_id()?,
            name: wanted.name.clone(),
            created_ns: time::now_ns(),
            labels: wanted.labels.clone(),
        };
        let folder = self.secret_data();
        make_folder(&folder, 0o700)?;
        let data = folder.join(&record.id);
        let written = write(&data, content)
            .and_then(|()| sync(&folder))
            .and_then(|()| records.add(&record, &lock))
            .and_then(|()| sync(&records.file(&record.name)));
        match written.and_then(|()| folder.parent().map_or(Ok(()), sync)) {
            Ok(()) => {
                self.announce_of("secret", "create", &record.name, &[]);
                Ok(record.name)
            }
            Err(error) => {
                records.remove(&record.name)?;
                unlink(&data)?;
                Err(error)
            }
        }
    }

    pub(crate) fn remove_secret(&self, name: &str) -> Result<String> {
        self.known_secret(name)?;
        let lock = self.change_secrets()?;
        // As it is now that nobody changes it.
        let record = self.known_secret(name)?;
        let containers: Vec<String> = users(name, &self.container_records()?).map(called).collect();
        if !containers.is_empty() {
            return Err(Error::SecretInUse { name: record.name, containers });
        }
        self.secret_records().remove(&record.name)?;
        // Who is killed here leaves it to the next change.
        unlink(&self.secret_data().join(&record.id))?;
        drop(lock);
        self.announce_of("secret", "remove", &record.name, &[]);
        Ok(record.name)
    }

    /// The right to change the secrets, where what dead processes left is taken away first.
    fn change_secrets(&self) -> Result<RecordsLock<SecretRecord>> {
        let lock = self.secret_records().exclusive()?;
        for file in self.secret_records().torn()?.into_iter().chain(self.lost_secrets()?) {
            unlink(&file)?;
        }
        Ok(lock)
    }
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let written = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        .map_err(std::io::Error::from)
        .map(File::from)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()));
    written.map_err(|error| Error::file("write", path, error))
}

/// On the disk, as far as the name says where.
fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| Error::file("write", path, error))
}
