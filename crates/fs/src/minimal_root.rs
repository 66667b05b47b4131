//! A small root file system that is made of files: folders, device nodes, a program or a few, and the libraries they need.
//!
//! Where [`host_root`](crate::host_root) shows the machine's own trees, this copies: the root needs nothing of the machine
//! afterwards, and can be sent elsewhere.
//!
//! ```no_run
//! use std::path::Path;
//! use tinyd_fs::minimal_root;
//!
//! let root = Path::new("/srv/small");
//! minimal_root::create(root)?;
//! let copied = minimal_root::populate(root, Path::new("/"))?;
//! // `chroot /srv/small /bin/sh -c true` works now.
//! assert!(copied.contains(&"/bin/sh".into()));
//! minimal_root::clean_up(root)?;
//! # Ok::<(), tinyd_fs::Error>(())
//! ```

mod clean_up;
mod elf;
mod ld_so;
mod libraries;
mod populate;
mod search_path;
#[cfg(test)]
mod tests;

pub use clean_up::clean_up;
pub use populate::{populate, populate_with};

use crate::{Error, Result, dev, mount, resolve};
use rustix::fs::{CWD, Mode, OFlags, fchmod, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The folders, parents first, with their modes.
const FOLDERS: [(&CStr, u32); 17] = [
    (c"bin", 0o755),
    (c"sbin", 0o755),
    (c"lib", 0o755),
    (c"lib64", 0o755),
    (c"usr", 0o755),
    (c"usr/bin", 0o755),
    (c"usr/sbin", 0o755),
    (c"usr/lib", 0o755),
    (c"usr/lib64", 0o755),
    (c"etc", 0o755),
    (c"proc", 0o555),
    (c"sys", 0o555),
    (c"dev", 0o755),
    (c"tmp", 0o1777),
    (c"var", 0o755),
    (c"var/tmp", 0o1777),
    (c"root", 0o700),
];

/// Makes the folders and device nodes of a root at `root`, which is made too (mode 0755) where it is missing; the folder
/// that it lies in must exist. What is there already stays as it is. Links in `root` are followed inside it.
///
/// # Errors
/// `EPERM` for the nodes in a user namespace, where nobody may make any: [`mount_file_systems`] cannot help there either,
/// but binding the machine's own nodes can. `EEXIST` where something else has the name of a node.
pub fn create(root: &Path) -> Result<()> {
    match mkdirat(CWD, root, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(Error::path("make", root)(errno)),
    }
    let top = open_root(root)?;
    for (name, mode) in FOLDERS {
        let path = root.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        make_folder(&top, name, mode).map_err(Error::path("make", path))?;
    }
    let devices = root.join("dev");
    let folder = resolve::open(top.as_fd(), c"dev").map_err(Error::path("open", &devices))?;
    dev::fill_folder(folder.as_fd()).map_err(Error::path("make the device nodes in", devices))
}

/// Mounts what every program expects onto the folders of a root: proc, sysfs (read-only), and file systems in memory with
/// the device nodes on `/dev` and nothing on `/tmp`. By whichever calls the kernel has.
///
/// They are mounted in the caller's mount namespace, and show what the caller's other namespaces hold.
/// [`clean_up()`] takes them away.
pub fn mount_file_systems(root: &Path) -> Result<()> {
    let top = open_root(root)?;
    let safe = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let inert = safe | MountAttrFlags::MOUNT_ATTR_NODEV;
    let read_only = inert | MountAttrFlags::MOUNT_ATTR_RDONLY;
    let temporary = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    for (name, kind, mode, attributes) in [
        (c"proc", c"proc", None, inert),
        (c"sys", c"sysfs", None, read_only),
        (c"dev", c"tmpfs", Some(c"755"), safe),
        (c"tmp", c"tmpfs", Some(c"1777"), temporary),
    ] {
        let path = root.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        // No link may stand here: what is mounted must be where its name says.
        let target = resolve::ensure_plain_dir(top.as_fd(), name).map_err(Error::path("mount on", &path))?;
        let options = mode.into_iter().map(|mode| (c"mode", mode));
        mount::mount_at(kind, options, attributes, target.as_fd()).map_err(Error::path("mount on", path))?;
    }
    let devices = root.join("dev");
    let folder = resolve::open(top.as_fd(), c"dev").map_err(Error::path("open", &devices))?;
    dev::fill_folder(folder.as_fd()).map_err(Error::path("make the device nodes in", devices))
}

fn open_root(root: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, root, flags, Mode::empty()).map_err(Error::path("open", root))
}

fn make_folder(root: &OwnedFd, path: &CStr, mode: u32) -> std::result::Result<(), Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match resolve::open_with(root.as_fd(), path, flags) {
        Err(Errno::NOENT) => {}
        result => return result.map(drop),
    }
    let (parent, name) = split(path);
    let parent = resolve::ensure_dir(root.as_fd(), &parent)?;
    match mkdirat(&parent, &name, Mode::from_raw_mode(mode)) {
        Ok(()) => {}
        // A link that leads nowhere.
        Err(Errno::EXIST) => return Err(Errno::LOOP),
        Err(errno) => return Err(errno),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let folder = openat(&parent, &name, flags, Mode::empty())?;
    // Not left to the umask.
    fchmod(&folder, Mode::from_raw_mode(mode))
}

/// The folder of a path, and the name in it.
fn split(path: &CStr) -> (CString, CString) {
    let bytes = path.to_bytes();
    let at = bytes.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let (folder, name) = bytes.split_at(at);
    let folder = if folder.is_empty() { &b"/"[..] } else { folder };
    // Parts of a C string hold no zero byte.
    (CString::new(folder).unwrap_or_default(), CString::new(name).unwrap_or_default())
}
