//! Who has a volume mounted, for drivers that mount something on the host for the first user and unmount it with the last.
//!
//! A user is an empty file. It is there before anything is mounted for it and goes after that is unmounted, so that a driver
//! that is killed in between leaves a user that can be seen, by [`Users::list`], and be taken away.

use crate::patience::until_so;
use crate::{Error, Result};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How the end of a user ends what was mounted for it: its file goes, and where it was the last one the mount goes before, by
/// umount2(2) with `MNT_DETACH` or by a program that does that, all under the lock of [`Users`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmounting {
    /// The mount point.
    pub point: PathBuf,
    /// The list of users, as [`Users::lock`] takes it.
    pub users: PathBuf,
    /// umount(8), where the kernel may wait for a server for ever on the way out: who unmounts by himself could not end then.
    pub program: Option<PathBuf>,
}

/// The users of one volume, held by this process alone until it is dropped.
#[derive(Debug)]
pub struct Users {
    folder: PathBuf,
    _lock: OwnedFd,
}

impl Users {
    /// Takes the list that is kept in a folder, which is made (with those above it) where it is missing. Waits for whoever has
    /// it: they do what ends within ten seconds.
    ///
    /// # Errors
    /// The kernel's.
    pub fn lock(folder: &Path) -> Result<Self> {
        loop {
            let lock = open(folder)?;
            rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))
                .map_err(|errno| Error::path("lock", folder, errno))?;
            if let Some(users) = Self::of(folder, lock) {
                return Ok(users);
            }
        }
    }

    /// The same for who waits no longer than until then; `None` when others had it all the time.
    ///
    /// # Errors
    /// The kernel's.
    pub fn lock_until(folder: &Path, until: Instant) -> Result<Option<Self>> {
        loop {
            let lock = open(folder)?;
            let ask = || match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(true),
                Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
                Err(errno) => Err(Error::path("lock", folder, errno)),
            };
            if !until_so(until, ask)? {
                return Ok(None);
            }
            if let Some(users) = Self::of(folder, lock) {
                return Ok(Some(users));
            }
        }
    }

    /// The list, if what was locked is still it: whoever had it may have removed it with the volume.
    fn of(folder: &Path, lock: OwnedFd) -> Option<Self> {
        let (ours, there) = (rustix::fs::fstat(&lock), rustix::fs::stat(folder));
        let number = |stat: rustix::fs::Stat| (stat.st_dev, stat.st_ino);
        (ours.map(number).ok() == there.map(number).ok())
            .then(|| Self { folder: folder.to_owned(), _lock: lock })
    }

    /// The users, sorted; those of a folder that is not there are none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn list(folder: &Path) -> Result<Vec<String>> {
        let failed = |error| Error::path("look into", folder, error);
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut users = Vec::new();
        for entry in entries {
            users.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        users.sort();
        Ok(users)
    }

    /// There is none.
    ///
    /// # Errors
    /// The kernel's.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(Self::list(&self.folder)?.is_empty())
    }

    /// Notes a user, once.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a user whose name cannot be a file's; the kernel's.
    pub fn add(&self, user: &str) -> Result<()> {
        let file = self.file(user)?;
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::open(&file, flags, Mode::RUSR | Mode::WUSR)
            .map(drop)
            .map_err(|errno| Error::path("make", file, errno))
    }

    /// Forgets a user, if there is such a one.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn remove(&self, user: &str) -> Result<()> {
        let file = self.file(user)?;
        match rustix::fs::unlink(&file) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::path("remove", file, errno)),
        }
    }

    fn file(&self, user: &str) -> Result<PathBuf> {
        crate::check_name("user of a volume", user)?;
        Ok(self.folder.join(user))
    }
}

/// Opens the folder of a list, which is made where it is missing.
fn open(folder: &Path) -> Result<OwnedFd> {
    loop {
        fs::create_dir_all(folder).map_err(|error| Error::path("make", folder, error))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(folder, flags, Mode::empty()) {
            Err(Errno::NOENT) => {}
            opened => return opened.map_err(|errno| Error::path("open", folder, errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_users_come_and_go_and_are_seen_by_others() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run/data");
        assert_eq!(Users::list(&folder).unwrap(), Vec::<String>::new());
        let users = Users::lock(&folder).unwrap();
        assert!(users.is_empty().unwrap());
        for user in ["two", "one", "one"] {
            users.add(user).unwrap();
        }
        assert_eq!(Users::list(&folder).unwrap(), ["one", "two"]);
        users.remove("one").unwrap();
        users.remove("one").unwrap();
        assert!(!users.is_empty().unwrap());
        assert!(users.add("../three").is_err() && users.remove("").is_err());
    }

    #[test]
    fn pure_one_at_a_time_has_the_list() {
        let place = tempfile::tempdir().unwrap();
        let first = Users::lock(place.path()).unwrap();
        let other = std::thread::scope(|scope| {
            let other = scope.spawn(|| Users::lock(place.path()).map(|users| users.add("late")));
            std::thread::sleep(std::time::Duration::from_millis(50));
            assert!(first.is_empty().unwrap());
            drop(first);
            other.join().unwrap()
        });
        other.unwrap().unwrap();
        assert_eq!(Users::list(place.path()).unwrap(), ["late"]);
        let held = Users::lock(place.path()).unwrap();
        let soon = std::time::Duration::from_millis(30);
        assert!(Users::lock_until(place.path(), Instant::now() + soon).unwrap().is_none());
        drop(held);
        // A child that another test spawns has a copy of each descriptor until it is its program: it may take a moment.
        let late = Instant::now() + std::time::Duration::from_secs(60);
        assert!(Users::lock_until(place.path(), late).unwrap().is_some());
    }

    #[test]
    fn pure_a_list_that_was_removed_by_who_had_it_is_made_anew() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("users");
        let first = Users::lock(&folder).unwrap();
        std::thread::scope(|scope| {
            let other = scope.spawn(|| Users::lock(&folder).map(|users| users.add("late")));
            std::thread::sleep(std::time::Duration::from_millis(50));
            fs::remove_dir(&folder).unwrap();
            drop(first);
            other.join().unwrap().unwrap().unwrap();
        });
        assert_eq!(Users::list(&folder).unwrap(), ["late"]);
    }
}
