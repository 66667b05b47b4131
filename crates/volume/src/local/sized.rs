//! Volumes with a size: an ext4 in a file of that size.
//!
//! A project quota would do with less, but few hosts mount with one, and it is root's to say so for a whole file system.

use super::{LocalDriver, NAME};
use crate::btrfs::device::Device;
use crate::program::{self, INPUT};
use crate::size::bytes;
use crate::slot::Slot;
use crate::{Error, Result, VolumeInfo, VolumeSpec, VolumeState, check_name, mounted};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The option that says the size, and that a volume has one.
pub(super) const OPTION: &str = "size";
/// The folder of the files: no volume has such a name, nor one that is being removed.
const FOLDER: &str = "_disks";
/// In less there is no room for ext4's own tables.
const SMALLEST: u64 = 8 << 20;

/// The size that is wanted, if one is.
pub(super) fn size(wanted: &VolumeSpec) -> Result<Option<u64>> {
    let Some(text) = wanted.options.get(OPTION) else { return Ok(wanted.size_bytes) };
    let refuse = |problem: &'static str| {
        let (what, value) = ("volume option", format!("{OPTION}={text}"));
        Err(Error::Invalid { what, value, problem: problem.into() })
    };
    match (bytes(text), wanted.size_bytes) {
        (None, _) => refuse("is no size: 500000, 64k, 100m, 2g"),
        (Some(size), Some(other)) if size != other => refuse("says another size than the volume's own"),
        (size, _) => Ok(size),
    }
}

impl LocalDriver {
    fn disks(&self) -> PathBuf {
        self.place.join(FOLDER)
    }

    fn disk(&self, name: &str) -> PathBuf {
        self.disks().join(name)
    }

    pub(super) fn check_size(&self, wanted: &VolumeSpec) -> Result<()> {
        let Some(size) = size(wanted)? else { return Ok(()) };
        let refuse = |problem: String| {
            let (what, value) = ("volume size", size.to_string());
            Err(Error::Invalid { what, value, problem: problem.into() })
        };
        if size < SMALLEST {
            return refuse(format!(
                "is less than {} MiB, of which ext4 needs some for itself",
                SMALLEST >> 20
            ));
        }
        program::find(program::MKFS_EXT4)?;
        let there = self.place.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let room = rustix::fs::statvfs(there);
        let room = room.map_err(|errno| Error::path("ask for the room at", there, errno))?;
        match room.f_bavail.saturating_mul(room.f_frsize) {
            free if free < size => {
                refuse(format!("is more than the {} MiB that are free at {}", free >> 20, there.display()))
            }
            _ => Ok(()),
        }
    }

    /// Of a name there is one volume, with a size or without.
    pub(super) fn only_of_its_name(&self, name: &str) -> Result<()> {
        let there =
            [self.path(name), self.disk(name)].into_iter().find(|path| path.symlink_metadata().is_ok());
        there.map_or(Ok(()), |path| Err(Error::path("make the volume", path, Errno::EXIST)))
    }

    pub(super) fn make_sized(&self, wanted: &VolumeSpec) -> Result<VolumeState> {
        let (Some(size), Some(run)) = (size(wanted)?, &self.run) else {
            return Err(Error::volume("make", &wanted.name, Errno::INVAL));
        };
        let private = DirBuilder::new().recursive(true).mode(0o700).create(self.disks());
        private.map_err(|error| Error::path("make", self.disks(), error))?;
        self.only_of_its_name(&wanted.name)?;
        let path = self.disk(&wanted.name);
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let file = file.map_err(|error| Error::path("make the volume", &path, error))?;
        let made = format(&file, &path, size).and_then(|()| Slot::make(run, &wanted.name));
        match made {
            Ok(slot) => Ok(state(&wanted.name, slot.data(), size)),
            Err(error) => {
                // The error that is told is the first.
                let _ = fs::remove_file(&path).and_then(|()| fs::remove_dir(self.disks()));
                Err(error)
            }
        }
    }

    pub(super) fn inspect_sized(&self, volume: &VolumeState) -> Result<VolumeInfo> {
        check_name("volume name", &volume.name)?;
        let path = self.disk(&volume.name);
        match path.symlink_metadata() {
            Ok(data) => Ok(VolumeInfo { available: data.is_file(), is_folder: true }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(VolumeInfo { available: false, is_folder: true })
            }
            Err(error) => Err(Error::path("look at the volume", path, error)),
        }
    }

    /// Those that have a size, and the rest of one whose making was cut short.
    pub(super) fn sized(&self) -> Result<Vec<VolumeState>> {
        let (disks, Some(run)) = (self.disks(), &self.run) else { return Ok(Vec::new()) };
        let failed = |error| Error::path("list", &disks, error);
        let entries = match fs::read_dir(&disks) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut volumes = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if check_name("volume name", &name).is_ok() {
                // One that goes meanwhile is none.
                let Ok(data) = entry.metadata() else { continue };
                volumes.push(state(&name, run.join(&name).join("data"), data.len()));
            }
        }
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    pub(super) fn mount_sized(&self, volume: &VolumeState, user: &str) -> Result<PathBuf> {
        check_name("volume name", &volume.name)?;
        let path = self.disk(&volume.name);
        let find = || OpenOptions::new().read(true).write(true).open(&path);
        // Looked at first, so that nothing is made for what is not there.
        let file = find().map_err(|error| Error::path("find the volume", &path, error))?;
        Slot::of(volume).mount(user, |target, is_mounted| match is_mounted {
            true => Ok(()),
            false => {
                let mount = open(&file, &path)?;
                move_mount(&mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
                    .map_err(|errno| Error::path("mount the volume at", target, errno))?;
                // Where the mount above is shared, as systemd makes it, this one has become so.
                mount_change(target, MountPropagationFlags::PRIVATE).map_err(|errno| {
                    // The error that is told is the first.
                    let _ = mounted::detach(target);
                    Error::path("make private", target, errno)
                })
            }
        })
    }

    pub(super) fn remove_sized(&self, volume: &VolumeState) -> Result<()> {
        Slot::of(volume).remove(mounted::detach)?;
        let path = self.disk(&volume.name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::path("remove the volume", &path, error));
            }
            _ => {}
        }
        // It is empty, or has others.
        let _ = fs::remove_dir(self.disks());
        Ok(())
    }
}

