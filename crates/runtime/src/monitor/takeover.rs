//! A new monitor for a container whose monitor was killed.
//!
//! It is not the parent of the container's processes: the machine's first process is by then. So it watches by descriptor,
//! and the kernel tells the exit (Linux 6.15). An older one tells who listened to its process connector; where that cannot
//! be, this monitor ends without a word and leaves the container to the engine, which calls the exit unknown. What the
//! command wrote meanwhile waits in the FIFOs.

use super::wait_loop::WaitLoop;
use super::{
    Client, Clients, Companions, Streams, cleanup, exit, health, listen_at, log, oom, release, restart,
};
use crate::frame::Kind;
use crate::launch::{Child, NewCgroup, Running, internal};
use crate::state::{self, ProcessId, RunState, SOCKET_FILE, STATE_FILE};
use crate::{Connected, Failure, FailureKind, StartRequest};
use rustix::fs::{CWD, Mode, OFlags};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tinyd_cgroup::{CgroupDriver, CgroupPath, JoinHandle};
use tinyd_ns::exit_watch::ExitWatch;

/// Takes the container over and stays with it until its end. `keep` is held open until it is this monitor's: a lock there
/// keeps others from taking it over too.
pub(crate) fn take_over(
    request: &StartRequest,
    driver: &dyn CgroupDriver,
    own_cgroup: Option<JoinHandle>,
    client: OwnedFd,
    keep: Vec<OwnedFd>,
) {
    let _ = rustix::process::setsid();
    let client = Client::new(client, false);
    let taken = match take(request, driver) {
        Ok(taken) => taken,
        Err(failure) => return client.send_record(Kind::Failed, &failure),
    };
    // Whether or not somebody hears it: the container was there before.
    client.send_now(Kind::Started, &taken.running.pid.to_le_bytes());
    drop((keep, client));
    if let Some(own_cgroup) = own_cgroup {
        // As for the first monitor: only the accounting depends on it.
        let _ = own_cgroup.join(false);
    }
    cleanup::reserve(request);
    let Taken { running, age, watch, streams, listener, started_ns } = taken;
    let log = request.log.as_ref().map(|spec| log::LogWriter::new(spec, &request.run_dir));
    let mut unclosed = release::Unclosed::default();
    let mut again = None;
    let (clients, exit) = WaitLoop::new(&running.child.pidfd, streams, Clients::new(listener), log)
        .of_other(watch)
        .beside(Companions::new(&request.run_dir, &[]))
        .checking(health::Health::new(request, age))
        .telling(request, oom::Oom::taken_over(request, &*running.cgroup.cgroup))
        .run(|end| {
            again = restart::decide(request, running.pid, end.exit.code(), end.again);
            let record = exit::record(request, started_ns, &end);
            let connections = release::of_connections(&request.run_dir, &[]);
            unclosed = release::release(&connections, &request.release, &request.id);
            record
        });
    if let Some(exit) = exit {
        cleanup::finish(request, running, Some(&exit));
        drop(unclosed);
        restart::follow(again, clients);
    }
}

struct Taken {
    running: Running,
    /// For how long it has run.
    age: Duration,
    /// Where this kernel does not tell the exit otherwise.
    watch: Option<ExitWatch>,
    streams: Streams,
    listener: OwnedFd,
    started_ns: i64,
}

fn take(request: &StartRequest, driver: &dyn CgroupDriver) -> Result<Taken, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let run_dir = rustix::fs::openat(CWD, &request.run_dir, flags, Mode::empty())
        .map_err(|errno| internal(&format!("open {}", request.run_dir.display()), errno))?;
    let path = request.run_dir.join(STATE_FILE);
    let failed = |error: std::io::Error| internal("take the container over", error);
    let ended = || Failure::new(FailureKind::NotRunning, format!("container {} has ended", request.id));
    let mut state: RunState = state::load(&path).map_err(failed)?.ok_or_else(ended)?;
    if state.boot_id != state::boot_id().map_err(failed)? {
        return Err(ended());
    }
    let pidfd = state.init.open().ok_or_else(ended)?;
    let watch = match ExitWatch::is_needed() {
        true => pidfd.try_clone().and_then(|pidfd| ExitWatch::new(pidfd, state.init.pid)).ok(),
        false => None,
    };
    let cgroup = CgroupPath::new(&request.cgroup).and_then(|path| driver.open(&path)).map_err(|error| {
        Failure::new(FailureKind::Internal, format!("open cgroup {}", request.cgroup)).caused_by(&error)
    })?;
    let streams = Streams::reopen(&run_dir)?;
    match rustix::fs::unlinkat(&run_dir, SOCKET_FILE, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(errno) => return Err(internal("remove the last monitor's socket", errno)),
    }
    let listener = listen_at(&run_dir, &request.run_dir, SOCKET_FILE)?;
    state.monitor = ProcessId::of(std::process::id()).map_err(failed)?;
    state::store(&path, &state, false).map_err(failed)?;
    let running = Running {
        pid: state.init.pid,
        child: Child::of_other(pidfd),
        cgroup: NewCgroup::of_other(cgroup),
        terminal: None,
        rootfs: Vec::new(),
        filter: None,
        connected: Connected::default(),
    };
    Ok(Taken { running, age: state.init.age(), watch, streams, listener, started_ns: state.started_ns })
}
