//! Folders of the host: where they may be seen. Which sources can be had is the driver's to say.

use crate::error::{Error, Result};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use tinyd_engine::{BindMount, Recursive};

/// Places where something of the container's own is mounted.
const OWN: [&str; 6] =
    ["/dev/pts", "/dev/shm", "/sys/fs/cgroup", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// The bind with its target in normal form.
pub(super) fn normal(bind: &BindMount) -> Result<BindMount> {
    let refuse = |word: &str, problem| Err(Error::invalid("mount option", word, problem));
    match bind.recursive {
        Recursive::Enabled | Recursive::Disabled => {}
        Recursive::Writable if !bind.read_only => {
            return refuse(
                "bind-recursive=writable",
                "is for mounts that are read-only themselves: add readonly",
            );
        }
        Recursive::ReadOnly if !bind.read_only => {
            return refuse("bind-recursive=readonly", "needs readonly as well");
        }
        // What the host mounts there later is as writable as it is there.
        Recursive::ReadOnly if bind.propagation.spreads() => {
            return refuse("bind-recursive=readonly", "needs bind-propagation=rprivate");
        }
        Recursive::Writable | Recursive::ReadOnly => {}
    }
    Ok(BindMount { target: target(&bind.target)?, ..bind.clone() })
}

/// A place inside that something can be mounted on, in normal form.
pub(super) fn target(path: &Path) -> Result<PathBuf> {
    let refuse =
        |problem: &'static str| Err(Error::invalid("mount target", path.display().to_string(), problem));
    if !path.is_absolute() {
        return refuse("is not an absolute path");
    }
    if path.as_os_str().as_bytes().contains(&0) {
        return refuse("holds a NUL byte");
    }
    let mut target = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::ParentDir => return refuse("holds '..'"),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if target == Path::new("/") {
        return refuse("is the root itself");
    }
    // Whatever lies over /proc would undo what is masked there.
    if target.starts_with("/proc") {
        return refuse("lies in /proc");
    }
    Ok(target)
}

/// Nothing may be mounted on what spreads to the host: it would be so there, and stay.
pub(super) fn shared(binds: &[BindMount], targets: &[&PathBuf]) -> Result<()> {
    for bind in binds.iter().filter(|bind| bind.propagation.spreads_to_host()) {
        let mut others =
            targets.iter().map(|target| target.as_path()).filter(|target| *target != bind.target);
        let below = |target: &&Path| target.starts_with(&bind.target);
        if let Some(other) = others.find(below).or_else(|| OWN.map(Path::new).into_iter().find(below)) {
            let problem = format!(
                "lies on {}, which is {}: it would be mounted on this machine too, and stay there",
                bind.target.display(),
                bind.propagation.word()
            );
            return Err(Error::invalid("mount target", other.display().to_string(), problem));
        }
    }
    Ok(())
}

/// A part of a volume or image, in normal form. That no link leads out of the whole is for the moment in which it is mounted.
pub(super) fn subpath(path: &Path) -> Result<PathBuf> {
    let refuse = |problem: &'static str| {
        Err(Error::invalid("part of a volume or image", path.display().to_string(), problem))
    };
    // It stands in the bundle, which is JSON.
    if path.to_str().is_none_or(|text| text.contains('\0')) {
        return refuse("is no text, or holds a NUL byte");
    }
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir => return refuse("holds '..', and a part lies inside the whole"),
            Component::RootDir | Component::Prefix(_) => {
                return refuse("begins with '/': it is a path inside the whole, such as a/b");
            }
        }
    }
    match plain.as_os_str().is_empty() {
        true => refuse("is all of it: leave the word out"),
        false => Ok(plain),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_options_that_need_others() {
        use tinyd_engine::Propagation;
        let bind = |recursive, read_only, propagation| {
            normal(&BindMount { recursive, read_only, propagation, ..BindMount::new("/s", "/d") }).is_ok()
        };
        for (recursive, writable, read_only, read_only_slave) in [
            (Recursive::Enabled, true, true, true),
            (Recursive::Disabled, true, true, true),
            (Recursive::Writable, false, true, true),
            (Recursive::ReadOnly, false, true, false),
        ] {
            let found = (
                bind(recursive, false, Propagation::RPrivate),
                bind(recursive, true, Propagation::RPrivate),
                bind(recursive, true, Propagation::RSlave),
            );
            assert_eq!(found, (writable, read_only, read_only_slave), "{recursive:?}");
        }
    }

    #[test]
    fn pure_nothing_lies_on_what_spreads_to_the_host() {
        use tinyd_engine::Propagation;
        let check = |target: &str, other: &str, propagation| {
            let bind = BindMount { propagation, ..BindMount::new("/s", target) };
            let (target, other) = (PathBuf::from(target), PathBuf::from(other));
            shared(&[bind], &[&target, &other]).is_ok()
        };
        assert!(check("/d", "/e", Propagation::RShared) && check("/d/e", "/d", Propagation::RShared));
        assert!(check("/d", "/d/e", Propagation::RSlave) && check("/etc", "/e", Propagation::RSlave));
        assert!(!check("/d", "/d/e", Propagation::RShared) && !check("/d", "/d/e/f", Propagation::Shared));
        assert!(!check("/etc", "/e", Propagation::RShared) && !check("/dev", "/e", Propagation::RShared));
    }

    #[test]
    fn pure_parts_lie_inside() {
        assert_eq!(subpath(Path::new("a/./b//c/")).unwrap(), Path::new("a/b/c"));
        for bad in ["", ".", "/a", "..", "a/..", "a/../b", "sub/../..", "a\0"] {
            assert!(subpath(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn pure_bad_paths_are_refused() {
        let bind = |source: &str, target: &str| normal(&BindMount::new(source, target));
        assert!(bind("/src", "/dst").is_ok());
        let bad =
            [("/s", "d"), ("/s", "/"), ("/s", "//."), ("/s", "/a/../b"), ("/s", "/proc/x"), ("/s", "/a\0")];
        for (source, target) in bad {
            assert!(bind(source, target).is_err(), "{source} {target}");
        }
    }
}
