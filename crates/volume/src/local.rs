//! A folder of this machine that is the volume's own.

mod disk;
mod sized;

use crate::slot::Slot;
use crate::types::{VolumeInfo, VolumeSpec, VolumeState};
use crate::{Error, Result, Unmounting, VolumeDriver, check_name, mounted};
use rustix::fs::{CWD, Mode, RenameFlags};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use tinyd_fs::project;

/// Folders of this machine: `<place>/<name>`.
///
/// What is removed is renamed first, so that a volume is whole or gone; the rest of one whose removal was cut short goes with
/// the next removal or making of the same name.
///
/// One with a size ([`VolumeSpec::size_bytes`], or the option `size`) is such a folder too where the file system holds folders to
/// one ([`tinyd_fs::project`]). Elsewhere it is an ext4 in a file, `<place>/_disks/<name>`, which is mounted while somebody uses it;
/// that needs root, and `mkfs.ext4`. The file has the size, of which ext4 needs some for itself, and takes of the disk below what
/// is in it.
#[derive(Clone, Debug)]
pub struct LocalDriver {
    place: PathBuf,
    run: Option<PathBuf>,
}

/// The driver's word.
const NAME: &str = "local";

impl LocalDriver {
    /// The folders below `place`, an absolute path, which is made with the first of them.
    pub fn new(place: impl Into<PathBuf>) -> Self {
        Self { place: place.into(), run: None }
    }

    /// The same with volumes that have a size, which are mounted below `run`, a folder that need not last longer than the
    /// machine's run.
    #[must_use]
    pub fn with_sizes(self, run: impl Into<PathBuf>) -> Self {
        Self { run: Some(run.into()), ..self }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.join(name)
    }

    /// Where a volume is while it is removed: no volume's own, as no name begins so.
    fn going(&self, name: &str) -> PathBuf {
        self.place.join(format!(".{name}"))
    }

    /// That of a folder, which may be held to a size.
    fn state(&self, name: &str, size: Option<u64>) -> VolumeState {
        state(name, self.path(name), size)
    }

    fn make_folder(&self, name: &str, size: Option<u64>) -> Result<VolumeState> {
        clear(&self.going(name))?;
        self.only_of_its_name(name)?;
        let path = self.path(name);
        let mode = Mode::from_raw_mode(0o755);
        rustix::fs::mkdir(&path, mode).map_err(|errno| Error::path("make the volume", &path, errno))?;
        // The caller's umask took rights away.
        let opened =
            rustix::fs::chmod(&path, mode).map_err(|errno| Error::path("set the mode of", &path, errno));
        let held = opened.and_then(|()| Ok(size.map(|size| project::hold(&path, size)).transpose()?));
        match held {
            Ok(size) => Ok(self.state(name, size)),
            Err(error) => {
                // What cannot be taken back is an empty folder, and the error that is told is the first.
                let _ = rustix::fs::rmdir(&path);
                Err(error)
            }
        }
    }
}

impl VolumeDriver for LocalDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn validate(&self, wanted: &VolumeSpec) -> Result<()> {
        check_name("volume name", &wanted.name)?;
        let refuse = |what, value: String, problem: &'static str| {
            Err(Error::Invalid { what, value, problem: problem.into() })
        };
        if let Some(option) = wanted.options.keys().find(|option| *option != sized::OPTION) {
            return refuse("volume option", option.clone(), "is unknown to the driver local, which has size");
        }
        if let Some(source) = &wanted.source {
            return refuse(
                "mount source",
                source.display().to_string(),
                "is nothing that the driver local shows",
            );
        }
        match (sized::size(wanted)?, &self.run) {
            (Some(_), Some(_)) => self.check_size(wanted),
            (Some(size), None) => refuse("volume size", size.to_string(), "cannot be held by this driver"),
            (None, _) => Ok(()),
        }
    }

    fn create(&self, wanted: &VolumeSpec) -> Result<VolumeState> {
        self.validate(wanted)?;
        fs::create_dir_all(&self.place).map_err(|error| Error::path("make", &self.place, error))?;
        match sized::size(wanted)? {
            Some(size) if !project::is_held(&self.place) => self.make_disk(&wanted.name, size),
            size => self.make_folder(&wanted.name, size),
        }
    }

    fn inspect(&self, volume: &VolumeState) -> Result<VolumeInfo> {
        volume.expect_driver(NAME)?;
        if self.is_disk(volume) {
            return self.inspect_disk(volume);
        }
        match volume.path.symlink_metadata() {
            Ok(data) => Ok(VolumeInfo { available: data.is_dir(), is_folder: true }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(VolumeInfo { available: false, is_folder: true })
            }
            Err(error) => Err(Error::path("look at the volume", &volume.path, error)),
        }
    }

    fn list(&self) -> Result<Vec<VolumeState>> {
        let failed = |error| Error::path("list", &self.place, error);
        let entries = match fs::read_dir(&self.place) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            names.extend(check_name("volume name", &name).is_ok().then_some(name));
        }
        names.sort();
        let held = project::is_held(&self.place);
        let folder = |name: &String| {
            let size = if held { project::limit(&self.path(name))? } else { None };
            Ok(self.state(name, size))
        };
        let mut volumes = names.iter().map(folder).collect::<Result<Vec<_>>>()?;
        volumes.extend(self.on_disks()?);
        Ok(volumes)
    }

    fn mount(&self, volume: &VolumeState, user: &str) -> Result<PathBuf> {
        volume.expect_driver(NAME)?;
        if self.is_disk(volume) {
            return self.mount_disk(volume, user);
        }
        match self.inspect(volume)?.available {
            true => Ok(volume.path.clone()),
            false => Err(Error::path("find the volume", &volume.path, Errno::NOENT)),
        }
    }

    fn unmount(&self, volume: &VolumeState, user: &str) -> Result<()> {
        volume.expect_driver(NAME)?;
        match self.is_disk(volume) {
            true => Slot::of(volume).unmount(user, mounted::detach),
            false => Ok(()),
        }
    }

    fn users(&self, volume: &VolumeState) -> Result<Vec<String>> {
        volume.expect_driver(NAME)?;
        if self.is_disk(volume) { Slot::of(volume).users() } else { Ok(Vec::new()) }
    }

    fn unmounting(&self, volume: &VolumeState) -> Option<Unmounting> {
        self.is_disk(volume).then(|| Slot::of(volume).unmounting())
    }

    fn is_plain(&self, volume: &VolumeState) -> bool {
        volume.driver == NAME && !self.is_disk(volume)
    }

    fn remove(&self, volume: &VolumeState) -> Result<()> {
        volume.expect_driver(NAME)?;
        check_name("volume name", &volume.name)?;
        if self.is_disk(volume) {
            return self.remove_disk(volume);
        }
        let going = self.going(&volume.name);
        clear(&going)?;
        // Looked at first: one that cannot go stays where it is.
        expect_bare(&volume.path)?;
        match rustix::fs::renameat_with(CWD, &volume.path, CWD, &going, RenameFlags::NOREPLACE) {
            Ok(()) => clear(&going),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(Error::path("remove the volume", &volume.path, errno)),
        }
    }
}

