//! The parent of a container's first process: makes its cgroup, clones it, prepares its mounts, and hears how it went.
//!
//! | step | parent | child |
//! |---|---|---|
//! | 1 | makes the cgroups with their limits, opens the ways into them | |
//! | 2 | clone3, into the cgroup of version 2 | is born |
//! | 3 | writes the id maps, sends `Mapped` | joins the cgroups of version 1, leaves the cgroup namespace, waits |
//! | 4 | prepares root, `/dev`, binds; looks up the user; raises limits | names the host, `lo`, makes proc, sysfs, … |
//! | 5 | sends `Mounts`, waits until the network is connected, sends `Identity` | waits |
//! | 6 | waits | attaches the mounts, masks, pivots; limits, terminal (`Terminal`) |
//! | 7 | waits | `Ready`, closes what is not the command's, rights, exec |
//! | 8 | end of the connection: it runs | is the command |
//!
//! For a bundle of another engine the mounts of step 4 are made [in their order](crate::plan::Turns).
//!
//! When a step fails, everything before it is undone here, the child's own effects with the child.

mod between;
mod connection;
mod converse;
mod explain;
mod guards;
pub(crate) mod limits;
mod links;
mod netns;
pub(crate) mod priority;

pub(crate) use converse::{Answer, listen, send_identity};
pub(crate) use explain::{cannot_join, explain_exec};
pub(crate) use guards::{Child, NewCgroup};

use crate::identity::Identity;
use crate::init::{self, Channel, Gate, Kept, Stdio};
use crate::listener::Listener;
use crate::plan::{self, Bundle, CgroupView, Filter, MountSource, Plan, c_path};
use crate::prepare::{self, AsMappedRoot, Mapping, RootMount};
use crate::report::Order;
use crate::{Connected, Failure, FailureKind, StartRequest};
use rustix::fs::FileType;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use tinyd_cgroup::{Cgroup, CgroupDriver, CgroupPath, JoinHandle};
use tinyd_ns::clone::Cloned;
use tinyd_ns::{Namespaces, idmap, pidfd, socket};

/// A container's first process, running its command. It ends with this value unless it is [kept](Running::keep).
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) child: Child,
    pub(crate) cgroup: NewCgroup,
    /// The master's end of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
    /// Holding the root keeps its end, and the unmounting it means, out of the way of the command's exit.
    pub(crate) rootfs: Vec<RootMount>,
    /// Its seccomp filter, for the commands that join it.
    pub(crate) filter: Option<Filter>,
    /// What was told of its network namespace's connections.
    pub(crate) connected: Connected,
}

impl Running {
    /// Everything succeeded: it lives.
    pub(crate) fn keep(&mut self) {
        self.child.keep();
        self.cgroup.keep();
    }
}

/// Done while a start stands still; is given the container's first process.
pub(crate) type Meanwhile<'a> = &'a mut dyn FnMut(u32, BorrowedFd<'_>) -> Result<(), Failure>;

/// What starts differ in.
#[derive(Default)]
pub(crate) struct Terms<'a> {
    /// The sender, where it connects the network namespace.
    pub(crate) connector: Option<BorrowedFd<'a>>,
    /// The command waits there until somebody starts it.
    pub(crate) gate: Option<Gate>,
    /// So many descriptors of ours from 3 on are the command's.
    pub(crate) preserved: u32,
    /// Done when the first process is there, before it can have come to the gate.
    pub(crate) born: Option<Meanwhile<'a>>,
    /// There is no command, so that no program is looked for; it is never started.
    pub(crate) nothing_to_run: bool,
    /// Done when the mounts are in place, the root among them at the path of the bundle, and before the root is changed.
    pub(crate) assembled: Option<Meanwhile<'a>>,
    /// The command inherits how willingly the kernel ends this process for want of memory.
    pub(crate) inherits_oom_score: bool,
    /// It inherits the session keyring of this process, too, and gets none of its own.
    pub(crate) inherits_keyring: bool,
    /// The control group is there already: it is taken as it is, and stays when the start fails.
    pub(crate) adopts_cgroup: bool,
}

