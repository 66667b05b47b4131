//! What a verb is about to do, recorded before its first effect: a locked file `intents/<id>`.
//!
//! The lock is held by the verb's process and, over a start, by the monitor too, until the command runs. An intent whose
//! lock is free belongs to a process that died: whoever meets it puts its effects right, then removes it. Removing it is
//! also how a verb says that it has succeeded.

use crate::error::{Error, Result};
use crate::ids;
use crate::lock::try_lock;
use crate::process::until;
use crate::spare;
use crate::store::{Record, Store, unlink};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;
use tinyd_engine::Resources;

/// What is done, which says how it is put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verb {
    /// A container is made: everything of it goes.
    Create,
    /// A container is made and started: everything of it goes.
    Run,
    /// A container that was there is started: what runs goes, the container stays.
    Start,
    /// A container is started again by its policy: what runs goes, and it is tried again.
    Restart,
    /// A container is removed: the rest of it goes.
    Remove,
    /// A container gets other limits: its records and the kernel come to say the same.
    Update,
    /// A container gets this name, or keeps the one that it had: the other is freed.
    Rename,
    /// Other ports of the host lead to a container: what its record says comes to hold.
    Ports,
    /// A network, of which this is the id, is made or removed: what is not whole goes.
    Network,
    /// A volume, of which this is the id, is made or removed: what is not whole goes.
    Volume,
    /// A container comes onto the network of this name, or leaves it: it is not on it.
    Place,
}

/// The content of an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// What is done.
    pub verb: Verb,
    /// To which container.
    pub id: String,
    /// The name that it takes or has; of [`Verb::Place`] the network's.
    pub name: Option<String>,
    /// The engine's folder: intents are in the run-time tree, what they are about is not.
    pub root: PathBuf,
    /// The limits before an update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Box<Resources>>,
}

/// An intent that this process holds.
pub(crate) struct Intent {
    path: PathBuf,
    file: OwnedFd,
}

impl Intent {
    /// Records what is about to be done.
    pub(crate) fn begin(store: &Store, verb: Verb, id: &str, name: Option<&str>) -> Result<Self> {
        let (id, name, root) = (id.to_owned(), name.map(str::to_owned), store.root().to_owned());
        Self::record(store, &Plan { verb, id, name, root, limits: None })
    }

    /// As [`begin`](Self::begin), for a container that gets others than these limits.
    pub(crate) fn begin_update(store: &Store, record: &Record) -> Result<Self> {
        let (id, name, root) = (record.id.clone(), record.spec.name.clone(), store.root().to_owned());
        let limits = Some(Box::new(record.spec.resources.clone()));
        Self::record(store, &Plan { verb: Verb::Update, id, name, root, limits })
    }

    fn record(store: &Store, plan: &Plan) -> Result<Self> {
        let id = &plan.id;
        let path = store.intent(id);
        let json = serde_json::to_vec(plan).map_err(|source| Error::Record { path: path.clone(), source })?;
        match Self::make(id, path.clone(), &json) {
            // What makes room must not need any.
            Err(Error::File { source, .. })
                if plan.verb == Verb::Remove
                    && source.kind() == std::io::ErrorKind::StorageFull
                    && json.len() <= spare::SIZE =>
            {
                let full = |errno| Error::file("write the intent", &path, errno);
                let file = spare::take(store, &path).ok_or_else(|| full(Errno::NOSPC))?;
                // The blanks behind it do not matter to whoever reads it.
                match rustix::io::pwrite(&file, &json, 0) {
                    Ok(written) if written == json.len() => Ok(Self { path, file }),
                    other => {
                        unlink(&path)?;
                        Err(full(other.err().unwrap_or(Errno::NOSPC)))
                    }
                }
            }
            made => made,
        }
    }

