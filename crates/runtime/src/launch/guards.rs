//! What a start makes, and undoes again unless it is kept: a start that fails leaves nothing.

use std::os::fd::OwnedFd;
use tinyd_cgroup::Cgroup;
use tinyd_ns::pidfd;

/// A child of ours: killed and reaped at the end of this value, unless it is kept.
pub(crate) struct Child {
    pub(crate) pidfd: OwnedFd,
    kept: bool,
}

impl Child {
    pub(crate) fn new(pidfd: OwnedFd) -> Self {
        Self { pidfd, kept: false }
    }

    /// A process that is no child: it lives on.
    pub(crate) fn of_other(pidfd: OwnedFd) -> Self {
        Self { pidfd, kept: true }
    }

    /// Lets it live.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.kept {
            // It may have ended already, by itself.
            let _ = pidfd::send_signal(&self.pidfd, libc::SIGKILL);
            let _ = pidfd::wait(&self.pidfd);
        }
    }
}

/// A cgroup that was made: removed at the end of this value, unless it is kept.
pub(crate) struct NewCgroup {
    pub(crate) cgroup: Box<dyn Cgroup>,
    kept: bool,
}

impl NewCgroup {
    pub(super) fn new(cgroup: Box<dyn Cgroup>) -> Self {
        Self { cgroup, kept: false }
    }

    /// One that was made by someone else, and stays.
    pub(crate) fn of_other(cgroup: Box<dyn Cgroup>) -> Self {
        Self { cgroup, kept: true }
    }

    /// Lets it stay.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for NewCgroup {
    fn drop(&mut self) {
        if !self.kept {
            // Nobody but the child was ever in it.
            let _ = self.cgroup.remove();
        }
    }
}
