//! The loop device of a file.
//!
//! A file never gets a second one: two devices with one file system are two writers that know nothing of each other. So it is
//! looked for first; a file has one user at a time who asks for it.

use super::ioctl;
use crate::{Error, Result};
use rustix::fs::{Mode, OFlags, fstat};
use rustix::io::Errno;
use std::fs;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

const CONTROL: &str = "/dev/loop-control";
/// How often another process may be faster with a device that was free.
const TRIES: usize = 64;

/// A loop device, held until it is dropped; a mount holds it too.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) path: PathBuf,
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
    /// The device of a file: the one that it has, or a new one.
    pub(super) fn of(file: &OwnedFd, path: &Path) -> Result<Self> {
        match Self::find(file, path)? {
            Some(device) => Ok(device),
            None => Self::attach(file, path),
        }
    }

    fn find(file: &OwnedFd, path: &Path) -> Result<Option<Self>> {
        let wanted = fstat(file).map_err(Error::path("look at", path))?;
        let Ok(devices) = fs::read_dir("/sys/block") else { return Ok(None) };
        for name in devices.flatten().map(|entry| entry.file_name()) {
            let is_used = Path::new("/sys/block").join(&name).join("loop/backing_file").exists();
            if !name.to_string_lossy().starts_with("loop") || !is_used {
                continue;
            }
            let path = Path::new("/dev").join(&name);
            // Opened first and asked then: from here on it stays what it is.
            let Ok(device) = open(&path) else { continue };
            match ioctl::loop_info(device.as_fd()) {
                Ok(info)
                    if (info.device, info.inode, info.offset) == (wanted.st_dev, wanted.st_ino, 0)
                        && info.flags & ioctl::LOOP_AUTOCLEAR != 0 =>
                {
                    return Ok(Some(Self { path, _device: device }));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn attach(file: &OwnedFd, path: &Path) -> Result<Self> {
        let control = control()?;
        let failed = |errno| Error::path("attach a loop device to", path)(errno);
        for _ in 0..TRIES {
            let number = ioctl::free_loop(control.as_fd()).map_err(failed)?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = open(&path).map_err(Error::path("open the loop device", &path))?;
            let flags = ioctl::LOOP_AUTOCLEAR | ioctl::LOOP_DIRECT_IO;
            let configured = match ioctl::configure_loop(device.as_fd(), file.as_fd(), flags) {
                // The file system below cannot be written directly.
                Err(Errno::INVAL) => {
                    ioctl::configure_loop(device.as_fd(), file.as_fd(), ioctl::LOOP_AUTOCLEAR)
                }
                other => other,
            };
            match configured {
                Ok(()) => return Ok(Self { path, _device: device }),
                Err(Errno::BUSY) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(failed(Errno::BUSY))
    }
}

fn open(path: &Path) -> std::result::Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
}
