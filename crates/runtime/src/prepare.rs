//! The parent's part of the mounts: what needs the host's rights is made here, as detached mounts, and travels to the
//! child as descriptors.

mod made;
mod mappings;
mod secrets;
mod storage;

use crate::identity::Identity;
use crate::plan::{Attributes, BindPlan, LayersPlan, Maker, MountSource, Plan, Turns};
use crate::{Failure, FailureKind, Rootfs};
use mappings::Mappings;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tinyd_fs::mount::{Changes, DetachedMount, Propagation};
use tinyd_fs::mountinfo::{self, MountInfo};
use tinyd_fs::overlay::{self, IdMap, MountedOverlay, Overlay, Writable};
use tinyd_fs::resolve;
use tinyd_ns::caps::{self, Capability, Suspended};
use tinyd_ns::credentials::FileSystemIds;

/// The user namespace that mounts are shown in.
#[derive(Clone, Copy)]
pub(crate) struct Mapping<'fd> {
    pub(crate) user_namespace: BorrowedFd<'fd>,
    pub(crate) root: (u32, u32),
}

/// A mount that a root file system is made of.
pub(crate) enum RootMount {
    Folder(DetachedMount),
    Overlay(MountedOverlay),
}

impl RootMount {
    pub(crate) fn mount(&self) -> &DetachedMount {
        match self {
            Self::Folder(mount) => mount,
            Self::Overlay(overlay) => &overlay.mount,
        }
    }
}

impl AsFd for RootMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.mount().as_fd()
    }
}

/// The overlays of a root file system, the root first; or the bundle's own folder when there are none.
pub(crate) fn rootfs(
    rootfs: &Rootfs,
    folder: &Path,
    propagation: Option<(Propagation, bool)>,
    mapping: Option<Mapping<'_>>,
) -> Result<Vec<RootMount>, Failure> {
    if rootfs.overlays.is_empty() {
        // What the host mounts in it later shows. A root that is shared is so within the container.
        let propagation = match propagation {
            Some((Propagation::Slave, _)) => Propagation::Slave,
            _ => Propagation::Private,
        };
        let changes = Changes { propagation: Some(propagation), recursive: true, ..Changes::NONE };
        return clone_of(folder, true, &changes).map(|mount| vec![RootMount::Folder(mount)]);
    }
    match &rootfs.storage {
        None => overlays(rootfs, mapping),
        Some(storage) => storage::overlays(storage, rootfs, mapping),
    }
}

fn overlays(rootfs: &Rootfs, mapping: Option<Mapping<'_>>) -> Result<Vec<RootMount>, Failure> {
    // Device nodes of an image are nobody's way to a device: those there are lie in /dev.
    let attributes = match rootfs.devices {
        true => MountAttrFlags::empty(),
        false => MountAttrFlags::MOUNT_ATTR_NODEV,
    };
    let user_xattrs = overlay::needs_user_xattrs();
    rootfs
        .overlays
        .iter()
        .map(|overlay| {
            let overlay = Overlay {
                lowers: &overlay.lowers,
                writable: Writable { upper: &overlay.upper, work: &overlay.work, volatile: rootfs.volatile },
                attributes,
                idmap: mapping.map(|m| IdMap { user_namespace: m.user_namespace, root: m.root }),
                user_xattrs,
            };
            put_together(overlay, "put the root file system together").map(RootMount::Overlay)
        })
        .collect()
}

fn put_together(overlay: Overlay<'_>, operation: &str) -> Result<MountedOverlay, Failure> {
    // What is written to an overlay is written with the rights of whoever made it: this one would let every container pass quotas,
    // and, where root inside is another outside, take of the disk what is kept for root.
    let _suspended = Suspended::begin(Capability::SysResource);
    let mounted = overlay.mount(|root, create| {
        let _as_root = AsMappedRoot::assume(root);
        create();
    });
    mounted.map_err(|error| {
        let failure = Failure::new(FailureKind::Internal, operation).caused_by(&error);
        match error.io().and_then(std::io::Error::raw_os_error) {
            Some(libc::EINVAL) if overlay.idmap.is_some() => failure
                .with_hint("a file system of its layers, or this kernel, may not map ids: try --userns host"),
            Some(libc::ELOOP) => failure.with_hint("a part of this path was replaced by a link"),
            _ => failure,
        }
    })
}

