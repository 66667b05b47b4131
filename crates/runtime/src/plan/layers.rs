//! Mounts of the type `overlay`, with the options that the kernel has for them (`filesystems/overlayfs`).

use super::LayersPlan;
use super::spec::invalid;
use crate::Failure;
use rustix::mount::MountAttrFlags;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// From the file system's own options of a mount.
pub(super) fn plan(
    target: &Path,
    options: &[(CString, CString)],
    attributes: MountAttrFlags,
    subpath: Option<PathBuf>,
    foreign: bool,
) -> Result<LayersPlan, Failure> {
    let refuse = |problem: &str| Err(invalid("mounts", format!("{}: {problem}", target.display())));
    let (mut lowers, mut upper, mut work, mut volatile) = (Vec::new(), None, None, false);
    for (name, value) in options {
        let path = || PathBuf::from(OsStr::from_bytes(value.to_bytes()));
        match name.to_bytes() {
            b"lowerdir" => lowers = split(value.to_bytes()),
            b"upperdir" => upper = Some(path()),
            b"workdir" => work = Some(path()),
            b"volatile" => volatile = true,
            other => return refuse(&format!("unknown option {}", String::from_utf8_lossy(other))),
        }
    }
    let (Some(upper), Some(work)) = (upper, work) else {
        return refuse("an overlay needs upperdir and workdir");
    };
    if lowers.is_empty() || !lowers.iter().chain([&upper, &work]).all(|path| path.is_absolute()) {
        return refuse("the layers of an overlay are absolute paths, and there must be a lower one");
    }
    Ok(LayersPlan { lowers, foreign, upper, work, volatile, attributes, subpath })
}

/// Paths with colons between them; a backslash stands before a colon, or a backslash, of a path.
fn split(text: &[u8]) -> Vec<PathBuf> {
    let (mut paths, mut path) = (Vec::new(), Vec::new());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b':' => paths.push(std::mem::take(&mut path)),
            b'\\' => path.extend(bytes.next()),
            byte => path.push(*byte),
        }
    }
    paths.push(path);
    paths.iter().map(|path| PathBuf::from(OsStr::from_bytes(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(options: &[(&str, &str)]) -> Result<LayersPlan, Failure> {
        let text = |text: &str| CString::new(text).unwrap();
        let options: Vec<_> = options.iter().map(|(name, value)| (text(name), text(value))).collect();
        plan(Path::new("/x"), &options, MountAttrFlags::empty(), None, false)
    }

    #[test]
    fn layers_are_paths_that_may_hold_anything() {
        let writable = [("upperdir", "/u"), ("workdir", "/w")];
        let lower = |value| ask(&[("lowerdir", value), writable[0], writable[1]]);
        assert_eq!(lower(r"/a\:b:/c\\d").unwrap().lowers, [Path::new("/a:b"), Path::new(r"/c\d")]);
        assert!(lower("").is_err() && lower("/a:").is_err() && lower("a").is_err());
        assert!(ask(&writable).is_err() && ask(&[("lowerdir", "/a"), ("upperdir", "/u")]).is_err());
        assert!(ask(&[("lowerdir", "/a"), writable[0], writable[1], ("index", "on")]).is_err());
        assert!(ask(&[("lowerdir", "/a"), writable[0], writable[1], ("volatile", "")]).unwrap().volatile);
    }
}