/// Starts a bundle's command.
pub(crate) fn launch(
    request: &StartRequest,
    bundle: &Bundle,
    driver: &dyn CgroupDriver,
    stdio: Stdio,
    terms: Terms<'_>,
) -> Result<Running, Failure> {
    let Terms { connector, gate, preserved, born, nothing_to_run, mut assembled, .. } = terms;
    let (inherits_oom_score, adopts_cgroup) = (terms.inherits_oom_score, terms.adopts_cgroup);
    let mut plan = plan::build(bundle, request)?;
    plan.process.preserved = preserved;
    if terms.inherits_keyring {
        plan.process.keyring = None;
    }
    if nothing_to_run {
        plan.process.candidates.clear();
    }
    if assembled.is_some() {
        plan.shown_at = Some(c_path("root.path", &root_folder(bundle, request))?);
    }
    limits::check(&plan.process.rlimits)?;
    if let Some(listener) = &mut plan.process.listener {
        listener.connect("creating")?;
    }
    let (cgroup, join) = make_cgroup(request, driver, &plan, adopts_cgroup)?;
    add_views(&mut plan, cgroup.cgroup.as_ref());

    let (ours, theirs) =
        socket::pair().map_err(|errno| internal("make a socket for the container", errno))?;
    let theirs = Channel::new(theirs);
    let kept = Kept::new(&theirs, &join, &stdio).and_first(preserved);
    let kept = kept.and(gate.iter().flat_map(Gate::as_fds));
    let kept = kept.and(plan.process.listener.iter().flat_map(Listener::as_fds));
    plan.process.gate = gate;
    // The file system of a new namespace's message queues is made by clone3 itself, and belongs to whoever calls it.
    let as_root = plan.id_maps.as_ref().and_then(idmap::IdMaps::root).map(AsMappedRoot::assume);
    let visit = request.netns.as_deref().map(netns::Visit::begin).transpose()?;
    // SAFETY: this process has a single thread (the monitor starts its only other one after this), and the child ends in
    // `init::run`, which never returns.
    let cloned = unsafe { between::spawn(&plan, join.v2_dir(), &request.cgroup) };
    let (pid, child) = match cloned? {
        Cloned::Child => init::run(&mut plan, &theirs, &join, &stdio, &kept),
        Cloned::Parent { pid, pidfd } => (pid, Child::new(pidfd)),
    };
    (plan.process.gate, plan.process.listener) = (None, None);
    drop((visit, as_root, theirs, join));

    if !inherits_oom_score {
        reset_oom_score(pid);
    }
    let noted = born.map_or(Ok(()), |work| work(pid, child.pidfd.as_fd()));
    let connecting = noted.and_then(|()| connector.map_or(Ok(()), |sender| connection::offer(sender, pid)));
    let prepared =
        connecting.and_then(|()| prepare_for(pid, request, bundle, &plan, &stdio, ours.as_fd(), connector));
    drop(stdio);
    // A child that failed has said why, and that is the cause of whatever went wrong here afterwards.
    let answer = match &prepared {
        Ok(_) => listen(ours.as_fd(), || match &mut assembled {
            Some(work) => work(pid, child.pidfd.as_fd()),
            None => Ok(()),
        })?,
        Err(_) => converse::last_words(ours.as_fd()),
    };
    let terminal = match (answer, prepared.is_ok()) {
        (Answer::Failed(failure), _) => return Err(explain::explain(&failure, &plan, &request.cgroup)),
        (Answer::Died, true) => return Err(died(&child.pidfd, cgroup.cgroup.as_ref())),
        (Answer::Running { terminal } | Answer::Waiting { terminal }, _) => terminal,
        (Answer::Died, false) => None,
    };
    let (rootfs, connected) = prepared?;
    let filter = plan.process.seccomp.take();
    Ok(Running { pid, child, cgroup, terminal, rootfs, filter, connected })
}

/// Whatever protection the caller has is not the container's: a limit of memory could not be enforced on it. Where even
/// giving it up is refused, the caller's own value stays.
pub(crate) fn reset_oom_score(pid: u32) {
    let _ = std::fs::write(format!("/proc/{pid}/oom_score_adj"), "0");
}

/// The parent's part between clone and exec: ids, mounts, user. Gives the mounts that the root consists of, and what the
/// sender told of its part.
fn prepare_for(
    pid: u32,
    request: &StartRequest,
    bundle: &Bundle,
    plan: &Plan,
    stdio: &Stdio,
    channel: BorrowedFd<'_>,
    connector: Option<BorrowedFd<'_>>,
) -> Result<(Vec<RootMount>, Connected), Failure> {
    let user_namespace = map_ids(plan, pid, channel)?;
    let mapping = user_namespace.as_ref().zip(plan.id_maps.as_ref().and_then(idmap::IdMaps::root));
    let mapping = mapping.map(|(fd, root)| Mapping { user_namespace: fd.as_fd(), root });
    let rootfs =
        prepare::rootfs(&request.rootfs, &root_folder(bundle, request), plan.root_propagation, mapping)?;
    let root = rootfs.first().ok_or_else(|| Failure::new(FailureKind::Internal, "no root file system"))?;
    let identity = Identity::resolve(&plan.user, root.as_fd(), !plan.process.has_home)?;
    let pass = |maker| converse::take_turns(channel, maker);
    let mounts = prepare::mounts(plan, &identity, &rootfs, mapping, &pass)?;
    give_streams(outside(plan.id_maps.as_ref(), &identity)?, stdio)?;
    converse::send_mounts(channel, prepare::borrowed(&rootfs, &mounts))?;
    limits::raise(&plan.process.rlimits, pid)?;
    priority::apply(&plan.process.priority, pid)?;
    links::bring(&plan.links, pid)?;
    let connected = connector.map_or(Ok(Connected::default()), connection::wait)?;
    send_identity(channel, &identity)?;
    Ok((rootfs, connected))
}

