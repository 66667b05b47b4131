//! The program `tinyd-runtime`.

use crate::frame::{self, Kind, MAX_PAYLOAD};
use crate::launch::internal;
use crate::monitor::{self, Client};
use crate::{Failure, FailureKind, Request, StartRequest, exec, mount_verb};
use rustix::net::SocketType;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitCode;
use tinyd_cgroup::{CgroupDriver, CgroupPath};
use tinyd_ns::Namespaces;
use tinyd_ns::clone::{Clone3, Cloned};

const USAGE: &str = "\
tinyd-runtime starts containers for tinyd, and stays with them.

Usage: tinyd-runtime --version | --help

The verbs monitor, exec and mount are internal: tinyd calls them, with a socket as their standard input.
";

/// Runs the program with the arguments of the process.
///
/// # Panics
/// Never in a process with one thread, which is the only kind this may be called in: it clones.
pub fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let verb = args.next();
    match verb.as_deref() {
        Some("--version" | "version") => say(&format!("tinyd-runtime {}\n", env!("CARGO_PKG_VERSION"))),
        Some("--help" | "-h" | "help") => say(USAGE),
        Some("monitor" | "exec" | "mount") => serve(),
        Some("init") => refuse("init is internal: do not call it outside"),
        Some(other) => refuse(&format!("there is no verb {other:?}")),
        None => refuse("a verb is missing"),
    }
}

fn say(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn refuse(why: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tinyd-runtime: {why}; see tinyd-runtime --help");
    ExitCode::from(2)
}

/// Does what the request says that comes over standard input.
fn serve() -> ExitCode {
    let stdin = std::io::stdin();
    if rustix::net::sockopt::socket_type(stdin.as_fd()) != Ok(SocketType::SEQPACKET) {
        return refuse("this verb is internal: do not call it outside");
    }
    let socket = match take_socket(stdin.as_fd()) {
        Ok(socket) => socket,
        Err(error) => {
            let json = serde_json::to_vec(&internal("set up standard input", error)).unwrap_or_default();
            let _ = tinyd_ns::socket::send(stdin.as_fd(), &[&[Kind::Failed as u8], &json[..]].concat(), &[]);
            return ExitCode::FAILURE;
        }
    };
    // No file's mode depends on the caller's umask, and no folder of the caller's is held.
    rustix::process::umask(rustix::fs::Mode::empty());
    if let Err(error) = rustix::process::chdir(c"/") {
        Client::new(socket, false).send_record(Kind::Failed, &internal("enter /", error));
        return ExitCode::FAILURE;
    }
    let mut keep = Vec::new();
    match receive(&socket, &mut keep) {
        Ok(Request::Start(request)) => start(&request, socket, keep),
        Ok(Request::Exec(request)) => {
            drop(keep);
            if request.detach {
                in_background(None, move || exec::run(&request, socket))
            } else {
                exec::run(&request, socket)
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
    ExitCode::SUCCESS
}

/// Takes the socket from standard input, whose number the null device then has. Whatever else was inherited is closed: it
/// would be held open for as long as the container lives.
fn take_socket(stdin: BorrowedFd<'_>) -> std::io::Result<OwnedFd> {
    tinyd_ns::process::close_from(3)?;
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
    let mut packet = vec![0; MAX_PAYLOAD + 1];
    loop {
        let length = tinyd_ns::socket::receive(socket.as_fd(), &mut packet, |fd| keep.push(fd))
            .map_err(|errno| failed(&std::io::Error::from(errno)))?;
        match frame::parse(&packet[..length]) {
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

fn start(request: &StartRequest, socket: OwnedFd, keep: Vec<OwnedFd>) {
    let driver = match monitor::cgroup_driver() {
        Ok(driver) => driver,
        Err(failure) => return Client::new(socket, false).send_record(Kind::Failed, &failure),
    };
    let birth = monitor_cgroup(request, driver.as_ref());
    let folder = birth.as_ref().and_then(|join| join.v2_dir());
    in_background(folder, || monitor::run(request, driver.as_ref(), socket, keep));
}

fn monitor_cgroup(request: &StartRequest, driver: &dyn CgroupDriver) -> Option<tinyd_cgroup::JoinHandle> {
    let path = CgroupPath::new(&request.monitor_cgroup).ok()?;
    driver.ensure(&path).and_then(|cgroup| cgroup.join_handle()).ok()
}

/// Goes on in a child, whose parent ends at once: nobody has to wait for it, and its cgroup of version 2 is another from
/// its first moment. (Moving there later would wait for a grace period of the kernel.)
fn in_background(cgroup: Option<BorrowedFd<'_>>, work: impl FnOnce()) {
    // SAFETY: this process has a single thread, and goes on in exactly one of the two: the parent only returns to end.
    match unsafe { Clone3::new(Namespaces::empty()).into_cgroup(cgroup).spawn() } {
        Ok(Cloned::Parent { .. }) => {}
        // Without another process the work is done in this one: it is waited for, that is all.
        Ok(Cloned::Child) | Err(_) => work(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_any_length_arrive_whole() {
        let (here, there) = tinyd_ns::socket::pair().unwrap();
        let request = crate::ExecRequest {
            id: "x".into(),
            bundle: "/b".into(),
            run_dir: "/r".into(),
            cgroup: "c".into(),
            args: vec!["a".repeat(3 * MAX_PAYLOAD)],
            env: vec![],
            cwd: None,
            user: None,
            terminal: false,
            interactive: false,
            detach: false,
            window: None,
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
