//! The container's root: attached, filled, protected and made the root of the process.

use super::devices;
use super::receive::{Channel, Descriptors};
use crate::defence::{self, Defence};
use crate::plan::{Maker, MountPlan, MountSource, Plan, Role, Turns};
use crate::report::{ChildFailure, Order, Report, Stage, at, at_operand};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, chmodat, fstat, mkdirat, openat, symlinkat};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tinyd_fs::mask::{self, Masker, Roots};
use tinyd_fs::mount::{Changes, DetachedMount, Propagation};
use tinyd_fs::{pivot, resolve};
use tinyd_ns::pty::{self, Pty};

/// Mounts that were made in the child's own namespaces, waiting to be attached.
pub(super) struct Made([Option<DetachedMount>; crate::plan::MAX_PREPARED]);

/// Makes the file systems that belong to the child's namespaces, while the parent prepares the others, or when it is their [turn](Turns).
pub(super) fn make(plan: &Plan, channel: &Channel) -> Result<Made, ChildFailure> {
    let mut made = [const { None }; crate::plan::MAX_PREPARED];
    let mut turns = Turns::begin(plan.in_order);
    for (index, (mount, place)) in plan.mounts.iter().zip(&mut made).enumerate() {
        for &maker in mount.makers() {
            if turns.pass_to(maker) {
                match maker {
                    Maker::Child => channel.expect(Order::Turn),
                    Maker::Parent => channel.send(Report::Turn, &[]),
                }
                .map_err(at(Stage::Parent))?;
            }
            if maker == Maker::Child {
                *place = Some(make_one(&mount.source).map_err(at_operand(Stage::Mount, index))?);
            }
        }
    }
    Ok(Made(made))
}

fn make_one(source: &MountSource) -> Result<DetachedMount, Errno> {
    match source {
        MountSource::New { file_system, attributes, propagation, role } => {
            // Its rights are set before it is what it is to be.
            let later = match role {
                Role::AsItsPlace => MountAttrFlags::MOUNT_ATTR_RDONLY,
                _ => MountAttrFlags::empty(),
            };
            file_system.mount(*attributes - later, *propagation)
        }
        // The folder for the hierarchies. It is written to before it is what it is to be.
        MountSource::Cgroup { attributes, .. } => {
            DetachedMount::new(c"tmpfs", [(c"mode", c"755")], *attributes - MountAttrFlags::MOUNT_ATTR_RDONLY)
        }
        _ => Err(Errno::PROTO),
    }
}

/// What the rest of the start needs to know of the mounts.
#[derive(Default)]
struct Known {
    proc: Option<OwnedFd>,
    sys: Option<OwnedFd>,
    dev: Option<OwnedFd>,
    terminals: Option<OwnedFd>,
}

/// Puts the root together and makes it the root of the process. Gives the program's end of its terminal.
pub(super) fn attach(
    plan: &Plan,
    descriptors: &mut Descriptors,
    made: Made,
    channel: &Channel,
) -> Result<Option<OwnedFd>, ChildFailure> {
    let root = descriptors.take().map(DetachedMount::from_fd).map_err(at(Stage::Root))?;
    match &plan.shown_at {
        None => root.attach_over_root(),
        Some(folder) => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            openat(CWD, folder, flags, Mode::empty()).and_then(|folder| root.attach(folder.as_fd()))
        }
    }
    .map_err(at(Stage::Root))?;
    let mut layers = [const { None }; crate::plan::MAX_LAYERS];
    for (index, (target, place)) in plan.layers.iter().zip(&mut layers).enumerate() {
        let layer =
            attach_layer(root.as_fd(), target, descriptors).map_err(at_operand(Stage::Layer, index))?;
        *place = Some(layer);
    }

    let nodes = match plan.strays.nodes.is_empty() {
        true => None,
        false => Some(descriptors.take().map(DetachedMount::from_fd).map_err(at(Stage::Root))?),
    };
    let mut known = Known::default();
    for (index, (mount, made)) in plan.mounts.iter().zip(made.0).enumerate() {
        // Their descriptors come last too.
        if mount.is_shared() {
            continue;
        }
        attach_one(root.as_fd(), mount, made, descriptors, &mut known)
            .map_err(at_operand(Stage::Mount, index))?;
    }
    if let Some(nodes) = nodes {
        devices::attach(&plan.strays, root.as_fd(), &nodes)?;
    }
    let terminal = open_terminal(plan, root.as_fd(), &known, channel).map_err(at(Stage::Terminal))?;
    let settings = settings(plan, &known)?;
    protect(plan, root.as_fd(), &known)?;
    spread_below(plan, &root).map_err(at(Stage::Propagation))?;
    attach_shared(plan, root.as_fd(), descriptors)?;

    resolve::ensure_dir(root.as_fd(), &plan.process.cwd).map_err(at(Stage::MakeWorkingDirectory))?;
    if plan.shown_at.is_some() {
        // Whoever is to add to the root writes there.
        channel.send(Report::Assembled, &[]).map_err(at(Stage::Parent))?;
        channel.expect(Order::Pivot).map_err(at(Stage::Parent))?;
    }
    // Some are of links, which may have come just now.
    if let Some(settings) = settings {
        sysctls(plan, settings.as_fd())?;
    }
    if plan.mounts.iter().any(is_read_only_dev)
        && let Some(dev) = known.dev.take()
    {
        // Whatever else lies in it is there by now.
        let dev = DetachedMount::from_fd(dev);
        dev.change(&Changes::read_only(false)).map_err(at(Stage::ReadOnlyRoot))?;
    }
    if plan.root_read_only {
        for mount in std::iter::once(&root).chain(layers.iter().flatten()) {
            mount.change(&Changes::read_only(false)).map_err(at(Stage::ReadOnlyRoot))?;
        }
    }
    pivot::into_root(root.as_fd()).map_err(at(Stage::Pivot))?;
    if let Some((propagation, _)) = plan.root_propagation {
        let changes = Changes { propagation: Some(propagation), ..Changes::NONE };
        root.change(&changes).map_err(at(Stage::Propagation))?;
    }
    Ok(terminal)
}

