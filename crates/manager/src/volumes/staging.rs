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
use crate::store::{make_folder, remove_tree};
use crate::volumes::fill::open_folder;
use rustix::fs::{AtFlags, CWD, RenameFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

const COMING: &str = ".tinyd-coming";
const WHOLE: &str = ".tinyd-whole";
/// What a file system itself has in its root.
const LOST: &str = "lost+found";

/// There is nothing of anybody's in a volume.
pub(super) fn is_empty(path: &Path) -> Result<bool> {
    let own = [COMING, WHOLE, LOST].map(OsString::from);
    Ok(names(path)?.iter().all(|name| own.contains(name)))
}

/// Nothing is left of a command that was killed, or could not tidy up.
pub(super) fn is_settled(path: &Path) -> bool {
    [COMING, WHOLE].iter().all(|name| path.join(name).symlink_metadata().is_err())
}

/// Puts right what was left: while nobody else fills the volume.
pub(super) fn settle(path: &Path) -> Result<()> {
    remove_tree(&path.join(COMING))?;
    match path.join(WHOLE).symlink_metadata() {
        Ok(_) => move_up(path),
        Err(_) => Ok(()),
    }
}

/// Has a folder filled, all of which comes into the volume, or nothing.
pub(super) fn bring(path: &Path, fill: impl FnOnce(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
    settle(path)?;
    let coming = path.join(COMING);
    make_folder(&coming, 0o700)?;
    let filled = open_folder(&coming).and_then(|folder| fill(folder.as_fd()));
    if let Err(error) = filled {
        // What cannot be removed now is by whoever comes next. The error that is told is the first.
        let _ = remove_tree(&coming);
        return Err(error);
    }
    rename(&coming, &path.join(WHOLE))?;
    move_up(path)
}

/// Moves up what is in the folder. What a container has made there since under the same name is the container's.
fn move_up(path: &Path) -> Result<()> {
    let whole = path.join(WHOLE);
    let folder = open_folder(&whole)?;
    let failed = |errno: Errno| Error::file("look at", &whole, errno);
    let stat = rustix::fs::fstat(&folder).map_err(failed)?;
    for name in names(&whole)? {
        rename(&whole.join(&name), &path.join(&name))?;
    }
    // That it is emptied is no change of what it was made from.
    let modified = Timespec { tv_sec: stat.st_mtime, tv_nsec: stat.st_mtime_nsec as _ };
    let untouched = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT as _ };
    let times = Timestamps { last_access: untouched, last_modification: modified };
    rustix::fs::futimens(&folder, &times).map_err(failed)?;
    // Of a folder that is empty by now: owner, mode, times and attributes.
    tinyd_fs::copy::tree(folder.as_fd(), open_folder(path)?.as_fd()).map_err(|source| Error::Tree {
        operation: "give its owner and mode to",
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    rustix::fs::unlinkat(CWD, &whole, AtFlags::REMOVEDIR)
        .map_err(|errno| Error::file("remove", &whole, errno))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    let done = match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Servers, and file systems of programs, may not have it.
        Err(Errno::INVAL | Errno::NOSYS) => match to.symlink_metadata() {
            Ok(_) => Err(Errno::EXIST),
            Err(_) => rustix::fs::rename(from, to),
        },
        done => done,
    };
    match done {
        Err(Errno::EXIST) => remove_tree(from),
        done => done.map_err(|errno| Error::file("move up", from, errno)),
    }
}

fn names(path: &Path) -> Result<Vec<OsString>> {
    let failed = |error| Error::file("list", path, error);
    let entries = std::fs::read_dir(path).map_err(failed)?;
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn seen(path: &Path) -> Vec<String> {
        let mut seen: Vec<_> = names(path).unwrap().into_iter().map(|name| name.into_string().unwrap()).collect();
        seen.sort();
        seen
    }

    #[test]
    fn pure_it_comes_whole_or_not_at_all_and_others_keep_theirs() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path();
        fs::write(path.join("theirs"), "kept").unwrap();
        let write = |folder: BorrowedFd<'_>, names: &[&str]| {
            for name in names {
                let flags = rustix::fs::OFlags::CREATE | rustix::fs::OFlags::WRONLY;
                drop(rustix::fs::openat(folder, *name, flags, rustix::fs::Mode::RUSR).unwrap());
            }
        };
        let failed = bring(path, |folder| {
            write(folder, &["one"]);
            Err(Error::VolumesBusy)
        });
        assert!(matches!(failed, Err(Error::VolumesBusy)));
        assert_eq!((seen(path), is_settled(path)), (vec!["theirs".to_owned()], true));
        bring(path, |folder| {
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
        fs::create_dir_all(path.join(COMING).join("half")).unwrap();
        fs::create_dir_all(path.join(WHOLE).join("rest")).unwrap();
        fs::create_dir(path.join("moved")).unwrap();
        assert!(!is_settled(path) && !is_empty(path).unwrap());
        settle(path).unwrap();
        assert_eq!((seen(path), is_settled(path)), (vec!["moved".to_owned(), "rest".to_owned()], true));
        settle(path).unwrap();
        fs::create_dir(path.join(COMING)).unwrap();
        fs::create_dir(path.join(LOST)).unwrap();
        fs::remove_dir(path.join("moved")).and_then(|()| fs::remove_dir(path.join("rest"))).unwrap();
        assert!(is_empty(path).unwrap());
    }
}
