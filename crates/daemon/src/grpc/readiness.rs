//! Waiting, without a thread, for the descriptors that engines give.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that is watched.
pub(crate) struct Readiness(AsyncFd<OwnedFd>);

impl Readiness {
    /// Watches a descriptor of an engine, for as long as this lives.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Self::owning(fd.try_clone_to_owned()?)
    }

    /// Watches one that is nobody else's.
    pub(crate) fn owning(watched: OwnedFd) -> io::Result<Self> {
        // SAFETY: `register` asks that the value's descriptor is open and the same one for as long as it is registered. An
        // `OwnedFd` is one descriptor from its making to its drop, and the `AsyncFd` that takes it here gives it to nobody.
        let registered = unsafe { AsyncFd::register(watched) };
        Ok(Self(registered?))
    }

    /// Waits until it can be read, or its other end is closed.
    pub(crate) async fn readable(&self) -> io::Result<()> {
        self.wait(Interest::READABLE, PollFlags::IN).await
    }

    /// Waits until it can be written, or its other end is closed.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.wait(Interest::WRITABLE, PollFlags::OUT).await
    }

    /// The runtime tells of changes; whether it still is so, the kernel says.
    async fn wait(&self, interest: Interest, flags: PollFlags) -> io::Result<()> {
        loop {
            let mut ready = self.0.ready(interest).await?;
            let mut fds = [PollFd::from_borrowed_fd(self.0.get_ref().as_fd(), flags)];
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            rustix::io::retry_on_intr(|| poll(&mut fds, Some(&at_once)))?;
            if !fds[0].revents().is_empty() {
                ready.retain_ready();
                return Ok(());
            }
            ready.clear_ready();
        }
    }
}
