//! A volume in memory.

use crate::size::bytes;
use crate::slot::Slot;
use crate::{
    Error, Result, Unmounting, VolumeDriver, VolumeInfo, VolumeSpec, VolumeState, check_name, mounted,
};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
};
use std::path::{Path, PathBuf};

/// The driver's word.
const NAME: &str = "tmpfs";

/// Who may do what in a volume that nothing was said of: all, as in `/tmp`, for who is root in a container is not on the host.
const MODE: u32 = 0o1777;

/// Volumes in memory, which their users share: made for the first one, and gone with all that is in them after the last.
///
/// | option | |
/// |---|---|
/// | `size` | how much it may hold: bytes, or with `k`, `m`, `g` for units of 1,024 (as [`VolumeSpec::size_bytes`]); the kernel's half of the memory without it |
/// | `inodes` or `nr_inodes` | how many files and folders it may hold |
/// | `mode` | of its root, octal; 1777 without it |
/// | `uid`, `gid` | whose its root is; the host's numbers |
#[derive(Clone, Debug)]
pub struct TmpfsDriver {
    run: PathBuf,
}

impl TmpfsDriver {
    /// Volumes that are mounted below a folder that need not last longer than they do.
    #[must_use]
    pub fn new(run: PathBuf) -> Self {
        Self { run }
    }
}

impl VolumeDriver for TmpfsDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn validate(&self, wanted: &VolumeSpec) -> Result<()> {
        check_name("volume name", &wanted.name)?;
        if let Some(source) = &wanted.source {
            let problem = "cannot be shown by the driver tmpfs, whose volumes begin empty";
            return Err(invalid("mount source", &source.display().to_string(), problem));
        }
        Settings::of(wanted).map(drop)
    }

    fn create(&self, wanted: &VolumeSpec) -> Result<VolumeState> {
        self.validate(wanted)?;
        let settings = Settings::of(wanted)?;
        let slot = Slot::make(&self.run, &wanted.name)?;
        let mut options = wanted.options.clone();
        if let Some(size) = settings.size {
            options.insert("size".to_owned(), size.to_string());
        }
        let (driver, name, path) = (NAME.to_owned(), wanted.name.clone(), slot.data());
        Ok(VolumeState { driver, name, path, made: Vec::new(), options })
    }

    /// Its data is there, be it none, from when it is made until it is removed or the machine ends; after that it is made
    /// anew for its next user.
    fn inspect(&self, volume: &VolumeState) -> Result<VolumeInfo> {
        volume.expect_driver(NAME)?;
        Ok(VolumeInfo { available: Slot::of(volume).is_there()?, is_folder: true })
    }

    fn forgets(&self) -> bool {
        true
    }

    fn list(&self) -> Result<Vec<VolumeState>> {
        Ok(Vec::new())
    }

    fn mount(&self, volume: &VolumeState, user: &str) -> Result<PathBuf> {
        volume.expect_driver(NAME)?;
        let spec = VolumeSpec { options: volume.options.clone(), ..VolumeSpec::named(&volume.name) };
        let settings = Settings::of(&spec)?;
        let attach = |path: &Path, mounted| if mounted { Ok(()) } else { settings.mount(&volume.name, path) };
        Slot::of(volume).mount(user, attach)
    }

    fn unmount(&self, volume: &VolumeState, user: &str) -> Result<()> {
        volume.expect_driver(NAME)?;
        Slot::of(volume).unmount(user, mounted::detach)
    }

    fn unmounting(&self, volume: &VolumeState) -> Option<Unmounting> {
        Some(Slot::of(volume).unmounting())
    }

    fn remove(&self, volume: &VolumeState) -> Result<()> {
        volume.expect_driver(NAME)?;
        Slot::of(volume).remove(mounted::detach)
    }

    fn users(&self, volume: &VolumeState) -> Result<Vec<String>> {
        volume.expect_driver(NAME)?;
        Slot::of(volume).users()
    }
}

