//! Overlays (kernel documentation, `filesystems/overlayfs`): read-only layers below one that is written.
//!
//! Kernels differ in how they take the layers, and each way has another limit; [`Overlay::mount`] finds the first that works:
//!
//! | since Linux | how | at most |
//! |---|---|---|
//! | 6.13 | `lowerdir+` with a descriptor for each layer | 500 layers, which is all that an overlay may have |
//! | 6.8 | `lowerdir+` with the path of the descriptor | 500 layers |
//! | 5.2 | one option `lowerdir` | 255 bytes: some 13 layers |
//! | any | mount(2), all options in one string | 4 KiB: 500 layers, named by numbers in `/proc/self/fd` |

mod by_context;
mod by_mount;
mod changes;
mod layers;
#[cfg(test)]
mod tests;

pub use changes::{Change, ChangeKind, changes};

use crate::mount::{DetachedMount, MountApi};
use crate::{Error, Result};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many lower layers an overlay may have (OVL_MAX_STACK).
pub const MAX_LOWERS: usize = 500;

/// The inode of the first user namespace (PROC_USER_INIT_INO), the same since Linux 3.8.
const FIRST_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// An overlay that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// The layers that are read, topmost first; 500 at most. Mounts below one of them do not show.
    pub lowers: &'a [PathBuf],
    /// The layer that is written, and the scratch folder beside it (same parent folder).
    pub writable: Writable<'a>,
    /// Attributes of the mount.
    pub attributes: MountAttrFlags,
    /// Shows every layer with its ids mapped. What is written stands on the disk in the numbers of the inside.
    pub idmap: Option<IdMap<'a>>,
    /// Keeps the overlay's marks in `user.overlay.` attributes instead of `trusted.overlay.` (Linux 5.11), which only root
    /// of the first user namespace may write. Without either, a folder cannot be removed and made anew (EIO). Layers with
    /// the one kind of marks do not show right with the other. See [`needs_user_xattrs`].
    pub user_xattrs: bool,
}

/// The folders of an overlay that are written.
#[derive(Clone, Copy, Debug)]
pub struct Writable<'a> {
    /// `upperdir`.
    pub upper: &'a Path,
    /// `workdir`: empty, on the same file system.
    pub work: &'a Path,
    /// Syncs nothing (Linux 5.10). The upper cannot be used in a further overlay then, until what is in `work` is removed.
    pub volatile: bool,
}

impl Writable<'_> {
    /// Makes its folders where they are missing: the upper one as a root folder is, open to everybody, and what is above them for
    /// root alone.
    pub fn make(&self) -> Result<()> {
        for (folder, mode) in [(self.upper, 0o755), (self.work, 0o700)] {
            make_folder(folder, mode).map_err(Error::path("make", folder))?;
        }
        Ok(())
    }
}

fn make_folder(folder: &Path, mode: u32) -> std::result::Result<(), Errno> {
    let wanted = Mode::from_raw_mode(mode);
    match rustix::fs::mkdir(folder, wanted) {
        Ok(()) => rustix::fs::chmod(folder, wanted),
        Err(Errno::EXIST) => Ok(()),
        Err(Errno::NOENT) => {
            folder.parent().map_or(Err(Errno::NOENT), |above| make_folder(above, 0o700))?;
            make_folder(folder, mode)
        }
        Err(errno) => Err(errno),
    }
}

/// A user namespace whose ids files are shown in.
#[derive(Clone, Copy, Debug)]
pub struct IdMap<'a> {
    /// The namespace.
    pub user_namespace: BorrowedFd<'a>,
    /// User and group, outside, that are root inside.
    pub root: (u32, u32),
}

/// An overlay, attached nowhere yet.
#[derive(Debug)]
pub struct MountedOverlay {
    /// The mount.
    pub mount: DetachedMount,
    /// The layers as they were opened. The overlay has its own copies by now, but letting go of these takes the kernel a
    /// while, which is better spent when nobody waits: when this is dropped.
    _layers: Vec<OwnedFd>,
}

/// Whether this process is in a user namespace that is not the first, so that its overlays need [`Overlay::user_xattrs`].
pub fn needs_user_xattrs() -> bool {
    rustix::fs::stat(c"/proc/self/ns/user").is_ok_and(|stat| stat.st_ino != FIRST_USER_NAMESPACE)
}

/// What [`Overlay::mount`] is given to take on the ids of the inside's root.
type AsMappedRoot<'a> = dyn FnMut((u32, u32), &mut dyn FnMut()) + Send + 'a;

