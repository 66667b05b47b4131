//! Volumes with a size where the file system holds no folders to one: an ext4 in a file of that size.

use super::{LocalDriver, sized, state};
use crate::slot::Slot;
use crate::{Error, Result, VolumeInfo, VolumeState, check_name, mounted};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags, mount_change};
use std::fs::{self, DirBuilder};
use std::os::fd::AsFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use tinyd_fs::loop_file;

/// The folder of the files: no volume has such a name, nor one that is being removed.
const FOLDER: &str = "_disks";

impl LocalDriver {
    fn disks(&self) -> PathBuf {
        self.place.join(FOLDER)
    }

    fn disk(&self, name: &str) -> PathBuf {
        self.disks().join(name)
    }

    /// It has a size, and is no folder here.
    pub(super) fn is_disk(&self, volume: &VolumeState) -> bool {
        volume.options.contains_key(sized::OPTION) && volume.path != self.path(&volume.name)
    }

    /// Of a name there is one volume, with a size or without.
    pub(super) fn only_of_its_name(&self, name: &str) -> Result<()> {
        let there =
            [self.path(name), self.disk(name)].into_iter().find(|path| path.symlink_metadata().is_ok());
        there.map_or(Ok(()), |path| Err(Error::path("make the volume", path, Errno::EXIST)))
    }

    pub(super) fn make_disk(&self, name: &str, size: u64) -> Result<VolumeState> {
        let run = self.run.as_ref().ok_or_else(|| Error::volume("make", name, Errno::INVAL))?;
        let private = DirBuilder::new().recursive(true).mode(0o700).create(self.disks());
        private.map_err(|error| Error::path("make", self.disks(), error))?;
        self.only_of_its_name(name)?;
        let path = self.disk(name);
        let made = format(&path, size).and_then(|()| {
            Slot::make(run, name).inspect_err(|_| {
                // The error that is told is the first.
                let _ = fs::remove_file(&path);
            })
        });
        match made {
            Ok(slot) => Ok(state(name, slot.data(), Some(size))),
            Err(error) => {
                // It is empty, or has others.
                let _ = fs::remove_dir(self.disks());
                Err(error)
            }
        }
    }

    pub(super) fn inspect_disk(&self, volume: &VolumeState) -> Result<VolumeInfo> {
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
    pub(super) fn on_disks(&self) -> Result<Vec<VolumeState>> {
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
                volumes.push(state(&name, run.join(&name).join("data"), Some(data.len())));
            }
        }
        volumes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(volumes)
    }

    pub(super) fn mount_disk(&self, volume: &VolumeState, user: &str) -> Result<PathBuf> {
        check_name("volume name", &volume.name)?;
        let path = self.disk(&volume.name);
        // Looked at first, so that nothing is made for what is not there.
        path.metadata().map_err(|error| Error::path("find the volume", &path, error))?;
        Slot::of(volume).mount(user, |target, is_mounted| match is_mounted {
            true => Ok(()),
            false => {
                let mount = loop_file::mount(&path, MountAttrFlags::empty())?;
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::open(target, flags, Mode::empty())
                    .and_then(|place| mount.attach(place.as_fd()))
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

    pub(super) fn remove_disk(&self, volume: &VolumeState) -> Result<()> {
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

/// Makes an ext4 with an empty root that everybody may enter, as the folder of a volume without a size is. All or nothing.
fn format(path: &Path, size: u64) -> Result<()> {
    loop_file::make(path, size, true)?;
    open_to_all(path).inspect_err(|_| {
        // The error that is told is the first.
        let _ = fs::remove_file(path);
    })
}

fn open_to_all(path: &Path) -> Result<()> {
    let mount = loop_file::mount(path, MountAttrFlags::empty())?;
    let failed = |errno| Error::path("look into", path, errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::openat(mount.as_fd(), ".", flags, Mode::empty()).map_err(failed)?;
    match rustix::fs::unlinkat(&root, "lost+found", AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(failed(errno)),
    }
    rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, needs_root};
    use crate::{VolumeDriver, VolumeSpec};
    use std::collections::BTreeMap;
    use std::fs::File;

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
            options: BTreeMap::from([(sized::OPTION.to_owned(), value.to_owned())]),
            size_bytes: size,
            ..VolumeSpec::named("data")
        };
        refuse(&option("much", None), "is no size");
        refuse(&option("16m", Some(32 << 20)), "another size");
    }
}
