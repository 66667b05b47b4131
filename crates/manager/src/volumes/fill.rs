//! Filling an empty volume with what the image has where it is mounted.

use crate::core::Core;
use crate::error::{Error, Result};
use crate::points::is_absent;
use crate::store::{Record, UsedVolume, make_folder, remove_tree};
use crate::volumes::bind::is_of_host;
use crate::volumes::staging::Place;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};
use tinyd_fs::overlay::{MountedOverlay, Overlay, Writable, needs_user_xattrs};
use tinyd_ns::caps::{Capability, Suspended};
use tinyd_runtime::OverlayMount;

impl Core {
    /// Fills the volumes of a new container that are empty, and whose data is there although nothing is mounted.
    pub(crate) fn fill_volumes(&self, record: &Record) -> Result<()> {
        for used in &record.volumes {
            if self.driver_of(&used.state)?.is_plain(&used.state) {
                // A plain one lies at its path, mounted or not.
                self.fill_volume(record, used, &used.state.path)?;
            }
        }
        Ok(())
    }

    /// Fills a volume that is empty, and lies there. What was left by whoever was killed at that is put right first, also where
    /// nothing is filled in.
    pub(crate) fn fill_volume(&self, record: &Record, used: &UsedVolume, path: &Path) -> Result<()> {
        if is_of_host(&used.state) {
            return Ok(());
        }
        if !used.mount.no_copy && used.mount.subpath.is_none() {
            self.fill_with_image(record, used, path)?;
        }
        if self.find_volume(&used.state.name)?.is_some_and(|volume| volume.filling) {
            self.fill(used, path, None)?;
        }
        Ok(())
    }

    fn fill_with_image(&self, record: &Record, used: &UsedVolume, place: &Path) -> Result<()> {
        let Some((tree, rest)) = tree(&record.rootfs.overlays, &used.mount.target) else { return Ok(()) };
        // Most images have nothing where a volume is mounted: that is seen without looking further.
        if let Some(Component::Normal(first)) = rest.components().next()
            && tree.lowers.iter().all(|layer| is_absent(&layer.join(first)))
        {
            return Ok(());
        }
        match &tree.lowers[..] {
            [layer] => self.fill_from(open_folder(layer)?.as_fd(), rest, used, place),
            _ => {
                let scratch = self.store.container_file(&record.id, "scratch");
                let filled = joined(tree, &scratch)
                    .and_then(|root| self.fill_from(root.mount.as_fd(), rest, used, place));
                filled.and(remove_tree(&scratch))
            }
        }
    }

    fn fill_from(&self, root: BorrowedFd<'_>, path: &Path, used: &UsedVolume, place: &Path) -> Result<()> {
        match folder_of(root, path)? {
            Some(source) => self.fill(used, place, Some(source)),
            None => Ok(()),
        }
    }

    /// Fills a volume that is empty, or puts right what was left of that.
    fn fill(&self, used: &UsedVolume, path: &Path, source: Option<OwnedFd>) -> Result<()> {
        let place = Place::open(path)?;
        // One at a time: the second finds it filled.
        place.be_alone()?;
        let name = &used.state.name;
        let was_filling = self.known_volume(name)?.filling;
        if was_filling {
            place.settle()?;
        }
        let source = if place.is_empty()? { source } else { None };
        let filled = match source {
            None if !was_filling => return Ok(()),
            None => Ok(()),
            Some(source) => {
                // Whoever finds it so looks for what was left.
                self.note_filling(name, true)?;
                let _limited = limited();
                place.bring(|folder| {
                    tinyd_fs::copy::tree(source.as_fd(), folder).map_err(|source| Error::Tree {
                        operation: "fill the volume",
                        path: path.to_owned(),
                        source: Box::new(source),
                    })
                })
            }
        };
        match filled.is_ok() || place.is_settled() {
            true => filled.and(self.note_filling(name, false)),
            false => filled,
        }
    }

    /// Of what there is by now: another container may have come to the volume meanwhile.
    fn note_filling(&self, name: &str, filling: bool) -> Result<()> {
        let records = self.volume_records();
        let lock = records.exclusive()?;
        let mut volume = self.known_volume(name)?;
        volume.filling = filling;
        records.change(&volume, &lock)
    }
}

/// What is written for a volume or a container meanwhile is held to its size, as what it writes itself is.
pub(crate) fn limited() -> Suspended {
    Suspended::begin(Capability::SysResource)
}

/// The tree of a root that a path inside lies in, and the rest of the path.
fn tree<'a>(overlays: &'a [OverlayMount], target: &'a Path) -> Option<(&'a OverlayMount, &'a Path)> {
    let path = target.strip_prefix("/").unwrap_or(target);
    let inside = overlays.iter().filter_map(|tree| Some((tree, path.strip_prefix(&tree.target).ok()?)));
    inside.max_by_key(|(tree, _)| tree.target.components().count())
}

/// A folder of a root; `None` where there is none. A path is looked up in the root, and leads nowhere else.
fn folder_of(root: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    let failed = |errno| Error::file("look into the image for", path, errno);
    let text = match path.as_os_str().is_empty() {
        true => c".".to_owned(),
        false => CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(Errno::INVAL))?,
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match tinyd_fs::resolve::open_with(root, &text, flags) {
        Ok(folder) => Ok(Some(folder)),
        // Where it has a file, the volume hides that, as it would hide a folder.
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(failed(errno)),
    }
}

/// The layers of a tree as one, seen by nobody else, with a layer that is written in a scratch folder.
fn joined(tree: &OverlayMount, scratch: &Path) -> Result<MountedOverlay> {
    let (upper, work) = (scratch.join("upper"), scratch.join("work"));
    [scratch, &upper, &work].into_iter().try_for_each(|folder| make_folder(folder, 0o700))?;
    let overlay = Overlay {
        lowers: &tree.lowers,
        writable: Writable { upper: &upper, work: &work, volatile: false },
        attributes: MountAttrFlags::MOUNT_ATTR_RDONLY,
        idmap: None,
        user_xattrs: needs_user_xattrs(),
    };
    overlay.mount(|_, call| call()).map_err(|source| Error::Tree {
        operation: "join the layers of",
        path: tree.target.clone(),
        source: Box::new(source),
    })
}

pub(super) fn open_folder(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| Error::file("open", path, errno))
}
