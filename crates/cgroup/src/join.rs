//! The child's side of joining: descriptors opened ahead by the parent, and one write each.

use crate::path::CgroupPath;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The file of a v2 group that lists its processes.
const PROCS: &str = "cgroup.procs";

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
    /// That of `procs`, for messages.
    path: String,
    group: CgroupPath,
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

    pub(crate) fn set_v2(&mut self, dir: OwnedFd, procs: OwnedFd, path: String, group: CgroupPath) {
        self.v2 = Some(V2 { dir, procs, path, group });
    }

    /// Has the way lead to the v2 group below this one that a process is in, and tells whether it is below: a group that has divided
    /// itself, and its controllers, takes no process any more (`EBUSY`).
    ///
    /// # Errors
    /// The kernel's, as of a process that is gone.
    pub fn follow_v2(&mut self, pid: u32) -> std::io::Result<bool> {
        let Some(v2) = &mut self.v2 else { return Ok(false) };
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let place = text.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or_default();
        let Some(below) = below(place, v2.group.as_str()) else { return Ok(false) };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let open = |from: BorrowedFd<'_>, path: &str, flags| {
            openat2(from, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
        };
        let dir = open(v2.dir.as_fd(), below, OFlags::RDONLY | OFlags::DIRECTORY)?;
        v2.procs = open(dir.as_fd(), PROCS, OFlags::WRONLY)?;
        v2.dir = dir;
        v2.path = format!("{}{below}/{PROCS}", v2.path.strip_suffix(PROCS).unwrap_or_default());
        Ok(true)
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

/// What follows a group in a path of /proc/PID/cgroup, which may begin above it.
fn below<'a>(place: &'a str, group: &str) -> Option<&'a str> {
    let group = format!("/{group}/");
    place.split_once(&group).map(|(_, below)| below).filter(|below| !below.is_empty())
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
    fn pure_what_lies_below_a_group_is_found_wherever_the_path_begins() {
        for (place, wanted) in [
            ("/tinyd/one/init.scope", Some("init.scope")),
            ("/machine.slice/tinyd/one/a/b", Some("a/b")),
            ("/tinyd/one", None),
            ("/tinyd/one2/a", None),
            ("/nottinyd/one/a", None),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(below(place, "tinyd/one"), wanted, "{place}");
        }
    }

    #[test]
    fn pure_writes_zero_to_each_and_names_the_one_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let file = |name: &str| OwnedFd::from(File::create(path(name)).unwrap());
        let mut handle = JoinHandle::new();
        handle.push_v1(file("memory"), "memory/tasks".into());
        let dir = File::open(folder.path()).unwrap().into();
        handle.set_v2(dir, file("procs"), "unified/procs".into(), CgroupPath::new("tinyd/one").unwrap());
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
