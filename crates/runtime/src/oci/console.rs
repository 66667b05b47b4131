//! The terminal of a container, handed to whoever listens at `--console-socket`.

use crate::launch::internal;
use crate::{Failure, FailureKind, listener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

/// Where it goes, which must be clear before there is a container.
pub(super) fn wanted(
    path: Option<&str>,
    terminal: bool,
    foreground: bool,
) -> Result<Option<PathBuf>, Failure> {
    let refuse = |problem: &str| Err(Failure::new(FailureKind::Invalid, problem));
    match path.filter(|path| !path.is_empty()) {
        None if terminal && !foreground => {
            refuse("the process wants a terminal, which nobody takes: give --console-socket")
        }
        Some(_) if !terminal => {
            refuse("--console-socket is for a process that wants a terminal: see process.terminal")
        }
        path => Ok(path.map(PathBuf::from)),
    }
}

/// Sends the master's end of it.
pub(super) fn send(terminal: &OwnedFd, path: &Path) -> Result<(), Failure> {
    let sent = (|| {
        let socket = listener::reach(path)?;
        tinyd_ns::socket::send(socket.as_fd(), b"/dev/ptmx", &[terminal.as_fd()])
    })();
    sent.map_err(|errno| internal(&format!("hand the terminal over at {}", path.display()), errno))
}
