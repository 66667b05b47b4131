//! What comes into a volume comes whole: it is put together in a folder of the volume, and moved up when all of it is there.
//!
//! Whoever is killed at that leaves nothing that is taken for data, whoever fails takes away nothing of somebody else's, and
//! containers that have the volume meanwhile see what they wrote.
//!
//! ```text
//! .tinyd-coming/   not all of it is there yet: it is removed by whoever comes next
//! .tinyd-whole/    all of it was there: whoever comes next goes on with moving it up
//! ```

use crate::error::{Error, Result};
use crate::process::until;
use crate::volumes::fill::open_folder;
use rustix::fs::{AtFlags, Dir, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

/// How long another one may take to fill the same volume.
const PATIENCE: Duration = Duration::from_secs(600);
const COMING: &str = ".tinyd-coming";
const WHOLE: &str = ".tinyd-whole";
/// What a file system itself has in its root.
const LOST: &str = "lost+found";

/// A volume that is being filled. Its containers may change it meanwhile as they like, so that all is done by descriptors and single
/// names: no path is walked in it.
pub(super) struct Place<'a> {
    path: &'a Path,
    folder: OwnedFd,
}

impl<'a> Place<'a> {
    pub(super) fn open(path: &'a Path) -> Result<Self> {
        Ok(Self { path, folder: open_folder(path)? })
    }

    /// The volume's folder.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// Waits until nobody else fills it, and keeps others from it as long as this lives.
    pub(super) fn be_alone(&self) -> Result<()> {
        until(PATIENCE, || Ok(self.is_alone()?.then_some(())))?.ok_or(Error::VolumesBusy)
    }

