//! Entering namespaces that exist.

use crate::Namespaces;
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, ThreadNameSpaceType};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// A namespace that could not be joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// There is no such process, or it may not be looked at.
    #[error("cannot open process {pid}, whose namespaces ({kinds}) are to be joined")]
    Process {
        /// Its number.
        pid: u32,
        /// What was asked for.
        kinds: Namespaces,
        /// What pidfd_open(2) says.
        source: io::Error,
    },
    /// The file that stands for a namespace cannot be opened.
    #[error("cannot open the namespace file {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What open(2) says.
        source: io::Error,
    },
    /// The kernel lets the caller not in.
    #[error("cannot join the namespaces ({kinds}) of process {pid}{}", reason(source))]
    EnterProcess {
        /// The process.
        pid: u32,
        /// What was asked for.
        kinds: Namespaces,
        /// What setns(2) says.
        source: io::Error,
    },
    /// The kernel lets the caller not in, or the file is no namespace, or one of another kind.
    #[error("cannot join the namespace {}{}", path.display(), reason(source))]
    EnterFile {
        /// The file.
        path: PathBuf,
        /// What setns(2) says.
        source: io::Error,
    },
}

/// What setns(2) means by its errno, for people.
fn reason(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => ": it takes CAP_SYS_ADMIN in the user namespace that it belongs to",
        Some(libc::EINVAL) => {
            ": it is not of the kind asked for, or it is a user namespace and the caller is in it already, \
             or a kind that a process with several threads cannot change"
        }
        Some(libc::ESRCH) => ": the process has ended",
        _ => "",
    }
}

/// Moves the calling thread into namespaces of the process that has the number `pid` now, all at once. A number can be
/// taken by another process at any time: whoever has a pidfd uses [`of_process`].
///
/// # Errors
/// See [`JoinError`].
pub fn of_pid(pid: u32, kinds: Namespaces) -> Result<(), JoinError> {
    let pidfd = crate::pidfd::open(pid).map_err(|source| JoinError::Process { pid, kinds, source })?;
    of_process(pidfd.as_fd(), kinds).map_err(|errno| JoinError::EnterProcess {
        pid,
        kinds,
        source: errno.into(),
    })
}

/// Moves the calling thread into the namespace that the file at `path` stands for, such as `/proc/<pid>/ns/net` or
/// `/run/netns/<name>`. `kind` is checked against it; `None` takes any.
///
/// # Errors
/// See [`JoinError`].
pub fn of_path(path: impl AsRef<Path>, kind: Option<Namespaces>) -> Result<(), JoinError> {
    let path = path.as_ref();
    let failed = || path.to_owned();
    let file = std::fs::File::open(path).map_err(|source| JoinError::Open { path: failed(), source })?;
    of_file(file.as_fd(), kind).map_err(|errno| JoinError::EnterFile { path: failed(), source: errno.into() })
}

/// *Child-side.* Moves the calling thread into namespaces of another process, all at once (setns(2) with a pidfd, Linux
/// 5.8). Of a PID or time namespace only its children notice.
///
/// # Errors
/// `EINVAL` when `USER` is asked for and it is the caller's own already, or the process has several threads; `EPERM`
/// without the rights; `ESRCH` when the process has ended.
pub fn of_process(pidfd: BorrowedFd<'_>, namespaces: Namespaces) -> Result<(), Errno> {
    let kinds = ThreadNameSpaceType::from_bits_retain(namespaces.bits() as u32);
    rustix::thread::move_into_thread_name_spaces(pidfd, kinds)
}

/// *Child-side.* Moves the calling thread into the namespace that a file of `/proc/<pid>/ns` or a bind mount of one
/// stands for. `kind` is checked against it; `None` takes any.
pub fn of_file(file: BorrowedFd<'_>, kind: Option<Namespaces>) -> Result<(), Errno> {
    let kind = match kind.map(|kind| kind.bits()) {
        Some(bits) if bits == Namespaces::MOUNT.bits() => Some(LinkNameSpaceType::Mount),
        Some(bits) if bits == Namespaces::CGROUP.bits() => Some(LinkNameSpaceType::ControlGroup),
        Some(bits) if bits == Namespaces::UTS.bits() => Some(LinkNameSpaceType::HostNameAndNISDomainName),
        Some(bits) if bits == Namespaces::IPC.bits() => Some(LinkNameSpaceType::InterProcessCommunication),
        Some(bits) if bits == Namespaces::USER.bits() => Some(LinkNameSpaceType::User),
        Some(bits) if bits == Namespaces::PID.bits() => Some(LinkNameSpaceType::ProcessID),
        Some(bits) if bits == Namespaces::NET.bits() => Some(LinkNameSpaceType::Network),
        Some(bits) if bits == Namespaces::TIME.bits() => Some(LinkNameSpaceType::Time),
        Some(_) => return Err(Errno::INVAL),
        None => None,
    };
    rustix::thread::move_into_link_name_space(file, kind)
}

/// *Child-side.* Gives the calling process new namespaces of these kinds (unshare(2)). A new PID or time namespace is
/// for its children.
pub fn unshare(namespaces: Namespaces) -> Result<(), Errno> {
    let flags = nix::sched::CloneFlags::from_bits_retain(namespaces.bits() as i32);
    nix::sched::unshare(flags).map_err(|errno| Errno::from_raw_os_error(errno as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inode(name: &str) -> String {
        std::fs::read_link(format!("/proc/thread-self/ns/{name}")).unwrap().display().to_string()
    }

    #[test]
    fn a_thread_leaves_its_uts_namespace_and_comes_back() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED (needs root)");
            return;
        }
        std::thread::spawn(|| {
            let before = inode("uts");
            let home = std::fs::File::open("/proc/thread-self/ns/uts").unwrap();
            unshare(Namespaces::UTS).unwrap();
            assert_ne!(inode("uts"), before);
            of_file(home.as_fd(), Some(Namespaces::UTS)).unwrap();
            assert_eq!(inode("uts"), before);
            assert_eq!(of_file(home.as_fd(), Some(Namespaces::NET)), Err(Errno::INVAL));
        })
        .join()
        .unwrap();
    }
}