fn is_read_only_dev(mount: &MountPlan) -> bool {
    matches!(&mount.source, MountSource::Dev { attributes, .. } if attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY))
}

/// Lets what is mounted on the mounts below the root later spread, where that was asked for. The root itself cannot be shared before
/// it is the root, and mounts of the host that spread have a say of their own.
fn spread_below(plan: &Plan, root: &DetachedMount) -> Result<(), Errno> {
    let Some((propagation, true)) = plan.root_propagation else { return Ok(()) };
    root.change(&Changes { propagation: Some(propagation), recursive: true, ..Changes::NONE })?;
    match propagation {
        Propagation::Shared => {
            root.change(&Changes { propagation: Some(Propagation::Private), ..Changes::NONE })
        }
        _ => Ok(()),
    }
}

fn attach_layer(
    root: BorrowedFd<'_>,
    target: &CStr,
    descriptors: &mut Descriptors,
) -> Result<DetachedMount, Errno> {
    let layer = DetachedMount::from_fd(descriptors.take()?);
    layer.attach(resolve::ensure_plain_dir(root, target)?.as_fd())?;
    Ok(layer)
}

fn attach_one(
    root: BorrowedFd<'_>,
    mount: &MountPlan,
    made: Option<DetachedMount>,
    descriptors: &mut Descriptors,
    known: &mut Known,
) -> Result<(), Errno> {
    match (&mount.source, made) {
        (MountSource::New { role, attributes, .. }, Some(new)) => {
            let covered = match role {
                Role::AsItsPlace => resolve::open(root, &mount.target).and_then(fstat).ok(),
                _ => None,
            };
            new.attach(target(root, &mount.target, *role)?.as_fd())?;
            if let Some(covered) = covered {
                chmodat(&new, c".", Mode::from_raw_mode(covered.st_mode & 0o7777), AtFlags::empty())?;
            }
            match role {
                Role::Proc => known.proc = Some(new.into_fd()),
                Role::Sys => known.sys = Some(new.into_fd()),
                Role::Terminals => known.terminals = Some(new.into_fd()),
                Role::AsItsPlace if attributes.contains(MountAttrFlags::MOUNT_ATTR_RDONLY) => {
                    new.change(&Changes::read_only(false))?;
                }
                Role::AsItsPlace | Role::Plain => {}
            }
            Ok(())
        }
        (MountSource::New { .. }, None) => Err(Errno::PROTO),
        (MountSource::Dev { .. }, _) => {
            let dev = DetachedMount::from_fd(descriptors.take()?);
            dev.attach(resolve::ensure_dir(root, &mount.target)?.as_fd())?;
            known.dev = Some(dev.into_fd());
            Ok(())
        }
        (MountSource::Bind(bind), _) => {
            let source = DetachedMount::from_fd(descriptors.take()?);
            let target = place_of(root, &mount.target, &source, bind.role)?;
            source.attach(target.as_fd())?;
            if bind.role == Role::Sys {
                known.sys = Some(source.into_fd());
            }
            Ok(())
        }
        (MountSource::Overlay(_) | MountSource::Made(_), _) => {
            let made = DetachedMount::from_fd(descriptors.take()?);
            made.attach(place_of(root, &mount.target, &made, Role::Plain)?.as_fd())
        }
        (MountSource::Remount(remount), _) => remount.change(resolve::open(root, &mount.target)?),
        (MountSource::Secrets(secrets), _) => {
            let folder = DetachedMount::from_fd(descriptors.take()?);
            match &secrets.alone {
                None => folder.attach(resolve::ensure_dir(root, &mount.target)?.as_fd()),
                Some(name) => attach_file_of(&folder, name, root, &mount.target),
            }
        }
        (MountSource::Cgroup { views, places, attributes }, made) => {
            let place = resolve::ensure_dir(root, &mount.target)?;
            match made {
                None => DetachedMount::from_fd(descriptors.take()?).attach(place.as_fd()),
                Some(folder) => {
                    attach_cgroups(place.as_fd(), &folder, (views, places), *attributes, descriptors)
                }
            }
        }
    }
}

