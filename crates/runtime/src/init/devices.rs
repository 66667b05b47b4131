//! Devices in places that are no file system of the container's own. *Child-side*, as all of this.

use crate::plan::{MAX_PREPARED, Stray, Strays};
use crate::report::{ChildFailure, Stage, at, at_operand};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};
use tinyd_fs::mount::DetachedMount;
use tinyd_fs::{dev, pivot, resolve};

/// Mounts each node of a file system in its place.
pub(super) fn attach(
    strays: &Strays,
    root: BorrowedFd<'_>,
    nodes: &DetachedMount,
) -> Result<(), ChildFailure> {
    let mut each = [const { None }; MAX_PREPARED];
    copies(strays, root, nodes, &mut each)?;
    for (index, (stray, node)) in strays.places.iter().zip(&each).enumerate() {
        let attach = || {
            let place = resolve::ensure_file(root, &stray.target)?;
            check(stray, place.as_fd())?;
            node.as_ref().ok_or(Errno::PROTO).and_then(|node: &DetachedMount| node.attach(place.as_fd()))
        };
        attach().map_err(at_operand(Stage::Device, index))?;
    }
    if strays.links {
        let folder = resolve::ensure_dir(root, c"/dev").map_err(at(Stage::Device))?;
        dev::link_standard(folder.as_fd()).map_err(at(Stage::Device))?;
    }
    Ok(())
}

/// The kernel copies no part of a mount that is attached nowhere (before Linux 6.15), so for that long it lies over the root, where
/// nobody looks.
fn copies(
    strays: &Strays,
    root: BorrowedFd<'_>,
    nodes: &DetachedMount,
    each: &mut [Option<DetachedMount>],
) -> Result<(), ChildFailure> {
    nodes.attach(root).map_err(at(Stage::Device))?;
    let mut copied = Ok(());
    for (index, (stray, place)) in strays.places.iter().zip(each).enumerate() {
        match DetachedMount::clone_of(nodes.as_fd(), &stray.name, false) {
            Ok(node) => *place = Some(node),
            Err(errno) => copied = Err(at_operand(Stage::Device, index)(errno)),
        }
    }
    pivot::detach(nodes.as_fd()).map_err(at(Stage::Device))?;
    copied
}

/// What has the place of a device must be that device, or what was made for it: an empty file.
fn check(stray: &Stray, place: BorrowedFd<'_>) -> Result<(), Errno> {
    let Some((kind, number)) = stray.expected else { return Ok(()) };
    let stat = fstat(place)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_size == 0 => Ok(()),
        FileType::Fifo if kind == FileType::Fifo => Ok(()),
        there if there == kind && stat.st_rdev == number => Ok(()),
        _ => Err(Errno::EXIST),
    }
}
