//! The program `tinyd-runtime`.

use crate::defence::{self, Defence};
use crate::frame::{self, Kind};
use crate::launch::internal;
use crate::monitor::{self, Client};
use crate::program::{self, PROTECT};
use crate::{Failure, FailureKind, Request, StartRequest, exec, heap, load, mount_verb, startup};
use rustix::fs::Mode;
use rustix::net::SocketType;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use tinyd_cgroup::{CgroupDriver, CgroupPath, JoinHandle};
use tinyd_ns::clone::{self, Cloned};
use tinyd_ns::process;

/// The signals that this program ignores; whoever executes another lets it have them again.
pub(crate) const IGNORED: [i32; 5] =
    [libc::SIGPIPE, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

const USAGE: &str = "\
tinyd-runtime starts containers: for tinyd, and as an OCI runtime for other engines.

Usage: tinyd-runtime [--root DIR] [--log FILE] [--log-format text|json] [--systemd-cgroup] VERB …

  create [-b BUNDLE] [--pid-file FILE] [--console-socket SOCKET] [--preserve-fds N] ID
  start ID                                  run    as create, then start; -d does not wait
  state ID                                  list   [-q] [--format json]
  kill [--all] ID [SIGNAL]                  delete [--force] ID
  exec [-d] [-t] [-u UID[:GID]] [-e NAME=VALUE] [--cwd DIR] ID COMMAND…
  exec --process FILE ID                    ps     [--format json] ID
  pause ID, resume ID                       update [-r FILE] [--memory BYTES] … ID
  events [--stats] ID                       spec   [-b BUNDLE]
  features                                  what this build can do
  --version, --help

The verbs monitor, enter, mount and names are internal: tinyd calls them, with a socket as their standard input. So is load,
which tinyd selftest runs in its containers.
";

/// Docker reads the word before `version` and the one after it.
const VERSION: &str = concat!("tinyd-runtime version ", env!("CARGO_PKG_VERSION"), "\n");

/// Runs the program with the arguments of the process.
///
/// # Panics
/// Never in a process with one thread, which is the only kind this may be called in: it clones.
pub fn main() -> ExitCode {
    run().into()
}

/// The same, for a program that ends otherwise: gives the exit code.
///
/// # Panics
/// As [`main`].
pub fn run() -> u8 {
    let mut args = words();
    let verb = args.next();
    match verb.as_deref() {
        Some("--version" | "version") => say(VERSION),
        Some("--help" | "-h" | "help") => say(USAGE),
        Some("monitor" | "enter" | "mount") => serve(),
        Some(load::VERB) => load::main(args),
        None => refuse("a verb is missing"),
        Some("init") => refuse("init is internal: do not call it outside"),
        Some(_) => oci(),
    }
}

/// What it was called with.
fn words() -> impl Iterator<Item = String> {
    startup::words().skip(1).map(|word| word.to_string_lossy().into_owned())
}

fn say(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn refuse(why: &str) -> u8 {
    let _ = writeln!(std::io::stderr(), "tinyd-runtime: {why}; see tinyd-runtime --help");
    2
}

/// Does what the request says that comes over standard input.
fn serve() -> u8 {
    let stdin = rustix::stdio::stdin();
    if rustix::net::sockopt::socket_type(stdin) != Ok(SocketType::SEQPACKET) {
        return refuse("this verb is internal: do not call it outside");
    }
    if let Err(problem) = defence::choose() {
        return refuse(&problem);
    }
    heap::open();
    let socket = match start_afresh().and_then(|()| take_socket(stdin)) {
        Ok(socket) => socket,
        Err(error) => {
            let json = serde_json::to_vec(&internal("set tinyd-runtime up", error)).unwrap_or_default();
            let _ = tinyd_ns::socket::send(stdin, &[&[Kind::Failed as u8], &json[..]].concat(), &[]);
            return 1;
        }
    };
    let mut keep = Vec::new();
    match receive(&socket, &mut keep) {
        Ok(Request::Start(request)) => watch(&request, socket, keep, monitor::run),
        Ok(Request::TakeOver(request)) => watch(&request, socket, keep, monitor::take_over),
        Ok(Request::Exec(request)) => {
            drop(keep);
            if request.detach {
                in_background(None, socket, |socket| exec::run(&request, socket));
            } else {
                exec::run(&request, socket);
            }
        }
        Ok(Request::Mount(request)) => {
            let client = Client::new(socket, false);
            match mount_verb::mount(&request) {
                Ok(()) => drop(client.send_now(Kind::Started, &0u32.to_le_bytes())),
                Err(failure) => client.send_record(Kind::Failed, &failure),
            }
        }
        Err(failure) => Client::new(socket, false).send_record(Kind::Failed, &failure),
    }
    0
}

/// Does what another engine says.
fn oci() -> u8 {
    if let Err(problem) = defence::choose() {
        return refuse(&problem);
    }
    heap::open();
    process::reset_signals();
    process::ignore_signal(libc::SIGPIPE);
    if let Err(errno) = defence::become_undumpable() {
        return refuse(&format!("cannot be set up: {errno}"));
    }
    let umask = rustix::process::umask(Mode::WGRP | Mode::WOTH);
    crate::oci::main(words().collect(), umask)
}

/// Sees to it that a container whose root is the host's cannot change this program through a process of it.
pub(crate) fn protect() -> std::io::Result<()> {
    if defence::on(Defence::ExeProtection) { program::become_protected() } else { Ok(()) }
}

/// Owes nothing to whoever called: neither signals that are ignored (an ignored SIGCHLD would lose every exit), nor a umask,
/// a folder or open files. Nobody of the same user may trace this process.
fn start_afresh() -> std::io::Result<()> {
    process::reset_signals();
    for signal in IGNORED {
        process::ignore_signal(signal);
    }
    process::close_from(3)?;
    defence::become_undumpable()?;
    rustix::process::umask(Mode::WGRP | Mode::WOTH);
    rustix::process::chdir(c"/")?;
    let protect = words().any(|word| word == PROTECT) && defence::on(Defence::ExeProtection);
    if protect { program::become_protected() } else { Ok(()) }
}

/// Takes the socket from standard input, whose number the null device then has.
fn take_socket(stdin: BorrowedFd<'_>) -> std::io::Result<OwnedFd> {
    let socket = rustix::io::fcntl_dupfd_cloexec(stdin, 3)?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(socket)
}

fn receive(socket: &OwnedFd, keep: &mut Vec<OwnedFd>) -> Result<Request, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::new(FailureKind::Invalid, "read the request").caused_by(error)
    };
    let mut json = Vec::new();
    loop {
        let packet = tinyd_ns::socket::receive_whole(socket.as_fd(), |fd| keep.push(fd))
            .map_err(|errno| failed(&std::io::Error::from(errno)))?;
        match frame::parse(&packet) {
            Some((Kind::RequestPart, piece)) => json.extend_from_slice(piece),
            Some((Kind::Request, piece)) => {
                json.extend_from_slice(piece);
                return serde_json::from_slice(&json).map_err(|error| failed(&error));
            }
            _ => {
                return Err(Failure::new(
                    FailureKind::Invalid,
                    "read the request: not a packet of this version",
                ));
            }
        }
    }
}

