//! A root file system whose written layers lie in a file: they are mounted in a namespace of a thread that ends, and the overlays
//! that it makes of them hold them from then on. When the last of these goes, so does the file's mount; whoever is killed, nothing
//! of it stays.

use super::{Mapping, RootMount, overlays as mount_overlays};
use crate::{Failure, FailureKind, Rootfs, Storage};
use tinyd_fs::loop_file;
use tinyd_fs::overlay::Writable;

pub(super) fn overlays(
    storage: &Storage,
    rootfs: &Rootfs,
    mapping: Option<Mapping<'_>>,
) -> Result<Vec<RootMount>, Failure> {
    let mount = || {
        for overlay in &rootfs.overlays {
            let writable = Writable { upper: &overlay.upper, work: &overlay.work, volatile: rootfs.volatile };
            writable.make().map_err(|error| failed(&error))?;
        }
        mount_overlays(rootfs, mapping)
    };
    loop_file::visit(&storage.file, &storage.folder, mount).map_err(|error| failed(&error))?
}

fn failed(error: &tinyd_fs::Error) -> Failure {
    Failure::new(FailureKind::Internal, "mount what holds the container's written layer").caused_by(error)
}
