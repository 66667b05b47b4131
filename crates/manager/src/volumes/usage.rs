//! `volume_usage`.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::volumes::{SIZE, VolumeRecord, users};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags, openat2, statx,
};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;
use tinyd_engine::VolumeUsage;

/// How long a volume may give no answer at all.
const PATIENCE: Duration = Duration::from_secs(10);

impl Core {
    pub(crate) fn volume_usage(&self) -> Result<Vec<VolumeUsage>> {
        let containers = self.container_records()?;
        let mut records = self.volume_records().all()?;
        records.retain(|record| record.whole);
        let sizes: Vec<Option<u64>> = std::thread::scope(|scope| {
            // What may have to be waited for is waited for at the same time.
            let size = |record: &VolumeRecord| self.used_of(record).ok().flatten();
            let far = |record: &VolumeRecord| {
                !self.driver_of(&record.state).is_ok_and(|driver| driver.is_plain(&record.state))
            };
            let asked: Vec<_> =
                records.iter().map(|record| far(record).then(|| scope.spawn(move || size(record)))).collect();
            let near: Vec<_> =
                records.iter().map(|record| if far(record) { None } else { size(record) }).collect();
            let answer = |asked: Option<std::thread::ScopedJoinHandle<'_, _>>, near| match asked {
                Some(asked) => asked.join().ok().flatten(),
                None => near,
            };
            asked.into_iter().zip(near).map(|(asked, near)| answer(asked, near)).collect()
        });
        let usage = |(record, used): (&VolumeRecord, _)| VolumeUsage {
            used,
            limit: self.limit_of(record),
            containers: users::of(record, &containers).count(),
            name: record.state.name.clone(),
            driver: record.state.driver.clone(),
        };
        Ok(records.iter().zip(sizes).map(usage).collect())
    }

    /// Of a driver that counts, what it says; else what its files take.
    fn used_of(&self, record: &VolumeRecord) -> Result<Option<u64>> {
        let driver = self.driver_of(&record.state)?;
        if let Some(usage) = driver.quota().and_then(|quota| quota.usage(&record.state).ok()) {
            return Ok(Some(usage.used));
        }
        self.while_mounted(&record.state, |path| Ok(taken(path.to_owned(), PATIENCE)))
    }

    pub(super) fn limit_of(&self, record: &VolumeRecord) -> Option<u64> {
        let driver = self.driver_of(&record.state).ok()?;
        match driver.quota() {
            Some(quota) => quota.usage(&record.state).ok()?.limit,
            // As a driver that holds a volume to it notes it.
            None => record.state.options.get(SIZE)?.parse().ok(),
        }
    }
}

/// The bytes that a tree takes, counted on a thread of its own: it is given up when nothing has come for so long. The thread ends
/// with what it waits for, or with the process.
fn taken(path: PathBuf, patience: Duration) -> Option<u64> {
    let (told, answer) = channel();
    let seen = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&seen);
    let walk = move || drop(told.send(count(&path, &counter)));
    std::thread::Builder::new().name("volume-usage".to_owned()).spawn(walk).ok()?;
    let mut before = 0;
    loop {
        match answer.recv_timeout(patience) {
            Ok(counted) => return counted.ok(),
            Err(RecvTimeoutError::Timeout) if seen.load(Ordering::Relaxed) > before => {
                before = seen.load(Ordering::Relaxed);
            }
            Err(_) => return None,
        }
    }
}

/// Follows no link and enters nothing that is mounted below; a file with several names counts once.
fn count(root: &Path, seen: &AtomicU64) -> Result<u64> {
    let failed = |path: &Path, errno| Error::file("look into", path, errno);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(root, flags | OFlags::NOFOLLOW, Mode::empty());
    let top = top.map_err(|errno| failed(root, errno))?;
    let (mut bytes, mut linked) = (0, BTreeSet::new());
    let mut folders = vec![PathBuf::from(".")];
    while let Some(folder) = folders.pop() {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let open = match openat2(&top, &folder, flags, Mode::empty(), resolve) {
            // It went meanwhile, or is something else now.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => continue,
            open => open.map_err(|errno| failed(&folder, errno))?,
        };
        for entry in Dir::read_from(&open).map_err(|errno| failed(&folder, errno))? {
            let entry = entry.map_err(|errno| failed(&folder, errno))?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            seen.fetch_add(1, Ordering::Relaxed);
            let wanted = StatxFlags::TYPE | StatxFlags::NLINK | StatxFlags::INO | StatxFlags::BLOCKS;
            let data = match statx(&open, name, AtFlags::SYMLINK_NOFOLLOW, wanted) {
                Err(Errno::NOENT) => continue,
                data => data.map_err(|errno| failed(&folder, errno))?,
            };
            if data.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
                continue;
            }
            let is_folder = FileType::from_raw_mode(data.stx_mode.into()).is_dir();
            let device = (data.stx_dev_major, data.stx_dev_minor);
            if is_folder || data.stx_nlink < 2 || linked.insert((device, data.stx_ino)) {
                bytes += data.stx_blocks * 512;
            }
            if is_folder {
                folders.push(folder.join(OsStr::from_bytes(name.to_bytes())));
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    #[test]
    fn pure_what_takes_room_counts_once_and_what_is_elsewhere_not() {
        let place = tempfile::tempdir().unwrap();
        let (tree, outside) = (place.path().join("tree"), place.path().join("outside"));
        fs::create_dir_all(tree.join("deep/er")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("large"), vec![1; 1 << 20]).unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        fs::write(tree.join("deep/er/file"), vec![1; 100_000]).unwrap();
        fs::hard_link(tree.join("deep/er/file"), tree.join("again")).unwrap();
        fs::File::create(tree.join("hole")).unwrap().set_len(1 << 30).unwrap();
        let of = |path: &str| tree.join(path).symlink_metadata().unwrap().blocks() * 512;
        let wanted: u64 = ["deep", "deep/er", "deep/er/file", "link", "hole"].into_iter().map(of).sum();
        assert_eq!(taken(tree.clone(), PATIENCE), Some(wanted));
        assert!((100_000..1 << 20).contains(&wanted));
        assert_eq!(taken(tree.join("link"), PATIENCE), None, "it is no folder");
        assert_eq!(taken(place.path().join("nothing"), PATIENCE), None);
    }
}
