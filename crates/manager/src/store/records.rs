//! Records that are kept by name, as those of networks and volumes are: `<folder>/<name>.json`.

use super::{RecordsLock, Store, entries, unlink};
use crate::error::{Error, Result};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::OpenOptions;
use std::marker::PhantomData;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use tinyd_runtime::state;

/// What stands behind the name.
const ENDING: &str = ".json";
/// What the smallest file takes on a disk.
const BLOCK: usize = 4096;

/// A thing of which such a record is kept.
pub(crate) trait Kept: Serialize + DeserializeOwned {
    /// The folder, in the engine's own.
    const FOLDER: &'static str;

    /// Its name: part of a path.
    fn name(&self) -> &str;

    /// Its id: 32 hex digits.
    fn id(&self) -> &str;

    /// Whether one may be called so.
    fn check_name(name: &str) -> Result<()>;

    /// Another one has this name.
    fn taken(name: &str) -> Error;

    /// Somebody works on them for longer than anybody does.
    fn busy() -> Error;
}

/// The records of one kind.
pub(crate) struct Records<T> {
    pub(super) folder: PathBuf,
    kind: PhantomData<T>,
}

impl Store {
    /// The records of a kind of things.
    pub(crate) fn records<T: Kept>(&self) -> Records<T> {
        Records { folder: self.root().join(T::FOLDER), kind: PhantomData }
    }
}

