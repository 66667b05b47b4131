//! The process that stays with a container: it is the parent of its first process, carries its streams, records its exit
//! and cleans up. It has one thread (but for a short one that syncs files), and outlives whoever started it.

mod cleanup;
mod client;
mod clients;
mod clock;
mod companions;
mod exit;
mod health;
mod log;
mod oom;
mod release;
mod restart;
mod streams;
mod takeover;
mod wait_loop;

use crate::defence::{self, Defence};
use crate::frame::Kind;
use crate::launch::{self, Running, Terms, internal};
use crate::plan::{self, Bundle};
use crate::state::{self, ProcessId, RunState, SOCKET_FILE, STATE_FILE};
use crate::{Failure, FailureKind, StartRequest, heap};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;
use tinyd_cgroup::{CgroupDriver, Host, JoinHandle};

pub(crate) use client::{Client, Wish};
pub(crate) use clients::Clients;
pub(crate) use clock::{now_ns, rfc3339};
pub(crate) use companions::Companions;
pub(crate) use streams::Streams;
pub(crate) use takeover::take_over;
pub(crate) use wait_loop::WaitLoop;

/// Starts the container and stays with it until its end. `keep` is held open until the command runs.
pub(crate) fn run(
    request: &StartRequest,
    driver: &dyn CgroupDriver,
    own_cgroup: Option<JoinHandle>,
    client: OwnedFd,
    keep: Vec<OwnedFd>,
) {
    // A monitor ends with its container, not with the terminal or the service that it was started from.
    let _ = rustix::process::setsid();
    let client = Client::new(client, request.attach);
    let started = match start(request, driver, &client) {
        Ok(started) => started,
        Err(failure) => {
            client.send_record(Kind::Failed, &failure);
            return;
        }
    };
    let told = client.send_now(Kind::Started, &started.running.pid.to_le_bytes());
    drop(keep);
    if !told {
        // Whoever asked is gone and nobody was told the id: the container must not be there.
        let _ = started.running.cgroup.cgroup.kill();
        let _ = tinyd_ns::pidfd::send_signal(&started.running.child.pidfd, libc::SIGKILL);
    }
    if let Some(own_cgroup) = own_cgroup {
        // Of the hierarchies of version 1, off anybody's path; into that of version 2 the monitor was born. One that stays
        // in its caller's works all the same: only the accounting is not as it should be.
        let _ = own_cgroup.join(false);
    }
    if let Some(filter) = &started.running.filter {
        plan::keep_filter(filter, &request.run_dir);
    }
    cleanup::reserve(request);
    heap::close();
    cleanup::sync_in_background(request);
    let mut clients = Clients::new(started.listener);
    if request.attach {
        clients.add(client);
    } else {
        drop(client);
    }
    let log = request.log.as_ref().map(|spec| log::LogWriter::new(spec, &request.run_dir));
    let connected = &started.running.connected;
    let mut unclosed = release::Unclosed::default();
    let mut again = None;
    let (clients, exit) = WaitLoop::new(&started.running.child.pidfd, started.streams, clients, log)
        .beside(Companions::new(&request.run_dir, &connected.companions))
        .checking(health::Health::new(request, Duration::ZERO))
        .telling(request, oom::Oom::new(request, &*started.running.cgroup.cgroup))
        .run(|end| {
            again = restart::decide(request, started.running.pid, end.exit.code(), end.again);
            let record = exit::record(request, started.started_ns, &end);
            let connections = release::of_connections(&request.run_dir, &connected.release);
            unclosed = release::release(&connections, &request.release, &request.id);
            record
        });
    cleanup::finish(request, started.running, exit.as_ref());
    drop(unclosed);
    restart::follow(again, clients);
}

struct Started {
    running: Running,
    streams: Streams,
    listener: OwnedFd,
    started_ns: i64,
}

fn start(request: &StartRequest, driver: &dyn CgroupDriver, client: &Client) -> Result<Started, Failure> {
    let run_dir = make_run_dir(&request.run_dir)?;
    let result = (|| {
        let listener = listen_at(&run_dir, &request.run_dir, SOCKET_FILE)?;
        let bundle = Bundle::load(&request.bundle)?;
        let (mut streams, stdio) =
            Streams::make(&run_dir, &request.run_dir, request.interactive, bundle.wants_terminal())?;
        let connector = request.connect.then(|| client.as_fd());
        let terms = Terms { connector, ..Terms::default() };
        let mut running = launch::launch(request, &bundle, driver, stdio, terms)?;
        if let Some(terminal) = running.terminal.take() {
            streams.add_terminal(terminal)?;
        }
        let started_ns = now_ns();
        record_start(request, &running, started_ns)?;
        request.tell("start", &[]);
        running.keep();
        Ok(Started { running, streams, listener, started_ns })
    })();
    if result.is_err() {
        // The folder held nothing before: its maker was this function.
        let _ = tinyd_fs::remove_tree(&request.run_dir);
    }
    result
}

fn make_run_dir(path: &Path) -> Result<OwnedFd, Failure> {
    let failed = |errno| internal(&format!("make {}", path.display()), errno);
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(failed)
}

/// The socket lies in a folder that only root enters.
fn listen_at(run_dir: &OwnedFd, path: &Path, name: &str) -> Result<OwnedFd, Failure> {
    let failed = |errno| internal(&format!("make the monitor's socket in {}", path.display()), errno);
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).map_err(failed)?;
    let path = format!("/proc/self/fd/{}/{name}", run_dir.as_raw_fd());
    let address = if defence::on(Defence::PrivateSocket) {
        SocketAddrUnix::new(path)
    } else {
        SocketAddrUnix::new_abstract_name(format!("tinyd-monitor-{}", std::process::id()).as_bytes())
    };
    // The socket is made with its mode: it is at no moment open to others.
    let address = address.map_err(failed)?;
    let umask = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let bound = rustix::net::bind(&socket, &address);
    rustix::process::umask(umask);
    bound.map_err(failed)?;
    rustix::net::listen(&socket, 64).map_err(failed)?;
    Ok(socket)
}

fn record_start(request: &StartRequest, running: &Running, started_ns: i64) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        internal(&format!("record the start in {}", request.run_dir.display()), error)
    };
    let state = RunState {
        init: ProcessId::of(running.pid).map_err(failed)?,
        monitor: ProcessId::of(std::process::id()).map_err(failed)?,
        started_ns,
        boot_id: state::boot_id().map_err(failed)?,
    };
    state::store(&request.run_dir.join(STATE_FILE), &state, false).map_err(failed)
}

/// The driver of this host's cgroups.
pub(crate) fn cgroup_driver() -> Result<Box<dyn CgroupDriver>, Failure> {
    Host::detect()
        .and_then(|host| host.driver())
        .map_err(|error| Failure::new(FailureKind::Unsupported, "find the host's cgroups").caused_by(&error))
}
