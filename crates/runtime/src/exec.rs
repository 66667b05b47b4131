//! A session with a further command in a running container.

mod enter;

pub(crate) use enter::{Entered, Entrance, Target};

use crate::frame::Kind;
use crate::launch::{Child, internal};
use crate::monitor::{self, Client, Clients, Streams, WaitLoop, now_ns};
use crate::plan::{self, Bundle};
use crate::state::{self, ExitRecord, RunState, STATE_FILE};
use crate::{ExecRequest, Failure, FailureKind, heap};
use enter::has_ended;
use rustix::process::Pid;
use std::io;
use std::os::fd::OwnedFd;
use tinyd_cgroup::{CgroupPath, JoinHandle};
use tinyd_ns::{Namespaces, pidfd};

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
        heap::settle();
        let exit = pidfd::wait(&child.pidfd);
        tell("exec_die", &[("exitCode", exit.map_or(255, |exit| exit.code()).to_string())]);
        child.keep();
        return;
    }
    // It leads a session, and so a group, of its own.
    let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let wait = WaitLoop::new(&child.pidfd, streams, Clients::only(client), None).ending_with_session(group);
    let (clients, _) = wait.run(|end| {
        tell("exec_die", &[("exitCode", end.exit.code().to_string())]);
        ExitRecord { code: end.exit.code(), oom_killed: false, started_ns, finished_ns: now_ns() }
    });
    child.keep();
    clients.deliver();
}

fn start(request: &ExecRequest) -> Result<(Child, Streams, u32), Failure> {
    let target = open_target(request)?;
    let bundle = Bundle::load(&request.bundle)?;
    let (process, user) = plan::for_exec(&bundle, request)?;
    let mut namespaces = plan::namespaces_of(&bundle)?;
    // No configuration names a network namespace that is another container's.
    if !namespaces.contains(Namespaces::NET) && has_other_network(&request.id, &target)? {
        namespaces |= Namespaces::NET;
    }
    let maps = plan::id_maps_of(&bundle)?;
    // Before the clone: what is freed afterwards is copied first, page by page.
    drop(bundle);
    let join = cgroups(request)?;
    let entrance = Entrance::new(&request.id, target, process, &user, namespaces, maps.as_ref(), join)?;
    let (mut streams, stdio) =
        Streams::pipes(request.interactive, request.terminal || request.detach, entrance.owner)?;
    let Entered { child, pid, terminal } = entrance.enter(stdio)?;
    if let Some(terminal) = terminal {
        streams.add_terminal(terminal)?;
    }
    Ok((child, streams, pid))
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

/// Whether a container lives on another network than this process.
fn has_other_network(id: &str, target: &Target) -> Result<bool, Failure> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => has_ended(id),
        _ => internal("look at the container's network", error),
    };
    // Whoever has its number by now is not joined: that is done by the descriptor.
    let theirs = Namespaces::NET.id_of(target.pid).map_err(failed)?;
    Ok(theirs != Namespaces::NET.id_of(std::process::id()).map_err(failed)?)
}

/// The way into the container's control groups, unless they stand still: who joins a frozen group is frozen with it.
fn cgroups(request: &ExecRequest) -> Result<JoinHandle, Failure> {
    let driver = monitor::cgroup_driver()?;
    let failed = |error| match error {
        tinyd_cgroup::Error::NotFound { .. } => has_ended(&request.id),
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
