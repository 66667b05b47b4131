//! A folder or file of the host.

use crate::types::{VolumeInfo, VolumeSpec, VolumeState};
use crate::{Error, Result, VolumeDriver};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A folder or file of the host, shown as it is. What is missing is made as a folder, with what is missing above it, and
/// removed with the volume while it is still empty. It keeps no list: who asked for a path knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct BindDriver;

/// The driver's word.
const NAME: &str = "bind";

impl VolumeDriver for BindDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn shows_what_is_named(&self) -> bool {
        true
    }

    fn validate(&self, wanted: &VolumeSpec) -> Result<()> {
        checked(wanted).map(drop)
    }

    fn create(&self, wanted: &VolumeSpec) -> Result<VolumeState> {
        let path = checked(wanted)?;
        let mut made = Vec::new();
        if let Err(error) = make(&path, &mut made) {
            // What cannot be taken back is an empty folder, and the error that is told is the first.
            let _ = remove_empty(&made);
            return Err(error);
        }
        Ok(VolumeState {
            driver: NAME.to_owned(),
            name: wanted.name.clone(),
            path,
            made,
            options: wanted.options.clone(),
        })
    }

    fn inspect(&self, volume: &VolumeState) -> Result<VolumeInfo> {
        volume.expect_driver(NAME)?;
        match volume.path.metadata() {
            Ok(data) => Ok(VolumeInfo { available: true, is_folder: data.is_dir() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(VolumeInfo { available: false, is_folder: false })
            }
            Err(error) => Err(Error::path("look at the mount source", &volume.path, error)),
        }
    }

    fn list(&self) -> Result<Vec<VolumeState>> {
        Ok(Vec::new())
    }

    fn mount(&self, volume: &VolumeState, _: &str) -> Result<PathBuf> {
        match self.inspect(volume)?.available {
            true => Ok(volume.path.clone()),
            false => Err(Error::path("find the mount source", &volume.path, Errno::NOENT)),
        }
    }

    fn unmount(&self, volume: &VolumeState, _: &str) -> Result<()> {
        volume.expect_driver(NAME)
    }

    fn remove(&self, volume: &VolumeState) -> Result<()> {
        volume.expect_driver(NAME)?;
        remove_empty(&volume.made)
    }
}

/// The path of the host that is wanted, its links resolved.
fn checked(wanted: &VolumeSpec) -> Result<PathBuf> {
    let source = source(wanted)?;
    let refuse = |what, value: String, problem: &'static str| {
        Err(Error::Invalid { what, value, problem: problem.into() })
    };
    if let Some(option) = wanted.options.keys().next() {
        return refuse("volume option", option.clone(), "is unknown to the driver bind");
    }
    if let Some(size) = wanted.size_bytes {
        return refuse("volume size", size.to_string(), "cannot be set for what the host has");
    }
    if !source.is_absolute() {
        return refuse("mount source", source.display().to_string(), "is not an absolute path");
    }
    if source.as_os_str().as_bytes().contains(&0) {
        return refuse("mount source", source.display().to_string(), "holds a NUL byte");
    }
    resolve(source)
}

fn source(wanted: &VolumeSpec) -> Result<&Path> {
    wanted.source.as_deref().ok_or_else(|| Error::Invalid {
        what: "volume",
        value: wanted.name.clone(),
        problem: "names no path of the host, which the driver bind needs".into(),
    })
}

