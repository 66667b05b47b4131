//! Readiness through a container (sd_notify(3)), for a caller that is a service of systemd and is up when the container's command
//! says so.
//!
//! `create` gives the command a folder of its container's to see. There `start` listens, until the command has said that it is ready
//! or has ended. The service manager is told that, and who the command is: nothing else of what a container says.

use super::SERVICE_MANAGER;
use super::store::{Container, has_ended};
use crate::config::Mount;
use crate::launch::internal;
use crate::plan::Bundle;
use crate::{Failure, FailureKind};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use std::ffi::OsString;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// In the container's folder.
const FOLDER: &str = "notify";
const SOCKET: &str = "notify.sock";

/// What the command sees that folder as.
const PLACE: &str = "/run/notify";

/// The longest message that is read whole, the kernel's page.
const LONGEST: usize = 4096;

fn manager() -> Option<OsString> {
    std::env::var_os(SERVICE_MANAGER).filter(|place| !place.is_empty())
}

/// Gives the command of a new container a place to speak to, where our caller has one.
pub(super) fn offer(folder: &Path, bundle: &mut Bundle) -> Result<(), Failure> {
    if manager().is_none() {
        return Ok(());
    }
    let folder = folder.join(FOLDER);
    let mode = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
    // The umask is ours: everyone in the container may enter.
    rustix::fs::mkdir(&folder, mode)
        .and_then(|()| rustix::fs::chmod(&folder, mode))
        .map_err(|errno| internal(&format!("make {}", folder.display()), errno))?;
    bundle.spec.mounts.get_or_insert_default().push(Mount {
        destination: PLACE.into(),
        typ: Some("bind".to_owned()),
        source: Some(folder),
        options: Some(["bind", "ro", "nosuid", "nodev", "noexec"].map(str::to_owned).to_vec()),
        ..Mount::default()
    });
    let environment = bundle.spec.process.get_or_insert_default().env.get_or_insert_default();
    environment
        .retain(|entry| !entry.strip_prefix(SERVICE_MANAGER).is_some_and(|rest| rest.starts_with('=')));
    environment.push(format!("{SERVICE_MANAGER}={PLACE}/{SOCKET}"));
    Ok(())
}

/// Carries the word from the command to the service manager.
pub(super) struct Relay {
    heard: UnixDatagram,
    manager: UnixDatagram,
    command: OwnedFd,
    pid: u32,
}

impl Relay {
    /// Listens for a created container's command, where our caller wants to hear of it and it was told where to speak.
    pub(super) fn of(container: &Container) -> Result<Option<Self>, Failure> {
        let folder = container.folder.join(FOLDER);
        let (Some(place), true, Some(command)) = (manager(), folder.is_dir(), container.process()) else {
            return Ok(None);
        };
        let manager = reach(&place).map_err(|error| {
            let problem = format!("reach the service manager at {SERVICE_MANAGER}={}", place.display());
            Failure::new(FailureKind::Invalid, problem).caused_by(&error)
        })?;
        let heard =
            listen(&folder).map_err(|error| internal(&format!("listen in {}", folder.display()), error))?;
        Ok(Some(Self { heard, manager, command, pid: container.pid() }))
    }

    /// Passes on what the command has said; tells whether there is nothing more to wait for.
    pub(super) fn pass(&self) -> bool {
        // What it said before its end counts.
        let has_ended = has_ended(&self.command);
        let mut message = [0; LONGEST];
        while let Ok(length) = self.heard.recv(&mut message) {
            if message[..length].split(|&byte| byte == b'\n').any(|line| line == b"READY=1") {
                // A manager that is gone waits for nothing.
                let _ = self.manager.send(format!("READY=1\nMAINPID={}", self.pid).as_bytes());
                return true;
            }
        }
        has_ended
    }

    /// Waits for the word, or for the command's end.
    pub(super) fn wait(&self) -> Result<(), Failure> {
        while !self.pass() {
            let mut fds = [self.heard.as_fd(), self.command.as_fd()]
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            rustix::io::retry_on_intr(|| poll(&mut fds, None))
                .map_err(|errno| internal("wait for the command to be ready", errno))?;
        }
        Ok(())
    }
}

fn reach(place: &std::ffi::OsStr) -> std::io::Result<UnixDatagram> {
    let address = match place.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(place)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

fn listen(folder: &Path) -> std::io::Result<UnixDatagram> {
    let opened = super::store::open(folder)?;
    // A socket's own name is short, however long the path to it.
    let path = format!("/proc/self/fd/{}/{SOCKET}", opened.as_raw_fd());
    // Of a start that failed.
    let _ = std::fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
