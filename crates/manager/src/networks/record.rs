//! What is kept of a network: `networks/<name>.json`.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::networks::name;
use crate::store::{Store, entries, unlink};
use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tinyd_net::NetworkState;
use tinyd_runtime::state;

/// What stands behind the name.
const ENDING: &str = ".json";

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkRecord {
    /// 32 hex digits.
    pub id: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_ns: i64,
    /// What its maker wants to remember of it.
    pub labels: BTreeMap<String, String>,
    /// All of it is there. While it is not, somebody makes or removes it, or was killed at that.
    pub whole: bool,
    /// What its driver made; what it was asked for until then.
    pub state: NetworkState,
}

impl NetworkRecord {
    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.state.spec.name
    }
}

impl Store {
    pub(crate) fn networks(&self) -> PathBuf {
        self.root().join("networks")
    }

    /// Where the record of a network lies. The name must be a valid one: it becomes part of a path.
    pub(crate) fn network_file(&self, name: &str) -> PathBuf {
        self.networks().join(format!("{name}{ENDING}"))
    }

    /// The record of a network; `None` when there is none.
    pub(crate) fn network(&self, name: &str) -> Result<Option<NetworkRecord>> {
        let path = self.network_file(name);
        let json = match std::fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", path, error)),
        };
        serde_json::from_slice(&json).map(Some).map_err(|source| Error::Record { path, source })
    }

    /// The names of all networks that have a record, in their order.
    pub(crate) fn network_names(&self) -> Result<Vec<String>> {
        let mut names = entries(&self.networks())?;
        names.retain(|entry| entry.strip_suffix(ENDING).is_some_and(|name| name::check(name).is_ok()));
        for entry in &mut names {
            entry.truncate(entry.len() - ENDING.len());
        }
        names.sort();
        Ok(names)
    }

    /// What was being written beside a record by who was killed then; while the lock over all networks is held.
    pub(super) fn torn_network_files(&self) -> Result<Vec<PathBuf>> {
        let beside = |entry: &String| entry.starts_with('.') || entry.ends_with(".json.new");
        let torn = entries(&self.networks())?.into_iter().filter(beside);
        Ok(torn.map(|entry| self.networks().join(entry)).collect())
    }

    /// Writes the record of a network that was not there. Of two who do, one succeeds.
    pub(super) fn add_network(&self, record: &NetworkRecord) -> Result<()> {
        let path = self.network_file(record.name());
        // No network's own file: no name begins so.
        let beside = self.networks().join(format!(".{}", record.id));
        state::store(&beside, record, false).map_err(|source| Error::file("write", &beside, source))?;
        let renamed = rustix::fs::renameat_with(CWD, &beside, CWD, &path, RenameFlags::NOREPLACE);
        let error = match renamed {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => Error::NetworkTaken { name: record.name().to_owned() },
            Err(errno) => Error::file("write", path, errno),
        };
        unlink(&beside)?;
        Err(error)
    }

    /// Writes the record of a network anew; it is on the disk afterwards.
    pub(super) fn change_network(&self, record: &NetworkRecord) -> Result<()> {
        let path = self.network_file(record.name());
        state::store(&path, record, true).map_err(|source| Error::file("write", path, source))
    }
}

impl Core {
    /// Every network whose record can be read; a broken one is for `check`, and keeps nobody from the others.
    pub(super) fn network_records(&self) -> Result<Vec<NetworkRecord>> {
        let mut records = Vec::new();
        for name in self.store.network_names()? {
            match self.store.network(&name) {
                Ok(record) => records.extend(record),
                Err(Error::Record { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::new_id;
    use crate::store::make_folder;
    use crate::testing::store;
    use tinyd_net::NetworkSpec;

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
        assert_eq!(store.network_names().unwrap(), Vec::<String>::new());
        make_folder(&store.networks(), 0o700).unwrap();
        let (first, second) = (record("web"), record("web"));
        store.add_network(&first).unwrap();
        assert!(matches!(store.add_network(&second), Err(Error::NetworkTaken { name }) if name == "web"));
        assert_eq!(store.network("web").unwrap(), Some(first.clone()));
        let whole = NetworkRecord { whole: true, ..first };
        store.change_network(&whole).unwrap();
        assert_eq!(store.network("web").unwrap(), Some(whole));
        assert_eq!(store.network("other").unwrap(), None);
        // What was written beside it is gone.
        assert_eq!(entries(&store.networks()).unwrap(), ["web.json"]);
    }

    #[test]
    fn pure_of_many_who_want_a_name_one_gets_it() {
        let (_place, store) = store();
        make_folder(&store.networks(), 0o700).unwrap();
        let records: Vec<_> = (0..8).map(|_| record("web")).collect();
        let got = std::thread::scope(|scope| {
            let adding: Vec<_> =
                records.iter().map(|record| scope.spawn(|| store.add_network(record).is_ok())).collect();
            adding.into_iter().map(|one| one.join().unwrap()).filter(|ok| *ok).count()
        });
        assert_eq!(got, 1);
        assert_eq!(store.network_names().unwrap(), ["web"]);
    }

    #[test]
    fn pure_only_records_are_networks() {
        let (_place, store) = store();
        make_folder(&store.networks(), 0o700).unwrap();
        for file in ["b.json", "a.json", ".x.json", "c", "d.txt", "e.json.new"] {
            std::fs::write(store.networks().join(file), "{").unwrap();
        }
        assert_eq!(store.network_names().unwrap(), ["a", "b"]);
        let mut torn = store.torn_network_files().unwrap();
        torn.sort();
        assert_eq!(torn, [".x.json", "e.json.new"].map(|file| store.networks().join(file)));
        assert!(matches!(store.network("a"), Err(Error::Record { .. })));
    }
}
