//! A root as a record of what is wanted.

use super::{into_root, into_root_keeping, into_root_through};
use crate::mount::{DetachedMount, MountApi};
use crate::{Error, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::mount_bind_recursive;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

/// How a process gets to its root. There is one way: a root by chroot(2) can be left again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// pivot_root(2)
    #[default]
    PivotRoot,
}

/// Where the old root goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PutOld {
    /// Onto the new one, and away from there: no folder is needed.
    #[default]
    Nowhere,
    /// Into a folder of this name in the new root, and away from there.
    Through(CString),
    /// Into a folder of this name in the new root, where it stays until [`leave_old`](super::leave_old).
    Kept(CString),
}

/// A folder that is to be the root of this thread's mount namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootConfig {
    /// How.
    pub method: Method,
    /// The folder.
    pub root: PathBuf,
    /// Where the old root goes.
    pub put_old: PutOld,
}

impl Default for RootConfig {
    /// `/`, by pivot_root, with the old root gone.
    fn default() -> Self {
        Self { method: Method::default(), root: PathBuf::from("/"), put_old: PutOld::default() }
    }
}

impl RootConfig {
    /// Makes the folder, with everything mounted below it, the root of the calling thread's mount namespace, which must be
    /// its own ([`private_namespace`](crate::mount::private_namespace)): all processes in it come along.
    ///
    /// # Errors
    /// `EINVAL` where mounts are shared with another namespace; those of [`into_root_through`].
    pub fn enter(&self) -> Result<()> {
        self.enter_by(MountApi::detect())
    }

    pub(super) fn enter_by(&self, api: MountApi) -> Result<()> {
        let Method::PivotRoot = self.method;
        let root = self.mount(api).map_err(Error::path("mount", &self.root))?;
        let entered = match &self.put_old {
            PutOld::Nowhere => into_root(root.as_fd()),
            PutOld::Through(name) => into_root_through(root.as_fd(), name),
            PutOld::Kept(name) => into_root_keeping(root.as_fd(), name),
        };
        entered.map_err(Error::path("change the root to", &self.root))
    }

    /// Only a mount can be a root: a second one of the folder is attached over it.
    fn mount(&self, api: MountApi) -> std::result::Result<OwnedFd, Errno> {
        let open = || {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, &self.root, flags, Mode::empty())
        };
        let folder = open()?;
        match api {
            MountApi::Descriptors => {
                let copy = DetachedMount::clone_of(folder.as_fd(), c"", true)?;
                copy.attach(folder.as_fd())?;
                Ok(copy.into_fd())
            }
            MountApi::Classic => {
                mount_bind_recursive(&self.root, &self.root)?;
                open()
            }
        }
    }
}
