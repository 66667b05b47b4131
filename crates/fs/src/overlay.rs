//! Overlays (kernel documentation, `filesystems/overlayfs`): read-only layers below one that is written.

use crate::mount::{Changes, DetachedMount};
use crate::{Error, Result};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_fd, fsconfig_set_flag, fsconfig_set_string,
    fsopen,
};
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// An overlay that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// The layers that are read, topmost first. Mounts below one of them do not show.
    pub lowers: &'a [PathBuf],
    /// The layer that is written, and the scratch folder beside it (same parent folder).
    pub writable: Writable<'a>,
    /// Attributes of the mount.
    pub attributes: MountAttrFlags,
    /// Shows every layer with its ids mapped. What is written stands on the disk in the numbers of the inside.
    pub idmap: Option<IdMap<'a>>,
}

/// The folders of an overlay that are written.
#[derive(Clone, Copy, Debug)]
pub struct Writable<'a> {
    /// `upperdir`.
    pub upper: &'a Path,
    /// `workdir`: empty, on the same file system.
    pub work: &'a Path,
    /// Syncs nothing (Linux 5.10). The upper cannot be used in a further overlay then, until what is in `work` is removed.
    pub volatile: bool,
}

/// A user namespace whose ids files are shown in.
#[derive(Clone, Copy, Debug)]
pub struct IdMap<'a> {
    /// The namespace.
    pub user_namespace: BorrowedFd<'a>,
    /// User and group, outside, that are root inside.
    pub root: (u32, u32),
}

/// An overlay, attached nowhere yet.
#[derive(Debug)]
pub struct MountedOverlay {
    /// The mount.
    pub mount: DetachedMount,
    /// The layers as they were opened. The overlay has its own copies by now, but letting go of these takes the kernel a
    /// while, which is better spent when nobody waits: when this is dropped.
    _layers: Vec<OwnedFd>,
}

impl Overlay<'_> {
    /// Mounts it, attached nowhere.
    ///
    /// With ids mapped, the caller's thread needs CAP_SETUID, CAP_SETGID and the secure bit NO_SETUID_FIXUP: the kernel
    /// looks at the file-system ids of whoever creates an overlay, which must be root's of the inside while it does, or
    /// the overlay is read-only from the start (EOVERFLOW in `work`). `as_mapped_root` is called around that step: it
    /// takes those ids, calls its argument and gives them back.
    ///
    /// # Errors
    /// `EINVAL` where the file system of a layer cannot map ids; with ids mapped, also where the kernel takes no layer that
    /// is attached nowhere (before Linux 6.13).
    pub fn mount(&self, as_mapped_root: impl FnOnce((u32, u32), &mut dyn FnMut())) -> Result<MountedOverlay> {
        let failed = |operation| Error::file_system::<Errno>(operation, "overlay");
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("open"))?;
        // A detached mount is dissolved with its descriptor: all are held until the overlay has taken its own copies.
        let mut layers = self.lowers.iter().map(|lower| self.layer(lower)).collect::<Result<Vec<_>>>()?;
        self.add_lowers(&context, &layers)?;
        let writable = &self.writable;
        // One mount for both: the kernel refuses an upper and a work folder that lie on different mounts.
        let parent = writable.upper.parent().unwrap_or(Path::new("/"));
        let parent = self.layer(parent)?;
        for (option, path) in [("upperdir", writable.upper), ("workdir", writable.work)] {
            let name = path.file_name().unwrap_or_default();
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = openat(&parent, name, flags, Mode::empty()).map_err(Error::path("open", path))?;
            set_layer(&context, option, &folder).map_err(Error::path("use as layer", path))?;
            layers.push(folder);
        }
        if writable.volatile {
            fsconfig_set_flag(&context, "volatile").map_err(failed("configure"))?;
        }
        // Shown as the source in mountinfo.
        fsconfig_set_string(&context, "source", "tinyd").map_err(failed("configure"))?;
        let mut created = Err(Errno::INVAL);
        let mut create = || created = fsconfig_create(&context);
        match &self.idmap {
            Some(idmap) => as_mapped_root(idmap.root, &mut create),
            None => create(),
        }
        created.map_err(failed("create"))?;
        let mount = DetachedMount::from_context(context.as_fd(), self.attributes).map_err(failed("mount"))?;
        layers.push(parent);
        Ok(MountedOverlay { mount, _layers: layers })
    }

    fn add_lowers(&self, context: &OwnedFd, layers: &[OwnedFd]) -> Result<()> {
        for (layer, lower) in layers.iter().zip(self.lowers) {
            match set_layer(context, "lowerdir+", layer) {
                Ok(()) => {}
                // Before Linux 6.8 all lowers are one option.
                Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                    let names: Vec<_> = layers.iter().map(by_descriptor).collect();
                    return fsconfig_set_string(context, "lowerdir", names.join(":"))
                        .map_err(Error::path("use as lowerdir", lower));
                }
                Err(errno) => return Err(Error::path("use as lowerdir", lower)(errno)),
            }
        }
        Ok(())
    }

    fn layer(&self, path: &Path) -> Result<OwnedFd> {
        let open = |flags| openat(CWD, path, flags, Mode::empty()).map_err(Error::path("open", path));
        let Some(idmap) = &self.idmap else {
            return open(OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC);
        };
        let name = CString::new(path.as_os_str().as_bytes())
            .map_err(|_| Errno::INVAL)
            .map_err(Error::path("open", path))?;
        let copy = DetachedMount::clone_of(CWD, &name, false).map_err(Error::path("open", path))?;
        let changes = Changes { user_namespace: Some(idmap.user_namespace), ..Changes::NONE };
        copy.change(&changes).map_err(Error::path("map the ids of", path))?;
        Ok(copy.into_fd())
    }
}

/// Names a layer by its descriptor, which Linux takes as such since 6.13; before that by the descriptor's path, which needs
/// no escapes and is short (an option holds 256 bytes).
fn set_layer(context: &OwnedFd, option: &str, layer: &OwnedFd) -> std::result::Result<(), Errno> {
    match fsconfig_set_fd(context, option, layer.as_fd()) {
        Err(Errno::INVAL) => fsconfig_set_string(context, option, by_descriptor(layer)),
        // Before 6.5 overlay takes strings alone, and those of any name: an unknown one fails when all is set.
        Err(Errno::OPNOTSUPP) if option != "lowerdir+" => {
            fsconfig_set_string(context, option, by_descriptor(layer))
        }
        result => result,
    }
}

fn by_descriptor(layer: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", layer.as_raw_fd())
}