/// What the kernel is told, as numbers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Settings {
    size: Option<u64>,
    inodes: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Settings {
    fn of(wanted: &VolumeSpec) -> Result<Self> {
        let mut settings = Self { size: wanted.size_bytes, ..Self::default() };
        if settings.size == Some(0) {
            return Err(invalid("volume size", "0", NOTHING));
        }
        for (option, value) in &wanted.options {
            let refuse = |problem| Err(invalid("volume option", &format!("{option}={value}"), problem));
            match &**option {
                "size" => match (bytes(value), settings.size) {
                    (None, _) => return refuse("is no size: 500000, 64k, 100m, 2g"),
                    (Some(0), _) => return refuse(NOTHING),
                    (Some(size), Some(other)) if size != other => {
                        return refuse("says another size than the volume's own");
                    }
                    (size, _) => settings.size = size,
                },
                "inodes" | "nr_inodes" => match (bytes(value), settings.inodes) {
                    (None, _) => return refuse("is no number of files"),
                    (Some(0), _) => return refuse(NOTHING),
                    (inodes, Some(other)) if inodes != Some(other) => {
                        return refuse("says another number of files than \"inodes\"");
                    }
                    (inodes, _) => settings.inodes = inodes,
                },
                "mode" => match u32::from_str_radix(value, 8) {
                    Ok(mode) if mode <= 0o7777 && !value.starts_with('+') => settings.mode = Some(mode),
                    _ => return refuse("is no mode: up to four octal digits, as 1777"),
                },
                "uid" if id(value).is_some() => settings.uid = id(value),
                "gid" if id(value).is_some() => settings.gid = id(value),
                "uid" | "gid" => return refuse(NOBODY),
                _ => {
                    let problem = "is unknown to the driver tmpfs: size, inodes, mode, uid, gid";
                    return Err(invalid("volume option", option, problem));
                }
            }
        }
        Ok(settings)
    }

    /// By fsconfig(2), a word at a time: no value can become another option.
    fn mount(&self, name: &str, path: &Path) -> Result<()> {
        let failed = |operation| move |errno: Errno| Error::path(operation, path, errno);
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("open a tmpfs for"))?;
        let words = [
            ("source", Some(format!("tinyd-{name}"))),
            ("size", self.size.map(|size| size.to_string())),
            ("nr_inodes", self.inodes.map(|inodes| inodes.to_string())),
            ("mode", Some(format!("{:o}", self.mode.unwrap_or(MODE)))),
            ("uid", self.uid.map(|uid| uid.to_string())),
            ("gid", self.gid.map(|gid| gid.to_string())),
        ];
        for (word, value) in
            words.iter().filter_map(|(word, value)| value.as_deref().map(|value| (word, value)))
        {
            fsconfig_set_string(&context, *word, value).map_err(failed("set an option of the tmpfs for"))?;
        }
        fsconfig_create(&context).map_err(failed("make the tmpfs for"))?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
            .map_err(failed("make a mount of the tmpfs for"))?;
        move_mount(&mount, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(failed("mount the tmpfs at"))?;
        // Where the mount above is shared, as systemd makes it, this one has become so.
        mount_change(path, MountPropagationFlags::PRIVATE).map_err(|errno| {
            // The error that is told is the first.
            let _ = mounted::detach(path);
            failed("make private")(errno)
        })
    }
}

/// The kernel takes zero for no limit.
const NOTHING: &str = "would be a volume that holds nothing";

/// What is no number of a user or group; the highest stands for none (chown(2)).
const NOBODY: &str = "is no number of a user or group";

fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX && !text.starts_with('+'))
}

