//! The folders that a new container's mounts lie on, made while `tinyd-runtime` comes up.
//!
//! The runtime makes them where they are missing, in the mounted root, whatever lies on the way to them. That is on the way of
//! the user's command, and an inode is what a start pays most for on some disks. Those of which it is certain what the runtime
//! would make are made here, where nobody waits for them. What is not, or cannot be, made is left to it.

use crate::store::{Record, make_folder};
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Component, Path};

/// The mode that the runtime gives them.
const MODE: u32 = 0o755;

/// Makes them in the layer that is written. The container has never been started: nothing is mounted of it, and nobody but this
/// engine has ever written there.
pub(crate) fn make(record: &Record) {
    // A layer that is in a file is nowhere yet.
    let ([root, ..], None) = (&record.rootfs.overlays[..], &record.rootfs.storage) else { return };
    for name in folders(record).filter_map(alone) {
        // What a layer has there, be it a link, is what the mount lies on.
        if root.lowers.iter().all(|layer| is_absent(&layer.join(name))) {
            // Root inside is the layers' root, on the disk as on the machine. The runtime says what is wrong.
            drop(make_folder(&root.upper.join(name), MODE));
        }
    }
}

/// Where folders are mounted.
fn folders(record: &Record) -> impl Iterator<Item = &Path> {
    let spec = &record.spec;
    let binds = spec.binds.iter().filter(|bind| bind.source.is_dir()).map(|bind| &bind.target);
    // A part of a volume may be a file.
    let whole = record.volumes.iter().filter(|used| used.mount.subpath.is_none());
    let memory = spec.tmpfs.iter().map(|mount| &mount.target);
    binds.chain(whole.map(|used| &used.mount.target)).chain(memory).map(|target| target.as_path())
}

/// The name of what lies directly below the root: on the way to it there is nothing else.
fn alone(target: &Path) -> Option<&OsStr> {
    let mut parts = target.components();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Component::RootDir), Some(Component::Normal(name)), None) => Some(name),
        _ => None,
    }
}

/// There is nothing of this name, and that is certain.
pub(crate) fn is_absent(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use tinyd_engine::{BindMount, TmpfsMount};

    #[test]
    fn pure_only_what_is_certain_is_made() {
        let (place, store) = testing::store();
        let path = |name: &str| place.path().join(name);
        for name in ["layer", "upper", "source", "layer/there"] {
            make_folder(&path(name), 0o700).unwrap();
        }
        std::fs::write(path("file"), "").unwrap();
        symlink("elsewhere", path("layer/link")).unwrap();
        let record = testing::record_with(&store, |record| {
            let root = &mut record.rootfs.overlays[0];
            (root.lowers, root.upper) = (vec![path("layer")], path("upper"));
            let targets = ["/data", "/there", "/link", "/far/away"];
            record.spec.binds = targets.iter().map(|target| BindMount::new(path("source"), target)).collect();
            record.spec.binds.push(BindMount::new(path("file"), "/file"));
            record.spec.tmpfs = vec![TmpfsMount { target: "/memory".into(), options: Vec::new() }];
        });
        make(&record);
        let mut made = crate::store::entries(&path("upper")).unwrap();
        made.sort();
        assert_eq!(made, ["data", "memory"]);
        assert_eq!(path("upper/data").metadata().unwrap().permissions().mode() & 0o7777, MODE);
    }
}