/// File-system ids of the user who is root inside, with the rights that this process has, while this lives: what the kernel
/// makes meanwhile belongs to that user.
pub(crate) struct AsMappedRoot(Option<FileSystemIds>);

impl AsMappedRoot {
    pub(crate) fn assume((uid, gid): (u32, u32)) -> Self {
        // Without the bit, file-system ids other than root's take capabilities away. Where it cannot be set, what is made
        // belongs to the host's root, and an overlay says so by failing.
        Self(caps::set_no_setuid_fixup(true).ok().map(|()| FileSystemIds::assume(uid, gid)))
    }
}

impl Drop for AsMappedRoot {
    fn drop(&mut self) {
        if self.0.take().is_some() {
            let _ = caps::set_no_setuid_fixup(false);
        }
    }
}

/// The other mounts that the parent makes, in the order in which the child will ask for them. The turn is [passed](Turns) to the maker
/// of the next.
pub(crate) fn mounts(
    plan: &Plan,
    identity: &Identity,
    rootfs: &[RootMount],
    mapping: Option<Mapping<'_>>,
    pass: &dyn Fn(Maker) -> Result<(), Failure>,
) -> Result<Vec<OwnedFd>, Failure> {
    let (mut all, mut mappings) = (Vec::new(), Mappings::default());
    // Attached when all others are in their places.
    let mut last = Vec::new();
    // What lies in the place of a mount is known only where all of the root is one tree.
    let root = match rootfs {
        [root] => Some(root.as_fd()),
        _ => None,
    };
    if !plan.strays.nodes.is_empty() {
        all.push(with_open_umask(|| tinyd_fs::dev::make_nodes(&plan.strays.nodes))?.into_fd());
    }
    let mut turns = Turns::begin(plan.in_order);
    for mount in &plan.mounts {
        for &maker in mount.makers() {
            if turns.pass_to(maker) {
                pass(maker)?;
            }
        }
        match &mount.source {
            MountSource::New { .. } | MountSource::Remount(_) => {}
            MountSource::Dev { options, attributes, propagation, nodes } => {
                let options = options.iter().map(|(name, value)| (name.as_c_str(), value.as_c_str()));
                let owner = mapping.map_or((0, 0), |m| m.root);
                // The child makes it read-only when all is in it.
                let attributes = attributes.difference(MountAttrFlags::MOUNT_ATTR_RDONLY);
                let dev = with_open_umask(|| tinyd_fs::dev::make(options, attributes, owner, nodes))?;
                let spread = Changes { propagation: *propagation, ..Changes::NONE };
                all.push(configure(dev, Path::new("/dev"), &spread)?.into_fd());
            }
            MountSource::Bind(bind) => {
                let bound = self::bind(bind, mapping, &mut mappings)?;
                if mount.is_shared() { last.push(bound) } else { all.push(bound) }
            }
            MountSource::Made(made) => {
                let user_namespace = mappings.of(made.idmap.as_ref(), mapping)?;
                all.push(made::make(made, &mount.target, user_namespace, root)?);
            }
            MountSource::Overlay(layers) => all.push(self::layers(layers, mapping)?),
            MountSource::Secrets(secrets) => {
                all.push(secrets::make(&secrets.files, plan.id_maps.as_ref(), identity)?);
            }
            MountSource::Cgroup { attributes, views, .. } => {
                let changes =
                    Changes { set: *attributes, propagation: Some(Propagation::Private), ..Changes::NONE };
                for view in views {
                    all.push(clone_of(&view.source, false, &changes)?.into_fd());
                }
            }
        }
    }
    all.append(&mut last);
    Ok(all)
}

