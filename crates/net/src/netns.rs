//! The network namespace of a container, as a driver is given it.

use crate::Result;
use crate::error::kernel;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// A network namespace that is there, or is being made.
///
/// While a container starts, its namespace is made by another process, and that takes some milliseconds. What needs none (an
/// address, a name, a port that is free) a driver does first, and so beside that process; then it opens the namespace.
/// Whatever has a descriptor of one is one that is there.
pub trait Netns {
    /// A descriptor of it, each time the same. The first call may wait.
    ///
    /// # Errors
    /// It will never be there: what was to make it has failed.
    fn open(&self) -> io::Result<BorrowedFd<'_>>;
}

impl<T: AsFd> Netns for T {
    fn open(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.as_fd())
    }
}

/// The namespace of a container that is to be on this network.
pub(crate) fn open<'netns>(network: &str, netns: &'netns dyn Netns) -> Result<BorrowedFd<'netns>> {
    netns.open().map_err(kernel(network, "wait for", "the container's network namespace"))
}
