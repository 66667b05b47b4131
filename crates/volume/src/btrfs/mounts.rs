//! What is mounted for the users of a volume that lies in a file.
//!
//! ```text
//! <run>/mounts/<volume>/data                        the volume, for all its users
//! <run>/mounts/<volume>/snapshots/<user>/<name>     what one user wants to see of the past
//! ```

use crate::{Error, Result};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags, mount_change, move_mount, unmount};
use std::fs::{self, DirBuilder};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The mounts of one volume.
#[derive(Debug)]
pub(super) struct Mounts(PathBuf);

impl Mounts {
    pub(super) fn of(run: &Path, volume: &str) -> Self {
        Self(run.join("mounts").join(volume))
    }

    /// Where the volume is mounted.
    pub(super) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    /// Where a snapshot is mounted for a user.
    pub(super) fn snapshot(&self, user: &str, name: &str) -> PathBuf {
        self.snapshots_of(user).join(name)
    }

    fn snapshots_of(&self, user: &str) -> PathBuf {
        self.0.join("snapshots").join(user)
    }

    /// Takes away what is mounted for one user alone. Goes on past errors.
    pub(super) fn leave(&self, user: &str) -> Result<()> {
        let snapshots = self.snapshots_of(user);
        let mut first = Ok(());
        for name in below(&snapshots) {
            first = first.and(detach(&snapshots.join(name)));
        }
        tidy(&snapshots);
        tidy(&self.0.join("snapshots"));
        tidy(&self.0);
        first
    }

    /// Takes away everything. Goes on past errors.
    pub(super) fn end(&self) -> Result<()> {
        let mut first = Ok(());
        for user in below(&self.0.join("snapshots")) {
            first = first.and(self.leave(&user));
        }
        first = first.and(detach(&self.data()));
        tidy(&self.0);
        first
    }
}

/// The names in a folder, none in one that is not there.
fn below(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Removes a folder that is empty.
fn tidy(folder: &Path) {
    // One with something in it is still needed.
    let _ = fs::remove_dir(folder);
}

/// Something is mounted there.
pub(super) fn is_mounted(path: &Path) -> Result<bool> {
    match rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) {
        Ok(answer) => Ok(answer.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(Error::path("look at", path, errno)),
    }
}

/// Attaches a mount to a folder, which is made. What is mounted below it here shows in no other mount namespace.
pub(super) fn attach(mount: &OwnedFd, path: &Path) -> Result<()> {
    // For root alone: what a container leaves there may be set-uid.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Error::path("make", path, error))?;
    move_mount(mount, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .and_then(|()| mount_change(path, MountPropagationFlags::PRIVATE))
        .map_err(|errno| Error::path("mount onto", path, errno))
}

/// Takes away what is mounted on a folder, and the folder.
pub(super) fn detach(path: &Path) -> Result<()> {
    while is_mounted(path)? {
        let done = match unmount(path, UnmountFlags::NOFOLLOW) {
            // Somebody's working folder: he keeps it, and it goes with him.
            Err(Errno::BUSY) => unmount(path, UnmountFlags::NOFOLLOW | UnmountFlags::DETACH),
            other => other,
        };
        match done {
            // Another process was faster.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(Error::path("unmount", path, errno)),
        }
    }
    tidy(path);
    Ok(())
}
