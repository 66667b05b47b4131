//! Where a driver keeps what it mounts for a volume: a folder below the driver's own, with the place of the mount and the
//! list of its users.
//!
//! ```text
//! <run>/<volume>/         only root may enter
//! <run>/<volume>/users/   a file for each user, see `Users`
//! <run>/<volume>/data/    what the first user's mount covers
//! ```

use crate::error::is_there;
use crate::{Error, Result, Unmounting, Users, VolumeState, mounted};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The place of one volume.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    folder: PathBuf,
}

impl Slot {
    /// Makes that of a volume by this name, which has been checked, unless it is there. Links above it are resolved, for the
    /// kernel's table of mounts has none.
    pub(crate) fn make(run: &Path, name: &str) -> Result<Self> {
        std::fs::create_dir_all(run).map_err(|error| Error::path("make", run, error))?;
        let run = run.canonicalize().map_err(|error| Error::path("resolve", run, error))?;
        let slot = Self { folder: run.join(name) };
        slot.make_again()?;
        Ok(slot)
    }

    /// That of a volume that was made.
    pub(crate) fn of(volume: &VolumeState) -> Self {
        Self { folder: volume.path.parent().unwrap_or(Path::new("/nowhere")).to_owned() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn list(&self) -> PathBuf {
        self.folder.join("users")
    }

    fn make_again(&self) -> Result<()> {
        let above = self.folder.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(above).map_err(|error| Error::path("make", above, error))?;
        for folder in [&self.folder, &self.list(), &self.data()] {
            match rustix::fs::mkdir(folder, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(Error::path("make", folder, errno)),
            }
        }
        Ok(())
    }

    /// It is there. Nothing that is mounted is touched.
    pub(crate) fn is_there(&self) -> Result<bool> {
        is_there(&self.folder)
    }

    pub(crate) fn users(&self) -> Result<Vec<String>> {
        Users::list(&self.list())
    }

    /// What [`unmount`](Self::unmount) is, where `detach` is nothing more than umount2(2).
    pub(crate) fn unmounting(&self) -> Unmounting {
        Unmounting { point: self.data(), users: self.list(), program: None }
    }

    /// Notes a user and mounts for him: `attach` is told where, and whether something is mounted there already. A user for
    /// whom nothing could be mounted is forgotten.
    pub(crate) fn mount(
        &self,
        user: &str,
        attach: impl FnOnce(&Path, bool) -> Result<()>,
    ) -> Result<PathBuf> {
        // After a restart of the machine it is gone, and the volume is not.
        self.make_again()?;
        self.mount_by(&Users::lock(&self.list())?, user, attach)
    }

    /// The same for who waits no longer than until then for others who mount or unmount it; `None` when they were at it all the
    /// time. What `attach` itself takes is its own concern.
    pub(crate) fn mount_until(
        &self,
        until: Instant,
        user: &str,
        attach: impl FnOnce(&Path, bool) -> Result<()>,
    ) -> Result<Option<PathBuf>> {
        self.make_again()?;
        let users = Users::lock_until(&self.list(), until)?;
        users.map(|users| self.mount_by(&users, user, attach)).transpose()
    }

    fn mount_by(
        &self,
        users: &Users,
        user: &str,
        attach: impl FnOnce(&Path, bool) -> Result<()>,
    ) -> Result<PathBuf> {
        users.add(user)?;
        let data = self.data();
        match mounted::at(&data).and_then(|kind| attach(&data, kind.is_some())) {
            Ok(()) => Ok(data),
            Err(error) => {
                // The error that is told is the first.
                let _ = users.remove(user);
                Err(error)
            }
        }
    }

    /// Forgets a user, after `detach` where he was the last.
    pub(crate) fn unmount(&self, user: &str, detach: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        crate::check_name("user of a volume", user)?;
        if !self.is_there()? {
            return Ok(());
        }
        let users = Users::lock(&self.list())?;
        if self.users()?.iter().all(|other| other == user) {
            detach(&self.data())?;
        }
        users.remove(user)
    }

    /// Removes it, after `detach`. What lies in it uncovered is no one's mount, and stays with an error.
    pub(crate) fn remove(&self, detach: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if !self.is_there()? {
            return Ok(());
        }
        let users = Users::lock(&self.list())?;
        detach(&self.data())?;
        let mut first = Ok(());
        for user in self.users()? {
            first = first.and(users.remove(&user));
        }
        for folder in [self.data(), self.list(), self.folder.clone()] {
            match rustix::fs::rmdir(&folder) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => first = first.and(Err(Error::path("remove", folder, errno))),
            }
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn pure_the_last_user_ends_it_and_one_that_failed_was_none() {
        let run = tempfile::tempdir().unwrap();
        let slot = Slot::make(run.path(), "data").unwrap();
        let never = |_: &Path| -> Result<()> { panic!("somebody has it") };
        slot.remove(|_| Ok(())).unwrap();
        assert!(!slot.is_there().unwrap());
        slot.unmount("one", never).unwrap();
        assert_eq!(
            slot.mount("one", |_, mounted| {
                assert!(!mounted);
                Ok(())
            })
            .unwrap(),
            slot.data()
        );
        slot.mount("two", |_, _| Ok(())).unwrap();
        assert_eq!(slot.folder.metadata().unwrap().permissions().mode() & 0o7777, 0o700);
        let failed = slot.mount("three", |path, _| Err(Error::path("mount", path, Errno::NOSPC)));
        assert!(failed.is_err());
        assert_eq!(slot.users().unwrap(), ["one", "two"]);
        slot.unmount("two", never).unwrap();
        // One that cannot be unmounted is still in use.
        assert!(slot.unmount("one", |path| Err(Error::path("unmount", path, Errno::IO))).is_err());
        assert_eq!(slot.users().unwrap(), ["one"]);
        slot.unmount("one", |_| Ok(())).unwrap();
        slot.remove(|_| Ok(())).unwrap();
        slot.remove(never).unwrap();
        assert!(!slot.is_there().unwrap());
    }

    #[test]
    fn pure_what_lies_under_a_mount_that_is_not_there_is_kept() {
        let run = tempfile::tempdir().unwrap();
        let slot = Slot::make(run.path(), "data").unwrap();
        std::fs::write(slot.data().join("lost"), "x").unwrap();
        assert!(slot.remove(|_| Ok(())).unwrap_err().to_string().contains("remove"));
        assert!(slot.data().join("lost").exists());
    }
}
