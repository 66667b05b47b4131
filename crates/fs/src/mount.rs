//! Mounts that are attached nowhere yet (fsopen(2), open_tree(2), mount_setattr(2), move_mount(2); Linux 5.12).

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// The attributes about times of access.
const ACCESS_TIMES: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOATIME.union(MountAttrFlags::MOUNT_ATTR_STRICTATIME);

/// What to change of a mount.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'fd> {
    /// Attributes that it gets.
    pub set: MountAttrFlags,
    /// Attributes that it loses.
    pub clear: MountAttrFlags,
    /// Keeps mounts that are made below it, here or in copies of it, from showing in the others.
    pub private: bool,
    /// Shows files as if their owners' numbers were those inside this user namespace: an owner 0 on disk is root there.
    /// The file system must allow it: ext4, xfs, btrfs, since Linux 6.3 tmpfs, …
    pub user_namespace: Option<BorrowedFd<'fd>>,
    /// Changes the mounts below it too.
    pub recursive: bool,
}

impl Changes<'_> {
    /// Nothing.
    pub const NONE: Self = Self {
        set: MountAttrFlags::empty(),
        clear: MountAttrFlags::empty(),
        private: false,
        user_namespace: None,
        recursive: false,
    };

    /// Makes it read-only, and the mounts below it if asked to.
    pub fn read_only(recursive: bool) -> Self {
        Self { set: MountAttrFlags::MOUNT_ATTR_RDONLY, recursive, ..Self::NONE }
    }
}

/// A mount by descriptor. It stays what it is when it has been attached; one that never is goes with its descriptor.
#[derive(Debug)]
pub struct DetachedMount(OwnedFd);

impl DetachedMount {
    /// *Child-side.* A new file system of a kind, with options as `name`, `value`; an empty value makes it a flag.
    pub fn new<'a>(
        kind: &CStr,
        options: impl IntoIterator<Item = (&'a CStr, &'a CStr)>,
        attributes: MountAttrFlags,
    ) -> Result<Self, Errno> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        // Shown as the source in mountinfo.
        fsconfig_set_string(&context, c"source", kind)?;
        for (name, value) in options {
            if value.is_empty() {
                fsconfig_set_flag(&context, name)?;
            } else {
                fsconfig_set_string(&context, name, value)?;
            }
        }
        fsconfig_create(&context)?;
        Self::from_context(context.as_fd(), attributes)
    }

    pub(crate) fn from_context(context: BorrowedFd<'_>, attributes: MountAttrFlags) -> Result<Self, Errno> {
        fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map(Self)
    }

    /// *Child-side.* A second mount of what a path shows, which may be a single file; with everything mounted below it
    /// when `recursive` is set. An empty path means `folder` itself.
    pub fn clone_of(folder: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<Self, Errno> {
        let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        if recursive {
            flags |= OpenTreeFlags::AT_RECURSIVE;
        }
        if path.is_empty() {
            flags |= OpenTreeFlags::AT_EMPTY_PATH;
        }
        open_tree(folder, path, flags).map(Self)
    }

    /// *Child-side.* Takes a descriptor that is known to be of a mount: one that came over a socket.
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// *Child-side.* Changes it, in one call.
    ///
    /// # Errors
    /// `EINVAL` where ids are to be mapped and the file system cannot, or the mount is attached already; `EPERM` where an
    /// attribute is locked by a user namespace above.
    pub fn change(&self, changes: &Changes<'_>) -> Result<(), Errno> {
        let user_namespace = changes.user_namespace.map(|fd| fd.as_raw_fd() as u64);
        let attributes = libc::mount_attr {
            attr_set: u64::from(changes.set.bits()) | user_namespace.map_or(0, |_| libc::MOUNT_ATTR_IDMAP),
            // The times of access are a choice of one: a new one needs the old one taken back.
            attr_clr: u64::from(changes.clear.bits())
                | if changes.set.intersects(ACCESS_TIMES) { libc::MOUNT_ATTR__ATIME } else { 0 },
            propagation: if changes.private { libc::MS_PRIVATE } else { 0 },
            userns_fd: user_namespace.unwrap_or_default(),
        };
        let flags = libc::AT_EMPTY_PATH | if changes.recursive { libc::AT_RECURSIVE } else { 0 };
        setattr(self.as_fd(), c"", flags, &attributes)
    }

    /// *Child-side.* Attaches it to a file or folder, over what is there.
    pub fn attach(&self, target: BorrowedFd<'_>) -> Result<(), Errno> {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(&self.0, c"", target, c"", flags)
    }

    /// *Child-side.* Attaches it over the root folder of the process's mount namespace. The process's own root stays what
    /// it was until [`pivot`](crate::pivot).
    pub fn attach_over_root(&self) -> Result<(), Errno> {
        move_mount(&self.0, c"", CWD, c"/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
    }

    /// The descriptor.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for DetachedMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// *Child-side.* Keeps everything that is mounted in the process's mount namespace from now on to that namespace.
pub fn make_all_private() -> Result<(), Errno> {
    let attributes =
        libc::mount_attr { attr_set: 0, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    setattr(CWD, c"/", libc::AT_RECURSIVE, &attributes)
}

fn setattr(
    folder: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
    attributes: &libc::mount_attr,
) -> Result<(), Errno> {
    // SAFETY: `path` is a C string and `attributes` a mount_attr of the size given; both live through the call, which
    // only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            folder.as_raw_fd(),
            path.as_ptr(),
            flags as libc::c_uint,
            std::ptr::from_ref(attributes),
            size_of::<libc::mount_attr>(),
        )
    };
    if result == -1 {
        // SAFETY: the location of errno is always valid in the calling thread.
        return Err(Errno::from_raw_os_error(unsafe { *libc::__errno_location() }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags, mkdirat, openat};

    #[test]
    fn attributes_hold_without_being_attached() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        let mount = DetachedMount::new(c"tmpfs", [(c"size", c"64k")], MountAttrFlags::empty()).unwrap();
        mkdirat(&mount, "a", Mode::RWXU).unwrap();
        mount.change(&Changes::read_only(true)).unwrap();
        assert_eq!(mkdirat(&mount, "b", Mode::RWXU), Err(Errno::ROFS));
        let writable = Changes { clear: MountAttrFlags::MOUNT_ATTR_RDONLY, ..Changes::NONE };
        mount.change(&writable).unwrap();
        mkdirat(&mount, "b", Mode::RWXU).unwrap();
        openat(&mount, "b", OFlags::PATH, Mode::empty()).unwrap();
    }

    #[test]
    fn an_unknown_kind_is_an_error() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        let error = DetachedMount::new(c"no-such-fs", [], MountAttrFlags::empty()).unwrap_err();
        assert_eq!(error, Errno::NODEV);
    }
}
