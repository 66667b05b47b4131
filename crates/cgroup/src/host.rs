//! What this host has.

use crate::driver::{CgroupDriver, HierarchyVersion, Version};
use crate::error::{Error, Result};
use crate::hybrid::HybridDriver;
use crate::mountinfo::{self, Hierarchy};
use crate::v1::V1Driver;
use crate::v2::{Place, V2Driver};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// The hierarchies of a host, as its mount table shows them.
///
/// The controllers of a v2 hierarchy are read from its files when they are first asked for.
#[derive(Debug, Clone)]
pub struct Host {
    hierarchies: Vec<Hierarchy>,
    version: Version,
}

impl Host {
    /// Reads `/proc/self/mountinfo`, once.
    ///
    /// # Errors
    /// [`Error::NotMounted`] when there is no hierarchy at all; [`Error::Read`] without /proc.
    pub fn detect() -> Result<Self> {
        let path = Path::new("/proc/self/mountinfo");
        let failed = |source| Error::Read { path: path.to_owned(), source };
        // The file claims to be empty, so it would be read in pieces, from 32 bytes on.
        let mut text = Vec::with_capacity(16 * 1024);
        File::open(path).and_then(|mut file| file.read_to_end(&mut text)).map_err(failed)?;
        Self::from_bytes(&text)
    }

    /// A host with the mount table given, in the format of proc_pid_mountinfo(5).
    ///
    /// # Errors
    /// [`Error::NotMounted`] when there is no hierarchy in it, [`Error::Mountinfo`] when it is malformed.
    pub fn from_mountinfo(text: &str) -> Result<Self> {
        Self::from_bytes(text.as_bytes())
    }

    fn from_bytes(text: &[u8]) -> Result<Self> {
        let hierarchies = mountinfo::parse(text)?;
        let v1 = hierarchies.iter().any(|h| !h.controllers().is_empty());
        let v2 = hierarchies.iter().any(|h| h.version() == HierarchyVersion::V2);
        let version = match (v1, v2) {
            (true, true) => Version::Hybrid,
            (true, false) => Version::V1,
            // A named hierarchy alone limits nothing.
            (false, true) => Version::V2,
            (false, false) => return Err(Error::NotMounted),
        };
        Ok(Self { hierarchies, version })
    }

    /// Which way the hierarchies are mounted.
    pub fn version(&self) -> Version {
        self.version
    }

    /// All that are mounted, each once, named ones too.
    pub fn hierarchies(&self) -> &[Hierarchy] {
        &self.hierarchies
    }

    /// Where a controller is mounted. On v2 that is the unified hierarchy when its `cgroup.controllers` lists it;
    /// `unified` and `name=…` name hierarchies without a controller.
    pub fn mountpoint(&self, controller: &str) -> Option<&Path> {
        let of_v1 = self.hierarchies.iter().find(|h| h.has(controller) || h.name() == controller);
        of_v1
            .or_else(|| self.unified().filter(|h| self.v2_driver(h).has_controller(controller)))
            .map(Hierarchy::mountpoint)
    }

    /// The driver for this host.
    ///
    /// # Errors
    /// [`Error::NotMounted`].
    pub fn driver(&self) -> Result<Box<dyn CgroupDriver>> {
        let unified = self.unified().map(|h| self.v2_driver(h));
        Ok(match (self.version, unified) {
            (Version::V1, _) => Box::new(V1Driver::new(&self.hierarchies, true)),
            (Version::V2, Some(v2)) => Box::new(v2),
            (Version::Hybrid, Some(v2)) => {
                Box::new(HybridDriver::new(V1Driver::new(&self.hierarchies, false), v2))
            }
            (_, None) => return Err(Error::NotMounted),
        })
    }

    fn unified(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|h| h.version() == HierarchyVersion::V2)
    }

    fn v2_driver(&self, hierarchy: &Hierarchy) -> V2Driver {
        let place = if self.version == Version::V2 { Place::Alone } else { Place::BesideV1 };
        V2Driver::new(hierarchy.mountpoint().to_owned(), place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "33 27 0:30 / /cg/memory rw - cgroup cgroup rw,memory\n";
    const NAMED: &str = "34 27 0:31 / /cg/systemd rw - cgroup cgroup rw,name=systemd\n";

    #[test]
    fn pure_versions() {
        let v2 = "35 27 0:32 / /cg/unified rw - cgroup2 cgroup2 rw\n";
        let version = |text: &str| Host::from_mountinfo(text).unwrap().version();
        assert_eq!(version(V1), Version::V1);
        assert_eq!(version(v2), Version::V2);
        assert_eq!(version(&format!("{V1}{v2}")), Version::Hybrid);
        assert_eq!(version(&format!("{NAMED}{v2}")), Version::V2);
        for none in ["", NAMED, "22 27 0:21 / /proc rw - proc proc rw\n"] {
            let error = Host::from_mountinfo(none).unwrap_err();
            assert!(error.to_string().contains("mount -t cgroup2"), "{error}");
        }
        for text in [V1, v2, &format!("{V1}{v2}")] {
            let host = Host::from_mountinfo(text).unwrap();
            assert_eq!(host.driver().unwrap().version(), host.version());
        }
    }

    #[test]
    fn pure_mountpoint_of_a_controller() {
        let unified = tempfile::tempdir().unwrap();
        std::fs::write(unified.path().join("cgroup.controllers"), "cpu pids\n").unwrap();
        let v2 = format!("35 27 0:32 / {} rw - cgroup2 cgroup2 rw\n", unified.path().display());
        let host = Host::from_mountinfo(&format!("{V1}{NAMED}{v2}")).unwrap();
        assert_eq!(host.mountpoint("memory"), Some(Path::new("/cg/memory")));
        assert_eq!(host.mountpoint("name=systemd"), Some(Path::new("/cg/systemd")));
        assert_eq!(host.mountpoint("pids"), Some(unified.path()));
        assert_eq!(host.mountpoint("unified"), Some(unified.path()));
        assert_eq!(host.mountpoint("blkio"), None);
        assert_eq!(host.hierarchies().len(), 3);
    }
}
