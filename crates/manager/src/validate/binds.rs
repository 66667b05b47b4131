//! Folders of the host: where they may be seen. Which sources can be had is the driver's to say.

use crate::error::{Error, Result};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use tinyd_engine::BindMount;

/// The bind with its target in normal form.
pub(super) fn normal(bind: &BindMount) -> Result<BindMount> {
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

/// A part of a volume, in normal form. That no link leads out of the volume is for the moment in which it is mounted.
pub(super) fn subpath(path: &Path) -> Result<PathBuf> {
    let refuse =
        |problem: &'static str| Err(Error::invalid("part of a volume", path.display().to_string(), problem));
    // It stands in the bundle, which is JSON.
    if path.to_str().is_none_or(|text| text.contains('\0')) {
        return refuse("is no text, or holds a NUL byte");
    }
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir => return refuse("holds '..', and a part lies inside its volume"),
            Component::RootDir | Component::Prefix(_) => {
                return refuse("begins with '/': it is a path inside the volume, such as a/b");
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
