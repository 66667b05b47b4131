//! Secrets: a file system in memory that the parent fills, from files that the container never sees.
//!
//! The bytes go from file to file within the kernel where it can do that: this process, which stays beside the container, has
//! nothing of them afterwards.

use crate::identity::Identity;
use crate::launch::outside;
use crate::{Failure, FailureKind, SecretFile};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, fchmod, fchown, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::fs::File;
use std::os::fd::OwnedFd;
use tinyd_fs::mount::{Changes, DetachedMount};
use tinyd_ns::idmap::IdMaps;

pub(super) fn make(
    files: &[SecretFile],
    maps: Option<&IdMaps>,
    command: &Identity,
) -> Result<OwnedFd, Failure> {
    let failed = |errno: Errno| {
        let failure = Failure::new(FailureKind::Internal, "make a file system in memory for secrets");
        failure.caused_by(&std::io::Error::from(errno))
    };
    let mount = in_memory().map_err(failed)?;
    let owner = |uid, gid| outside(maps, &Identity { uid, gid, groups: Vec::new(), home: Vec::new() });
    let (root, group) = owner(0, 0)?;
    chownat(&mount, c"", Some(Uid::from_raw(root)), Some(Gid::from_raw(group)), AtFlags::EMPTY_PATH)
        .map_err(failed)?;
    for file in files {
        let owner = owner(file.uid.unwrap_or(command.uid), file.gid.unwrap_or(command.gid))?;
        add(&mount, file, owner).map_err(|error| {
            let failure = Failure::new(FailureKind::Internal, format!("give it secret {:?}", file.secret));
            failure.caused_by(&error)
        })?;
    }
    mount.change(&Changes::read_only(false)).map_err(failed)?;
    Ok(mount.into_fd())
}

/// Linux 6.4 lets a tmpfs say that it is never written to swap.
fn in_memory() -> Result<DetachedMount, Errno> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    match DetachedMount::new(c"tmpfs", [(c"mode", c"755"), (c"noswap", c"")], attributes) {
        Err(Errno::INVAL) => DetachedMount::new(c"tmpfs", [(c"mode", c"755")], attributes),
        made => made,
    }
}

fn add(mount: &DetachedMount, file: &SecretFile, (uid, gid): (u32, u32)) -> std::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut from = File::from(rustix::fs::open(&file.source, flags, Mode::empty())?);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut to = File::from(openat(mount, file.name.as_str(), flags, Mode::RUSR)?);
    std::io::copy(&mut from, &mut to)?;
    fchown(&to, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    fchmod(&to, Mode::from_raw_mode(file.mode))?;
    Ok(())
}
