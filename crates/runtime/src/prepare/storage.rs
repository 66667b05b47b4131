//! A root file system whose written layers lie in a file: they are mounted in a namespace of a thread that ends, and the overlays
//! that it makes of them hold them from then on. When the last of these goes, so does the file's mount; whoever is killed, nothing
//! of it stays.

use super::{Mapping, RootMount, overlays as mount_overlays};
use crate::launch::internal;
use crate::{Failure, FailureKind, Rootfs, Storage};
use rustix::fs::{Mode, chmod, mkdir};
use rustix::io::Errno;
use std::path::Path;
use tinyd_fs::loop_file;

pub(super) fn overlays(
    storage: &Storage,
    rootfs: &Rootfs,
    mapping: Option<Mapping<'_>>,
) -> Result<Vec<RootMount>, Failure> {
    let mount = || {
        for overlay in &rootfs.overlays {
            // What the command sees as its root folder is the upper layer's: open to every user inside.
            for (folder, mode) in [(&overlay.upper, 0o755), (&overlay.work, 0o700)] {
                make(folder, mode).map_err(|errno| internal(&format!("make {}", folder.display()), errno))?;
            }
        }
        mount_overlays(rootfs, mapping)
    };
    let mounted = loop_file::visit(&storage.file, &storage.folder, mount);
    mounted.map_err(|error| {
        Failure::new(FailureKind::Internal, "mount what holds the container's written layer")
            .caused_by(&error)
    })?
}

/// Makes a folder, and those above it for root alone.
fn make(folder: &Path, mode: u32) -> Result<(), Errno> {
    match mkdir(folder, Mode::from_raw_mode(mode)) {
        Ok(()) => chmod(folder, Mode::from_raw_mode(mode)),
        Err(Errno::EXIST) => Ok(()),
        Err(Errno::NOENT) => {
            folder.parent().map_or(Err(Errno::NOENT), |above| make(above, 0o700))?;
            make(folder, mode)
        }
        Err(errno) => Err(errno),
    }
}
