//! The program that serves the names of a network's containers: both sides of it.
//!
//! There is one for each network that has a container. Whoever connects one opens the sockets and starts the program with
//! them, so that nobody waits until it runs: what is asked meanwhile stays in the sockets. It holds a lock beside the folder
//! of names, by which the next one knows that it is there, and ends when the folder has been empty for a moment.

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::io::{self, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use tinyd_net::names::{NameService, Server, ServerSpec, Sockets, Zone};
use tinyd_ns::{process, socket};

/// The verb of `tinyd-runtime`.
pub const VERB: &str = "names";

/// Starts the program where there is none.
pub(crate) struct Service {
    /// `tinyd-runtime`, where it is not beside this program.
    pub runtime: Option<PathBuf>,
}

impl NameService for Service {
    fn serve(&self, network: &ServerSpec) -> io::Result<bool> {
        let Some(lock) = lock(&network.folder)? else { return Ok(true) };
        let sockets = match Sockets::bind(network) {
            Ok(sockets) => sockets,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(false),
            Err(error) => return Err(error),
        };
        let program = crate::locate::runtime(self.runtime.as_deref()).map_err(io::Error::other)?;
        start(&program, network, &lock, &sockets)?;
        Ok(true)
    }
}

/// The right to serve a network; `None` when somebody has it.
fn lock(folder: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::open(folder.with_extension("lock"), flags, Mode::from_raw_mode(0o600))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn start(program: &Path, network: &ServerSpec, lock: &OwnedFd, sockets: &Sockets) -> io::Result<()> {
    let (ours, theirs) = socket::pair()?;
    let child = Command::new(program)
        .arg0(program)
        .arg(VERB)
        .env_clear()
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // It lives on, and is nobody's to wait for; in a program that lives longer, the next start reaps it.
    tinyd_runtime::client::leave(child);
    let packets = sockets.packets.iter().map(UdpSocket::as_fd);
    let listeners = sockets.listeners.iter().map(TcpListener::as_fd);
    let descriptors: Vec<BorrowedFd<'_>> =
        [lock.as_fd()].into_iter().chain(packets).chain(listeners).collect();
    let text = serde_json::to_vec(network)?;
    Ok(socket::send(ours.as_fd(), &text, &descriptors)?)
}

/// The program itself: serves the network that it is told of over its standard input.
#[must_use]
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        // Started by tinyd it has nobody to tell; by hand it was started by mistake.
        Err(error) => {
            let _ =
                writeln!(io::stderr(), "tinyd-runtime: names is internal: do not call it outside: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    process::reset_signals();
    process::close_from(3)?;
    // It ends with its network, not with the terminal or the service that it was started from.
    let _ = rustix::process::setsid();
    rustix::process::chdir(c"/")?;
    let mut descriptors = Vec::new();
    let text = socket::receive_whole(rustix::stdio::stdin(), |fd| descriptors.push(fd))?;
    let network: ServerSpec = serde_json::from_slice(&text)?;
    let count = network.listen.len();
    if descriptors.len() != 1 + 2 * count {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let listeners = descriptors.split_off(1 + count).into_iter().map(TcpListener::from).collect();
    let packets = descriptors.split_off(1).into_iter().map(UdpSocket::from).collect();
    let lock = descriptors.swap_remove(0);
    Server::new(&network, Sockets { packets, listeners })?.run(|zone| may_end(zone, &lock))
}

/// Whoever comes writes a file before it looks at the lock. So the lock is given back first, and then it is looked once more
/// whether somebody came.
fn may_end(zone: &mut Zone, lock: &OwnedFd) -> bool {
    if flock(lock, FlockOperation::Unlock).is_err() {
        return true;
    }
    zone.is_empty() || flock(lock, FlockOperation::NonBlockingLockExclusive).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tinyd_net::names::Entry;

    #[test]
    fn pure_a_server_ends_when_nobody_is_left_and_stays_when_somebody_came_at_the_last_moment() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("web");
        let held = lock(&folder).unwrap().unwrap();
        assert!(lock(&folder).unwrap().is_none(), "somebody serves it");
        let mut zone = Zone::in_folder(&folder);
        let entry = Entry { addresses: Vec::new(), names: vec!["web".to_owned()] };
        entry.write(&folder, "aaaa").unwrap();
        assert!(!may_end(&mut zone, &held));
        assert!(lock(&folder).unwrap().is_none(), "it took the right back");
        std::fs::remove_file(folder.join("aaaa")).unwrap();
        assert!(may_end(&mut zone, &held));
        assert!(lock(&folder).unwrap().is_some());
    }
}
