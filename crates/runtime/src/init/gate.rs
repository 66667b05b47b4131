//! Where a container that was created waits to be started, long after its parent has ended: two FIFOs in its run-time folder.
//!
//! Whoever starts it writes a byte to the one, and reads from the other what came of it: reports, or their end with the exec. The
//! child holds both open for reading and writing from before it waits, so that it neither waits for a partner nor needs another
//! descriptor, and its exec or its end closes them: whether one can be opened for writing tells whether somebody waits.

use super::receive::Channel;
use crate::report::Report;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The child's ends.
pub(crate) struct Gate {
    pub(crate) go: OwnedFd,
    pub(crate) told: OwnedFd,
}

impl Gate {
    pub(crate) fn as_fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.go.as_fd(), self.told.as_fd()]
    }

    /// *Child-side.* Tells the parent, and waits. What there is to say from then on is said over what this gives.
    pub(super) fn wait(self, parent: &Channel) -> Result<Channel, Errno> {
        parent.send(Report::Waiting, &[])?;
        let mut word = [0];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.go, &mut word))? {
            1 => Ok(Channel::new(self.told)),
            _ => Err(Errno::PIPE),
        }
    }
}
