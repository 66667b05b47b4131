//! The loop device of a file.
//!
//! A file never gets a second one: two devices with one file system are two writers that know nothing of each other. So it is
//! looked for first, and whoever asks for it holds a lock of the file meanwhile.

use super::ioctl;
use crate::{Error, Result};
use rustix::fs::{Mode, OFlags, fstat};
use rustix::io::Errno;
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const CONTROL: &str = "/dev/loop-control";
/// How often another process may be faster with a device that was free.
const TRIES: usize = 64;

/// A loop device, held until it is dropped; a mount holds it too. The kernel frees it when the last one closes it, so that there is
/// none to be left over.
#[derive(Debug)]
pub struct Device {
    /// `/dev/loop0`.
    pub path: PathBuf,
    /// Nobody had it before.
    pub is_new: bool,
    _device: OwnedFd,
}

/// Whether there are loop devices.
pub(super) fn check() -> Result<()> {
    control().map(drop)
}

fn control() -> Result<OwnedFd> {
    open(Path::new(CONTROL)).map_err(Error::path("ask for a loop device at", CONTROL))
}

impl Device {
    /// The device of a file, open for reading and writing, which is called so: the one that it has, or a new one. Whoever asks holds
    /// a lock meanwhile.
    ///
    /// # Errors
    /// `EBUSY` where somebody who knows nothing of us has made it one; the kernel's.
    pub fn of(file: impl AsFd, path: &Path) -> Result<Self> {
        let file = file.as_fd();
        match Self::find(file, path)? {
            Some(device) => Ok(device),
            None => Self::attach(file, path),
        }
    }

    fn find(file: BorrowedFd<'_>, path: &Path) -> Result<Option<Self>> {
        let wanted = fstat(file).map_err(Error::path("look at", path))?;
        let failed = |error| Error::path("look into", "/sys/block")(error);
        let devices = match fs::read_dir("/sys/block") {
            Ok(devices) => devices,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        for entry in devices {
            let name = entry.map_err(failed)?.file_name();
            let backing = Path::new("/sys/block").join(&name).join("loop/backing_file");
            if !name.to_string_lossy().starts_with("loop") || matches!(backing.try_exists(), Ok(false)) {
                continue;
            }
            let path = Path::new("/dev").join(&name);
            // Opened first and asked then: from here on it stays what it is.
            let opened = open(&path);
            let asked = opened.and_then(|device| Ok((ioctl::loop_info(device.as_fd())?, device)));
            match asked {
                Ok((info, device))
                    if (info.device, info.inode, info.offset) == (wanted.st_dev, wanted.st_ino, 0)
                        && info.flags & ioctl::LOOP_AUTOCLEAR != 0 =>
                {
                    return Ok(Some(Self { path, is_new: false, _device: device }));
                }
                // Somebody else has made it one, who knows nothing of us.
                Ok((info, _)) if (info.device, info.inode) == (wanted.st_dev, wanted.st_ino) => {
                    return Err(Error::path("use the file of somebody else's loop device", &path)(
                        Errno::BUSY,
                    ));
                }
                // It may be the file's: a second one would be a second writer. One that is free by now has no file.
                Err(errno) if errno != Errno::NXIO && is_behind(&backing, (wanted.st_dev, wanted.st_ino)) => {
                    return Err(Error::path("look at the loop device", &path)(errno));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn attach(file: BorrowedFd<'_>, path: &Path) -> Result<Self> {
        let control = control()?;
        let failed = |errno| Error::path("attach a loop device to", path)(errno);
        for _ in 0..TRIES {
            let number = ioctl::free_loop(control.as_fd()).map_err(failed)?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = open(&path).map_err(Error::path("open the loop device", &path))?;
            let flags = ioctl::LOOP_AUTOCLEAR | ioctl::LOOP_DIRECT_IO;
            let configured = match ioctl::configure_loop(device.as_fd(), file, flags) {
                // The file system below cannot be written directly.
                Err(Errno::INVAL) => ioctl::configure_loop(device.as_fd(), file, ioctl::LOOP_AUTOCLEAR),
                other => other,
            };
            match configured {
                Ok(()) => return Ok(Self { path, is_new: true, _device: device }),
                Err(Errno::BUSY) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(failed(Errno::BUSY))
    }
}

/// Whether the file that sysfs names is this one; one that cannot be looked at may be.
fn is_behind(backing: &Path, wanted: (u64, u64)) -> bool {
    let name = match fs::read(backing) {
        Ok(name) => name,
        Err(error) => return error.kind() != std::io::ErrorKind::NotFound,
    };
    let name = name.strip_suffix(b"\n").unwrap_or(&name);
    match fs::symlink_metadata(Path::new(std::ffi::OsStr::from_bytes(name))) {
        Ok(file) => (file.dev(), file.ino()) == wanted,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

fn open(path: &Path) -> std::result::Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}
