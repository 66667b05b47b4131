//! What a process does in its new namespaces before they keep it apart: a fresh mount namespace is a copy of the old one, and
//! `/proc` shows the PID namespace that it was mounted from.

use std::ffi::CStr;

use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

/// *Child-side.* Makes every mount of the calling process's mount namespace private: what is mounted afterwards shows nowhere
/// else, and nothing mounted elsewhere shows here (mount_namespaces(7), "Shared subtrees").
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN over the mount namespace, `EINVAL` where `/` is no mount.
pub fn private_mounts() -> Result<(), Errno> {
    mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// *Child-side.* Mounts a procfs of the calling process's PID namespace on the folder `at`. After [`private_mounts`], or the
/// host has it too.
///
/// # Errors
/// `EPERM` without the rights, and in a user namespace also where parts of the `/proc` there is are hidden by mounts.
pub fn mount_proc(at: &CStr) -> Result<(), Errno> {
    mount(c"proc", at, c"proc", MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV, None)
}

/// *Child-side.* Sets the host name of the calling process's UTS namespace, of 64 bytes at most.
///
/// # Errors
/// `EPERM` without CAP_SYS_ADMIN over it, `EINVAL` for one that is too long.
pub fn set_host_name(name: &[u8]) -> Result<(), Errno> {
    rustix::system::sethostname(name)
}
