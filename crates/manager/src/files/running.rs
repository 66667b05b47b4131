//! The root of a container that runs.

use super::{Owners, Root};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::life::Live;
use crate::process;
use crate::store::Record;
use rustix::fs::{Mode, OFlags};
use std::os::fd::OwnedFd;
use tinyd_ns::caps;
use tinyd_ns::credentials::FileSystemIds;

impl Core {
    /// Works with it. Its mount namespace is held meanwhile, so that everything stays mounted where the container ends.
    pub(super) fn with_running_root<T>(
        &self,
        record: &Record,
        live: &Live,
        action: &'static str,
        work: impl FnOnce(&Root) -> Result<T>,
    ) -> Result<T> {
        let container = record.short().to_owned();
        let ended = || Error::WrongState {
            action,
            container: container.clone(),
            state: "has just ended",
            hint: Some("try again"),
        };
        let process = process::open(live.state.init).ok_or_else(ended)?;
        let of = |name: &str, flags| -> Result<OwnedFd> {
            let path = format!("/proc/{}/{name}", live.state.init.pid);
            rustix::fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| Error::file("open", path, errno))
        };
        let _namespace = of("ns/mnt", OFlags::RDONLY)?;
        let fd = of("root", OFlags::PATH | OFlags::DIRECTORY)?;
        // Looked at after opening: until here the number was that process's.
        if !live.state.init.is_of(&process) || process::open(live.state.init).is_none() {
            return Err(ended());
        }
        let owners = Owners::of_processes(record);
        let trees = record.rootfs.overlays.iter().map(|tree| tree.target.clone()).collect();
        let root = Root { fd, owners, trees, places: Vec::new(), container: container.clone() };
        let _ids = owners.root().map(as_root_of).transpose()?;
        work(&root)
    }
}

/// What is made in the layers of a user namespace is made as its root, or not at all (`EOVERFLOW`). The rights of this thread stay.
fn as_root_of(id: u32) -> Result<FileSystemIds> {
    caps::set_no_setuid_fixup(true)
        .map_err(|error| Error::file("keep the rights to", "the container's files", error))?;
    Ok(FileSystemIds::assume(id, id))
}
