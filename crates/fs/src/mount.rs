//! Mounts that are attached nowhere yet (fsopen(2), open_tree(2), mount_setattr(2), move_mount(2); Linux 5.12).
//!
//! Where the kernel, or a seccomp filter, leaves nothing but mount(2), a file system can still be mounted in one step, onto
//! a descriptor: [`mount_at`].

mod classic;

pub(crate) use classic::flags as classic_flags;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, fsconfig_create, fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fsmount,
    fsopen, fspick, mount_change, move_mount, open_tree,
};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

/// The attributes about times of access.
const ACCESS_TIMES: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOATIME.union(MountAttrFlags::MOUNT_ATTR_STRICTATIME);

/// Where mounts show that are made below a mount later (mount_namespaces(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// Nowhere else.
    Private,
    /// Not elsewhere; but those that are made below the mount that it was copied from show here.
    Slave,
    /// In all copies, and those of the copies here.
    Shared,
    /// Nowhere else, and it cannot be copied.
    Unbindable,
}

impl Propagation {
    const fn flag(self) -> u64 {
        match self {
            Self::Private => libc::MS_PRIVATE,
            Self::Slave => libc::MS_SLAVE,
            Self::Shared => libc::MS_SHARED,
            Self::Unbindable => libc::MS_UNBINDABLE,
        }
    }
}

/// What to change of a mount.
#[derive(Clone, Copy, Debug)]
pub struct Changes<'fd> {
    /// Attributes that it gets.
    pub set: MountAttrFlags,
    /// Attributes that it loses.
    pub clear: MountAttrFlags,
    /// Whether mounts that are made below it show in its copies.
    pub propagation: Option<Propagation>,
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
        propagation: None,
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
        // Shown as the source in mountinfo.
        Self::of_device(kind, kind, options, attributes)
    }

    /// *Child-side.* The same, of what is on a device, or of whatever else the kind takes for its source.
    pub fn of_device<'a>(
        kind: &CStr,
        source: &CStr,
        options: impl IntoIterator<Item = (&'a CStr, &'a CStr)>,
        attributes: MountAttrFlags,
    ) -> Result<Self, Errno> {
        let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, c"source", source)?;
        configure(context.as_fd(), options)?;
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
            propagation: changes.propagation.map_or(0, Propagation::flag),
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

/// By which calls file systems are mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MountApi {
    /// fsopen(2) and what belongs to it (Linux 5.2): mounts are descriptors before they are attached.
    Descriptors,
    /// mount(2) alone, which makes and attaches at once.
    Classic,
}

impl MountApi {
    /// *Child-side.* What this kernel has: asked until the answer is sure, then once in the life of the process.
    pub fn detect() -> Self {
        const DESCRIPTORS: u8 = 1;
        const CLASSIC: u8 = 2;
        static FOUND: AtomicU8 = AtomicU8::new(0);
        match FOUND.load(Ordering::Relaxed) {
            DESCRIPTORS => return Self::Descriptors,
            CLASSIC => return Self::Classic,
            _ => {}
        }
        match fsopen(c"", FsOpenFlags::FSOPEN_CLOEXEC) {
            Err(Errno::NOSYS) => FOUND.store(CLASSIC, Ordering::Relaxed),
            // A filter that was written before the call was, or no right to mount anything: that may still change.
            Err(Errno::PERM) => {}
            // No file system has an empty name.
            _ => {
                FOUND.store(DESCRIPTORS, Ordering::Relaxed);
                return Self::Descriptors;
            }
        }
        Self::Classic
    }

    /// *Child-side.* As the function [`mount_at`], by these calls.
    pub fn mount_at<'a>(
        self,
        kind: &CStr,
        options: impl IntoIterator<Item = (&'a CStr, &'a CStr)>,
        attributes: MountAttrFlags,
        target: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        match self {
            Self::Descriptors => DetachedMount::new(kind, options, attributes)?.attach(target),
            Self::Classic => classic::mount_at(kind, options, attributes, target),
        }
    }
}

/// *Child-side.* Mounts a new file system over a file or folder, with options as [`DetachedMount::new`] takes them, by the
/// calls that the kernel has.
///
/// # Errors
/// By mount(2) alone also `E2BIG` for options of 4 KiB or more, `EINVAL` for a comma in an option, `ENOENT` where `/proc`
/// is not mounted.
pub fn mount_at<'a>(
    kind: &CStr,
    options: impl IntoIterator<Item = (&'a CStr, &'a CStr)>,
    attributes: MountAttrFlags,
    target: BorrowedFd<'_>,
) -> Result<(), Errno> {
    MountApi::detect().mount_at(kind, options, attributes, target)
}

/// *Child-side.* Tells the file system that a mount shows other options, as [`DetachedMount::new`] takes them; what is not named stays
/// as it is.
///
/// # Errors
/// `EINVAL` where nothing is mounted at `place`, or the file system does not know an option.
pub fn reconfigure<'a>(
    place: BorrowedFd<'_>,
    options: impl IntoIterator<Item = (&'a CStr, &'a CStr)>,
) -> Result<(), Errno> {
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = fspick(place, c"", flags)?;
    configure(context.as_fd(), options)?;
    fsconfig_reconfigure(&context)
}

fn configure<'a>(
    context: BorrowedFd<'_>,
    options: impl IntoIterator<Item = (&'a CStr, &'a CStr)>,
) -> Result<(), Errno> {
    for (name, value) in options {
        if value.is_empty() {
            fsconfig_set_flag(context, name)?;
        } else {
            fsconfig_set_string(context, name, value)?;
        }
    }
    Ok(())
}

/// Gives the calling thread a mount namespace of its own, in which nothing of what is mounted from now on shows elsewhere.
/// Its working folder and root are its own from then on too.
pub fn private_namespace() -> Result<(), Errno> {
    unshare(UnshareFlags::NEWNS)?;
    make_all_private()
}

/// Gives the calling thread a working folder of its own.
pub(crate) fn own_working_folder() -> Result<(), Errno> {
    unshare(UnshareFlags::FS)
}

fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    debug_assert!(!flags.contains(UnshareFlags::FILES));
    // SAFETY: the table of descriptors, which is what could go wrong, stays shared.
    unsafe { unshare_unsafe(flags) }
}

/// *Child-side.* Keeps everything that is mounted in the process's mount namespace from now on to that namespace.
pub fn make_all_private() -> Result<(), Errno> {
    let attributes =
        libc::mount_attr { attr_set: 0, attr_clr: 0, propagation: libc::MS_PRIVATE, userns_fd: 0 };
    match setattr(CWD, c"/", libc::AT_RECURSIVE, &attributes) {
        // Before Linux 5.12, or behind an old filter.
        Err(Errno::NOSYS | Errno::PERM) => {
            mount_change(c"/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        }
        result => result,
    }
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
mod tests;
