//! File systems that the parent makes, since the child has not the rights, or not the files.

use super::{configure, failed};
use crate::plan::MadePlan;
use crate::{Failure, FailureKind};
use rustix::fs::{Mode, OFlags, fchmod, openat};
use rustix::io::Errno;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use tinyd_fs::mount::{Changes, DetachedMount};
use tinyd_fs::{copy, resolve};

pub(super) fn make(
    plan: &MadePlan,
    target: &CStr,
    user_namespace: Option<BorrowedFd<'_>>,
    root: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, Failure> {
    let path = Path::new(OsStr::from_bytes(target.to_bytes()));
    let read_only = plan.attributes;
    let mount = plan.file_system.mount(rustix::mount::MountAttrFlags::empty(), plan.propagation);
    let mount = mount.map_err(|errno| failed("mount", path, errno))?;
    if let Some(mode) = plan.copied {
        let root = root.ok_or_else(|| {
            let problem = format!("{}: tmpcopyup needs a root of one file system", path.display());
            Failure::new(FailureKind::Unsupported, problem)
        })?;
        fill(&mount, mode, target, root)?;
    }
    let changes = Changes { set: read_only, user_namespace, ..Changes::NONE };
    configure(mount, path, &changes).map(DetachedMount::into_fd)
}

/// Copies what the root has in the place of a mount, and is about to be hidden by it.
fn fill(
    mount: &DetachedMount,
    mode: Option<u32>,
    target: &CStr,
    root: BorrowedFd<'_>,
) -> Result<(), Failure> {
    let path = Path::new(OsStr::from_bytes(target.to_bytes()));
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let from = match resolve::open_with(root, target, folder) {
        Ok(from) => from,
        // It is made, empty.
        Err(Errno::NOENT) => return Ok(()),
        Err(errno) => return Err(failed("copy", path, errno)),
    };
    let to = openat(mount, c".", folder, Mode::empty()).map_err(|errno| failed("copy", path, errno))?;
    copy::tree(from.as_fd(), to.as_fd()).map_err(|error| {
        Failure::new(FailureKind::Internal, format!("copy {}", path.display())).caused_by(&error)
    })?;
    match mode {
        Some(mode) => fchmod(&to, Mode::from_raw_mode(mode)).map_err(|errno| failed("copy", path, errno)),
        None => Ok(()),
    }
}