fn invalid(what: &'static str, value: &str, problem: &'static str) -> Error {
    Error::Invalid { what, value: value.to_owned(), problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, needs_root};
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn wanted(options: &[(&str, &str)]) -> VolumeSpec {
        let options = options.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned()));
        VolumeSpec { options: options.collect(), ..VolumeSpec::named("mem") }
    }

    #[test]
    fn root_it_keeps_the_drivers_contract() {
        if needs_root() {
            return;
        }
        let run = tempfile::tempdir().unwrap();
        let make = || -> Box<dyn VolumeDriver> { Box::new(TmpfsDriver::new(run.path().join("run"))) };
        let but = testing::Exceptions { data_goes_with_the_last_user: true, ..Default::default() };
        testing::conformance_but(&make, &wanted(&[("size", "1m")]), but);
        assert_eq!(fs::read_dir(run.path().join("run")).unwrap().count(), 0);
    }

    #[test]
    fn root_its_users_share_it_and_it_goes_with_the_last() {
        if needs_root() {
            return;
        }
        let run = tempfile::tempdir().unwrap();
        let driver = TmpfsDriver::new(run.path().to_owned());
        let volume = driver.create(&wanted(&[("mode", "0750"), ("uid", "7"), ("gid", "8")])).unwrap();
        let path = driver.mount(&volume, "one").unwrap();
        let root = path.metadata().unwrap();
        assert_eq!((root.permissions().mode() & 0o7777, root.uid(), root.gid()), (0o750, 7, 8));
        fs::write(path.join("data"), "x").unwrap();
        let other = TmpfsDriver::new(run.path().to_owned());
        assert_eq!(other.mount(&volume, "two").unwrap(), path);
        assert_eq!(other.users(&volume).unwrap(), ["one", "two"]);
        driver.unmount(&volume, "one").unwrap();
        assert_eq!(fs::read_to_string(path.join("data")).unwrap(), "x");
        // Also while somebody of the host has something open in it.
        let open = fs::File::open(path.join("data")).unwrap();
        driver.unmount(&volume, "two").unwrap();
        assert_eq!(mounted::at(&path).unwrap(), None);
        drop(open);
        let path = driver.mount(&volume, "three").unwrap();
        assert!(!path.join("data").exists(), "the next one begins empty");
        // One that was killed in between left a user, and removing takes the mount along.
        driver.remove(&volume).unwrap();
        assert_eq!(mounted::at(&path).unwrap(), None);
        assert!(!driver.inspect(&volume).unwrap().available);
    }

    #[test]
    fn root_its_limits_are_the_kernels_and_no_file_of_it_gives_rights() {
        if needs_root() {
            return;
        }
        let run = tempfile::tempdir().unwrap();
        let driver = TmpfsDriver::new(run.path().to_owned());
        let spec = VolumeSpec { size_bytes: Some(1 << 20), ..wanted(&[("inodes", "10")]) };
        let volume = driver.create(&spec).unwrap();
        let path = driver.mount(&volume, "one").unwrap();
        fs::write(path.join("fits"), vec![1; 1 << 19]).unwrap();
        let error = fs::write(path.join("more"), vec![1; 1 << 20]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NOSPC.raw_os_error()));
        let made = (0..20).map(|number| fs::create_dir(path.join(number.to_string())));
        let errors: Vec<_> = made.filter_map(std::result::Result::err).collect();
        assert!((10..=20).contains(&errors.len()), "{errors:?}");
        assert!(errors.iter().all(|error| error.raw_os_error() == Some(Errno::NOSPC.raw_os_error())));
        let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = table.lines().find(|line| line.contains(&*path.display().to_string())).unwrap();
        assert!(line.contains("nosuid,nodev") && !line.contains("shared:"), "{line}");
        driver.unmount(&volume, "one").unwrap();
        driver.remove(&volume).unwrap();
    }

    #[test]
    fn pure_bad_wishes_are_refused_and_say_which() {
        let run = tempfile::tempdir().unwrap();
        let driver = TmpfsDriver::new(run.path().join("run"));
        let refused = |spec: &VolumeSpec, part: &str| {
            let error = driver.create(spec).expect_err(part).to_string();
            assert!(error.contains(part) && !run.path().join("run").exists(), "{error}");
        };
        for (option, value) in [
            ("size", "0"),
            ("size", "-1"),
            ("size", "1t"),
            ("size", "50%"),
            ("size", "9223372036854775808"),
            ("size", "1m,uid=0"),
            ("inodes", "0"),
            ("nr_inodes", "x"),
            ("mode", "8"),
            ("mode", "17777"),
            ("mode", "+7"),
            ("uid", "4294967295"),
            ("gid", "root"),
            ("huge", "always"),
        ] {
            refused(&wanted(&[(option, value)]), option);
        }
        refused(&VolumeSpec { size_bytes: Some(5), ..wanted(&[("size", "6")]) }, "another size");
        refused(&VolumeSpec { size_bytes: Some(0), ..wanted(&[]) }, "holds nothing");
        refused(&wanted(&[("inodes", "5"), ("nr_inodes", "6")]), "another number");
        refused(&VolumeSpec { source: Some("/srv".into()), ..wanted(&[]) }, "/srv");
        refused(&VolumeSpec::named("../up"), "../up");
    }
}
