//! Subvolumes of a btrfs: the host's, or one in a file.

mod backup;
mod clones;
mod file;
mod ioctl;
mod mounts;
mod pool;
mod quota;
mod scrub;
mod snapshots;
mod store;
mod subvolume;
#[cfg(test)]
mod tests;

use crate::error::is_there;
use crate::{
    Backup, Clones, Error, Quota, Result, Scrub, Snapshots, Unmounting, Users, VolumeDriver, VolumeInfo,
    VolumeSpec, VolumeState, check_name, program,
};
use mounts::Mounts;
use pool::{Places, Pool};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use store::{DATA, Store};

/// The driver's word.
const NAME: &str = "btrfs";
/// What `compress` may be.
const COMPRESSIONS: [&str; 4] = ["zstd", "lzo", "zlib", "no"];

/// How the pool is made and mounted, where it is a file; on the host's own btrfs that is the host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The size of the pool in bytes; only the one that makes it is asked. `None`: 16 GiB, or three quarters of what is free
    /// where that is less.
    pub size_bytes: Option<u64>,
    /// Takes the whole size of the host's disk at once, so that it cannot run out while it is promised to the volumes.
    pub reserve: bool,
    /// Mounts with `ssd` or `nossd`: whether btrfs places data as suits a disk without a head. `None`: it looks for itself.
    pub ssd: Option<bool>,
    /// Gives the room of what is deleted back to the host's disk (`discard`), unless it is reserved.
    pub discard: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { size_bytes: None, reserve: false, ssd: None, discard: true }
    }
}

impl Options {
    /// What was reserved is not given back.
    fn discards(&self) -> bool {
        self.discard && !self.reserve
    }
}

/// Subvolumes of a btrfs, with snapshots, clones, compression, limits and checksums. It needs root.
///
/// If the place that it is given is on a btrfs, the volumes lie there. Else it makes a file with a btrfs there on the first
/// create, with `mkfs.btrfs`, and mounts it while a call works or somebody uses a volume. Its options are `compress=zstd`,
/// `lzo`, `zlib` or `no`, of a volume. Everything that it makes on a volume is all or nothing, also when it is killed.
#[derive(Clone, Debug)]
pub struct BtrfsDriver {
    places: Places,
}

/// A volume that this process alone works on.
struct Held<'a> {
    // In this order they go.
    store: Store<'a>,
    pool: Pool,
    users: Users,
}

impl BtrfsDriver {
    /// A driver with the usual [`Options`]. `place` is a folder that outlives everything, `run` one that goes with the
    /// machine's run (on tmpfs): mount points, users, locks. Both are absolute, and made when they are needed.
    #[must_use]
    pub fn new(place: PathBuf, run: PathBuf) -> Self {
        Self { places: Places { place, run, options: Options::default() } }
    }

    /// The same with other options.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.places.options = options;
        self
    }

    fn lock(&self, volume: &str) -> Result<Users> {
        Users::lock(&self.users_folder(volume))
    }

    fn users_folder(&self, volume: &str) -> PathBuf {
        self.places.run.join("users").join(volume)
    }

    fn users_of(&self, volume: &str) -> Result<Vec<String>> {
        Users::list(&self.users_folder(volume))
    }

    fn mounts(&self, volume: &str) -> Mounts {
        Mounts::of(&self.places.run, volume)
    }

    /// The folder in which a snapshot is received.
    fn receiving(&self, volume: &str) -> PathBuf {
        self.places.run.join("receiving").join(volume)
    }

    /// Opens a volume for a change.
    fn hold<'a>(&self, volume: &'a VolumeState) -> Result<Held<'a>> {
        let name = named(volume)?;
        let gone = || Error::volume("find", name, Errno::NOENT);
        // Looked at first, so that nothing is made for what is not there.
        let (pool, _) = self.look(volume)?;
        let users = self.lock(name)?;
        let store = Store::open(&pool, name)?.ok_or_else(gone)?;
        Ok(Held { store, pool, users })
    }

    /// Opens a volume as it is.
    fn look<'a>(&self, volume: &'a VolumeState) -> Result<(Pool, Store<'a>)> {
        let name = named(volume)?;
        let gone = || Error::volume("find", name, Errno::NOENT);
        let pool = self.places.open()?.ok_or_else(gone)?;
        let store = Store::look(&pool, name)?.ok_or_else(gone)?;
        match store.has(DATA)? {
            true => Ok((pool, store)),
            false => Err(gone()),
        }
    }

    /// The handle of a volume.
    fn state(&self, name: &str, options: BTreeMap<String, String>) -> Result<VolumeState> {
        let path = match self.places.is_file()? {
            true => Mounts::of(&resolve(&self.places.run)?, name).data(),
            false => resolve(&self.places.place)?.join(store::path(name, DATA)),
        };
        Ok(VolumeState { driver: NAME.to_owned(), name: name.to_owned(), path, made: Vec::new(), options })
    }

    /// Mounts a subvolume for a user, once.
    fn mount_for(
        &self,
        held: &Held<'_>,
        user: &str,
        subvolume: &str,
        target: &Path,
        read_only: bool,
    ) -> Result<PathBuf> {
        check_name("user of a volume", user)?;
        let is_new = !self.users_of(held.store.volume())?.iter().any(|known| known == user);
        held.users.add(user)?;
        let mounted = || match mounts::is_mounted(target)? {
            true => Ok(target.to_owned()),
            false => match held.pool.mount_of(&self.places, subvolume, read_only)? {
                Some(mount) => mounts::attach(&mount, target).map(|()| target.to_owned()),
                None => Ok(self.places.place.join(subvolume)),
            },
        };
        let mounted = mounted().and_then(|path| resolve(&path));
        if mounted.is_err() && is_new {
            // The error that is told is the first.
            let _ = mounts::detach(target).and_then(|()| held.users.remove(user));
        }
        mounted
    }
}