    fn make(id: &str, path: PathBuf, json: &[u8]) -> Result<Self> {
        // Between its making and its locking somebody may take it for a dead one's, and remove it: then once more.
        let made = until(Duration::from_secs(1), || {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)) {
                Ok(file) => Ok(try_lock(&file, &path)?.then_some(file)),
                Err(Errno::EXIST) => Ok(None),
                Err(errno) => Err(Error::file("make the intent", &path, errno)),
            }
        })?;
        let Some(file) = made else { return Err(Error::Busy { container: ids::short(id).to_owned() }) };
        // A short write is a torn record: nothing was done yet, and nothing is put right for it.
        match rustix::io::write(&file, json) {
            Ok(written) if written == json.len() => Ok(Self { path, file }),
            other => {
                unlink(&path)?;
                Err(Error::file("write the intent", path, other.err().unwrap_or(Errno::NOSPC)))
            }
        }
    }

    /// Nothing is under way any more: it was done, or undone.
    pub(crate) fn finish(self) -> Result<()> {
        unlink(&self.path)
    }

    /// For the monitor, which holds the lock as long as this descriptor is open.
    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// What is found of an intent.
pub(crate) enum Found {
    /// There is none.
    Nothing,
    /// Its maker works on it.
    Held,
    /// Its maker is dead: it is this process's now. `None` when its maker died before it had written a word, and so before
    /// it had done anything.
    Dead(Intent, Option<Plan>),
}

/// Looks at a container's intent and takes a dead one over. Of several that try at once, one gets it.
pub(crate) fn claim(store: &Store, id: &str) -> Result<Found> {
    let path = store.intent(id);
    let file = match rustix::fs::open(&path, OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(Found::Nothing),
        Err(errno) => return Err(Error::file("open the intent", path, errno)),
    };
    if !try_lock(&file, &path)? {
        return Ok(Found::Held);
    }
    let mut file = File::from(file);
    let mut json = Vec::new();
    file.read_to_end(&mut json).map_err(|source| Error::file("read the intent", &path, source))?;
    let plan = serde_json::from_slice(&json).ok();
    Ok(Found::Dead(Intent { path, file: file.into() }, plan))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    /// A child that another test of this process spawns has a copy of every descriptor, for as long as it has not become
    /// its program.
    fn claim_dead(store: &Store, id: &str) -> Found {
        let found: Result<_> = until(Duration::from_secs(5), || match claim(store, id)? {
            Found::Held => Ok(None),
            found => Ok(Some(found)),
        });
        found.unwrap().unwrap_or(Found::Held)
    }

    #[test]
    fn pure_a_live_intent_is_left_alone_and_a_dead_one_taken_once() {
        let (_place, store) = store();
        let id = "1".repeat(32);
        assert!(matches!(claim(&store, &id).unwrap(), Found::Nothing));
        let intent = Intent::begin(&store, Verb::Run, &id, Some("web")).unwrap();
        assert!(matches!(claim(&store, &id).unwrap(), Found::Held));
        assert!(matches!(Intent::begin(&store, Verb::Start, &id, None), Err(Error::Busy { .. })));
        // Its maker dies: the file stays, the lock goes.
        drop(intent);
        let Found::Dead(taken, Some(plan)) = claim_dead(&store, &id) else { panic!("not taken") };
        assert_eq!(
            (plan.verb, plan.id.as_str(), plan.name.as_deref()),
            (Verb::Run, id.as_str(), Some("web"))
        );
        assert!(matches!(claim(&store, &id).unwrap(), Found::Held));
        taken.finish().unwrap();
        assert!(matches!(claim(&store, &id).unwrap(), Found::Nothing));
    }

    #[test]
    fn pure_a_torn_intent_did_nothing() {
        let (_place, store) = store();
        let id = "2".repeat(32);
        std::fs::write(store.intent(&id), "{\"verb\":\"ru").unwrap();
        assert!(matches!(claim(&store, &id).unwrap(), Found::Dead(_, None)));
    }

    #[test]
    fn pure_the_lock_lives_as_long_as_a_copy_of_its_descriptor() {
        let (_place, store) = store();
        let id = "3".repeat(32);
        let intent = Intent::begin(&store, Verb::Run, &id, None).unwrap();
        let monitor = intent.as_fd().try_clone_to_owned().unwrap();
        drop(intent);
        assert!(matches!(claim(&store, &id).unwrap(), Found::Held));
        drop(monitor);
        assert!(matches!(claim_dead(&store, &id), Found::Dead(..)));
    }
}