fn root_folder(bundle: &Bundle, request: &StartRequest) -> PathBuf {
    let root = bundle.spec.root.as_ref();
    request.bundle.join(root.map_or(Path::new("rootfs"), |root| &root.path))
}

fn make_cgroup(
    request: &StartRequest,
    driver: &dyn CgroupDriver,
    plan: &Plan,
    adopts: bool,
) -> Result<(NewCgroup, JoinHandle), Failure> {
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Internal, format!("make cgroup {}", request.cgroup)).caused_by(&error)
    };
    let path = CgroupPath::new(&request.cgroup).map_err(failed)?;
    let cgroup = match adopts {
        true => NewCgroup::of_other(driver.adopt(&path, &plan.limits).map_err(failed)?),
        false => NewCgroup::new(driver.create(&path, &plan.limits).map_err(failed)?),
    };
    let join = cgroup.cgroup.join_handle().map_err(failed)?;
    Ok((cgroup, join))
}

fn add_views(plan: &mut Plan, cgroup: &dyn Cgroup) {
    let text = |text: &str| CString::new(text).unwrap_or_default();
    for mount in &mut plan.mounts {
        if let MountSource::Cgroup { views, .. } = &mut mount.source {
            *views = cgroup
                .views()
                .into_iter()
                .map(|view| CgroupView {
                    name: text(&view.name),
                    links: view.links.iter().map(|link| text(link)).collect(),
                    source: view.source,
                })
                .collect();
        }
    }
}

/// Gives the child its ids, and the caller the namespace that they are shown in.
fn map_ids(plan: &Plan, pid: u32, channel: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Failure> {
    let Some(maps) = &plan.id_maps else { return Ok(None) };
    if plan.namespaces.contains(Namespaces::USER) {
        maps.write(pid).map_err(|error| internal("map the container's user and group ids", error))?;
    }
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/user"))
        .map_err(|error| internal("open the container's user namespace", error))?;
    converse::send(channel, &[Order::Mapped as u8], &[])?;
    Ok(Some(namespace.into()))
}

/// The command's user must be able to open its pipes again, as `/dev/stdout`. Files and devices of a caller stay as they are.
pub(crate) fn give_streams((uid, gid): (u32, u32), stdio: &Stdio) -> Result<(), Failure> {
    for stream in [&stdio.stdin, &stdio.stdout, &stdio.stderr].into_iter().flatten() {
        let kind = rustix::fs::fstat(stream).map(|stat| FileType::from_raw_mode(stat.st_mode));
        if kind != Ok(FileType::Fifo) {
            continue;
        }
        rustix::fs::fchown(
            stream,
            Some(rustix::fs::Uid::from_raw(uid)),
            Some(rustix::fs::Gid::from_raw(gid)),
        )
        .map_err(|errno| internal("give the command its streams", errno))?;
    }
    Ok(())
}

/// What a user and its group are called on the host; an error where the container has no such id.
pub(crate) fn outside(maps: Option<&idmap::IdMaps>, identity: &Identity) -> Result<(u32, u32), Failure> {
    let Some(maps) = maps else { return Ok((identity.uid, identity.gid)) };
    idmap::outside(&maps.users, identity.uid).zip(idmap::outside(&maps.groups, identity.gid)).ok_or_else(
        || {
            Failure::new(
                FailureKind::Invalid,
                format!("user {}:{} is not mapped into the container", identity.uid, identity.gid),
            )
            .with_hint("a container has the ids 0 to 65535; --userns host gives it all")
        },
    )
}

fn died(child: &OwnedFd, cgroup: &dyn Cgroup) -> Failure {
    let how = match pidfd::peek(child) {
        Ok(pidfd::Exit::Signaled(signal)) => format!("by signal {signal}"),
        Ok(pidfd::Exit::Exited(code)) => format!("with code {code}"),
        Err(error) => error.to_string(),
    };
    let failure = Failure::new(
        FailureKind::Internal,
        format!("the container's first process ended {how} before it became the command"),
    );
    match cgroup.oom_kills() {
        Ok(kills) if kills > 0 => failure.with_hint("it ran out of memory: raise the limit"),
        _ => failure,
    }
}

pub(crate) fn internal(message: &str, error: impl Into<std::io::Error>) -> Failure {
    let error = error.into();
    let kind = match error.kind() {
        std::io::ErrorKind::PermissionDenied => FailureKind::Permission,
        std::io::ErrorKind::Unsupported => FailureKind::Unsupported,
        _ => FailureKind::Internal,
    };
    let failure = Failure::new(kind, message).caused_by(&error);
    match error.kind() {
        std::io::ErrorKind::StorageFull => {
            failure.with_hint("a file system has no space or no inodes left: df and df -i show which")
        }
        _ => failure,
    }
}
