//! What is kept of the containers on networks of plugins: a file for each attachment, `NETWORK/CONTAINER@INTERFACE.json`.
//!
//! It is there before the first plugin is called and until the last one has taken its part away, so that whoever comes after a
//! crash finds it. It outlives a restart of the machine, as what plugins keep of their own does: leases of `host-local` do.

use super::error::CniError;
use super::find::failed;
use crate::PublishedPort;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const ENDING: &str = ".json";

/// A container's place on a network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// What plugins are told that the network is called.
    pub list: String,
    /// What the container wanted, by capability.
    pub wanted: Map<String, Value>,
    /// Ports of the host that lead to it.
    pub ports: Vec<PublishedPort>,
    /// What the last plugin of ADD said, once it did.
    pub result: Option<Value>,
}

/// By what plugins know an attachment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub container: String,
    pub interface: String,
}

impl Key {
    /// The name of a file for it. No id of a container has an `@`.
    pub(super) fn file_name(&self) -> String {
        format!("{}@{}", self.container, self.interface)
    }
}

/// The records of all networks of a driver.
pub(super) struct Records {
    folder: PathBuf,
}

impl Records {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The right to write new records: whoever has it knows which attachments there are, and which ports are in use.
    pub(super) fn lock(&self) -> Result<OwnedFd, CniError> {
        make_folder(&self.folder)?;
        let path = self.folder.join("lock");
        let lock = || {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file = open(&path, flags, Mode::from_raw_mode(0o600))?;
            flock(&file, FlockOperation::LockExclusive)?;
            Ok(file)
        };
        lock().map_err(|source| failed("lock", &path, source))
    }

    /// Where the record of an attachment lies.
    pub(super) fn path(&self, network: &str, key: &Key) -> PathBuf {
        self.folder.join(network).join(key.file_name() + ENDING)
    }

    pub(super) fn write(&self, network: &str, key: &Key, record: &Record) -> Result<(), CniError> {
        make_folder(&self.folder.join(network))?;
        let path = self.path(network, key);
        let new = self.folder.join(network).join(format!(".{}", key.file_name()));
        let write = || {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec(record)?)?;
            fs::rename(&new, &path)
        };
        write().map_err(|source| failed("write", &path, source))
    }

    /// The record of an attachment. One that cannot be understood says that it is there, and no more.
    pub(super) fn read(&self, network: &str, key: &Key) -> Result<Record, CniError> {
        let path = self.path(network, key);
        let text = fs::read(&path).map_err(|source| failed("read", &path, source))?;
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    pub(super) fn remove(&self, network: &str, key: &Key) -> Result<(), CniError> {
        let path = self.path(network, key);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, error)),
            _ => Ok(()),
        }
    }

    /// The attachments of a network, in their order.
    pub(super) fn of(&self, network: &str) -> Result<Vec<Key>, CniError> {
        let mut keys: Vec<_> =
            names(&self.folder.join(network))?.iter().filter_map(|name| key(name)).collect();
        keys.sort();
        Ok(keys)
    }

    /// All attachments of all networks.
    pub(super) fn all(&self) -> Result<Vec<(Key, Record)>, CniError> {
        let mut all = Vec::new();
        for network in names(&self.folder)?.into_iter().filter(|name| name != "lock") {
            for key in self.of(&network)? {
                match self.read(&network, &key) {
                    Ok(record) => all.push((key, record)),
                    // It has just been removed.
                    Err(CniError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(all)
    }

    /// Removes what is left of a network without attachments. The lock stays: two processes could hold two of one name.
    pub(super) fn forget(&self, network: &str) {
        let folder = self.folder.join(network);
        // What was being written by somebody who was killed.
        for name in names(&folder).unwrap_or_default().iter().filter(|name| name.starts_with('.')) {
            let _ = fs::remove_file(folder.join(name));
        }
        let _ = fs::remove_dir(folder);
    }
}

pub(super) fn make_folder(path: &Path) -> Result<(), CniError> {
    fs::create_dir_all(path).map_err(|source| failed("make", path, source))
}

pub(super) fn key(name: &str) -> Option<Key> {
    let (container, interface) = name.strip_suffix(ENDING)?.split_once('@')?;
    let key = Key { container: container.to_owned(), interface: interface.to_owned() };
    (!container.is_empty() && !container.starts_with('.')).then_some(key)
}

fn names(folder: &Path) -> Result<Vec<String>, CniError> {
    let failed = |source| failed("read", folder, source);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(container: &str, interface: &str) -> Key {
        Key { container: container.into(), interface: interface.into() }
    }

    #[test]
    fn pure_records_are_found_by_network_and_leave_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("cni");
        let records = Records::in_folder(&folder);
        assert_eq!(records.of("web").unwrap(), []);
        let record =
            Record { list: "lan".into(), result: Some(serde_json::json!({"ips": []})), ..Default::default() };
        let (one, two) = (key("aaaa", "eth0"), key("aaaa", "eth1@x"));
        records.write("web", &two, &record).unwrap();
        records.write("web", &one, &record).unwrap();
        records.write("db", &one, &Record::default()).unwrap();
        assert_eq!(records.of("web").unwrap(), [one.clone(), two.clone()]);
        assert_eq!(records.read("web", &two).unwrap(), record);
        assert_eq!(records.all().unwrap().len(), 3);
        drop(records.lock().unwrap());
        fs::write(folder.join("web/.aaaa@eth0"), "half of it").unwrap();
        for _ in 0..2 {
            for (network, key) in [("web", &one), ("web", &two), ("db", &one)] {
                records.remove(network, key).unwrap();
            }
        }
        records.forget("web");
        assert!(!folder.join("web").exists() && folder.exists());
        records.forget("db");
        assert_eq!(names(&folder).unwrap(), ["lock"]);
    }

    #[test]
    fn pure_a_record_that_was_torn_says_that_it_is_there() {
        let place = tempfile::tempdir().unwrap();
        let records = Records::in_folder(place.path());
        records.write("web", &key("aaaa", "eth0"), &Record::default()).unwrap();
        fs::write(records.path("web", &key("aaaa", "eth0")), "{\"list").unwrap();
        assert_eq!(records.of("web").unwrap(), [key("aaaa", "eth0")]);
        assert_eq!(records.read("web", &key("aaaa", "eth0")).unwrap(), Record::default());
    }

    #[test]
    fn pure_of_those_who_want_the_lock_one_has_it() {
        let place = tempfile::tempdir().unwrap();
        let records = Records::in_folder(place.path());
        let held = records.lock().unwrap();
        let path = place.path().join("lock");
        let other = fs::OpenOptions::new().write(true).open(path).unwrap();
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(held);
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok());
    }
}
