//! Making, walking and removing directories of groups.

use crate::dir::Dir;
use crate::error::{Error, Result, gone};
use crate::path::CgroupPath;
use rustix::fs::Mode;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How often the parents are made again when another process removes them, empty, under our hands.
const RACES: usize = 100;

/// How long a group may stay busy after its processes have exited.
const BUSY: Duration = Duration::from_secs(1);

/// The directories that were made so far, which are removed with it.
#[derive(Debug, Default)]
pub(crate) struct Undo(Vec<PathBuf>);

/// Makes groups, of which nothing stays that was made where a step fails.
pub(crate) fn all_or_nothing<T>(make: impl FnOnce(&mut Undo) -> Result<T>) -> Result<T> {
    let mut undo = Undo::default();
    let made = make(&mut undo)?;
    undo.0.clear();
    Ok(made)
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.0.drain(..).rev() {
            // A parent that another process uses by now answers EBUSY and stays: then it is theirs.
            let _ = rustix::fs::rmdir(&path);
        }
    }
}

/// What to do about a group that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Take,
    /// Take it for one's own: the same, and with all that a new one would have.
    Adopt,
}

/// Makes `path` below `root`: one mkdir(2) when its parents are there. Tells the directory.
pub(crate) fn make(root: &Path, path: &CgroupPath, existing: Existing, undo: &mut Undo) -> Result<Dir> {
    let target = path.below(root);
    for _ in 0..RACES {
        match rustix::fs::mkdir(&target, Mode::from_raw_mode(0o755)) {
            Ok(()) => undo.0.push(target.clone()),
            Err(Errno::EXIST) if existing != Existing::Refuse => {}
            Err(Errno::EXIST) => return Err(Error::Exists { path: target }),
            Err(Errno::NOENT) => {
                make_parents(root, path, undo)?;
                continue;
            }
            Err(e) => return Err(Error::Make { path: target, source: e.into() }),
        }
        // Empty groups can be pruned by another process before they are opened: make it again then.
        if let Some(dir) = Dir::open(target.clone())? {
            return Ok(dir);
        }
    }
    Err(Error::Make { path: target, source: Errno::NOENT.into() })
}

fn make_parents(root: &Path, path: &CgroupPath, undo: &mut Undo) -> Result<()> {
    for above in path.ancestors() {
        let above = root.join(above);
        match rustix::fs::mkdir(&above, Mode::from_raw_mode(0o755)) {
            Ok(()) => undo.0.push(above),
            Err(Errno::EXIST) => {}
            // Its own parent was removed in between: the caller starts again from the top.
            Err(Errno::NOENT) => return Ok(()),
            Err(e) => return Err(Error::Make { path: above, source: e.into() }),
        }
    }
    Ok(())
}

/// Calls `visit` for a group and for every group below it.
pub(crate) fn walk(dir: &Dir, visit: &mut dyn FnMut(&Dir) -> Result<()>) -> Result<()> {
    visit(dir)?;
    for name in dir.children()? {
        if let Some(child) = dir.child(&name)? {
            walk(&child, visit)?;
        }
    }
    Ok(())
}

/// Adds the processes of a group and of those below it.
pub(crate) fn processes(dir: &Dir, pids: &mut BTreeSet<u32>) -> Result<()> {
    walk(dir, &mut |group| {
        match group.read("cgroup.procs") {
            // 0 is a process of a pid namespace that this one cannot see.
            Ok(text) => {
                pids.extend(text.lines().filter_map(|l| l.parse::<u32>().ok()).filter(|pid| *pid != 0));
            }
            Err(Error::Read { source, .. })
                if gone(&source) || source.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) =>
            {
                // A threaded v2 group: its processes stand in the domain above it, which is walked too.
            }
            Err(e) => return Err(e),
        }
        Ok(())
    })
}

