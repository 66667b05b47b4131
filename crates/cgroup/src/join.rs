//! The child's side of joining: descriptors opened ahead by the parent, and one write each.

use rustix::io::Errno;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The way into one group, ready for a child between clone and exec.
///
/// A v1 attach from outside costs a grace period (10 ms); a thread that writes `0` to a `tasks` file moves itself in
/// microseconds. That is why it is `tasks`, and why the child must be single-threaded.
#[derive(Debug)]
pub struct JoinHandle {
    v1: Vec<(OwnedFd, String)>,
    v2: Option<V2>,
    /// What must stay open until whoever joins has become its command: it keeps a scope of systemd's from ending.
    hold: Option<OwnedFd>,
}

#[derive(Debug)]
struct V2 {
    dir: OwnedFd,
    procs: OwnedFd,
    path: String,
}

/// A hierarchy that the child could not join. Plain numbers, so that a child can send it over a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinError {
    /// Which one; [`JoinHandle::describe`] in the parent tells its path.
    pub index: usize,
    /// The kernel's answer, as in errno(3).
    pub errno: i32,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot join cgroup hierarchy {}: errno {}", self.index, self.errno)
    }
}

impl std::error::Error for JoinError {}

impl JoinHandle {
    pub(crate) fn new() -> Self {
        Self { v1: Vec::new(), v2: None, hold: None }
    }

    pub(crate) fn push_v1(&mut self, tasks: OwnedFd, path: String) {
        self.v1.push((tasks, path));
    }

    pub(crate) fn set_v2(&mut self, dir: OwnedFd, procs: OwnedFd, path: String) {
        self.v2 = Some(V2 { dir, procs, path });
    }

    pub(crate) fn keep_open(&mut self, hold: OwnedFd) {
        self.hold = Some(hold);
    }

    /// The v2 group's directory, for clone3(2) with `CLONE_INTO_CGROUP`.
    pub fn v2_dir(&self) -> Option<BorrowedFd<'_>> {
        self.v2.as_ref().map(|v2| v2.dir.as_fd())
    }

    /// All of its descriptors, for a caller who closes all others.
    pub fn as_fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let v1 = self.v1.iter().map(|(tasks, _)| tasks.as_fd());
        let v2 = self.v2.iter().flat_map(|v2| [v2.dir.as_fd(), v2.procs.as_fd()]);
        v1.chain(v2).chain(self.hold.as_ref().map(AsFd::as_fd))
    }

    /// Moves the calling thread into every v1 hierarchy, and, when `v2` is true, its process into the v2 group (for a
    /// caller that could not use `CLONE_INTO_CGROUP`).
    ///
    /// Async-signal-safe: only write(2), no allocation, no lock.
    ///
    /// # Errors
    /// The first hierarchy that refused; those before it are joined.
    pub fn join(&self, v2: bool) -> Result<(), JoinError> {
        for (index, (tasks, _)) in self.v1.iter().enumerate() {
            write_zero(tasks).map_err(|e| JoinError { index, errno: e.raw_os_error() })?;
        }
        match &self.v2 {
            Some(group) if v2 => write_zero(&group.procs)
                .map_err(|e| JoinError { index: self.v1.len(), errno: e.raw_os_error() }),
            _ => Ok(()),
        }
    }

    /// The file behind an index of [`JoinError`], for the parent's message; empty for an index that is none.
    pub fn describe(&self, index: usize) -> &str {
        match self.v1.get(index) {
            Some((_, path)) => path,
            None if index == self.v1.len() => self.v2.as_ref().map_or("", |v2| &v2.path),
            None => "",
        }
    }
}

fn write_zero(file: &OwnedFd) -> Result<(), Errno> {
    loop {
        match rustix::io::write(file, b"0") {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, read_to_string};

    #[test]
    fn pure_writes_zero_to_each_and_names_the_one_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let file = |name: &str| OwnedFd::from(File::create(path(name)).unwrap());
        let mut handle = JoinHandle::new();
        handle.push_v1(file("memory"), "memory/tasks".into());
        handle.set_v2(File::open(folder.path()).unwrap().into(), file("procs"), "unified/procs".into());
        handle.join(false).unwrap();
        assert_eq!(read_to_string(path("memory")).unwrap(), "0");
        assert_eq!(read_to_string(path("procs")).unwrap(), "");
        handle.join(true).unwrap();
        assert_eq!(read_to_string(path("procs")).unwrap(), "0");
        assert!(handle.v2_dir().is_some());

        handle.push_v1(File::open("/dev/full").unwrap().into(), "read-only".into());
        let error = handle.join(true).unwrap_err();
        assert_eq!(error, JoinError { index: 1, errno: Errno::BADF.raw_os_error() });
        assert_eq!(handle.describe(1), "read-only");
        assert_eq!((handle.describe(2), handle.describe(3)), ("unified/procs", ""));
    }
}