/// What a monitor does: start a container, or take one over.
type Watch = fn(&StartRequest, &dyn CgroupDriver, Option<JoinHandle>, OwnedFd, Vec<OwnedFd>);

fn watch(request: &StartRequest, socket: OwnedFd, keep: Vec<OwnedFd>, work: Watch) {
    let driver = match monitor::cgroup_driver() {
        Ok(driver) => driver,
        Err(failure) => return Client::new(socket, false).send_record(Kind::Failed, &failure),
    };
    let own_cgroup = monitor_cgroup(request, driver.as_ref());
    // A copy, because the handle goes with the monitor.
    let folder = own_cgroup.as_ref().and_then(|join| join.v2_dir()?.try_clone_to_owned().ok());
    in_background(folder, socket, |socket| {
        work(request, driver.as_ref(), own_cgroup, socket, keep);
    });
}

fn monitor_cgroup(request: &StartRequest, driver: &dyn CgroupDriver) -> Option<JoinHandle> {
    let path = CgroupPath::new(&request.monitor_cgroup).ok()?;
    driver.ensure(&path).and_then(|cgroup| cgroup.join_handle()).ok()
}

/// Does the work in a child, whose parent ends at once.
fn in_background(cgroup: Option<OwnedFd>, client: OwnedFd, work: impl FnOnce(OwnedFd)) {
    // SAFETY: this process has a single thread, and goes on in exactly one of the two: the parent only returns to end.
    let cloned = unsafe { clone::go_on_in(cgroup.as_ref().map(AsFd::as_fd)) };
    drop(cgroup);
    match cloned {
        Ok(Cloned::Parent { .. }) => {}
        Ok(Cloned::Child) => work(client),
        Err(error) => {
            Client::new(client, false).send_record(Kind::Failed, &internal("start the monitor", error))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::MAX_PAYLOAD;

    #[test]
    fn requests_of_any_length_arrive_whole() {
        let (here, there) = tinyd_ns::socket::pair().unwrap();
        let request = crate::ExecRequest {
            id: "x".into(),
            bundle: "/b".into(),
            run_dir: "/r".into(),
            cgroup: "c".into(),
            protect_program: false,
            args: vec!["a".repeat(3 * MAX_PAYLOAD)],
            env: vec![],
            cwd: None,
            user: None,
            terminal: false,
            interactive: false,
            detach: false,
            window: None,
            events: None,
        };
        let request = Request::Exec(Box::new(request));
        let json = serde_json::to_vec(&request).unwrap();
        let sender = std::thread::spawn(move || {
            let mut pieces = json.chunks(MAX_PAYLOAD).peekable();
            while let Some(piece) = pieces.next() {
                let kind = if pieces.peek().is_some() { Kind::RequestPart } else { Kind::Request };
                let packet = [&[kind as u8], piece].concat();
                tinyd_ns::socket::send(here.as_fd(), &packet, &[]).unwrap();
            }
        });
        assert_eq!(receive(&there, &mut Vec::new()).unwrap(), request);
        sender.join().unwrap();
    }
}
