//! A container's files, seen from outside: `stat`, `copy_out`, `copy_in`, `diff`, `export`.
//!
//! No process of ours ever works with the container's root as its own, and nothing of the container is executed or loaded
//! (CVE-2019-14271, CVE-2026-41567): its root is a descriptor, and every path is resolved below it by the kernel
//! ([`tinyd_fs::resolve`]), whatever is renamed meanwhile (CVE-2018-15664). Of a container that runs it is the root that its
//! processes have ([`running`]); of one that stands still it is put together, with its volumes, in a mount namespace that
//! nobody else sees and that goes with the thread that works in it ([`still`]).

mod copy;
mod diff;
mod export;
mod owners;
mod path;
mod running;
mod still;
#[cfg(test)]
mod tests;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Life;
use owners::Owners;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;

/// How much of a container is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    /// What its processes see.
    Everything,
    /// Its own layers, and not what is mounted in them.
    Layers,
}

/// A container's root.
struct Root {
    fd: OwnedFd,
    owners: Owners,
    /// What lies in file systems of its own and belongs to the root all the same, relative to it.
    trees: Vec<PathBuf>,
    /// Where it has something mounted at its next start, and whether that is memory which is not there before.
    places: Vec<(PathBuf, bool)>,
    /// First digits of the container's id.
    container: String,
}

impl Core {
    /// Works with the files of a container, in a thread of its own.
    fn with_root<T: Send>(
        &self,
        word: &str,
        action: &'static str,
        shown: Shown,
        work: impl FnOnce(&Root) -> Result<T> + Send,
    ) -> Result<T> {
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        if let Life::Running(live) = self.life(&record, None)? {
            return in_thread(|| self.with_running_root(&record, &live, action, work));
        }
        let lock = self.guard(&id)?;
        let record = self.known(&id, word)?;
        match self.life(&record, Some(&lock))? {
            Life::Created | Life::Stopped(_) => self.with_still_root(&record, action, shown, work),
            // Between the two looks it was started.
            Life::Running(live) => {
                drop(lock);
                in_thread(|| self.with_running_root(&record, &live, action, work))
            }
            Life::Gone(_) => Err(self.no_such(word)),
        }
    }

    /// The same, telling of it afterwards.
    fn telling<T: Send>(
        &self,
        word: &str,
        event: &str,
        action: &'static str,
        shown: Shown,
        work: impl FnOnce(&Root) -> Result<T> + Send,
    ) -> Result<T> {
        let done = self.with_root(word, action, shown, work)?;
        // One that is gone by now has told of that.
        if let Ok(record) = self.resolve(word).and_then(|id| self.known(&id, word)) {
            self.announce(&record, event, &[]);
        }
        Ok(done)
    }
}

/// What is changed of a thread (its ids, its mount namespace) goes with it.
fn in_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let helper = thread::Builder::new().spawn_scoped(scope, work);
        let helper =
            helper.map_err(|error| Error::file("start a thread for", "the container's files", error))?;
        match helper.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