/// Device nodes are everybody's, whatever this process gives its own files.
fn with_open_umask(make: impl FnOnce() -> tinyd_fs::Result<DetachedMount>) -> Result<DetachedMount, Failure> {
    let umask = rustix::process::umask(Mode::empty());
    let made = make();
    rustix::process::umask(umask);
    made.map_err(|error| {
        Failure::new(FailureKind::Internal, "make the container's devices").caused_by(&error)
    })
}

fn bind(bind: &BindPlan, mapping: Option<Mapping<'_>>, mappings: &mut Mappings) -> Result<OwnedFd, Failure> {
    let path = &bind.source;
    let source = source_of(bind)?;
    if !bind.foreign {
        can_spread(source.as_fd(), bind)?;
    }
    let user_namespace = mappings.of(bind.idmap.as_ref(), mapping)?;
    let (below, alone) = match &bind.idmap {
        Some(idmap) if idmap.recursive => (user_namespace, None),
        _ => (None, user_namespace),
    };
    let mount = DetachedMount::clone_of(source.as_fd(), c"", bind.recursive)
        .map_err(|errno| failed("bind", path, errno))?;
    let all = Changes {
        set: bind.attributes_below.set,
        clear: bind.attributes_below.clear,
        propagation: Some(bind.propagation_below),
        user_namespace: below,
        recursive: bind.recursive,
    };
    let mount = configure(mount, path, &all)?;
    let propagation = (bind.propagation != bind.propagation_below).then_some(bind.propagation);
    if bind.attributes.is_none() && alone.is_none() && propagation.is_none() {
        return Ok(mount.into_fd());
    }
    let Attributes { set, clear } = bind.attributes;
    configure(mount, path, &Changes { set, clear, propagation, user_namespace: alone, ..Changes::NONE })
        .map(DetachedMount::into_fd)
}

fn clone_of(path: &Path, recursive: bool, changes: &Changes<'_>) -> Result<DetachedMount, Failure> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|_| failed("bind", path, Errno::INVAL))?;
    let mount =
        DetachedMount::clone_of(CWD, &name, recursive).map_err(|errno| failed("bind", path, errno))?;
    configure(mount, path, changes)
}

fn configure(mount: DetachedMount, path: &Path, changes: &Changes<'_>) -> Result<DetachedMount, Failure> {
    mount.change(changes).map_err(|errno| match (errno, changes.user_namespace) {
        (Errno::INVAL | Errno::PERM, Some(_)) => failed("map the ids of", path, errno)
            .with_hint("its file system, or one mounted below it, cannot be shown to a user namespace: use --userns host"),
        _ => failed("bind", path, errno),
    })?;
    Ok(mount)
}

/// Opens what is bound. Its path has no links: the engine has resolved it, and what a container has put in its way since is not
/// what was meant. What is mounted of a volume is looked up beneath it, for its users may write there what they like.
fn source_of(bind: &BindPlan) -> Result<OwnedFd, Failure> {
    let path = &bind.source;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let plain = CString::new(path.as_os_str().as_bytes()).map_err(|_| failed("bind", path, Errno::INVAL))?;
    let source = match bind.foreign {
        true => openat(CWD, &plain, flags, Mode::empty()),
        false => openat(CWD, c"/", flags | OFlags::DIRECTORY, Mode::empty())
            .and_then(|top| resolve::open_plain(top.as_fd(), &plain, flags)),
    };
    let source = source.map_err(|errno| match errno {
        Errno::LOOP => failed("bind", path, errno).with_hint("a part of this path was replaced by a link"),
        errno => failed("bind", path, errno),
    })?;
    match &bind.subpath {
        None => Ok(source),
        Some(subpath) => part_of(source.as_fd(), subpath, path),
    }
}