/// The name of one of this driver's volumes, fit for a path.
fn named(volume: &VolumeState) -> Result<&str> {
    volume.expect_driver(NAME)?;
    check_name("volume name", &volume.name)?;
    Ok(&volume.name)
}

fn resolve(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|error| Error::path("resolve", path, error))
}

impl VolumeDriver for BtrfsDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn validate(&self, wanted: &VolumeSpec) -> Result<()> {
        let refuse = |what, value: &str, problem: String| {
            Err(Error::Invalid { what, value: value.to_owned(), problem: problem.into() })
        };
        check_name("volume name", &wanted.name)?;
        if let Some(source) = &wanted.source {
            let problem = "cannot be shown by the driver btrfs: its data is its own".to_owned();
            return refuse("mount source", &source.display().to_string(), problem);
        }
        for (option, value) in &wanted.options {
            match &**option {
                store::COMPRESS if COMPRESSIONS.contains(&&**value) => {}
                store::COMPRESS => {
                    let problem = format!("is unknown: compress is one of {}", COMPRESSIONS.join(", "));
                    return refuse("compression of a volume", value, problem);
                }
                _ => {
                    let problem = "is unknown to the driver btrfs, which has compress".to_owned();
                    return refuse("volume option", option, problem);
                }
            }
        }
        quota::check(wanted.size_bytes)?;
        if !self.places.is_file()? {
            return Ok(());
        }
        let size = match self.places.place.join(file::NAME).metadata() {
            Ok(data) => data.len(),
            Err(_) => {
                program::find(program::MKFS_BTRFS)?;
                file::size(self.places.existing()?, &self.places.options)?
            }
        };
        match wanted.size_bytes {
            Some(wanted) if wanted > size => {
                let problem = format!("is more than the {} MiB of the pool", size >> 20);
                refuse("volume size", &wanted.to_string(), problem)
            }
            _ => Ok(()),
        }
    }

    fn create(&self, wanted: &VolumeSpec) -> Result<VolumeState> {
        self.validate(wanted)?;
        self.make(wanted, |store| store.begin())
    }

    fn inspect(&self, volume: &VolumeState) -> Result<VolumeInfo> {
        let name = named(volume)?;
        let available = match self.places.open()? {
            Some(pool) => Store::look(&pool, name)?.map_or(Ok(false), |store| store.has(DATA))?,
            None => false,
        };
        Ok(VolumeInfo { available, is_folder: available })
    }

    fn list(&self) -> Result<Vec<VolumeState>> {
        let Some(pool) = self.places.open()? else { return Ok(Vec::new()) };
        let mut volumes = Vec::new();
        for name in store::names(&pool)? {
            // One that goes meanwhile is none.
            let Some(store) = Store::look(&pool, &name)? else { continue };
            let Ok(data) = store.subvolume(DATA) else { continue };
            let options = store::options(std::os::fd::AsFd::as_fd(&data))
                .map_err(|errno| Error::volume("look at", &name, errno))?;
            volumes.push(self.state(&name, options)?);
        }
        Ok(volumes)
    }

    fn mount(&self, volume: &VolumeState, user: &str) -> Result<PathBuf> {
        let held = self.hold(volume)?;
        let target = self.mounts(&volume.name).data();
        self.mount_for(&held, user, &store::path(&volume.name, DATA), &target, false)
    }

    fn unmount(&self, volume: &VolumeState, user: &str) -> Result<()> {
        let name = named(volume)?;
        check_name("user of a volume", user)?;
        if !is_there(&self.users_folder(name))? {
            return Ok(());
        }
        let users = self.lock(name)?;
        let mounts = self.mounts(name);
        let left = mounts.leave(user);
        let is_last = self.users_of(name)?.iter().all(|other| other == user);
        let ended = if is_last { mounts.end() } else { Ok(()) };
        left.and(ended)?;
        users.remove(user)
    }

    fn unmounting(&self, volume: &VolumeState) -> Option<Unmounting> {
        let name = named(volume).ok()?;
        // On the host's btrfs nothing is mounted there, and the user goes all the same.
        Some(Unmounting { point: self.mounts(name).data(), users: self.users_folder(name), program: None })
    }

    fn remove(&self, volume: &VolumeState) -> Result<()> {
        let name = named(volume)?;
        let pool = self.places.open()?;
        let users = self.lock(name)?;
        let mut done = self.mounts(name).end();
        done = done.and(mounts::detach(&self.receiving(name).join("pool")));
        if let Some(pool) = &pool
            && let Some(store) = Store::look(pool, name)?
        {
            done = done.and(store.remove(pool));
            pool.clean(&self.places.options);
        }
        for user in self.users_of(name)? {
            done = done.and(users.remove(&user));
        }
        // They are empty, or somebody has just come.
        let _ = std::fs::remove_file(self.receiving(name).join("lock"));
        for folder in [self.receiving(name), self.users_folder(name)] {
            let _ = std::fs::remove_dir(folder);
        }
        done
    }

    fn users(&self, volume: &VolumeState) -> Result<Vec<String>> {
        self.users_of(named(volume)?)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn clones(&self) -> Option<&dyn Clones> {
        Some(self)
    }

    fn quota(&self) -> Option<&dyn Quota> {
        Some(self)
    }

    fn backup(&self) -> Option<&dyn Backup> {
        Some(self)
    }

    fn scrub(&self) -> Option<&dyn Scrub> {
        Some(self)
    }
}
