//! A user namespace for its maps alone, which nobody lives in: mounts are shown by it (mount_setattr(2), `MOUNT_ATTR_IDMAP`).

use super::{IdMapError, IdMaps};
use crate::Namespaces;
use crate::clone::{Clone3, Cloned};
use crate::{join, pidfd, process, socket};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// Makes a user namespace with these maps. It lives as long as the descriptor, or what was made with it.
///
/// # Errors
/// What [`IdMaps::check`] finds; [`IdMapError::Namespace`] where the kernel gives none; [`IdMapError::Write`].
pub fn namespace(maps: &IdMaps) -> Result<OwnedFd, IdMapError> {
    maps.check()?;
    let failed = |source: io::Error| IdMapError::Namespace { source };
    let (waits, ends) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
    // SAFETY: the child makes system calls only, and ends by _exit.
    match unsafe { Clone3::new(Namespaces::USER).spawn() }.map_err(failed)? {
        Cloned::Child => {
            // It has a copy of the other end, and would wait for itself.
            drop(ends);
            let _ = rustix::io::read(&waits, &mut [0; 1]);
            process::exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            let made = maps
                .write(pid)
                .and_then(|_| File::open(format!("/proc/{pid}/ns/user")).map(OwnedFd::from).map_err(failed));
            drop(ends);
            pidfd::wait(&pidfd).map_err(failed)?;
            made
        }
    }
}

/// The maps of a user namespace that is open, whoever lives in it; seen from the caller's own.
///
/// # Errors
/// [`IdMapError::Namespace`] where it cannot be entered, for it is none, or the caller's own; [`IdMapError::Read`].
pub fn maps_of(namespace: BorrowedFd<'_>) -> Result<IdMaps, IdMapError> {
    let failed = |source: io::Error| IdMapError::Namespace { source };
    let (ours, theirs) = socket::pair().map_err(|errno| failed(errno.into()))?;
    // SAFETY: the child makes system calls only, and ends by _exit.
    match unsafe { Clone3::new(Namespaces::empty()).spawn() }.map_err(failed)? {
        Cloned::Child => {
            drop(ours);
            let errno =
                join::of_file(namespace, Some(Namespaces::USER)).map_or_else(Errno::raw_os_error, |()| 0);
            let _ = socket::send(theirs.as_fd(), &errno.to_ne_bytes(), &[]);
            let _ = socket::receive(theirs.as_fd(), &mut [0; 1], drop);
            process::exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            let mut errno = [0; 4];
            let told = socket::receive(ours.as_fd(), &mut errno, drop);
            let maps = match (told, i32::from_ne_bytes(errno)) {
                (Ok(4), 0) => IdMaps::read(pid),
                (Ok(4), errno) => Err(failed(io::Error::from_raw_os_error(errno))),
                (Ok(_), _) => Err(failed(io::ErrorKind::UnexpectedEof.into())),
                (Err(errno), _) => Err(failed(errno.into())),
            };
            drop(ours);
            pidfd::wait(&pidfd).map_err(failed)?;
            maps
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_has_the_maps_and_nobody() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        let maps = IdMaps::contiguous(100_000, 10);
        let namespace = namespace(&maps).unwrap();
        // SAFETY: the child makes system calls only, allocation aside, which no other thread of this test's process holds up
        // for good.
        match unsafe { Clone3::new(Namespaces::empty()).spawn() }.unwrap() {
            Cloned::Child => {
                let joined = crate::join::of_file(namespace.as_fd(), Some(Namespaces::USER)).is_ok();
                let mut text = [0; 64];
                let read = rustix::fs::open(
                    c"/proc/self/uid_map",
                    rustix::fs::OFlags::RDONLY,
                    rustix::fs::Mode::empty(),
                )
                .and_then(|file| rustix::io::read(&file, &mut text));
                let right = read.is_ok_and(|length| text[..length].trim_ascii().ends_with(b" 10"));
                process::exit_now(if joined && right { 7 } else { 1 })
            }
            Cloned::Parent { pidfd, .. } => assert_eq!(pidfd::wait(&pidfd).unwrap().code(), 7),
        }
        assert_eq!(maps_of(namespace.as_fd()).unwrap(), maps);
        let other = File::open("/proc/self/ns/net").unwrap();
        assert!(maps_of(other.as_fd()).is_err());
        let bad = IdMaps { users: Vec::new(), ..maps };
        assert!(super::namespace(&bad).is_err());
    }
}