/// A part of what is mounted, which ends below it whatever others have put there.
fn part_of(whole: BorrowedFd<'_>, subpath: &Path, of: &Path) -> Result<OwnedFd, Failure> {
    let name = CString::new(subpath.as_os_str().as_bytes());
    let name = name.map_err(|_| failed("find", subpath, Errno::INVAL))?;
    resolve::open_within(whole, &name, OFlags::PATH | OFlags::CLOEXEC).map_err(|errno| {
        let what = format!("find {} in {}", subpath.display(), of.display());
        let failure = Failure::new(FailureKind::Invalid, what).caused_by(&std::io::Error::from(errno));
        match errno {
            Errno::NOENT | Errno::NOTDIR => {
                failure.with_hint("a part must be there before it is mounted: make it first")
            }
            Errno::XDEV | Errno::LOOP => failure.with_hint("a link on this path leads out of the whole"),
            Errno::AGAIN => {
                failure.with_hint("somebody keeps changing this path: stop that, and start again")
            }
            _ => failure,
        }
    })
}

/// Layers as one mount; with their ids mapped, for they are folders of the host.
fn layers(plan: &LayersPlan, mapping: Option<Mapping<'_>>) -> Result<OwnedFd, Failure> {
    let real = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone());
    let resolved: Vec<_> = plan.lowers.iter().filter(|_| plan.foreign).map(real).collect();
    let overlay = Overlay {
        lowers: if plan.foreign { &resolved } else { &plan.lowers },
        writable: Writable { upper: &plan.upper, work: &plan.work, volatile: plan.volatile },
        attributes: plan.attributes,
        idmap: mapping.map(|m| IdMap { user_namespace: m.user_namespace, root: m.root }),
        user_xattrs: overlay::needs_user_xattrs(),
    };
    let mount = put_together(overlay, "put the layers of a mount together")?.mount;
    let Some(subpath) = &plan.subpath else { return Ok(mount.into_fd()) };
    let whole = plan.lowers.first().map_or(Path::new(""), PathBuf::as_path);
    let part = part_of(mount.as_fd(), subpath, whole)?;
    match DetachedMount::clone_of(part.as_fd(), c"", false) {
        Ok(part) => Ok(part.into_fd()),
        Err(Errno::INVAL) => Err(failed("bind", subpath, Errno::INVAL)
            .with_hint("a part of layers that are attached nowhere needs Linux 6.15: mount all of it")),
        Err(errno) => Err(failed("bind", subpath, errno)),
    }
}

/// What is mounted on the host later, or inside, can show on the other side only where the source lies on a mount that spreads.
fn can_spread(source: BorrowedFd<'_>, bind: &BindPlan) -> Result<(), Failure> {
    let (is_enough, wanted): (fn(&MountInfo) -> bool, _) = match bind.propagation {
        Propagation::Private | Propagation::Unbindable => return Ok(()),
        Propagation::Shared => (MountInfo::is_shared, "a shared mount"),
        Propagation::Slave => (|mount| mount.is_shared() || mount.is_slave(), "a shared or slave mount"),
    };
    let path = bind.source.display();
    let mount = mountinfo::of(source)
        .map_err(|error| Failure::new(FailureKind::Internal, format!("bind {path}")).caused_by(&error))?;
    match mount {
        Some(mount) if is_enough(&mount) => Ok(()),
        mount => {
            let point = mount.map_or_else(|| "?".into(), |mount| mount.mount_point);
            let point = point.display();
            let problem = format!("path {path} is mounted on {point} but it is not {wanted}");
            let hint = format!("leave the propagation out, or let {point} spread: mount --make-rshared");
            Err(Failure::new(FailureKind::Invalid, problem).with_hint(hint))
        }
    }
}

fn failed(operation: &str, path: &Path, errno: Errno) -> Failure {
    let kind = if errno == Errno::NOENT { FailureKind::Invalid } else { FailureKind::Internal };
    Failure::new(kind, format!("{operation} {}", path.display())).caused_by(&std::io::Error::from(errno))
}

/// The descriptors of mounts, for sending.
pub(crate) fn borrowed<'fd>(
    rootfs: &'fd [RootMount],
    mounts: &'fd [OwnedFd],
) -> impl Iterator<Item = BorrowedFd<'fd>> {
    rootfs.iter().map(AsFd::as_fd).chain(mounts.iter().map(AsFd::as_fd))
}
