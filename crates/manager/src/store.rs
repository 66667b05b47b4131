//! The folders of an engine, and the records in them.
//!
//! | path | what it is |
//! |---|---|
//! | `ROOT/containers/<id>/` | a container: its bundle, its record, its written layer, its log |
//! | `ROOT/names/<name>`, `ROOT/ids/<slot>` | links that hold the id of whose they are |
//! | `ROOT/networks/<name>.json` | what is kept of a network |
//! | `ROOT/volumes/<name>.json` | what is kept of a volume |
//! | `ROOT/volumes/<driver>/` | the data of volumes, as their driver keeps it |
//! | `ROOT/secrets/<name>.json`, `ROOT/secrets/data/<id>` | what is kept of a secret, and what it holds |
//! | `ROOT/schema` | a link that holds the number of how all of this is to be read |
//! | `ROOT/trash/<id>` | a container that is being removed, or a volume that went with one |
//! | `ROOT/host-root/` | the prepared part of the `host` image |
//! | `RUN/containers/<id>/` | what is true while it runs ([`tinyd_runtime::state`]) |
//! | `RUN/intents/<id>`, `RUN/locks/<id>` | who works on it |
//! | `RUN/restarting/<id>` | it has ended, and is about to be started again ([`tinyd_runtime::restart`]) |
//! | `RUN/unmount/<id>` | a container for which a driver mounted what its monitor cannot unmount |
//! | `RUN/events/` | what has happened ([`tinyd_runtime::events`]) |
//! | `RUN/revived` | the boot in which restart policies were applied last |
//! | `RUN/spare/` | files for a removal when there is no room for new ones |

mod folder;
mod record;
mod records;
mod records_lock;
mod schema;

pub(crate) use folder::{Contents, fill, let_pass, make_empty};
pub(crate) use record::{Place, Record, ShownTree, StartError, UsedImage, UsedVolume};
pub(crate) use records::{Kept, Records};
pub(crate) use records_lock::RecordsLock;

use crate::config::EngineConfig;
use crate::error::{Error, Result};
use crate::ids;
use rustix::fs::{Access, Mode};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// Name of the record that the engine keeps of a container.
pub(crate) const RECORD_FILE: &str = "container.json";
/// Name of the OCI bundle's configuration.
pub(crate) const BUNDLE_FILE: &str = "config.json";
/// Name of the mark of a container that has been started.
pub(crate) const STARTED_FILE: &str = "started";
/// Name of the record of a start that failed.
pub(crate) const START_ERROR_FILE: &str = "start-error.json";

/// The folders of an engine.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    root: PathBuf,
    run_root: PathBuf,
}

