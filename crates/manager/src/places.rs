//! How many containers there may be at once.
//!
//! A container counts from the moment its folder is made until that is renamed into the trash. Whoever makes one counts and
//! makes the folder under a lock on the folder of all containers, so that of many that ask at once no more get a place than
//! there are.

use crate::error::{Error, Result};
use crate::ids;
use crate::intent::{Intent, Verb};
use crate::lock::try_lock;
use crate::process::until;
use crate::store::{Store, make_empty};
use rustix::fs::{Mode, OFlags};
use std::time::Duration;

/// How many there may be where nobody said: as many as there are ranges of user ids.
pub(crate) const DEFAULT: u32 = ids::SLOTS;

/// Far longer than all who may wait hold the lock, each for less than a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);

/// Records that a container is made, and makes its empty folder; an error, and no effect, when there are `most` already.
pub(crate) fn take(store: &Store, most: u32, verb: Verb, id: &str, name: Option<&str>) -> Result<Intent> {
    let folder = store.containers();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let lock = rustix::fs::open(&folder, flags, Mode::empty())
        .map_err(|errno| Error::file("open", &folder, errno))?;
    let held = until(PATIENCE, || Ok(try_lock(&lock, &folder)?.then_some(())))?;
    held.ok_or_else(|| Error::Busy { container: ids::short(id).to_owned() })?;
    if store.ids()?.len() >= usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(Error::TooMany { most });
    }
    let intent = Intent::begin(store, verb, id, name)?;
    match make_empty(store, id) {
        Ok(()) => Ok(intent),
        Err(error) => {
            intent.finish()?;
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;
    use std::sync::Barrier;

    #[test]
    fn pure_of_many_that_ask_at_once_as_many_get_a_place_as_there_are() {
        let (_place, store) = store();
        let (all, most) = (20, 7);
        let barrier = Barrier::new(all);
        let taken: Vec<_> = std::thread::scope(|scope| {
            let ask = || {
                barrier.wait();
                take(&store, most, Verb::Create, &ids::new_id().unwrap(), None)
            };
            let asking: Vec<_> = (0..all).map(|_| scope.spawn(ask)).collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let refused: Vec<_> = taken.iter().filter_map(|one| one.as_ref().err()).collect();
        assert_eq!(refused.len(), all - most as usize);
        assert!(refused.iter().all(|error| matches!(error, Error::TooMany { most: 7 })), "{refused:?}");
        assert_eq!(store.ids().unwrap().len(), most as usize);
        let intents = crate::store::entries(&store.run_root().join("intents")).unwrap();
        assert_eq!(intents.len(), most as usize, "one that was refused had begun");
    }
}
