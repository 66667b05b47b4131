//! The way of a further command into a container: cloned into its PID namespace, joining everything else by itself.

use crate::defence;
use crate::identity::Identity;
use crate::init::{self, Channel, Kept, Stdio};
use crate::launch::{self, Answer, Child, internal};
use crate::listener::Listener;
use crate::plan::{ProcessPlan, UserPlan};
use crate::report::{ChildFailure, Stage, at};
use crate::{Failure, FailureKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tinyd_cgroup::JoinHandle;
use tinyd_ns::clone::{Clone3, Cloned};
use tinyd_ns::idmap::IdMaps;
use tinyd_ns::pty::{self, Pty};
use tinyd_ns::{Namespaces, credentials, join, socket};

/// A container's first process.
pub(crate) struct Target {
    pub(crate) pid: u32,
    pub(crate) pidfd: OwnedFd,
}

/// A command that is about to join a container.
pub(crate) struct Entrance {
    id: String,
    target: Target,
    plan: Plan,
    identity: Identity,
    join: JoinHandle,
    /// User and group of the command, as the host calls them.
    pub(crate) owner: (u32, u32),
    /// The command inherits how willingly the kernel ends this process for want of memory.
    pub(crate) inherits_oom_score: bool,
}

/// One that has joined it, and runs.
pub(crate) struct Entered {
    pub(crate) child: Child,
    pub(crate) pid: u32,
    /// The master's end of its terminal.
    pub(crate) terminal: Option<OwnedFd>,
}

/// What the child needs to know.
struct Plan {
    process: ProcessPlan,
    join: Namespaces,
    own_user_namespace: bool,
}

impl Entrance {
    /// Looks up everything; nothing is made. `namespaces` are those in which the container differs from this process.
    pub(crate) fn new(
        id: &str,
        target: Target,
        mut process: ProcessPlan,
        user: &UserPlan,
        namespaces: Namespaces,
        maps: Option<&IdMaps>,
        join: JoinHandle,
    ) -> Result<Self, Failure> {
        launch::limits::check(&process.rlimits)?;
        if let Some(listener) = &mut process.listener {
            listener.connect("running")?;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(format!("/proc/{}/root", target.pid), flags, Mode::empty())
            .map_err(|errno| internal("open the container's root", errno))?;
        let identity = Identity::resolve(user, root.as_fd(), !process.has_home)?;
        let owner = launch::outside(maps, &identity)?;
        let own_user_namespace = namespaces.contains(Namespaces::USER);
        let plan = Plan { process, join: namespaces - Namespaces::PID, own_user_namespace };
        Ok(Self { id: id.to_owned(), target, plan, identity, join, owner, inherits_oom_score: false })
    }

    /// Clones, and hears how it went.
    pub(crate) fn enter(self, stdio: Stdio) -> Result<Entered, Failure> {
        let Self { id, target, mut plan, identity, mut join, .. } = self;
        let (ours, theirs) =
            socket::pair().map_err(|errno| internal("make a socket for the command", errno))?;
        let theirs = Channel::new(theirs);
        // Only children notice: this process stays where it is.
        join::of_process(target.pidfd.as_fd(), Namespaces::PID).map_err(|errno| match errno {
            Errno::SRCH => has_ended(&id),
            errno => launch::cannot_join(target.pid, Namespaces::PID, errno),
        })?;
        launch::priority::go_there(&plan.process.priority)?;
        let mut followed = false;
        let (pid, running) = loop {
            let kept = Kept::new(&theirs, &join, &stdio).and_first(plan.process.preserved);
            let kept = kept.and([target.pidfd.as_fd()]);
            let kept = kept.and(plan.process.listener.iter().flat_map(Listener::as_fds));
            // SAFETY: this process has a single thread, and the child ends in `child`, which never returns.
            let cloned = unsafe { Clone3::new(Namespaces::empty()).into_cgroup(join.v2_dir()).spawn() };
            match cloned {
                Ok(Cloned::Child) => child(&mut plan, &theirs, &join, &stdio, target.pidfd.as_fd(), &kept),
                Ok(Cloned::Parent { pid, pidfd }) => break (pid, Child::new(pidfd)),
                Err(error) => {
                    let may_follow = !std::mem::replace(&mut followed, true);
                    another_way(&mut join, target.pid, may_follow, error).map_err(|error| match error {
                        // Its PID namespace takes no more processes.
                        error if error.raw_os_error() == Some(libc::ENOMEM) => has_ended(&id),
                        error => internal("clone into the container", error),
                    })?;
                }
            }
        };
        plan.process.listener = None;
        drop((theirs, stdio, join));
        if !self.inherits_oom_score {
            launch::reset_oom_score(pid);
        }
        launch::limits::raise(&plan.process.rlimits, pid)?;
        launch::priority::apply(&plan.process.priority, pid)?;
        launch::send_identity(ours.as_fd(), &identity)?;
        match launch::listen(ours.as_fd(), || Ok(()))? {
            Answer::Running { terminal } => Ok(Entered { child: running, pid, terminal }),
            Answer::Failed(failure) if failure.stage == Stage::JoinNamespaces => {
                Err(launch::cannot_join(target.pid, plan.join, failure.errno))
            }
            Answer::Failed(failure) => Err(launch::explain_exec(&failure, &plan.process)),
            Answer::Waiting { .. } | Answer::Died => Err(has_ended(&id)),
        }
    }
}

/// Whoever manages services or containers in a container has divided its group, which takes no process any more: a command comes to
/// the first process then.
fn another_way(join: &mut JoinHandle, first: u32, may_follow: bool, error: io::Error) -> io::Result<()> {
    match error.raw_os_error() {
        Some(libc::EBUSY) if may_follow && join.follow_v2(first)? => Ok(()),
        _ => Err(error),
    }
}

pub(super) fn has_ended(id: &str) -> Failure {
    Failure::new(FailureKind::NotRunning, format!("container {id} has just ended"))
}

/// *Child-side.* Becomes the command; what fails is told to the parent. From its first moment this process is seen in the
/// container: like its parent it cannot be traced, nor looked through, until its exec (CVE-2016-9962). `extern "C"`: see [`init::run`].
extern "C" fn child(
    plan: &mut Plan,
    channel: &Channel,
    cgroups: &JoinHandle,
    stdio: &Stdio,
    target: BorrowedFd<'_>,
    kept: &Kept,
) -> ! {
    let failure = match become_command(plan, channel, cgroups, stdio, target, kept) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    channel.fail(failure)
}

fn become_command(
    plan: &mut Plan,
    channel: &Channel,
    cgroups: &JoinHandle,
    stdio: &Stdio,
    target: BorrowedFd<'_>,
    kept: &Kept,
) -> Result<Infallible, ChildFailure> {
    init::begin(&mut plan.process, cgroups, kept)?;
    let mut packet = [0; Identity::MAX_LENGTH + 1];
    let length = channel.receive_identity(&mut packet).map_err(at(Stage::Parent))?;
    let identity = init::identity_in(&packet, length)?;
    join::of_process(target, plan.join).map_err(at(Stage::JoinNamespaces))?;
    if plan.own_user_namespace {
        credentials::become_user(0, 0, &[]).map_err(at(Stage::MappedRoot))?;
        defence::become_undumpable().map_err(at(Stage::MappedRoot))?;
    }
    let terminal = if plan.process.terminal {
        Some(open_terminal(&plan.process, channel).map_err(at(Stage::Terminal))?)
    } else {
        None
    };
    init::finish(&mut plan.process, &identity, terminal, stdio, channel)
}

/// A terminal of the container's own, so that its number means the same inside.
fn open_terminal(plan: &ProcessPlan, channel: &Channel) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let devpts = rustix::fs::open(c"/dev/pts", flags, Mode::empty())?;
    init::expect_terminals(&devpts)?;
    let pty = Pty::open_in(devpts.as_fd())?;
    if let Some((rows, columns)) = plan.window {
        pty::resize(pty.slave.as_fd(), rows, columns)?;
    }
    channel.send_terminal(pty.master.as_fd())?;
    Ok(pty.slave)
}