fn state(name: &str, path: PathBuf, size: u64) -> VolumeState {
    let options = BTreeMap::from([(OPTION.to_owned(), size.to_string())]);
    VolumeState { driver: NAME.to_owned(), name: name.to_owned(), path, made: Vec::new(), options }
}

/// Makes an ext4 with an empty root that everybody may enter, as the folder of a volume without a size is.
fn format(file: &File, path: &Path, size: u64) -> Result<()> {
    file.set_len(size).map_err(|error| Error::path("set the size of", path, error))?;
    // No room is kept for root, and of a new file nothing needs to be given back. A loop device has the sectors of the disk
    // below it, and a block is no less than one.
    let operands =
        ["-q", "-F", "-b", "4096", "-m", "0", "-E", "nodiscard,root_owner=0:0", "-L", "tinyd-volume", INPUT];
    let operands: Vec<_> = operands.iter().map(AsRef::as_ref).collect();
    let input = file.try_clone().map_err(|error| Error::path("format", path, error))?;
    program::run(program::MKFS_EXT4, &operands, Some(input.into()))?;
    let mount = open(file, path)?;
    let failed = |errno| Error::path("look into", path, errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(&mount, ".", flags, Mode::empty()).map_err(failed)?;
    match rustix::fs::unlinkat(&root, "lost+found", AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(failed(errno)),
    }
    rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755)).map_err(failed)
}

/// A mount of the file system in a file, attached nowhere yet.
fn open(file: &File, path: &Path) -> Result<OwnedFd> {
    let device = Device::of(file, path)?;
    let failed = |errno| Error::path("mount the file system in", path, errno);
    let context = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed)?;
    fsconfig_set_string(&context, "source", &device.path).map_err(failed)?;
    // What is deleted in it is free again on the disk below.
    fsconfig_set_flag(&context, "discard").map_err(failed)?;
    fsconfig_create(&context).map_err(failed)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VolumeDriver;
    use crate::testing::{self, needs_root};

    fn of_size(size: u64) -> VolumeSpec {
        VolumeSpec { size_bytes: Some(size), ..VolumeSpec::named("data") }
    }

    #[test]
    fn root_it_keeps_the_drivers_contract() {
        if needs_root() {
            return;
        }
        let (place, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = place.path().join("volumes");
        let driver = || -> Box<dyn VolumeDriver> { Box::new(LocalDriver::new(&kept).with_sizes(run.path())) };
        testing::conformance(&driver, &of_size(16 << 20));
        for folder in [&*kept, run.path()] {
            assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "{}", folder.display());
        }
        // Nor does a volume without a size change by it.
        testing::conformance(&driver, &VolumeSpec::named("data"));
    }

    #[test]
    fn root_a_volume_with_a_size_is_one_of_its_name_and_begins_empty() {
        if needs_root() {
            return;
        }
        let (place, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let driver = LocalDriver::new(place.path()).with_sizes(run.path());
        let volume = driver.create(&of_size(16 << 20)).unwrap();
        assert_eq!(volume.options["size"], "16777216");
        assert!(
            driver.create(&VolumeSpec::named("data")).is_err() && driver.create(&of_size(8 << 20)).is_err()
        );
        assert_eq!(driver.list().unwrap(), std::slice::from_ref(&volume));
        let path = driver.mount(&volume, "one").unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        fs::write(path.join("fits"), vec![1; 4 << 20]).unwrap();
        let error = fs::write(path.join("more"), vec![1; 16 << 20]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
        // Somebody who has something open in it keeps no one from removing it.
        let _open = File::open(path.join("fits")).unwrap();
        driver.remove(&volume).unwrap();
        assert!(driver.list().unwrap().is_empty() && !driver.inspect(&volume).unwrap().available);
        assert!(driver.mount(&volume, "one").unwrap_err().to_string().contains("find the volume"));
    }

    #[test]
    fn pure_a_size_that_cannot_be_had_is_refused_and_says_why() {
        let place = tempfile::tempdir().unwrap();
        let driver = LocalDriver::new(place.path().join("volumes")).with_sizes(place.path().join("run"));
        let refuse = |wanted: &VolumeSpec, part: &str| {
            let error = driver.create(wanted).expect_err(part).to_string();
            assert!(error.contains(part) && fs::read_dir(place.path()).unwrap().count() == 0, "{error}");
        };
        refuse(&of_size(1 << 20), "less than 8 MiB");
        refuse(&of_size(1 << 60), "are free at");
        let option = |value: &str, size| VolumeSpec {
            options: BTreeMap::from([(OPTION.to_owned(), value.to_owned())]),
            size_bytes: size,
            ..VolumeSpec::named("data")
        };
        refuse(&option("much", None), "is no size");
        refuse(&option("16m", Some(32 << 20)), "another size");
    }
}