/// Attaches what spreads to the host, when all else is in its place: nothing of the container's own may lie on it, whatever links
/// lead there. For the same reason the places are looked up before the first of them is taken.
fn attach_shared(
    plan: &Plan,
    root: BorrowedFd<'_>,
    descriptors: &mut Descriptors,
) -> Result<(), ChildFailure> {
    let shared = || plan.mounts.iter().enumerate().filter(|(_, mount)| mount.is_shared());
    let mut places = [const { None }; crate::plan::MAX_PREPARED];
    for ((index, mount), place) in shared().zip(&mut places) {
        let mut prepare = || {
            let source = DetachedMount::from_fd(descriptors.take()?);
            let target = place_of(root, &mount.target, &source, Role::Plain)?;
            Ok((source, target))
        };
        *place = Some(prepare().map_err(at_operand(Stage::Mount, index))?);
    }
    for ((index, _), place) in shared().zip(places) {
        let attach = || {
            let (source, target) = place.ok_or(Errno::PROTO)?;
            source.attach(target.as_fd())
        };
        attach().map_err(at_operand(Stage::Mount, index))?;
    }
    Ok(())
}

/// Where a file or folder of the host is attached.
fn place_of(root: BorrowedFd<'_>, path: &CStr, source: &DetachedMount, role: Role) -> Result<OwnedFd, Errno> {
    match FileType::from_raw_mode(fstat(source)?.st_mode) {
        FileType::Directory => target(root, path, role),
        _ => resolve::ensure_file(root, path),
    }
}

/// Attaches a single file of a mount. The kernel copies no part of one that is attached nowhere (before Linux 6.15), so for that
/// long it lies over the root, where nobody looks.
fn attach_file_of(
    folder: &DetachedMount,
    name: &CStr,
    root: BorrowedFd<'_>,
    path: &CStr,
) -> Result<(), Errno> {
    let place = resolve::ensure_file(root, path)?;
    folder.attach(root)?;
    let file = DetachedMount::clone_of(folder.as_fd(), name, false);
    pivot::detach(folder.as_fd())?;
    file?.attach(place.as_fd())
}

/// `/proc` and `/sys` must be folders of the root itself, not links to some other place.
fn target(root: BorrowedFd<'_>, path: &CStr, role: Role) -> Result<OwnedFd, Errno> {
    let plain = match path.to_bytes_with_nul().split_first() {
        Some((b'/', name)) if matches!(role, Role::Proc | Role::Sys) => CStr::from_bytes_with_nul(name).ok(),
        _ => None,
    };
    match plain {
        Some(name) => resolve::ensure_plain_dir(root, name),
        None => resolve::ensure_dir(root, path),
    }
}

