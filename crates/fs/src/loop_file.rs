//! A file that holds a file system of its own: a limit for what is written into a folder, where the disk below has none for
//! folders.
//!
//! The file is sparse: it takes of the disk below what is written into it, and gives back what is removed. Nothing of it stays
//! behind whoever is killed: its loop device is freed by the kernel when the file system is unmounted by the last one.

mod device;
mod ioctl;
mod program;

pub use device::Device;

use crate::mount::{self, DetachedMount};
use crate::{Error, Result};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::mount::{FsOpenFlags, MountAttrFlags, fsopen};
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The fewest bytes of a file: what is left for files of less is hardly anything.
pub const LEAST: u64 = 16 << 20;

/// Whether this machine can have such files: the program that formats them, loop devices, ext4.
///
/// # Errors
/// [`Error::NoProgram`]; or what the kernel lacks.
pub fn check() -> Result<()> {
    program::find(program::MKFS)?;
    device::check()?;
    fsopen(c"ext4", FsOpenFlags::FSOPEN_CLOEXEC).map(drop).map_err(Error::file_system("open", "ext4"))
}

/// Makes a file of this size, with an empty file system. One that could not be formatted is taken away again. Without a journal, what was written last may be lost with the power,
/// and with it the whole: for what outlives nobody.
///
/// # Errors
/// `EEXIST` where there is something of that name; [`Error::NoProgram`], [`Error::ProgramFailed`].
pub fn make(path: &Path, bytes: u64, journal: bool) -> Result<()> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(Error::path("make", path))?;
    format(file, path, bytes, journal).inspect_err(|_| {
        // The error that is told is the first.
        let _ = rustix::fs::unlink(path);
    })
}

fn format(file: OwnedFd, path: &Path, bytes: u64, journal: bool) -> Result<()> {
    rustix::fs::ftruncate(&file, bytes).map_err(Error::path("set the size of", path))?;
    // Blocks as large as those of the device (see `configure_loop`). None are kept for root, who is the only one to write; no
    // tables are written that are zeros already.
    let mut words =
        ["-q", "-F", "-m", "0", "-b", "4096", "-e", "remount-ro", "-E", "nodiscard,lazy_itable_init=1"]
            .to_vec();
    if !journal {
        words.extend(["-O", "^has_journal"]);
    }
    words.push(program::INPUT);
    program::run(program::MKFS, &words, file)
}

/// Mounts the file system in a file, attached nowhere. Twice mounted it is one file system.
///
/// # Errors
/// Those of the kernel, with the file or the loop device.
pub fn mount(path: &Path, attributes: MountAttrFlags) -> Result<DetachedMount> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || rustix::fs::open(path, flags, Mode::empty()).map_err(Error::path("open", path));
    let file = open()?;
    // One at a time looks for its device and makes one. (Another description: the device keeps that of the file.)
    let alone = open()?;
    rustix::io::retry_on_intr(|| flock(&alone, FlockOperation::LockExclusive))
        .map_err(Error::path("lock", path))?;
    let device = Device::of(&file, path)?;
    let source = CString::new(device.path.as_os_str().as_bytes())
        .map_err(|_| Error::path("mount", path)(rustix::io::Errno::INVAL))?;
    let options = [(c"discard", c""), (c"noinit_itable", c"")];
    DetachedMount::of_device(c"ext4", &source, options, attributes).map_err(Error::path("mount", path))
}

/// Calls a function where the file system in a file is mounted at a folder: in a thread of its own, in a mount namespace that
/// nobody else sees. What it opens or mounts there, attached nowhere, stays.
///
/// # Errors
/// Those of [`mount()`], or of the namespace.
pub fn visit<T: Send>(path: &Path, folder: &Path, look: impl FnOnce() -> T + Send) -> Result<T> {
    let visit = || {
        mount::private_namespace().map_err(Error::path("make a mount namespace to look into", path))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = rustix::fs::open(folder, flags, Mode::empty()).map_err(Error::path("open", folder))?;
        let mounted = self::mount(path, MountAttrFlags::empty())?;
        mounted.attach(place.as_fd()).map_err(Error::path("mount", path))?;
        Ok(look())
    };
    std::thread::scope(|scope| match scope.spawn(visit).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

#[cfg(test)]
mod tests;
