//! Folders of the host: which paths are taken.

use crate::error::{Error, Result};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use tinyd_engine::BindMount;

/// The bind with its target in normal form.
pub(super) fn normal(bind: &BindMount) -> Result<BindMount> {
    let refuse = |field, path: &Path, problem: &'static str| {
        Err(Error::invalid(field, path.display().to_string(), problem))
    };
    if !bind.source.is_absolute() {
        return refuse("mount source", &bind.source, "is not an absolute path");
    }
    if !bind.target.is_absolute() {
        return refuse("mount target", &bind.target, "is not an absolute path");
    }
    for path in [&bind.source, &bind.target] {
        if path.as_os_str().as_bytes().contains(&0) {
            return refuse("mount path", path, "holds a NUL byte");
        }
    }
    let mut target = PathBuf::from("/");
    for component in bind.target.components() {
        match component {
            Component::Normal(name) => target.push(name),
            Component::ParentDir => return refuse("mount target", &bind.target, "holds '..'"),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if target == Path::new("/") {
        return refuse("mount target", &bind.target, "is the root itself");
    }
    // Whatever lies over /proc would undo what is masked there.
    if target.starts_with("/proc") {
        return refuse("mount target", &bind.target, "lies in /proc");
    }
    Ok(BindMount { source: bind.source.clone(), target, read_only: bind.read_only })
}

/// The source with its links resolved, once, so that what is checked is what is mounted. What is missing is named as it
/// stands, below the part that exists.
pub(crate) fn resolve_source(source: &Path) -> Result<PathBuf> {
    let mut missing: Vec<&std::ffi::OsStr> = Vec::new();
    let mut existing = source;
    loop {
        match existing.canonicalize() {
            Ok(real) => return Ok(missing.iter().rev().fold(real, |path, name| path.join(name))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // A link to nothing is there and is not what it should be: nothing is made through it.
                let dangling = existing.symlink_metadata().is_ok();
                match (existing.file_name(), existing.parent(), dangling) {
                    (Some(name), Some(parent), false) => {
                        missing.push(name);
                        existing = parent;
                    }
                    _ => return Err(Error::file("resolve the mount source", source, error)),
                }
            }
            Err(error) => return Err(Error::file("resolve the mount source", source, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn pure_bad_paths_are_refused() {
        let bind = |source: &str, target: &str| {
            normal(&BindMount { source: source.into(), target: target.into(), read_only: false })
        };
        assert!(bind("/src", "/dst").is_ok());
        let bad = [
            ("src", "/d"),
            ("/s", "d"),
            ("/s", "/"),
            ("/s", "//."),
            ("/s", "/a/../b"),
            ("/s", "/proc/x"),
            ("/s", "/a\0"),
        ];
        for (source, target) in bad {
            assert!(bind(source, target).is_err(), "{source} {target}");
        }
    }

    #[test]
    fn pure_sources_are_resolved_once() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("data")).unwrap();
        symlink("data", real.join("link")).unwrap();
        symlink("nothing", real.join("dangling")).unwrap();
        assert_eq!(resolve_source(&real.join("link")).unwrap(), real.join("data"));
        assert_eq!(resolve_source(&real.join("link/new/deep")).unwrap(), real.join("data/new/deep"));
        assert!(resolve_source(&real.join("dangling")).is_err());
    }
}
