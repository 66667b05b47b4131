//! Being told when a group runs out of memory, by a descriptor that can be polled.

use crate::dir::Dir;
use crate::error::{Error, Result, gone};
use crate::flat;
use rustix::event::{EventfdFlags, PollFlags};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Tells when a group runs out of memory. Got from [`crate::Cgroup::watch_oom`].
///
/// For poll(2) with its [`interest`](OomWatch::interest), its descriptor (close-on-exec, non-blocking) has something when
/// something has happened; then [`OomWatch::take`] says whether it was that. On v2 there is something for other events of memory
/// too, and for ever once the group is removed; on v1 when the group is removed. Neither is reported.
///
/// Which groups it tells of is the kernel's: on v2 this one and those below; on v1 this one and those **above** it,
/// whose want is its own too.
#[derive(Debug)]
pub struct OomWatch {
    /// On v1 the eventfd that the kernel rings.
    bell: Option<OwnedFd>,
    file: OwnedFd,
    path: PathBuf,
    /// On v2, what `memory.events` said last.
    seen: u64,
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.as_ref().unwrap_or(&self.file).as_fd()
    }
}

impl OomWatch {
    /// An eventfd that the kernel rings (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control").
    pub(crate) fn v1(dir: &Dir) -> Result<Self> {
        const FILE: &str = "memory.oom_control";
        let path = dir.file(FILE);
        let failed = |e: Errno| Error::Watch { path: path.clone(), source: e.into() };
        let file = dir.open_file(FILE, OFlags::RDONLY)?;
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let bell = rustix::event::eventfd(0, flags).map_err(failed)?;
        dir.write("cgroup.event_control", &format!("{} {}", bell.as_raw_fd(), file.as_raw_fd()))?;
        Ok(Self { bell: Some(bell), file, path, seen: 0 })
    }

    /// `memory.events` itself, whose changes poll(2) is told of (Documentation/admin-guide/cgroup-v2.rst). No inotify(7): of its
    /// instances a user has 128, root too, and one for each container would leave none to others.
    pub(crate) fn v2(dir: &Dir) -> Result<Self> {
        const FILE: &str = "memory.events";
        let file = dir.open_file(FILE, OFlags::RDONLY)?;
        let mut watch = Self { bell: None, file, path: dir.file(FILE), seen: 0 };
        watch.seen = watch.count()?.unwrap_or(0);
        Ok(watch)
    }

    /// What poll(2) is asked for.
    pub fn interest(&self) -> PollFlags {
        if self.bell.is_some() { PollFlags::IN } else { PollFlags::PRI }
    }

    /// Whether the group ran out of memory since the last call, or since the watch was made; until the next event poll(2) has
    /// nothing then. The kill comes after the want, so that [`crate::Cgroup::oom_kills`] may count it a moment later.
    ///
    /// # Errors
    /// The kernel's. A group that was removed is no error: nothing happens to it any more.
    pub fn take(&mut self) -> Result<bool> {
        let Some(bell) = &self.bell else {
            let Some(count) = self.count()? else { return Ok(false) };
            return Ok(count > std::mem::replace(&mut self.seen, count));
        };
        match rustix::io::retry_on_intr(|| rustix::io::read(bell, &mut [0; 8])) {
            // One that is removed rings, too.
            Ok(_) => Ok(self.count()?.is_some()),
            Err(Errno::AGAIN) => Ok(false),
            Err(e) => Err(self.failed(e)),
        }
    }

    /// The group is gone, or has no such controller any more: nothing comes, and poll(2) says for ever that something has.
    pub fn is_over(&self) -> bool {
        !matches!(self.count(), Ok(Some(_)))
    }

    /// How often memory was short or a process killed for it, on v2; `None` when the group is gone.
    fn count(&self) -> Result<Option<u64>> {
        let mut buffer = [0; 512];
        match rustix::io::pread(&self.file, &mut buffer, 0) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&buffer[..length]);
                let [ooms, kills] = flat::values(&text, ["oom", "oom_kill"]);
                Ok(Some(ooms.unwrap_or(0).saturating_add(kills.unwrap_or(0))))
            }
            Err(e) if gone(&e.into()) => Ok(None),
            Err(e) => Err(self.failed(e)),
        }
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::Watch { path: self.path.clone(), source: errno.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::fake;
    use rustix::event::{PollFd, Timespec, poll};
    use std::fs;

    fn readable(watch: &OomWatch) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(watch, watch.interest())], Some(&now)).unwrap() == 1
    }

    #[test]
    fn pure_v2_tells_want_from_other_events() {
        let (folder, dir) = fake(&[("memory.events", "low 0\nmax 0\noom 1\noom_kill 1\n")]);
        let events = |text: &str| fs::write(folder.path().join("memory.events"), text).unwrap();
        let mut watch = OomWatch::v2(&dir).unwrap();
        assert!(!watch.take().unwrap(), "what was before does not count");
        events("low 0\nmax 5\noom 1\noom_kill 1\n");
        assert!(!watch.take().unwrap());
        events("low 0\nmax 9\noom 2\noom_kill 1\n");
        assert!(watch.take().unwrap() && !watch.take().unwrap());
    }

    #[test]
    fn pure_v1_registers_its_descriptors_and_counts_rings() {
        let (folder, dir) = fake(&[("memory.oom_control", "oom_kill 0\n"), ("cgroup.event_control", "")]);
        let mut watch = OomWatch::v1(&dir).unwrap();
        let text = fs::read_to_string(folder.path().join("cgroup.event_control")).unwrap();
        assert_eq!(text, format!("{} {}", watch.as_fd().as_raw_fd(), watch.file.as_raw_fd()));
        assert!(!readable(&watch) && !watch.take().unwrap());
        for _ in 0..2 {
            rustix::io::write(watch.as_fd(), &3u64.to_ne_bytes()).unwrap();
            assert!(readable(&watch) && watch.take().unwrap());
            assert!(!readable(&watch) && !watch.take().unwrap());
        }
    }
}