impl Store {
    /// The folders that a configuration names; those that are missing are made.
    pub(crate) fn open(config: &EngineConfig) -> Result<Self> {
        let whole =
            |path: &Path| std::path::absolute(path).map_err(|source| Error::file("resolve", path, source));
        let mut store = Self { root: whole(&config.root)?, run_root: whole(&config.run_root)? };
        let is_marked = schema::is_marked(&store.root)?;
        // The last ones to be made in each tree: when they are there, so are the others.
        let there = |path: &Path| rustix::fs::access(path, Access::EXISTS).is_ok();
        if !there(&store.run_root.join("intents")) {
            make_all(&store.run_root, 0o711)?;
            for folder in ["containers", "locks", "restarting", "intents"] {
                make_folder(&store.run_root.join(folder), 0o700)?;
            }
            let log = store.run_root.join(tinyd_runtime::events::LOG_FILE);
            tinyd_runtime::events::prepare(&log).map_err(|source| Error::file("make", log, source))?;
        }
        if !is_marked {
            make_all(&store.root, 0o711)?;
            // Users may pass through to a container's folder, which lets only its own root pass on, and list nothing.
            make_folder(&store.root.join("containers"), 0o711)?;
            for folder in ["names", "ids", "trash"] {
                make_folder(&store.root.join(folder), 0o700)?;
            }
            schema::mark(&store.root)?;
        }
        crate::spare::fill(&store);
        // What is bound from there must not lead through a link that someone could change.
        store.root = std::fs::canonicalize(&store.root)
            .map_err(|source| Error::file("resolve", &store.root, source))?;
        Ok(store)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn run_root(&self) -> &Path {
        &self.run_root
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(crate) fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    pub(crate) fn container_file(&self, id: &str, name: &str) -> PathBuf {
        self.container(id).join(name)
    }

    pub(crate) fn log(&self, id: &str) -> PathBuf {
        self.container(id).join("logs/output.log")
    }

    pub(crate) fn names_folder(&self) -> PathBuf {
        self.root.join("names")
    }

    pub(crate) fn name_link(&self, name: &str) -> PathBuf {
        self.names_folder().join(name)
    }

    pub(crate) fn slot_link(&self, slot: u32) -> PathBuf {
        self.root.join("ids").join(slot.to_string())
    }

    pub(crate) fn trash(&self, id: &str) -> PathBuf {
        self.root.join("trash").join(id)
    }

    pub(crate) fn run_dir(&self, id: &str) -> PathBuf {
        self.run_root.join("containers").join(id)
    }

    pub(crate) fn intent(&self, id: &str) -> PathBuf {
        self.run_root.join("intents").join(id)
    }

    pub(crate) fn lock(&self, id: &str) -> PathBuf {
        self.run_root.join("locks").join(id)
    }

    /// A container that has ended, and is about to be started again.
    pub(crate) fn due(&self, id: &str) -> PathBuf {
        self.run_root.join("restarting").join(id)
    }

    pub(crate) fn unmount_mark(&self, id: &str) -> PathBuf {
        self.run_root.join("unmount").join(id)
    }

    /// The marks of exports for which a container stands still.
    pub(crate) fn freeze_marks(&self, id: &str) -> PathBuf {
        self.run_root.join("frozen").join(id)
    }

    /// The ids of all containers, those that are just being made too, in no order.
    pub(crate) fn ids(&self) -> Result<Vec<String>> {
        Ok(entries(&self.containers())?.into_iter().filter(|name| ids::is_id(name)).collect())
    }

    /// All names and whose they are.
    pub(crate) fn names(&self) -> Result<Vec<(PathBuf, String)>> {
        self.links("names")
    }

    /// All leases and whose they are.
    pub(crate) fn leases(&self) -> Result<Vec<(PathBuf, String)>> {
        self.links("ids")
    }

    fn links(&self, folder: &str) -> Result<Vec<(PathBuf, String)>> {
        let folder = self.root.join(folder);
        let mut links = Vec::new();
        for name in entries(&folder)? {
            let link = folder.join(name);
            if let Some(owner) = self.read_link(&link)? {
                links.push((link, owner));
            }
        }
        Ok(links)
    }

    /// What a link holds; `None` when there is none.
    pub(crate) fn read_link(&self, link: &Path) -> Result<Option<String>> {
        match rustix::fs::readlink(link, Vec::new()) {
            Ok(text) => Ok(Some(text.to_string_lossy().into_owned())),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::file("read the link", link, errno)),
        }
    }

    /// Removes a link that holds this id; one that is gone or another's is left.
    pub(crate) fn unlink_owned(&self, link: &Path, id: &str) -> Result<()> {
        match self.read_link(link)? {
            Some(owner) if owner == id => unlink(link),
            _ => Ok(()),
        }
    }

    /// A container's record; `None` when there is no container, or its record is not written yet.
    pub(crate) fn record(&self, id: &str) -> Result<Option<Record>> {
        Self::record_in(&self.container(id))
    }

    /// The record of a container that is being removed.
    pub(crate) fn discarded_record(&self, id: &str) -> Result<Option<Record>> {
        Self::record_in(&self.trash(id))
    }

    fn record_in(folder: &Path) -> Result<Option<Record>> {
        let path = folder.join(RECORD_FILE);
        match std::fs::read(&path) {
            Ok(json) => {
                serde_json::from_slice(&json).map(Some).map_err(|source| Error::Record { path, source })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::file("read", path, error)),
        }
    }
}

/// The names in a folder; none when it is not there.
pub(crate) fn entries(folder: &Path) -> Result<Vec<String>> {
    let failed = |source| Error::file("list", folder, source);
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    listing.map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned())).collect()
}

/// Removes a file or link; one that is gone is no error.
pub(crate) fn unlink(path: &Path) -> Result<()> {
    match rustix::fs::unlink(path) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::file("remove", path, errno)),
    }
}

/// Moves a file or folder; one that is gone is no error.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    match rustix::fs::rename(from, to) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::file("move", from, errno)),
    }
}

/// Removes a tree without crossing a mount; one that is gone is no error.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    tinyd_fs::remove_tree(path).map_err(|source| Error::Tree {
        operation: "remove",
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Makes a folder with exactly this mode, whatever the umask; one that is there is left as it is.
pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<()> {
    let mode = Mode::from_raw_mode(mode);
    match rustix::fs::mkdir(path, mode).and_then(|()| rustix::fs::chmod(path, mode)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(Error::file("make", path, errno)),
    }
}

fn make_all(path: &Path, mode: u32) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|source| Error::file("make", parent, source))?;
    }
    make_folder(path, mode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn pure_the_folders_have_their_modes() {
        let (place, store) = testing::store();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&place.path().join("root")), 0o711);
        assert_eq!(mode(&place.path().join("run")), 0o711);
        assert_eq!(mode(&store.containers()), 0o711);
        // A second engine finds them.
        Store::open(&testing::config(place.path())).unwrap();
        assert_eq!(store.ids().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn pure_what_is_gone_is_no_error() {
        let (place, store) = testing::store();
        let nothing = place.path().join("nothing");
        unlink(&nothing).unwrap();
        rename(&nothing, &place.path().join("x")).unwrap();
        remove_tree(&nothing).unwrap();
        assert!(store.record(&"1".repeat(32)).unwrap().is_none());
        assert!(store.read_link(&nothing).unwrap().is_none());
    }
}