/// Removes groups with those below them. Each is tried; busy ones are tried again, all together, for [`BUSY`].
pub(crate) fn remove(paths: Vec<PathBuf>) -> Result<()> {
    let end = Instant::now() + BUSY;
    let mut wait = Duration::from_micros(50);
    let mut errors = Vec::new();
    let mut pending = paths;
    loop {
        let mut busy = Vec::new();
        for path in pending {
            match remove_once(&path) {
                Ok(()) => {}
                Err(e) if is_busy(&e) && Instant::now() < end => busy.push(path),
                Err(e) => errors.push(e),
            }
        }
        if busy.is_empty() {
            return Error::collect(errors);
        }
        pending = busy;
        std::thread::sleep(wait);
        wait = (wait * 2).min(Duration::from_millis(10));
    }
}

fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Remove { source, .. }
        if source.raw_os_error() == Some(Errno::BUSY.raw_os_error()))
}

fn remove_once(path: &Path) -> Result<()> {
    match rustix::fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // The kernel says EBUSY for groups below as well as for processes.
        Err(Errno::BUSY | Errno::NOTEMPTY) => {}
        Err(e) => return Err(Error::Remove { path: path.to_owned(), source: e.into() }),
    }
    let mut failed = None;
    if let Some(dir) = Dir::open(path.to_owned())? {
        for name in dir.children()? {
            // The siblings of a busy group are removed all the same.
            failed = remove_once(&path.join(name)).err().or(failed);
        }
    }
    match (failed, rustix::fs::rmdir(path)) {
        (Some(e), _) => Err(e),
        (None, Ok(()) | Err(Errno::NOENT)) => Ok(()),
        (None, Err(e)) => Err(Error::Remove { path: path.to_owned(), source: e.into() }),
    }
}

/// Removes a group where nothing is in it.
pub(crate) fn prune(path: &Path) -> Result<()> {
    match rustix::fs::rmdir(path) {
        Ok(()) | Err(Errno::NOENT | Errno::BUSY | Errno::NOTEMPTY) => Ok(()),
        Err(e) => Err(Error::Remove { path: path.to_owned(), source: e.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> CgroupPath {
        CgroupPath::new(text).unwrap()
    }

    #[test]
    fn pure_makes_missing_parents_and_undoes_what_it_made() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("a")).unwrap();
        let mut undo = Undo::default();
        make(root.path(), &path("a/b/c"), Existing::Refuse, &mut undo).unwrap();
        assert!(root.path().join("a/b/c").is_dir());
        let again = make(root.path(), &path("a/b/c"), Existing::Refuse, &mut undo);
        assert!(matches!(again, Err(Error::Exists { .. })));
        make(root.path(), &path("a/b/c"), Existing::Take, &mut undo).unwrap();
        drop(undo);
        assert!(!root.path().join("a/b").exists());
        assert!(root.path().join("a").exists(), "what was there before stays");
    }

    #[test]
    fn pure_a_missing_root_is_an_error_and_not_a_loop() {
        let root = tempfile::tempdir().unwrap();
        let result = make(&root.path().join("gone"), &path("a/b"), Existing::Refuse, &mut Undo::default());
        assert!(matches!(result, Err(Error::Make { .. })), "{result:?}");
    }

    #[test]
    fn pure_remove_takes_what_is_below_and_forgives_absence() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b/c")).unwrap();
        std::fs::create_dir_all(root.path().join("a/d")).unwrap();
        prune(&root.path().join("a")).unwrap();
        assert!(root.path().join("a/b/c").exists(), "prune never touches what is in use");
        remove(vec![root.path().join("a"), root.path().join("never")]).unwrap();
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn pure_remove_goes_on_past_errors() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("b")).unwrap();
        std::fs::write(root.path().join("a"), "").unwrap();
        let error = remove(vec![root.path().join("a"), root.path().join("b")]).unwrap_err();
        assert!(matches!(error, Error::Remove { ref path, .. } if path.ends_with("a")), "{error:?}");
        assert!(!root.path().join("b").exists());
    }

    #[test]
    fn pure_processes_of_the_whole_tree_once() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a")).unwrap();
        std::fs::write(root.path().join("cgroup.procs"), "3\n0\n1\n").unwrap();
        std::fs::write(root.path().join("a/cgroup.procs"), "2\n3\n").unwrap();
        let mut pids = BTreeSet::new();
        processes(&Dir::open_existing(root.path().to_owned()).unwrap(), &mut pids).unwrap();
        assert_eq!(pids.into_iter().collect::<Vec<_>>(), [1, 2, 3]);
    }
}
