//! Waiting for what is written next.

use crate::error::{Error, Result};
use crate::process::readable_by;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// One descriptor that is readable when the log has grown, when something was read ahead, or when its writer has ended.
pub(super) struct Follow {
    folder: PathBuf,
    all: OwnedFd,
    changes: OwnedFd,
    ahead: OwnedFd,
    announced: bool,
    writer: OwnedFd,
}

impl Follow {
    /// Watches the folder of a log, and the process with whose end it is complete.
    pub(super) fn new(log: &Path, writer: OwnedFd) -> Result<Self> {
        let folder = log.parent().unwrap_or(log).to_owned();
        let failed = |errno: Errno| Error::file("watch", &folder, errno);
        let changes = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(failed)?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        inotify::add_watch(&changes, &folder, flags).map_err(failed)?;
        let ahead = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let all = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        for fd in [&changes, &ahead, &writer] {
            epoll::add(&all, fd, EventData::new_u64(0), EventFlags::IN).map_err(failed)?;
        }
        Ok(Self { all, changes, ahead, announced: false, writer, folder })
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.all.as_fd()
    }

    /// Waits for a change; `true` when there will be none after it: the writer has ended, or the moment has come after
    /// which nothing is wanted.
    pub(super) fn wait(&mut self, until: Option<SystemTime>) -> Result<bool> {
        let deadline = until.map(|until| {
            let left = until.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO);
            Instant::now().checked_add(left)
        });
        let changed = readable_by(&self.all, deadline.flatten()).map_err(|errno| self.failed(errno))?;
        let ended = readable_by(&self.writer, Some(Instant::now())).map_err(|errno| self.failed(errno))?;
        self.forget()?;
        Ok(ended || !changed)
    }

    /// Takes the changes that were told so far: what they are about is read next.
    pub(super) fn forget(&mut self) -> Result<()> {
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        loop {
            match rustix::io::read(&self.changes, &mut buffer) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(errno) => return Err(self.failed(errno)),
            }
        }
    }

    /// Makes the descriptor readable as long as something was read ahead.
    pub(super) fn announce(&mut self, ahead: bool) -> Result<()> {
        if self.announced != ahead {
            let done = match ahead {
                true => rustix::io::write(&self.ahead, &1u64.to_ne_bytes()).map(drop),
                false => rustix::io::read(&self.ahead, &mut [0u8; 8]).map(drop),
            };
            done.map_err(|errno| self.failed(errno))?;
            self.announced = ahead;
        }
        Ok(())
    }

    fn failed(&self, errno: Errno) -> Error {
        Error::file("watch", &self.folder, errno)
    }
}
