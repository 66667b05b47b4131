//! Devices of the host that a container is given.

use crate::error::{Error, Result};
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use tinyd_cgroup::{DeviceAccess, DeviceKind, DeviceRule};
use tinyd_engine::Device;

/// Below `/dev` and not the machine's devices: file systems of each container's own, and terminals of this host's users.
const OWN: [&str; 6] = ["pts", "shm", "mqueue", "hugepages", "console", "ptmx"];

/// How deep folders of devices are looked into.
const MAX_DEPTH: usize = 8;

/// A device node, as it will be inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub path: PathBuf,
    pub kind: DeviceKind,
    pub major: u32,
    pub minor: u32,
    pub mode: u32,
    pub owner: (u32, u32),
    pub access: DeviceAccess,
}

impl Node {
    fn new(path: PathBuf, access: DeviceAccess, metadata: &Metadata) -> Option<Self> {
        let kind = match metadata.file_type() {
            kind if kind.is_block_device() => DeviceKind::Block,
            kind if kind.is_char_device() => DeviceKind::Char,
            _ => return None,
        };
        let (major, minor) = numbers(metadata);
        let owner = (metadata.uid(), metadata.gid());
        Some(Self { path, kind, major, minor, mode: metadata.mode() & 0o7777, owner, access })
    }

    /// The rule that lets it be used.
    pub(crate) fn rule(&self) -> DeviceRule {
        DeviceRule::new(true, self.kind, Some(self.major), Some(self.minor), self.access)
    }
}

/// The nodes of the devices that were asked for; of a folder, all that it holds.
pub(crate) fn nodes(wanted: &[Device]) -> Result<Vec<Node>> {
    let mut all = Vec::new();
    for device in wanted {
        let refuse = |problem: String| Error::invalid("device", device.source.display().to_string(), problem);
        let access = device.access.parse().map_err(|error: tinyd_cgroup::Error| refuse(error.to_string()))?;
        let metadata = look(&device.source)?;
        let before = all.len();
        if metadata.is_dir() {
            walk(&device.source, &device.target, access, MAX_DEPTH, &mut all)?;
        } else {
            all.extend(Node::new(device.target.clone(), access, &metadata));
        }
        if all.len() == before {
            return Err(refuse("is no device, nor a folder that holds some".to_owned()));
        }
    }
    Ok(all)
}

/// All of this machine's devices.
pub(crate) fn all() -> Result<Vec<Node>> {
    let dev = Path::new("/dev");
    let mut all = Vec::new();
    walk(dev, dev, DeviceAccess::ALL, MAX_DEPTH, &mut all)?;
    Ok(all)
}

fn walk(
    source: &Path,
    target: &Path,
    access: DeviceAccess,
    depth: usize,
    found: &mut Vec<Node>,
) -> Result<()> {
    let entries = match fs::read_dir(source) {
        Ok(entries) => entries,
        // What goes while it is looked at was not meant.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::file("look into", source, error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| Error::file("look into", source, error))?;
        let (name, path) = (entry.file_name(), entry.path());
        let is_own = source == Path::new("/dev") && OWN.iter().any(|own| name == *own);
        // Links are left out: what they lead to is there by its own name.
        let Some(metadata) = (!is_own).then(|| entry.metadata().ok()).flatten() else { continue };
        if metadata.is_dir() && depth > 0 {
            walk(&path, &target.join(&name), access, depth - 1, found)?;
        } else {
            found.extend(Node::new(target.join(&name), access, &metadata));
        }
    }
    Ok(())
}

/// The number of a disk, by its device file.
pub(crate) fn disk(path: &Path) -> Result<(u32, u32)> {
    let metadata = look(path)?;
    match metadata.file_type().is_block_device() {
        true => Ok(numbers(&metadata)),
        false => Err(Error::invalid("device", path.display().to_string(), "is no block device")),
    }
}

fn look(path: &Path) -> Result<Metadata> {
    fs::metadata(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::invalid("device", path.display().to_string(), "does not exist"),
        _ => Error::file("look at", path, error),
    })
}

fn numbers(metadata: &Metadata) -> (u32, u32) {
    (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(source: &str, target: &str) -> Device {
        Device { source: source.into(), target: target.into(), access: "rw".into() }
    }

    #[test]
    fn pure_a_device_is_taken_as_it_is() {
        let found = nodes(&[device("/dev/null", "/dev/x/none")]).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.to_str(), found[0].major, found[0].minor), (Some("/dev/x/none"), 1, 3));
        assert_eq!(found[0].rule().to_string(), "c 1:3 rw");
        let nodes = nodes(&[device("/dev", "/dev/of")]).unwrap();
        assert!(nodes.iter().any(|node| node.path == Path::new("/dev/of/zero")));
        assert!(nodes.iter().all(|node| !node.path.starts_with("/dev/of/pts")));
    }

    #[test]
    fn pure_what_is_none_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_str().unwrap();
        for (source, problem) in
            [("/etc/passwd", "is no device"), (empty, "is no device"), ("/dev/none/such", "does not exist")]
        {
            let said = nodes(&[device(source, "/dev/x")]).unwrap_err().to_string();
            assert!(said.contains(source) && said.contains(problem), "{said}");
        }
        assert!(disk(Path::new("/dev/null")).unwrap_err().to_string().contains("no block device"));
    }
}