/// The source with its links resolved, once, so that what is checked is what is mounted. What is missing is named as it
/// stands, below the part that exists.
fn resolve(source: &Path) -> Result<PathBuf> {
    let failed = |error| Error::path("resolve the mount source", source, error);
    let mut missing: Vec<&OsStr> = Vec::new();
    let mut existing = source;
    loop {
        match existing.canonicalize() {
            Ok(real) => return Ok(missing.iter().rev().fold(real, |path, name| path.join(name))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A link to nothing is there and is not what it should be: nothing is made through it.
                let dangling = existing.symlink_metadata().is_ok();
                match (existing.file_name(), existing.parent(), dangling) {
                    (Some(name), Some(parent), false) => {
                        missing.push(name);
                        existing = parent;
                    }
                    _ => return Err(failed(error)),
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Makes a missing path as a folder that everybody may enter, with what is missing above it, and notes each.
fn make(path: &Path, made: &mut Vec<PathBuf>) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| path.symlink_metadata().is_err()).collect();
    for path in missing.into_iter().rev() {
        let mode = Mode::from_raw_mode(0o755);
        match rustix::fs::mkdir(path, mode) {
            Ok(()) => made.push(path.to_owned()),
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(Error::path("make the mount source", path, errno)),
        }
        // The caller's umask took rights away.
        rustix::fs::chmod(path, mode).map_err(|errno| Error::path("set the mode of", path, errno))?;
    }
    Ok(())
}

/// Removes folders, the last one first. Only what is still empty is ours alone.
fn remove_empty(made: &[PathBuf]) -> Result<()> {
    let mut first = Ok(());
    for folder in made.iter().rev() {
        match rustix::fs::rmdir(folder) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => {}
            Err(errno) => first = first.and(Err(Error::path("remove", folder, errno))),
        }
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn pure_it_keeps_the_drivers_contract() {
        let place = tempfile::tempdir().unwrap();
        let wanted = VolumeSpec::of_host(place.path().join("deep/data"));
        testing::conformance(&|| Box::new(BindDriver), &wanted);
        assert!(place.path().exists() && !place.path().join("deep").exists());
    }

    #[test]
    fn pure_bad_wishes_are_refused_and_nothing_is_made() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("data");
        let refuse = |change: &dyn Fn(&mut VolumeSpec)| {
            let mut wanted = VolumeSpec::of_host(&target);
            change(&mut wanted);
            let error = BindDriver.create(&wanted).expect_err("it was made").to_string();
            assert!(!target.exists(), "{error}");
            error
        };
        assert!(refuse(&|spec| spec.source = None).contains("names no path"));
        assert!(refuse(&|spec| spec.source = Some("data".into())).contains("not an absolute path"));
        assert!(refuse(&|spec| spec.source = Some("/a\0b".into())).contains("NUL"));
        assert!(refuse(&|spec| spec.size_bytes = Some(5)).contains("size"));
        assert!(refuse(&|spec| spec.options = BTreeMap::from([("o".into(), "x".into())])).contains("\"o\""));
    }

    #[test]
    fn pure_sources_are_resolved_once() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().canonicalize().unwrap();
        fs::create_dir(real.join("data")).unwrap();
        symlink("data", real.join("link")).unwrap();
        symlink("nothing", real.join("dangling")).unwrap();
        assert_eq!(resolve(&real.join("link")).unwrap(), real.join("data"));
        assert_eq!(resolve(&real.join("link/new/deep")).unwrap(), real.join("data/new/deep"));
        assert!(resolve(&real.join("dangling")).is_err());
    }

    #[test]
    fn pure_what_others_have_filled_stays() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path().canonicalize().unwrap().join("a/b");
        let volume = BindDriver.create(&VolumeSpec::of_host(&data)).unwrap();
        assert_eq!(volume.made, [data.parent().unwrap().to_owned(), data.clone()]);
        assert_eq!(data.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
        fs::write(data.parent().unwrap().join("kept"), "x").unwrap();
        BindDriver.remove(&volume).unwrap();
        assert!(!data.exists() && data.parent().unwrap().join("kept").exists());
        // What was there before is never taken away.
        let there = BindDriver.create(&VolumeSpec::of_host(place.path())).unwrap();
        BindDriver.remove(&there).unwrap();
        assert!(there.made.is_empty() && place.path().exists());
    }

    #[test]
    fn pure_a_source_that_went_is_no_mount() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        let volume = BindDriver.create(&VolumeSpec::of_host(&file)).unwrap();
        assert_eq!(BindDriver.inspect(&volume).unwrap(), VolumeInfo { available: true, is_folder: false });
        fs::remove_file(&file).unwrap();
        assert!(!BindDriver.inspect(&volume).unwrap().available);
        assert!(BindDriver.mount(&volume, "c").unwrap_err().to_string().contains("file"));
    }
}