fn state(name: &str, path: PathBuf, size: Option<u64>) -> VolumeState {
    let options = size.map(|size| (sized::OPTION.to_owned(), size.to_string())).into_iter().collect();
    VolumeState { driver: NAME.to_owned(), name: name.to_owned(), path, made: Vec::new(), options }
}

/// Refuses a tree in which something is mounted, which is somebody else's data. One that is gone has nothing.
fn expect_bare(path: &Path) -> Result<()> {
    let failed = |error: io::Error| Error::path("remove", path, error);
    match path.canonicalize() {
        Ok(real) if mounted::is_any_below(&real)? => Err(failed(Errno::BUSY.into())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(()),
    }
}

/// Removes a tree in which nothing is mounted; one that is gone is no error.
#[allow(clippy::disallowed_methods, reason = "it is looked before whether anything is mounted there")]
fn clear(path: &Path) -> Result<()> {
    let failed = |error: io::Error| Error::path("remove", path, error);
    let is_folder = match path.symlink_metadata() {
        Ok(data) => data.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    expect_bare(path)?;
    let released = if is_folder { project::release(path) } else { Ok(()) };
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        _ => Ok(released?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn pure_it_keeps_the_drivers_contract() {
        let place = tempfile::tempdir().unwrap();
        let volumes = place.path().join("volumes");
        let driver = || -> Box<dyn VolumeDriver> { Box::new(LocalDriver::new(&volumes)) };
        testing::conformance(&driver, &VolumeSpec::named("data"));
        assert_eq!(fs::read_dir(&volumes).unwrap().count(), 0);
    }

    #[test]
    fn pure_bad_wishes_are_refused_and_nothing_is_made() {
        let place = tempfile::tempdir().unwrap();
        let driver = LocalDriver::new(place.path().join("volumes"));
        let refuse = |wanted: VolumeSpec, what: &str| {
            let error = driver.create(&wanted).expect_err(what).to_string();
            assert!(error.contains(what) && !place.path().join("volumes").exists(), "{error}");
        };
        refuse(VolumeSpec::named("../x"), "volume name");
        refuse(VolumeSpec { size_bytes: Some(1), ..VolumeSpec::named("a") }, "volume size");
        refuse(VolumeSpec { source: Some("/s".into()), ..VolumeSpec::named("a") }, "mount source");
        refuse(VolumeSpec { options: [("o".into(), "x".into())].into(), ..VolumeSpec::named("a") }, "\"o\"");
    }

    #[test]
    fn pure_a_volume_is_open_to_every_user_and_made_once() {
        let place = tempfile::tempdir().unwrap();
        let driver = LocalDriver::new(place.path());
        let volume = driver.create(&VolumeSpec::named("data")).unwrap();
        assert_eq!(volume.path.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        fs::write(volume.path.join("file"), "kept").unwrap();
        assert!(driver.create(&VolumeSpec::named("data")).is_err());
        assert_eq!(driver.list().unwrap(), std::slice::from_ref(&volume));
        assert_eq!(fs::read_to_string(volume.path.join("file")).unwrap(), "kept");
    }

    #[test]
    fn pure_a_removal_that_was_cut_short_is_gone_on_with() {
        let place = tempfile::tempdir().unwrap();
        let driver = LocalDriver::new(place.path());
        let volume = driver.create(&VolumeSpec::named("data")).unwrap();
        fs::write(volume.path.join("old"), "").unwrap();
        fs::rename(&volume.path, place.path().join(".data")).unwrap();
        assert_eq!((driver.list().unwrap(), driver.inspect(&volume).unwrap().available), (vec![], false));
        let volume = driver.create(&VolumeSpec::named("data")).unwrap();
        assert!(!volume.path.join("old").exists() && !place.path().join(".data").exists());
        driver.remove(&volume).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn pure_a_removal_follows_no_link_out() {
        let place = tempfile::tempdir().unwrap();
        let outside = place.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "").unwrap();
        let driver = LocalDriver::new(place.path().join("volumes"));
        let volume = driver.create(&VolumeSpec::named("data")).unwrap();
        symlink(&outside, volume.path.join("link")).unwrap();
        driver.remove(&volume).unwrap();
        assert!(outside.join("file").exists());
        // Nor is a link in its place a volume.
        symlink(&outside, &volume.path).unwrap();
        assert!(driver.mount(&volume, "one").is_err());
    }
}
