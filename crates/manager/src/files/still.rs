//! The root of a container that stands still.

use super::{Owners, Root, Shown, in_thread};
use crate::bundle;
use crate::core::Core;
use crate::erase::mounts_below;
use crate::error::{Error, Result};
use crate::store::{BUNDLE_FILE, Record, UsedVolume};
use crate::volumes::limited;
use oci_spec::runtime::Mount;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tinyd_fs::mount::{Changes, DetachedMount, private_namespace};
use tinyd_fs::overlay::{Overlay, Writable, needs_user_xattrs};
use tinyd_fs::{loop_file, resolve};
use tinyd_runtime::{OverlayMount, annotation};

/// Where volumes are, by where a container has them.
type Places = BTreeMap<PathBuf, PathBuf>;

/// What is done once they are there.
type Work<'a, T> = Box<dyn FnOnce(&Places) -> Result<T> + 'a>;

impl Core {
    /// Works with it, put together as for its next start. Files have the owners that they have inside: no ids are mapped.
    pub(super) fn with_still_root<T: Send>(
        &self,
        record: &Record,
        action: &'static str,
        shown: Shown,
        work: impl FnOnce(&Root) -> Result<T> + Send,
    ) -> Result<T> {
        let wrong = |state, hint| Error::WrongState {
            action,
            container: record.short().to_owned(),
            state,
            hint: Some(hint),
        };
        if !mounts_below(&self.store.container_file(&record.id, "merged"))?.is_empty() {
            return Err(wrong("is mounted", "work in what tinyd mount showed, or tinyd umount it first"));
        }
        // The monitor of a run that has just ended may hold the layers still.
        self.await_monitor(&record.id)?;
        let mounted = match shown {
            Shown::Layers => Vec::new(),
            Shown::Everything => self.mounted_at(record)?,
        };
        let assembled = |places: &Places| {
            in_thread(|| {
                let fd = self.assemble(record, shown, places)?;
                let trees = record.rootfs.overlays.iter().map(|tree| tree.target.clone()).collect();
                let container = record.short().to_owned();
                work(&Root { fd, owners: Owners::SAME, trees, places: mounted.clone(), container })
            })
        };
        match shown {
            Shown::Layers => assembled(&Places::new()),
            Shown::Everything => self.with_volumes(record, &record.volumes, Places::new(), assembled),
        }
    }

    /// Where a container has something mounted, and whether that is memory which comes with its start, or that nobody has now.
    fn mounted_at(&self, record: &Record) -> Result<Vec<(PathBuf, bool)>> {
        let spec = &record.spec;
        let memory = spec.tmpfs.iter().map(|mount| (&*mount.target, true));
        let lasting =
            spec.binds.iter().map(|bind| &*bind.target).chain(spec.images.iter().map(|image| &*image.target));
        let mut all: Vec<(&Path, bool)> = memory.chain(lasting.map(|target| (target, false))).collect();
        for used in &record.volumes {
            let driver = self.driver_of(&used.state)?;
            let users = || driver.users(&used.state).map_err(|source| Error::Volume { source });
            all.push((&used.mount.target, driver.forgets() && users()?.is_empty()));
        }
        Ok(all.into_iter().map(|(target, fleeting)| (target.to_owned(), fleeting)).collect())
    }

    /// Has volumes mounted, one after the other, while something is done.
    fn with_volumes<T>(
        &self,
        record: &Record,
        volumes: &[UsedVolume],
        mut places: Places,
        work: impl FnOnce(&Places) -> Result<T>,
    ) -> Result<T> {
        let Some((first, others)) = volumes.split_first() else { return work(&places) };
        // One call for each volume of a container: there are few.
        let work: Work<'_, T> = Box::new(work);
        self.while_mounted(&first.state, |path| {
            // As the start would, for which it may not be empty any more.
            self.fill_volume(record, first, path)?;
            places.insert(first.mount.target.clone(), path.to_owned());
            self.with_volumes(record, others, places, work)
        })
    }

    /// Puts it together in a mount namespace of this thread's own. What is mounted is attached to folders by their
    /// descriptors, which are resolved below the root: nobody can have it mounted elsewhere (CVE-2026-42306).
    fn assemble(&self, record: &Record, shown: Shown, places: &Places) -> Result<OwnedFd> {
        let merged = self.store.container_file(&record.id, "merged");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |errno: Errno| Error::file("mount", path, errno)
        };
        private_namespace().map_err(failed(&merged))?;
        // It is this thread's own by now: what is made in the root is as the next start would make it.
        rustix::process::umask(Mode::empty());
        let mut mounts = layers(record)?.into_iter().zip(&record.rootfs.overlays);
        let Some((root, _)) = mounts.next() else { return Err(failed(&merged)(Errno::NOENT)) };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let place = rustix::fs::openat(CWD, &merged, flags, Mode::empty());
        place.and_then(|place| root.attach(place.as_fd())).map_err(failed(&merged))?;
        let mut below = Vec::new();
        for (mount, tree) in mounts {
            let place =
                c_path(&tree.target).and_then(|target| resolve::ensure_plain_dir(root.as_fd(), &target));
            place.and_then(|place| mount.attach(place.as_fd())).map_err(failed(&tree.target))?;
            below.push(mount);
        }
        if shown == Shown::Everything {
            for mount in self.own_mounts(record)? {
                attach(root.as_fd(), &mount, record, places)?;
            }
        }
        if record.spec.read_only {
            for mount in std::iter::once(&root).chain(&below) {
                mount.change(&Changes::read_only(false)).map_err(failed(&merged))?;
            }
        }
        Ok(root.into_fd())
    }

    /// What of the host, of volumes and of images is mounted in a container, in the order of its start.
    fn own_mounts(&self, record: &Record) -> Result<Vec<Mount>> {
        let bundle = bundle::read(&self.store.container_file(&record.id, BUNDLE_FILE))?;
        let mounts = bundle.mounts().clone().unwrap_or_default();
        let is_own = |mount: &Mount| {
            // `/sys` may be a bind of the kernel's own.
            matches!(mount.typ().as_deref(), Some("bind" | "overlay"))
                && mount.destination() != Path::new("/sys")
        };
        Ok(mounts.into_iter().filter(is_own).collect())
    }
}

