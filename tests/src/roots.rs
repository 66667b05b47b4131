//! Root file systems for containers, made from the distribution's packages and kept in a cache between runs.
//!
//! A root is made in a folder beside its place and renamed there when it is whole, under a lock, so that tests of several
//! processes share it and an interrupted making leaves nothing that looks finished. Tests must not write into one: it is
//! an image.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::env::Env;
use crate::{paths, remove};

mod busybox;
mod debian;

/// Raised when the making of a root changes, so that cached ones are made again.
const EDITION: u32 = 1;

/// A small root: a static busybox with all its commands, and a user `app` (1000:1000).
#[track_caller]
pub fn busybox() -> PathBuf {
    cached("busybox", busybox::make)
}

/// A copy of [`busybox()`] that the test may change.
#[track_caller]
pub fn copy_of_busybox(env: &Env) -> PathBuf {
    let copy = env.files().join("image");
    env.other(["cp".into(), "-a".into(), busybox(), copy.clone()]).output().ok();
    copy
}

/// A Debian root of the smallest kind (bash, coreutils, apt).
#[track_caller]
pub fn debian() -> PathBuf {
    debian_with(&[])
}

/// The same with a Redis server and client, and with nginx: to make one more root takes half a minute.
#[track_caller]
pub fn redis() -> PathBuf {
    debian_with(&["redis-server", "nginx-light"])
}

/// The same root, for its nginx.
#[track_caller]
pub fn nginx() -> PathBuf {
    redis()
}

/// The same with these packages.
#[track_caller]
pub fn debian_with(packages: &[&str]) -> PathBuf {
    let name = ["debian"].iter().chain(packages).copied().collect::<Vec<_>>().join("+");
    cached(&name, |folder| debian::make(folder, packages))
}

/// The root of this name in the cache, made by `make` when it is not there.
#[track_caller]
fn cached(name: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> PathBuf {
    let made = try_cached(&paths::cache(), name, make);
    made.unwrap_or_else(|err| panic!("the test root {name} cannot be made: {err}"))
}

fn try_cached(cache: &Path, name: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
    let place = cache.join(format!("{name}-{EDITION}"));
    if place.is_dir() {
        return Ok(place);
    }
    fs::create_dir_all(cache)?;
    let lock = File::create(cache.join(format!("{name}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if place.is_dir() {
        return Ok(place);
    }
    let unfinished = cache.join(format!("{name}.unfinished"));
    remove::remove_tree(&unfinished)?;
    fs::create_dir(&unfinished)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755))?;
    make(&unfinished)?;
    fs::rename(&unfinished, &place)?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_made_once_and_only_when_it_is_whole() {
        let cache = tempfile::tempdir().unwrap();
        let broken = try_cached(cache.path(), "r", |folder| {
            fs::write(folder.join("half"), "")?;
            Err(io::Error::other("no"))
        });
        assert!(broken.is_err());
        let place = try_cached(cache.path(), "r", |folder| fs::write(folder.join("whole"), "")).unwrap();
        assert!(place.join("whole").exists() && !place.join("half").exists());
        let again = try_cached(cache.path(), "r", |_| panic!("it is there already")).unwrap();
        assert_eq!(again, place);
    }
}