    /// The same, if nobody else fills it.
    pub(super) fn is_alone(&self) -> Result<bool> {
        match rustix::fs::flock(self.folder(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
            Err(errno) => Err(self.failed("lock")(errno)),
        }
    }

    /// There is nothing of anybody's in it.
    pub(super) fn is_empty(&self) -> Result<bool> {
        let own = [COMING, WHOLE, LOST].map(OsString::from);
        Ok(self.names(self.folder())?.iter().all(|name| own.contains(name)))
    }

    /// Nothing is left of a command that was killed, or could not tidy up.
    pub(super) fn is_settled(&self) -> bool {
        let look = |name| rustix::fs::statat(self.folder(), name, AtFlags::SYMLINK_NOFOLLOW);
        // A server that does not answer has it still.
        [COMING, WHOLE].into_iter().all(|name| matches!(look(name), Err(Errno::NOENT)))
    }

    /// Puts right what was left: while nobody else fills the volume.
    pub(super) fn settle(&self) -> Result<()> {
        self.remove(self.folder(), COMING.as_ref())?;
        self.move_up()
    }

    /// Forgets what was left.
    pub(super) fn clear(&self) -> Result<()> {
        [COMING, WHOLE].into_iter().try_for_each(|name| self.remove(self.folder(), name.as_ref()))
    }

    /// Has a folder filled, all of which comes into the volume, or nothing.
    pub(super) fn bring(&self, fill: impl FnOnce(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
        self.settle()?;
        let filled = self.make_coming().and_then(|coming| fill(coming.as_fd()));
        if let Err(error) = filled {
            // What cannot be removed now is by whoever comes next. The error that is told is the first.
            let _ = self.remove(self.folder(), COMING.as_ref());
            return Err(error);
        }
        rustix::fs::renameat(self.folder(), COMING, self.folder(), WHOLE).map_err(self.failed("complete"))?;
        self.move_up()
    }

    /// It is as the volume's own folder, which will be as it: what fills it may say nothing of that.
    fn make_coming(&self) -> Result<OwnedFd> {
        let coming = rustix::fs::mkdirat(self.folder(), COMING, Mode::RWXU)
            .and_then(|()| open_in(self.folder(), COMING))
            .map_err(self.failed("make a folder in"))?;
        self.give_top(self.folder(), coming.as_fd())?;
        Ok(coming)
    }

    fn give_top(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<()> {
        tinyd_fs::copy::top(from, to).map_err(|source| Error::Tree {
            operation: "give its owner and mode to",
            path: self.path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Moves up what all of it was there of. What a container has made there since under the same name is the container's.
    fn move_up(&self) -> Result<()> {
        let whole = match open_in(self.folder(), WHOLE) {
            Ok(whole) => whole,
            Err(Errno::NOENT) => return Ok(()),
            // Nothing that was ever made here.
            Err(Errno::NOTDIR | Errno::LOOP) => return self.remove(self.folder(), WHOLE.as_ref()),
            Err(errno) => return Err(self.failed("look into")(errno)),
        };
        let stat = rustix::fs::fstat(&whole).map_err(self.failed("look into"))?;
        for name in self.names(whole.as_fd())? {
            self.move_one(whole.as_fd(), &name)?;
        }
        // That it is emptied is no change of what it was made from.
        let modified = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
        let untouched = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ };
        let times = Timestamps { last_access: untouched, last_modification: modified };
        rustix::fs::futimens(&whole, &times).map_err(self.failed("set the time of"))?;
        self.give_top(whole.as_fd(), self.folder())?;
        self.remove(self.folder(), WHOLE.as_ref())?;
        // Its removal was a change of the volume's folder.
        rustix::fs::futimens(&self.folder, &times).map_err(self.failed("set the time of"))
    }

    fn move_one(&self, from: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
        let to = self.folder();
        let done = match rustix::fs::renameat_with(from, name, to, name, RenameFlags::NOREPLACE) {
            // Servers, and file systems of programs, may not have it.
            Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::statat(to, name, AtFlags::SYMLINK_NOFOLLOW)
            {
                Ok(_) => Err(Errno::EXIST),
                Err(_) => rustix::fs::renameat(from, name, to, name),
            },
            done => done,
        };
        match done {
            Err(Errno::EXIST) => self.remove(from, name),
            // Its container has taken it away.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("fill")(errno)),
        }
    }

    fn remove(&self, folder: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
        tinyd_fs::remove_tree_in(folder, name).map_err(|source| Error::Tree {
            operation: "tidy up in",
            path: self.path.to_owned(),
            source: Box::new(source),
        })
    }

    fn names(&self, folder: BorrowedFd<'_>) -> Result<Vec<OsString>> {
        let list = || -> rustix::io::Result<Vec<OsString>> {
            let names = Dir::read_from(folder)?
                .map(|entry| entry.map(|entry| OsStr::from_bytes(entry.file_name().to_bytes()).to_owned()));
            let all = names.collect::<rustix::io::Result<Vec<_>>>()?;
            Ok(all.into_iter().filter(|name| name != "." && name != "..").collect())
        };
        list().map_err(self.failed("list"))
    }

    fn failed(&self, operation: &'static str) -> impl Fn(Errno) -> Error {
        let path = self.path.to_owned();
        move |errno| Error::file(operation, &path, errno)
    }
}

/// A folder of this name, and no link.
fn open_in(folder: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(folder, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn seen(path: &Path) -> Vec<String> {
        let entries =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut seen: Vec<_> = entries.collect();
        seen.sort();
        seen
    }

    #[test]
    fn pure_it_comes_whole_or_not_at_all_and_others_keep_theirs() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        let volume = Place::open(path).unwrap();
        fs::write(path.join("theirs"), "kept").unwrap();
        let write = |folder: BorrowedFd<'_>, names: &[&str]| {
            for name in names {
                let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
                drop(rustix::fs::openat(folder, *name, flags, rustix::fs::Mode::RUSR).unwrap());
            }
        };
        let failed = volume.bring(|folder| {
            write(folder, &["one"]);
            Err(Error::VolumesBusy)
        });
        assert!(matches!(failed, Err(Error::VolumesBusy)));
        assert_eq!((seen(path), volume.is_settled()), (vec!["theirs".to_owned()], true));
        volume
            .bring(|folder| {
                write(folder, &["one", "theirs", "two"]);
                fs::write(path.join("meanwhile"), "").unwrap();
                Ok(())
            })
            .unwrap();
        assert_eq!(seen(path), ["meanwhile", "one", "theirs", "two"]);
        assert_eq!(fs::read_to_string(path.join("theirs")).unwrap(), "kept");
    }

    #[test]
    fn pure_what_was_cut_off_is_gone_on_with_if_all_of_it_was_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        let volume = Place::open(path).unwrap();
        fs::create_dir_all(path.join(COMING).join("half")).unwrap();
        fs::create_dir_all(path.join(WHOLE).join("rest")).unwrap();
        fs::create_dir(path.join("moved")).unwrap();
        assert!(!volume.is_settled() && !volume.is_empty().unwrap());
        volume.settle().unwrap();
        assert_eq!((seen(path), volume.is_settled()), (vec!["moved".to_owned(), "rest".to_owned()], true));
        volume.settle().unwrap();
        fs::create_dir(path.join(COMING)).unwrap();
        fs::create_dir(path.join(LOST)).unwrap();
        fs::remove_dir(path.join("moved")).and_then(|()| fs::remove_dir(path.join("rest"))).unwrap();
        assert!(volume.is_empty().unwrap());
    }

    #[test]
    fn pure_a_link_in_the_place_of_what_comes_leads_nowhere() {
        let (place, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("file"), "kept").unwrap();
        for name in [COMING, WHOLE] {
            std::os::unix::fs::symlink(outside.path(), place.path().join(name)).unwrap();
        }
        let volume = Place::open(place.path()).unwrap();
        volume.settle().unwrap();
        assert_eq!(
            (seen(place.path()), seen(outside.path())),
            (Vec::<String>::new(), vec!["file".to_owned()])
        );
    }
}