/// How the layers are handed over. In the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Each layer as a descriptor. The only way for layers that are attached nowhere.
    Descriptors,
    /// Each layer as the path of its descriptor.
    Paths,
    /// All lowers in one option of fsconfig(2).
    OneOption,
    /// mount(2), in a mount namespace that nobody else sees, from which the mount is taken.
    MountCall,
}

impl Way {
    const ALL: [Self; 4] = [Self::Descriptors, Self::Paths, Self::OneOption, Self::MountCall];

    /// Whether it may do for layers whose ids are mapped, which are attached nowhere at first: as descriptors they may stay
    /// so, and the mount namespace for mount(2) is one where they can be attached.
    fn takes_mapped_layers(self) -> bool {
        matches!(self, Self::Descriptors | Self::MountCall)
    }
}

impl Overlay<'_> {
    /// Mounts it, attached nowhere (Linux 5.2).
    ///
    /// With ids mapped (Linux 5.19), the caller's thread needs CAP_SETUID, CAP_SETGID and the secure bit NO_SETUID_FIXUP:
    /// the kernel looks at the file-system ids of whoever creates an overlay, which must be root's of the inside while it
    /// does, or the overlay is read-only from the start (EOVERFLOW in `work`). `as_mapped_root` is called around that step:
    /// it takes those ids, calls its argument and gives them back. Where mount(2) has to be used it is called in another
    /// thread, and again for each way that is tried.
    ///
    /// # Errors
    /// [`Error::TooManyLayers`]; `EINVAL` where the file system of a layer cannot map ids or be a layer; `EMFILE`, for each
    /// layer is a descriptor meanwhile.
    pub fn mount(
        &self,
        mut as_mapped_root: impl FnMut((u32, u32), &mut dyn FnMut()) + Send,
    ) -> Result<MountedOverlay> {
        /// What worked first: an older kernel is not asked for what it does not have each time, of which it writes to its
        /// log. mount(2) is for those overlays alone that need it.
        static START: AtomicUsize = AtomicUsize::new(0);
        let mut start = START.load(Ordering::Relaxed);
        let last = if self.idmap.is_some() { Way::Paths } else { Way::OneOption };
        let mut first = None;
        for way in Way::ALL {
            if (way as usize) < start || (self.idmap.is_some() && !way.takes_mapped_layers()) {
                continue;
            }
            match self.mount_by(way, &mut as_mapped_root) {
                Ok(mounted) => {
                    START.store(start.max((way as usize).min(last as usize)), Ordering::Relaxed);
                    return Ok(mounted);
                }
                // A kernel before 6.5, which knows no `lowerdir+` either. It says nothing of what is wrong with the layers.
                Err(error) if is(&error, Errno::OPNOTSUPP) => start = Way::OneOption as usize,
                Err(error) if may_work_otherwise(&error) => {
                    first.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(first.unwrap_or_else(|| Error::file_system("mount", "overlay")(Errno::INVAL)))
    }

    /// Mounts it over a folder, by the given calls ([`MountApi::detect`] says which this kernel has). With mount(2) alone
    /// no ids can be mapped (`EINVAL`).
    pub fn mount_at(
        &self,
        api: MountApi,
        target: BorrowedFd<'_>,
        as_mapped_root: impl FnMut((u32, u32), &mut dyn FnMut()) + Send,
    ) -> Result<()> {
        match api {
            MountApi::Descriptors => {
                let mounted = self.mount(as_mapped_root)?;
                mounted.mount.attach(target).map_err(Error::file_system("attach", "overlay"))
            }
            MountApi::Classic => {
                self.check()?;
                by_mount::mount_onto(self, target)
            }
        }
    }

    fn mount_by(&self, way: Way, as_mapped_root: &mut AsMappedRoot<'_>) -> Result<MountedOverlay> {
        self.check()?;
        match way {
            Way::MountCall => by_mount::mount(self, as_mapped_root),
            way => by_context::mount(self, way, as_mapped_root),
        }
    }

    fn check(&self) -> Result<()> {
        let layers = self.lowers.len();
        if layers > MAX_LOWERS {
            return Err(Error::TooManyLayers { layers, most: MAX_LOWERS });
        }
        Ok(())
    }
}

/// Whether an older way may do what failed: the kernel says `EINVAL` to options it does not know.
fn may_work_otherwise(error: &Error) -> bool {
    matches!(error, Error::OptionsTooLong { .. })
        // EOPNOTSUPP: before Linux 6.5 overlay's options are strings, and no descriptors.
        || [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].into_iter().any(|errno| is(error, errno))
}

fn is(error: &Error, errno: Errno) -> bool {
    error.io().and_then(std::io::Error::raw_os_error) == Some(errno.raw_os_error())
}
