//! clone3(2): a child in new namespaces.

use crate::Namespaces;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Flag of clone3(2), Linux 5.7: the child starts its life in the cgroup whose folder `cgroup` is open.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A child that is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Clone3<'fd> {
    namespaces: Namespaces,
    cgroup: Option<BorrowedFd<'fd>>,
    sibling: bool,
}

/// On which side of the call this is.
#[derive(Debug)]
pub enum Cloned {
    /// In the new process.
    Child,
    /// In the one that made it.
    Parent {
        /// The child's number as its parent sees it.
        pid: u32,
        /// A descriptor of it, closed on exec.
        pidfd: OwnedFd,
    },
}

impl<'fd> Clone3<'fd> {
    /// A child in new namespaces of these kinds, and the parent's own of all others.
    pub fn new(namespaces: Namespaces) -> Self {
        Self { namespaces, cgroup: None, sibling: false }
    }

    /// Has the child born into a cgroup of version 2, given as its open folder: no migration, which waits for a grace
    /// period of the kernel, is needed then.
    #[must_use]
    pub fn into_cgroup(mut self, folder: Option<BorrowedFd<'fd>>) -> Self {
        self.cgroup = folder;
        self
    }

    /// Has the child be its grandparent's: the caller's own parent hears of its end, and waits for it.
    #[must_use]
    pub fn sibling(mut self) -> Self {
        self.sibling = true;
        self
    }

    /// Clones.
    ///
    /// # Errors
    /// Whatever clone3(2) gives: `EPERM` without CAP_SYS_ADMIN (unless a user namespace is asked for), `ENOSPC` past a
    /// limit of namespaces, `EBUSY` where the cgroup has its domain controllers on.
    ///
    /// # Safety
    /// The child is a copy of the calling thread alone. The caller must see to it that
    /// - the process has no other thread, or the child does nothing but async-signal-safe work until it execs or exits;
    /// - the child never returns into code that believes itself to be the parent.
    pub unsafe fn spawn(self) -> io::Result<Cloned> {
        let mut pidfd: libc::c_int = -1;
        // SAFETY: all fields of clone_args are integers, for which zero is valid.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = self.namespaces.bits() | libc::CLONE_PIDFD as u64;
        args.pidfd = &raw mut pidfd as u64;
        match self.sibling {
            // It ends with the signal that the caller ends with.
            true => args.flags |= libc::CLONE_PARENT as u64,
            false => args.exit_signal = libc::SIGCHLD as u64,
        }
        if let Some(folder) = self.cgroup {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = folder.as_raw_fd() as u64;
        }
        // SAFETY: `args` is a valid clone_args of the size given and lives through the call; without CLONE_VM the child
        // has a copy of this memory, and no new stack is given, so it goes on on its copy of this one. What the child
        // may do afterwards is the caller's promise.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<libc::clone_args>()) };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => Ok(Cloned::Child),
            pid => Ok(Cloned::Parent {
                pid: pid as u32,
                // SAFETY: on success the kernel has stored a new descriptor there, which nobody else knows.
                pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
            }),
        }
    }
}

/// Goes on in a child whose parent has nothing left to do but to end, so that nobody has to wait for it; the child's cgroup of
/// version 2 is this one from its first moment. (Moving there later waits for a grace period of the kernel, 10 ms in which no
/// other cgroup is made, joined or removed on the whole machine.) Where it may not be born there, for the cgroup may just have
/// been removed, it stays in the caller's.
///
/// # Errors
/// Those of [`Clone3::spawn`] in the caller's own cgroup.
///
/// # Safety
/// The process has no other thread, and goes on in exactly one of the two: the parent only returns to end.
pub unsafe fn go_on_in(cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let spawn = |cgroup| {
        // SAFETY: the caller's promise.
        unsafe { Clone3::new(Namespaces::empty()).into_cgroup(cgroup).spawn() }
    };
    match spawn(cgroup) {
        Err(_) if cgroup.is_some() => spawn(None),
        cloned => cloned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo test` has many threads: the child only makes system calls.
    fn exit_code_of(namespaces: Namespaces, child: impl Fn() -> i32) -> io::Result<i32> {
        // SAFETY: the child makes system calls only and ends by _exit.
        match unsafe { Clone3::new(namespaces).spawn() }? {
            Cloned::Child => {
                let code = child();
                crate::process::exit_now(code)
            }
            Cloned::Parent { pidfd, .. } => Ok(i32::from(crate::pidfd::wait(&pidfd)?.code())),
        }
    }

    #[test]
    fn the_child_is_process_one_of_its_own_pid_namespace() {
        let namespaces = Namespaces::USER | Namespaces::PID;
        let code = exit_code_of(namespaces, || rustix::process::getpid().as_raw_nonzero().get());
        assert_eq!(code.unwrap(), 1);
    }

    #[test]
    fn without_namespaces_it_is_a_plain_fork() {
        assert_eq!(exit_code_of(Namespaces::empty(), || 42).unwrap(), 42);
    }
}
