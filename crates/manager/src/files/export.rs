//! `export`: a container's root file system as one archive.

use super::Shown;
use super::copy::packed;
use crate::core::Core;
use crate::error::Result;
use std::os::fd::OwnedFd;
use std::path::Path;
use tinyd_engine::{ArchiveSummary, Compression, ContainerExport};
use tinyd_fs::archive::{self, Mounts, Pack};
use tinyd_fs::copy::Owner;

impl Core {
    pub(crate) fn export(
        &self,
        container: &str,
        request: &ContainerExport,
        to: OwnedFd,
    ) -> Result<ArchiveSummary> {
        let compression = match request.compression {
            Compression::None => archive::Compression::None,
            Compression::Gzip => archive::Compression::Gzip,
            Compression::Zstd => archive::Compression::Zstd,
        };
        self.with_root(container, "export", Shown::Layers, |root| {
            let inside = |owner: Owner| root.owners.inside(owner);
            let trees: Vec<&Path> = root.trees.iter().map(AsRef::as_ref).collect();
            let options =
                Pack { compression, mounts: Mounts::Only(&trees), map: Some(&inside), ..Pack::default() };
            packed(&root.fd, &[], to, &options, Path::new("/"))
        })
    }
}