/// Its overlays, the root's first, attached nowhere yet.
fn layers(record: &Record) -> Result<Vec<DetachedMount>> {
    let join = || record.rootfs.overlays.iter().map(joined).collect();
    match &record.rootfs.storage {
        None => join(),
        // What is written lies in a file, which is mounted for no longer than they are.
        Some(storage) => {
            let made = || {
                record.rootfs.overlays.iter().try_for_each(|tree| writable(tree).make()).map_err(in_file)?;
                join()
            };
            loop_file::visit(&storage.file, &storage.folder, made).map_err(in_file)?
        }
    }
}

pub(super) fn in_file(source: tinyd_fs::Error) -> Error {
    Error::Storage { source: Box::new(source) }
}

fn writable(tree: &OverlayMount) -> Writable<'_> {
    Writable { upper: &tree.upper, work: &tree.work, volatile: false }
}

fn joined(tree: &OverlayMount) -> Result<DetachedMount> {
    let overlay = Overlay {
        lowers: &tree.lowers,
        writable: writable(tree),
        attributes: MountAttrFlags::MOUNT_ATTR_NODEV,
        idmap: None,
        user_xattrs: needs_user_xattrs(),
    };
    let _limited = limited();
    let mounted = overlay.mount(|_, call| call()).map_err(|source| Error::Tree {
        operation: "join the layers of",
        path: Path::new("/").join(&tree.target),
        source: Box::new(source),
    })?;
    Ok(mounted.mount)
}

fn attach(root: BorrowedFd<'_>, mount: &Mount, record: &Record, places: &Places) -> Result<()> {
    let target = mount.destination();
    let options = mount.options().clone().unwrap_or_default();
    let has = |word: &str| options.iter().any(|option| option == word);
    let part = options.iter().find_map(|option| option.strip_prefix(annotation::SUBPATH)?.strip_prefix('='));
    let made = match mount.typ().as_deref() {
        Some("overlay") => {
            let trees = record.images.iter().flat_map(|image| &image.trees);
            let Some(tree) = trees.into_iter().find(|tree| tree.layers.target == *target) else {
                return Ok(());
            };
            Source::Image(joined(&tree.layers)?)
        }
        _ => Source::Folder(match places.get(target) {
            Some(volume) => volume.clone(),
            // The runtime is told the whole path of a part.
            None => without(mount.source().as_deref().unwrap_or(Path::new("/")), part),
        }),
    };
    let attached = || {
        let place = |is_folder| match is_folder {
            true => resolve::ensure_dir(root, &c_path(target)?),
            false => resolve::ensure_file(root, &c_path(target)?),
        };
        let shown = match (&made, part) {
            (Source::Image(image), None) => {
                if has("ro") {
                    image.change(&Changes::read_only(false))?;
                }
                return image.attach(place(true)?.as_fd());
            }
            (Source::Image(image), Some(part)) => {
                // Of what is attached nowhere older kernels make no further mount.
                image.attach(place(true)?.as_fd())?;
                let part = resolve::open_within(image.as_fd(), &c_path(Path::new(part))?, OFlags::PATH)?;
                DetachedMount::clone_of(part.as_fd(), c"", false)?
            }
            (Source::Folder(folder), None) => DetachedMount::clone_of(
                resolve::open_host(folder, OFlags::empty())?.as_fd(),
                c"",
                has("rbind"),
            )?,
            (Source::Folder(folder), Some(part)) => {
                let folder = resolve::open_host(folder, OFlags::DIRECTORY)?;
                let part = resolve::open_within(folder.as_fd(), &c_path(Path::new(part))?, OFlags::PATH)?;
                DetachedMount::clone_of(part.as_fd(), c"", has("rbind"))?
            }
        };
        if has("ro") || has("rro") {
            shown.change(&Changes::read_only(has("rro")))?;
        }
        let is_folder = FileType::from_raw_mode(fstat(&shown)?.st_mode) == FileType::Directory;
        shown.attach(place(is_folder)?.as_fd())
    };
    attached().map_err(|errno| Error::file("mount what the container has at", target, errno))
}

/// What is mounted.
enum Source {
    Image(DetachedMount),
    Folder(PathBuf),
}

/// The folder that a path is a part of.
fn without(path: &Path, part: Option<&str>) -> PathBuf {
    let depth = part.map_or(0, |part| Path::new(part).components().count());
    path.ancestors().nth(depth).unwrap_or(path).to_owned()
}

fn c_path(path: &Path) -> std::result::Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)
}
