//! The layers of an overlay as descriptors, however old, deep or oddly named their folders are.

use super::Overlay;
use crate::mount::{Changes, DetachedMount};
use crate::resolve;
use crate::{Error, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A detached mount is dissolved with its descriptor: all are held until the overlay has taken its own copies.
pub(super) struct Layers {
    pub(super) lowers: Vec<OwnedFd>,
    pub(super) upper: OwnedFd,
    pub(super) work: OwnedFd,
    /// One mount for both: the kernel refuses an upper and a work folder that lie on different mounts.
    parent: OwnedFd,
}

impl Layers {
    pub(super) fn open(overlay: &Overlay<'_>) -> Result<Self> {
        let lowers = overlay.lowers.iter().map(|lower| mapped(overlay, below(lower)?, lower));
        let lowers = lowers.collect::<Result<Vec<_>>>()?;
        let parent = parent_of(overlay);
        let parent = mapped(overlay, plain(parent)?, parent)?;
        let inside = |path: &Path| {
            let name = path.file_name().unwrap_or_default();
            openat(&parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()).map_err(Error::path("open", path))
        };
        let (upper, work) = (inside(overlay.writable.upper)?, inside(overlay.writable.work)?);
        Ok(Self { lowers, upper, work, parent })
    }

    /// Attaches the copies that have their ids mapped over the folders they are of: before Linux 6.13 an overlay takes no
    /// layer that is attached nowhere. For mount namespaces that nobody else is in.
    pub(super) fn attach(&self, overlay: &Overlay<'_>) -> Result<()> {
        let paths = || overlay.lowers.iter().map(std::path::PathBuf::as_path).chain([parent_of(overlay)]);
        // All are opened before the first is covered, which may hold another.
        let folders = overlay.lowers.iter().map(|path| below(path)).chain([plain(parent_of(overlay))]);
        let folders = folders.collect::<Result<Vec<_>>>()?;
        for ((folder, path), layer) in
            folders.iter().zip(paths()).zip(self.lowers.iter().chain([&self.parent]))
        {
            let layer = layer.try_clone().map_err(Error::path("copy the descriptor of", path))?;
            DetachedMount::from_fd(layer)
                .attach(folder.as_fd())
                .map_err(Error::path("attach a copy to", path))?;
        }
        Ok(())
    }

    pub(super) fn into_all(self) -> Vec<OwnedFd> {
        let mut all = self.lowers;
        all.extend([self.upper, self.work, self.parent]);
        all
    }
}

/// The path of a descriptor, which is short and needs no escapes.
pub(super) fn by_descriptor(layer: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", layer.as_raw_fd())
}

fn parent_of<'a>(overlay: &Overlay<'a>) -> &'a Path {
    match overlay.writable.upper.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    }
}

fn plain(path: &Path) -> Result<OwnedFd> {
    openat(CWD, path, FOLDER, Mode::empty()).map_err(Error::path("open", path))
}

/// A layer that is read may lie where others write: it was resolved when it was chosen, and no link is followed since.
fn below(path: &Path) -> Result<OwnedFd> {
    match path.is_absolute() {
        true => resolve::open_host(path, OFlags::DIRECTORY).map_err(Error::path("open", path)),
        false => plain(path),
    }
}

fn mapped(overlay: &Overlay<'_>, folder: OwnedFd, path: &Path) -> Result<OwnedFd> {
    let Some(idmap) = &overlay.idmap else {
        return Ok(folder);
    };
    let copy = DetachedMount::clone_of(folder.as_fd(), c"", false).map_err(Error::path("open", path))?;
    let changes = Changes { user_namespace: Some(idmap.user_namespace), ..Changes::NONE };
    copy.change(&changes).map_err(Error::path("map the ids of", path))?;
    Ok(copy.into_fd())
}