/// On version 2 the container's own cgroup is the whole mount; on version 1 it is a folder for each hierarchy.
fn attach_cgroups(
    place: BorrowedFd<'_>,
    folder: &DetachedMount,
    (views, places): (&[crate::plan::CgroupView], &[CString]),
    attributes: MountAttrFlags,
    descriptors: &mut Descriptors,
) -> Result<(), Errno> {
    for view in views {
        mkdirat(folder, &view.name, Mode::from_raw_mode(0o755))?;
        for link in &view.links {
            symlinkat(&view.name, folder, link)?;
        }
    }
    for name in places {
        match mkdirat(folder, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    folder.attach(place)?;
    for view in views {
        let hierarchy = openat(folder, &view.name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        DetachedMount::from_fd(descriptors.take()?).attach(hierarchy.as_fd())?;
    }
    folder.change(&Changes { set: attributes, ..Changes::NONE })
}

/// The terminal is one of the container's own, so that its number means the same inside; `/dev/console` shows it.
fn open_terminal(
    plan: &Plan,
    root: BorrowedFd<'_>,
    known: &Known,
    channel: &Channel,
) -> Result<Option<OwnedFd>, Errno> {
    if !plan.process.terminal {
        return Ok(None);
    }
    let there;
    let terminals = match &known.terminals {
        Some(terminals) => terminals,
        // A /dev of the host's has its terminals.
        None => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            there = resolve::open_plain(root, c"/dev/pts", flags)?;
            &there
        }
    };
    super::expect_terminals(terminals)?;
    let pty = Pty::open_in(terminals.as_fd())?;
    if let Some((rows, columns)) = plan.process.window {
        pty::resize(pty.slave.as_fd(), rows, columns)?;
    }
    let console = match &known.dev {
        Some(dev) if defence::on(Defence::OwnDevices) => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            openat(dev, c"console", flags, Mode::from_raw_mode(0o600))?
        }
        _ => resolve::ensure_file(root, c"/dev/console")?,
    };
    DetachedMount::clone_of(pty.slave.as_fd(), c"", false)?.attach(console.as_fd())?;
    channel.send_terminal(pty.master.as_fd())?;
    Ok(Some(pty.slave))
}

/// The folder of the kernel's settings, opened while it can still be written to; `None` where none is set.
fn settings(plan: &Plan, known: &Known) -> Result<Option<OwnedFd>, ChildFailure> {
    if plan.sysctls.is_empty() {
        return Ok(None);
    }
    let open = |proc: BorrowedFd<'_>| resolve::open_beneath(proc, c"sys", OFlags::PATH | OFlags::DIRECTORY);
    let folder = match &known.proc {
        Some(proc) => open(proc.as_fd()),
        // That of the host shows every process its own namespaces, and is the root's until that is changed.
        None => super::proc_of_host().and_then(|proc| open(proc.as_fd())),
    };
    folder.map(Some).map_err(at_operand(Stage::Sysctl, 0))
}

fn sysctls(plan: &Plan, settings: BorrowedFd<'_>) -> Result<(), ChildFailure> {
    for (index, (path, value)) in plan.sysctls.iter().enumerate() {
        let file = resolve::open_beneath(settings, path, OFlags::WRONLY);
        let set = file.and_then(|file| rustix::io::write(&file, value.to_bytes()).map(drop));
        set.map_err(at_operand(Stage::Sysctl, index))?;
    }
    Ok(())
}

fn protect(plan: &Plan, root: BorrowedFd<'_>, known: &Known) -> Result<(), ChildFailure> {
    let roots =
        Roots { root, proc: known.proc.as_ref().map(AsFd::as_fd), sys: known.sys.as_ref().map(AsFd::as_fd) };
    if !plan.masked.is_empty() {
        let null = null_device(root, known).map_err(at(Stage::Mask))?;
        let mut masker = Masker::new(null.as_fd());
        for (index, path) in plan.masked.iter().enumerate() {
            masker.hide(roots, path).map_err(at_operand(Stage::Mask, index))?;
        }
    }
    // Afterwards: what is hidden below them stays hidden.
    for (index, path) in plan.read_only.iter().enumerate() {
        mask::make_read_only(roots, path).map_err(at_operand(Stage::ReadOnlyPath, index))?;
    }
    Ok(())
}

/// The null device that was made for this container, not what lies at its path (CVE-2025-31133).
fn null_device(root: BorrowedFd<'_>, known: &Known) -> Result<OwnedFd, Errno> {
    if !defence::on(Defence::OwnDevices) {
        return resolve::open(root, c"/dev/null");
    }
    let null = match &known.dev {
        Some(dev) => openat(dev, c"null", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?,
        // Somebody else's /dev: by its number.
        None => resolve::open(root, c"/dev/null")?,
    };
    if tinyd_fs::dev::is_null(&null)? { Ok(null) } else { Err(Errno::NODEV) }
}
