//! The driver and the real kernel.

mod backup;
mod disk;
mod life;
mod rollback;
mod size;

use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A place for volumes whose mounts and loop device go with it, also when the test fails.
pub(super) struct Ground {
    folder: TempDir,
    pub(super) driver: BtrfsDriver,
}

/// Small, for many tests run at once.
pub(super) const POOL: u64 = 320 << 20;

impl Ground {
    /// Volumes in a file; `None`, and a word about it, where the test cannot be.
    pub(super) fn of_a_file() -> Option<Self> {
        Self::with(Options { size_bytes: Some(POOL), ..Options::default() })
    }

    pub(super) fn with(options: Options) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let driver = BtrfsDriver::new(folder.path().join("place"), folder.path().join("run"));
        Some(Self { driver: driver.with_options(options), folder })
    }

    /// Volumes on a btrfs of the host, which is a file of the test's here.
    pub(super) fn of_the_host() -> Option<Self> {
        let ground = Self::of_a_file()?;
        let (image, host) = (ground.folder.path().join("host.img"), ground.folder.path().join("place"));
        fs::File::create(&image).unwrap().set_len(POOL).unwrap();
        program::run(program::MKFS_BTRFS, &["-q".as_ref(), image.as_os_str()], None).unwrap();
        fs::create_dir(&host).unwrap();
        let file = fs::OpenOptions::new().read(true).write(true).open(&image).unwrap();
        let device = tinyd_fs::loop_file::Device::of(&file, &image).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount(&device.path, &host, "btrfs", flags, None).unwrap();
        assert!(!ground.driver.places.is_file().unwrap());
        Some(ground)
    }

    /// Both kinds.
    pub(super) fn both() -> Vec<Self> {
        [Self::of_a_file(), Self::of_the_host()].into_iter().flatten().collect()
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The mounts below this test's folder, as lines of mountinfo.
    pub(super) fn mounts(&self) -> Vec<String> {
        let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let folder = format!(" {}/", self.folder.path().display());
        all.lines().filter(|line| line.contains(&folder)).map(str::to_owned).collect()
    }

    /// The loop devices of files of this test.
    pub(super) fn devices(&self) -> BTreeSet<PathBuf> {
        let files = fs::read_dir("/sys/block").unwrap().flatten();
        let files = files.filter_map(|entry| fs::read(entry.path().join("loop/backing_file")).ok());
        let ours = files.filter(|file| file.starts_with(self.folder.path().as_os_str().as_bytes()));
        ours.map(|file| PathBuf::from(String::from_utf8_lossy(&file).trim())).collect()
    }

    /// The loop devices, as soon as there are no more than so many of them. The kernel frees one when the last process closes it,
    /// and whoever looks for one of another file has it open for a moment.
    pub(super) fn devices_at_rest(&self, wanted: usize) -> BTreeSet<PathBuf> {
        let since = Instant::now();
        while self.devices().len() > wanted && since.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(10));
        }
        self.devices()
    }

    /// Requires that nothing is mounted, and that no file has a loop device.
    #[track_caller]
    pub(super) fn assert_at_rest(&self) {
        assert_eq!((self.mounts(), self.devices_at_rest(0)), Default::default());
    }

    pub(super) fn volume(&self, name: &str) -> VolumeState {
        self.driver.create(&VolumeSpec::named(name)).unwrap()
    }

    pub(super) fn limited(&self, name: &str, size: u64) -> VolumeState {
        let wanted = VolumeSpec { size_bytes: Some(size), ..VolumeSpec::named(name) };
        self.driver.create(&wanted).unwrap()
    }

    /// The folder of a volume in the pool, by a mount of the test's own, and that mount.
    pub(super) fn inside(&self, volume: &str) -> PathBuf {
        let target = self.folder.path().join("inside");
        let pool = self.driver.places.open().unwrap().unwrap();
        let root = match pool.mount_of(&self.driver.places, "/", false).unwrap() {
            Some(_) if mounts::is_mounted(&target).unwrap() => target,
            Some(mount) => {
                mounts::attach(&mount, &target).unwrap();
                target
            }
            None => self.driver.places.place.clone(),
        };
        root.join("volumes").join(volume)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let points = self.mounts();
        for line in points.iter().rev() {
            let point = line.split(' ').nth(4).unwrap();
            let _ = rustix::mount::unmount(point, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

pub(super) fn btrfs(arguments: &[&str]) -> String {
    let output = Command::new("btrfs").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Bytes that no compression makes smaller.
pub(super) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    bytes
}
