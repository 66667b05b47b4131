//! `export`: a container's root file system as one archive.

use super::Shown;
use super::copy::packed;
use crate::core::Core;
use crate::error::Result;
use crate::volumes::compression;
use std::os::fd::OwnedFd;
use std::path::Path;
use tinyd_engine::{ArchiveSummary, ContainerExport};
use tinyd_fs::archive::{Mounts, Pack};
use tinyd_fs::copy::Owner;

impl Core {
    pub(crate) fn export(
        &self,
        container: &str,
        request: &ContainerExport,
        to: OwnedFd,
    ) -> Result<ArchiveSummary> {
        let compression = compression(request.compression);
        self.telling(container, "export", "export", Shown::Layers, |root| {
            let inside = |owner: Owner| root.owners.inside(owner);
            let trees: Vec<&Path> = root.trees.iter().map(AsRef::as_ref).collect();
            let options =
                Pack { compression, mounts: Mounts::Only(&trees), map: Some(&inside), ..Pack::default() };
            packed(&root.fd, &[], to, &options, Path::new("/"))
        })
    }
}
