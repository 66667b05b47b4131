//! A further command in a running container: cloned into its PID namespace, joining everything else by itself.

use crate::defence;
use crate::frame::Kind;
use crate::identity::{Identity, ReceivedIdentity};
use crate::init::{self, Channel, Kept, Stdio};
use crate::launch::{self, Answer, Child, internal};
use crate::monitor::{self, Client, Clients, Streams, WaitLoop, now_ns};
use crate::plan::{self, Bundle, ProcessPlan};
use crate::report::{ChildFailure, Stage, at};
use crate::state::{self, ExitRecord, RunState, STATE_FILE};
use crate::{ExecRequest, Failure, FailureKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tinyd_cgroup::{CgroupPath, JoinHandle};
use tinyd_ns::clone::{Clone3, Cloned};
use tinyd_ns::pty::{self, Pty};
use tinyd_ns::{Namespaces, credentials, join, pidfd, socket};

/// Runs the command, and stays with it while there is someone to tell.
pub(crate) fn run(request: &ExecRequest, client: OwnedFd) {
    let client = Client::new(client, !request.detach);
    let (mut child, streams, pid) = match start(request) {
        Ok(started) => started,
        Err(failure) => {
            client.send_record(Kind::Failed, &failure);
            return;
        }
    };
    let started_ns = now_ns();
    let tell = |action, more: &[_]| {
        if let Some(events) = &request.events {
            events.tell(&request.id, action, more);
        }
    };
    tell("exec_start", &[]);
    client.send_now(Kind::Started, &pid.to_le_bytes());
    if request.detach {
        // Its streams are the null device; its exit is taken here, so that it leaves no zombie.
        drop(client);
        let _ = rustix::process::setsid();
        let exit = pidfd::wait(&child.pidfd);
        tell("exec_die", &[("exitCode", exit.map_or(255, |exit| exit.code()).to_string())]);
        child.keep();
        return;
    }
    let wait = WaitLoop::new(&child.pidfd, streams, Clients::only(client), None).ending_with_session();
    let (clients, _) = wait.run(|exit, _| {
        tell("exec_die", &[("exitCode", exit.code().to_string())]);
        ExitRecord { code: exit.code(), oom_killed: false, started_ns, finished_ns: now_ns() }
    });
    child.keep();
    clients.deliver();
}

/// What the child needs to know.
struct Plan {
    process: ProcessPlan,
    join: Namespaces,
    own_user_namespace: bool,
}

fn start(request: &ExecRequest) -> Result<(Child, Streams, u32), Failure> {
    let target = open_target(request)?;
    let bundle = Bundle::load(&request.bundle)?;
    let (process, user) = plan::for_exec(&bundle, request)?;
    launch::limits::check(&process.rlimits)?;
    let namespaces = plan::namespaces_of(&bundle)?;
    let maps = plan::id_maps_of(&bundle)?;
    // Before the clone: what is freed afterwards is copied first, page by page.
    drop(bundle);
    let join = cgroups(request)?;
    let root = rustix::fs::open(
        format!("/proc/{}/root", target.pid),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| internal("open the container's root", errno))?;
    let identity = Identity::resolve(&user, root.as_fd(), !process.has_home)?;
    let owner = launch::outside(maps.as_ref(), &identity)?;
    drop(root);
    let (mut streams, stdio) =
        Streams::pipes(request.interactive, request.terminal || request.detach, owner)?;

    let mut plan = Plan {
        process,
        join: namespaces - Namespaces::PID,
        own_user_namespace: namespaces.contains(Namespaces::USER),
    };
    let (ours, theirs) = socket::pair().map_err(|errno| internal("make a socket for the command", errno))?;
    let theirs = Channel::new(theirs);
    let kept = Kept::new(&theirs, &join, &stdio).and(target.pidfd.as_fd());
    // Only children notice: this process stays where it is.
    join::of_process(target.pidfd.as_fd(), Namespaces::PID).map_err(|errno| match errno {
        Errno::SRCH => has_ended(request),
        errno => launch::cannot_join(target.pid, Namespaces::PID, errno),
    })?;
    // SAFETY: this process has a single thread, and the child ends in `child`, which never returns.
    let cloned = unsafe { Clone3::new(Namespaces::empty()).into_cgroup(join.v2_dir()).spawn() };
    let cloned = cloned.map_err(|error| match error.raw_os_error() {
        // Its PID namespace takes no more processes.
        Some(libc::ENOMEM) => has_ended(request),
        _ => internal("clone into the container", error),
    });
    let (pid, running) = match cloned? {
        Cloned::Child => child(&mut plan, &theirs, &join, &stdio, target.pidfd.as_fd(), &kept),
        Cloned::Parent { pid, pidfd } => (pid, Child::new(pidfd)),
    };
    drop((theirs, stdio, join));
    launch::reset_oom_score(pid);
    launch::limits::raise(&plan.process.rlimits, pid)?;
    launch::send_identity(ours.as_fd(), &identity)?;
    match launch::listen(ours.as_fd())? {
        Answer::Running { terminal } => {
            if let Some(terminal) = terminal {
                streams.add_terminal(terminal)?;
            }
            Ok((running, streams, pid))
        }
        Answer::Failed(failure) if failure.stage == Stage::JoinNamespaces => {
            Err(launch::cannot_join(target.pid, plan.join, failure.errno))
        }
        Answer::Failed(failure) => Err(launch::explain_exec(&failure, &plan.process)),
        Answer::Died => Err(has_ended(request)),
    }
}

fn has_ended(request: &ExecRequest) -> Failure {
    Failure::new(FailureKind::NotRunning, format!("container {} has just ended", request.id))
}

struct Target {
    pid: u32,
    pidfd: OwnedFd,
}

fn open_target(request: &ExecRequest) -> Result<Target, Failure> {
    let not_running =
        || Failure::new(FailureKind::NotRunning, format!("container {} is not running", request.id));
    let state: RunState = state::load(&request.run_dir.join(STATE_FILE))
        .map_err(|error| internal("read the container's state", error))?
        .ok_or_else(not_running)?;
    let pidfd = state.init.open().ok_or_else(not_running)?;
    Ok(Target { pid: state.init.pid, pidfd })
}

/// The way into the container's control groups, unless they stand still: who joins a frozen group is frozen with it.
fn cgroups(request: &ExecRequest) -> Result<JoinHandle, Failure> {
    let driver = monitor::cgroup_driver()?;
    let failed = |error| match error {
        tinyd_cgroup::Error::NotFound { .. } => has_ended(request),
        error => {
            Failure::new(FailureKind::Internal, format!("open cgroup {}", request.cgroup)).caused_by(&error)
        }
    };
    let cgroup = CgroupPath::new(&request.cgroup).and_then(|path| driver.open(&path)).map_err(failed)?;
    // A host that cannot freeze has no group that is frozen.
    if cgroup.is_frozen().unwrap_or(false) {
        return Err(Failure::new(FailureKind::Paused, format!("container {} is paused", request.id)));
    }
    cgroup.join_handle().map_err(failed)
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
    kept.close_others().map_err(at(Stage::Descriptors))?;
    defence::leak(cgroups);
    cgroups.join(false).map_err(|error| ChildFailure {
        stage: Stage::JoinCgroup,
        operand: error.index as u16,
        errno: Errno::from_raw_os_error(error.errno),
    })?;
    let mut packet = [0; Identity::MAX_LENGTH + 1];
    let length = channel.receive_identity(&mut packet).map_err(at(Stage::Parent))?;
    let identity = packet
        .get(1..length)
        .and_then(ReceivedIdentity::decode)
        .ok_or(Errno::PROTO)
        .map_err(at(Stage::Parent))?;
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
    if rustix::fs::fstatfs(&devpts)?.f_type != DEVPTS_MAGIC {
        // What the container has put there is not what it seems.
        return Err(Errno::NODEV);
    }
    let pty = Pty::open_in(devpts.as_fd())?;
    if let Some((rows, columns)) = plan.window {
        pty::resize(pty.slave.as_fd(), rows, columns)?;
    }
    channel.send_terminal(pty.master.as_fd())?;
    Ok(pty.slave)
}

/// Magic number of devpts (statfs(2)).
const DEVPTS_MAGIC: rustix::fs::FsWord = 0x1cd1;