impl<T: Kept> Records<T> {
    /// Where they are.
    #[cfg(test)]
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the record of this name lies. The name must be a valid one.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{ENDING}"))
    }

    /// The record of this name; `None` when there is none.
    pub(crate) fn get(&self, name: &str) -> Result<Option<T>> {
        let path = self.file(name);
        let json = match std::fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", path, error)),
        };
        serde_json::from_slice(&json).map(Some).map_err(|source| Error::Record { path, source })
    }

    /// The names of all that have a record, in their order.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let mut names = entries(&self.folder)?;
        names.retain(|entry| entry.strip_suffix(ENDING).is_some_and(|name| T::check_name(name).is_ok()));
        for entry in &mut names {
            entry.truncate(entry.len() - ENDING.len());
        }
        names.sort();
        Ok(names)
    }

    /// Every record that can be read; a broken one is for `check`, and keeps nobody from the others.
    pub(crate) fn all(&self) -> Result<Vec<T>> {
        let mut records = Vec::new();
        for name in self.names()? {
            match self.get(&name) {
                Ok(record) => records.extend(record),
                Err(Error::Record { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }

    /// What was being written beside a record by who was killed then; while the lock over all of them is held.
    pub(crate) fn torn(&self) -> Result<Vec<PathBuf>> {
        let beside = |entry: &String| entry.starts_with('.') || entry.ends_with(".json.new");
        let torn = entries(&self.folder)?.into_iter().filter(beside);
        Ok(torn.map(|entry| self.folder.join(entry)).collect())
    }

    /// Writes the record of what was not there. Of two who do, one succeeds.
    ///
    /// The lock is there so that nobody takes what is being written for torn.
    pub(crate) fn add(&self, record: &T, _: &RecordsLock<T>) -> Result<()> {
        let path = self.file(record.name());
        // Nobody's own file: no name begins so.
        let beside = self.folder.join(format!(".{}", record.id()));
        // What is told is the name that is wanted.
        state::store(&beside, record, false).map_err(|source| Error::file("write", &path, source))?;
        let renamed = rustix::fs::renameat_with(CWD, &beside, CWD, &path, RenameFlags::NOREPLACE);
        let error = match renamed {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => T::taken(record.name()),
            Err(errno) => Error::file("write", path, errno),
        };
        unlink(&beside)?;
        Err(error)
    }

    /// Writes a record anew; it is on the disk afterwards. Where there is no room for it beside the old one it is written over
    /// that: what makes room, as a removal does, must not need any.
    pub(crate) fn change(&self, record: &T, _: &RecordsLock<T>) -> Result<()> {
        let path = self.file(record.name());
        let stored = match state::store(&path, record, true) {
            Err(error) if error.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) => {
                write_over(&path, record).map_err(|_| error)
            }
            stored => stored,
        };
        stored.map_err(|source| Error::file("write", path, source))
    }

    /// Takes a record away; one that is gone is no error.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        unlink(&self.file(name))
    }
}

/// Writes a record over the old one, in one write of less than a block: whoever reads meanwhile has the one or the other. Blanks
/// make up for what it is shorter.
fn write_over(path: &Path, record: &impl Serialize) -> std::io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let mut json = serde_json::to_vec(record)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length.max(json.len()) > BLOCK {
        return Err(Errno::NOSPC.into());
    }
    json.resize(length.max(json.len()), b' ');
    file.write_all_at(&json, 0)?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::new_id;
    use crate::networks::NetworkRecord;
    use crate::store::make_folder;
    use crate::testing::store;
    use std::collections::BTreeMap;
    use tinyd_net::{NetworkSpec, NetworkState};

    fn record(name: &str) -> NetworkRecord {
        NetworkRecord {
            id: new_id().unwrap(),
            created_ns: 1,
            labels: BTreeMap::new(),
            whole: false,
            state: NetworkState {
                driver: "bridge".to_owned(),
                spec: NetworkSpec::named(name),
                links: Vec::new(),
            },
        }
    }

    #[test]
    fn pure_a_record_is_written_once_and_changed_after() {
        let (_place, store) = store();
        let store = store.records::<NetworkRecord>();
        assert_eq!(store.names().unwrap(), Vec::<String>::new());
        make_folder(store.folder(), 0o700).unwrap();
        let (first, second) = (record("web"), record("web"));
        let lock = store.shared().unwrap();
        store.add(&first, &lock).unwrap();
        assert!(matches!(store.add(&second, &lock), Err(Error::NetworkTaken { name }) if name == "web"));
        assert_eq!(store.get("web").unwrap(), Some(first.clone()));
        let whole = NetworkRecord { whole: true, ..first };
        store.change(&whole, &lock).unwrap();
        assert_eq!(store.get("web").unwrap(), Some(whole));
        assert_eq!(store.get("other").unwrap(), None);
        // What was written beside it is gone.
        assert_eq!(entries(store.folder()).unwrap(), ["web.json"]);
    }

    #[test]
    fn pure_a_record_that_is_written_over_is_read_again() {
        let (_place, store) = store();
        let store = store.records::<NetworkRecord>();
        make_folder(store.folder(), 0o700).unwrap();
        let record = NetworkRecord { whole: true, ..record("web") };
        store.add(&record, &store.shared().unwrap()).unwrap();
        for whole in [false, true, false] {
            let record = NetworkRecord { whole, ..record.clone() };
            write_over(&store.file("web"), &record).unwrap();
            assert_eq!(store.get("web").unwrap(), Some(record));
        }
        let labels = BTreeMap::from([("long".to_owned(), "x".repeat(BLOCK))]);
        let long = NetworkRecord { labels, ..record };
        assert!(write_over(&store.file("web"), &long).is_err());
        assert!(store.get("web").unwrap().is_some_and(|kept| !kept.whole));
    }

    #[test]
    fn pure_of_many_who_want_a_name_one_gets_it() {
        let (_place, store) = store();
        let store = store.records::<NetworkRecord>();
        make_folder(store.folder(), 0o700).unwrap();
        let records: Vec<_> = (0..8).map(|_| record("web")).collect();
        let got = std::thread::scope(|scope| {
            let adding: Vec<_> = records
                .iter()
                .map(|record| scope.spawn(|| store.add(record, &store.shared().unwrap()).is_ok()))
                .collect();
            adding.into_iter().map(|one| one.join().unwrap()).filter(|ok| *ok).count()
        });
        assert_eq!(got, 1);
        assert_eq!(store.names().unwrap(), ["web"]);
    }

    #[test]
    fn pure_only_records_are_networks() {
        let (_place, store) = store();
        let store = store.records::<NetworkRecord>();
        make_folder(store.folder(), 0o700).unwrap();
        for file in ["b.json", "a.json", ".x.json", "c", "d.txt", "e.json.new"] {
            std::fs::write(store.folder().join(file), "{").unwrap();
        }
        assert_eq!(store.names().unwrap(), ["a", "b"]);
        let mut torn = store.torn().unwrap();
        torn.sort();
        assert_eq!(torn, [".x.json", "e.json.new"].map(|file| store.folder().join(file)));
        assert!(matches!(store.get("a"), Err(Error::Record { .. })));
    }
}
