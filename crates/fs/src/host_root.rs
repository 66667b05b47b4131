//! A root file system made from this machine: its programs, without its secrets.
//!
//! `lowerdir=/` would show `/etc/shadow`, `/root` and the engine's own folders, and a mask over it shows whatever it
//! forgets. So the root is built the other way round: an almost empty skeleton, which is the lowest layer of the root, and a
//! second overlay (or any read-only mount) for each [tree of programs](HostRoot::trees). Of `/etc` only an
//! allow-list is copied into the skeleton; `passwd` and `group` are made up.
//!
//! The skeleton is made once and found again by a stamp of what it was made from.

mod etc;
mod skeleton;

use crate::{Error, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Where programs and their libraries lie. Those that are links (`/bin` → `usr/bin`) become links in the skeleton.
const TREES: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Changes whenever skeletons are made differently.
const FORMAT: u32 = 1;

/// A root made from this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRoot {
    /// The layer for the root itself. It is shared: it must only be used as a lower layer.
    pub skeleton: PathBuf,
    /// The layers for what lies below it.
    pub trees: Vec<HostTree>,
}

/// A folder of this machine that the root shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTree {
    /// Where it is mounted, relative to the root.
    pub target: PathBuf,
    /// The folder.
    pub source: PathBuf,
}

/// Finds or makes the skeleton in the folder `cache`, which is made (mode 0700) where it is missing.
///
/// Finding costs a stat for each allowed entry of `/etc`. Two processes may make one at once: the first to finish wins.
pub fn prepare(cache: &Path) -> Result<HostRoot> {
    let host = Path::new("/");
    let skeleton = cache.join(format!("{:016x}", stamp(host)));
    if !skeleton.is_dir() {
        build(host, cache, &skeleton)?;
    }
    let trees = TREES
        .iter()
        .filter(|name| is_folder(&host.join(name)))
        .map(|name| HostTree { target: PathBuf::from(name), source: host.join(name) })
        .collect();
    Ok(HostRoot { skeleton, trees })
}

fn build(host: &Path, cache: &Path, skeleton: &Path) -> Result<()> {
    let failed = |source| Error::Path { operation: "make", path: cache.to_owned(), source };
    match fs::create_dir(cache) {
        Ok(()) => set_mode(cache, 0o700)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    // Of this call alone: the threads of a daemon make several at once.
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let unfinished = skeleton.with_extension(format!("new-{}-{call}", std::process::id()));
    crate::remove_tree(&unfinished)?;
    let made = skeleton::make(host, &unfinished).and_then(|()| {
        // A name that outlives a power cut must not be one of empty files.
        sync(&unfinished)?;
        renameat_with(CWD, &unfinished, CWD, skeleton, RenameFlags::NOREPLACE)
            .map_err(Error::path("make", skeleton))
    });
    match made {
        Ok(()) => Ok(()),
        Err(error) => {
            crate::remove_tree(&unfinished)?;
            let lost_the_race =
                error.io().is_some_and(|io| io.raw_os_error() == Some(Errno::EXIST.raw_os_error()));
            if lost_the_race && skeleton.is_dir() { Ok(()) } else { Err(error) }
        }
    }
}

/// Has a tree on the disk: what else is written there meanwhile is not waited for.
fn sync(path: &Path) -> Result<()> {
    let failed = |source| Error::Path { operation: "write down", path: path.to_owned(), source };
    let kind = fs::symlink_metadata(path).map_err(failed)?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            sync(&entry.map_err(failed)?.path())?;
        }
    }
    if kind.is_dir() || kind.is_file() {
        fs::File::open(path).and_then(|file| file.sync_all()).map_err(failed)?;
    }
    Ok(())
}

/// Changes with everything that goes into the skeleton. Folders change their time when an entry of theirs comes, goes or is
/// replaced, which is how package managers write.
fn stamp(host: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    (FORMAT, env!("CARGO_PKG_VERSION")).hash(&mut hasher);
    let etc = host.join("etc");
    for path in TREES.iter().map(|name| host.join(name)).chain(etc::ALLOWED.iter().map(|name| etc.join(name)))
    {
        match fs::symlink_metadata(&path) {
            // The programs themselves are not copied: of their folders only the kind matters.
            Ok(meta) if meta.is_dir() && !path.starts_with(&etc) => 1.hash(&mut hasher),
            Ok(meta) => {
                (meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec(), meta.mode()).hash(&mut hasher)
            }
            Err(_) => 0.hash(&mut hasher),
        }
    }
    hasher.finish()
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
        .map_err(Error::path("set the mode of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skeleton_is_made_once_and_holds_no_secret() {
        let cache = tempfile::tempdir().unwrap();
        let first = prepare(cache.path()).unwrap();
        let made = fs::metadata(&first.skeleton).unwrap();
        assert_eq!(prepare(cache.path()).unwrap(), first);
        assert_eq!(fs::metadata(&first.skeleton).unwrap().ino(), made.ino());
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 1);

        let etc = first.skeleton.join("etc");
        for secret in ["shadow", "gshadow", "ssh", "ssl/private", "sudoers", "machine-id"] {
            assert!(!etc.join(secret).exists(), "{secret}");
        }
        assert!(fs::read_to_string(etc.join("passwd")).unwrap().starts_with("root:x:0:0:"));
        assert!(fs::read_dir(first.skeleton.join("root")).unwrap().next().is_none());
        assert!(first.trees.iter().any(|tree| tree.target == Path::new("usr")));
    }

    #[test]
    fn a_changed_entry_changes_the_stamp() {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir_all(host.path().join("etc")).unwrap();
        let before = stamp(host.path());
        fs::write(host.path().join("etc/services"), "ftp 21/tcp\n").unwrap();
        assert_ne!(stamp(host.path()), before);
    }
}
