//! What a process does to itself before it becomes another program.

use rustix::event::Timespec;
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

/// *Child-side.* Ends the process at once: no destructor runs and nothing is flushed, because what there is to flush
/// belongs to the parent.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(code) }
}

/// *Child-side.* Closes every descriptor from `first` on.
pub fn close_from(first: RawFd) -> Result<(), Errno> {
    close_range(first, RawFd::MAX, 0)
}

/// *Child-side.* Marks every descriptor from `first` on to be closed on exec.
pub fn cloexec_from(first: RawFd) -> Result<(), Errno> {
    close_range(first, RawFd::MAX, libc::CLOSE_RANGE_CLOEXEC)
}

/// *Child-side.* Closes every descriptor but 0, 1, 2 and those in `kept`, which must be sorted.
pub fn close_all_but(kept: &[RawFd]) -> Result<(), Errno> {
    let mut next = 3;
    for fd in kept.iter().copied().filter(|fd| *fd >= 3) {
        if fd > next {
            close_range(next, fd - 1, 0)?;
        }
        next = fd + 1;
    }
    close_from(next)
}

fn close_range(first: RawFd, last: RawFd, flags: libc::c_uint) -> Result<(), Errno> {
    let (first, last) = (first as libc::c_uint, last as libc::c_uint);
    // SAFETY: close_range has no memory operands. Closing a descriptor under its owner is what callers, who are about to
    // exec or exit, ask for.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) })
}

/// *Child-side.* Gives the process a session keyring of its own, named for whoever lists keys (keyctl(2)). Past a quota of
/// keys (`EDQUOT`, `ENOSPC`) or without the facility (`ENOSYS`) the process is left with the keyring it has.
pub fn join_session_keyring(name: &CStr) -> Result<(), Errno> {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: `name` is a string that ends with a zero byte and lives through the call.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    check(result)
}

/// *Child-side.* Gives every signal its default disposition and blocks none: a program expects that of whoever starts it.
pub fn reset_signals() {
    reset_some_signals(1..=64);
}

/// *Child-side.* As [`reset_signals`], in a process that knows which signals it has ignored since; handlers go by themselves
/// when a program is executed.
pub fn reset_some_signals(signals: impl IntoIterator<Item = i32>) {
    // The kernel's own structure, whose zero is the default disposition: the C library keeps 32 and 33 to itself, and
    // leaves them ignored in whatever it spawns.
    const DEFAULT: [u64; 4] = [0; 4];
    const SET_SIZE: usize = 8;
    for signal in signals {
        // SAFETY: DEFAULT is as large as the kernel's sigaction and is only read; SIGKILL and SIGSTOP answer EINVAL, which
        // is as it should be.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, DEFAULT.as_ptr(), 0usize, SET_SIZE) };
    }
    // SAFETY: the set is of the size given and only read.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, DEFAULT.as_ptr(), 0usize, SET_SIZE) };
}

/// *Child-side.* Blocks every signal: they wait, those that are ignored by default too, until they are taken by
/// [`next_signal`] or let in by [`reset_signals`].
pub fn block_signals() {
    const ALL: [u64; 1] = [u64::MAX];
    // SAFETY: the set is of the size given and only read.
    unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, ALL.as_ptr(), 0usize, size_of::<u64>())
    };
}

/// *Child-side.* Waits for a signal, all of which must be blocked, and takes it.
///
/// # Errors
/// `EAGAIN` where none has come within `limit`.
pub fn next_signal(limit: Option<Timespec>) -> Result<i32, Errno> {
    const ALL: [u64; 1] = [u64::MAX];
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the set is of the size given and only read, and so is the limit, whose form is the kernel's; no details are asked for.
    let signal =
        unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, ALL.as_ptr(), 0usize, limit, size_of::<u64>()) };
    check(signal).map(|()| signal as i32)
}

/// A descriptor that is readable while a signal waits, all of which must be blocked, for [`next_signal`].
pub fn waiting_signals() -> Result<OwnedFd, Errno> {
    const ALL: [u64; 1] = [u64::MAX];
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set is of the size given and only read.
    let fd = unsafe { libc::syscall(libc::SYS_signalfd4, -1, ALL.as_ptr(), size_of::<u64>(), flags) };
    check(fd)?;
    // SAFETY: the kernel has just opened it, for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// *Child-side.* Sends a signal to a process that the caller has not waited for yet, so that the number is still its own.
#[allow(clippy::disallowed_methods, reason = "the number of a child that was not waited for is its own")]
pub fn send_signal(child: u32, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill has no memory operands.
    check(i64::from(unsafe { libc::kill(child as libc::pid_t, signal) }))
}

/// *Child-side.* Splits the process in two: `None` in the new one, its number in the old one. By clone(2), which filters
/// of system calls can tell apart from the making of namespaces.
///
/// # Safety
/// The process must have one thread, or the new one must keep to calls that are safe after a fork.
pub unsafe fn fork() -> Result<Option<u32>, Errno> {
    // SAFETY: without a stack and flags of shared memory this is fork(2); the rest is as the caller promised.
    let child = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0usize, 0usize, 0usize, 0usize) };
    check(child).map(|()| u32::try_from(child).ok().filter(|&child| child != 0))
}

/// Ignores a signal from now on.
pub fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN runs no code of ours. A number that is no signal is answered by EINVAL.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// *Child-side.* Keeps others of the same user from tracing the process and from opening its `/proc` files, until its
/// next exec.
pub fn set_undumpable() -> Result<(), Errno> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

/// *Child-side.* Sets the mask of permissions that new files do without (umask(2)), of the lowest nine bits, and gives the one
/// there was. It belongs to the process, so no thread of a program with several should change it.
pub fn set_umask(mask: u32) -> u32 {
    rustix::process::umask(rustix::fs::Mode::from_bits_truncate(mask & 0o777)).bits()
}

/// *Child-side.* No program that the thread becomes ever gains a right by set-user-id bits or file capabilities
/// (`PR_SET_NO_NEW_PRIVS`). There is no way back.
pub fn set_no_new_privs() -> Result<(), Errno> {
    rustix::thread::set_no_new_privs(true)
}

/// *Child-side.* Whether [`set_no_new_privs`] holds for the thread.
pub fn has_no_new_privs() -> Result<bool, Errno> {
    rustix::thread::no_new_privs()
}

/// *Child-side.* Becomes another program. Returns only when that failed.
///
/// # Safety
/// `args` and `env` must be arrays of pointers to strings that end with a zero byte, themselves ended by a null pointer.
pub unsafe fn exec(path: &CStr, args: *const *const libc::c_char, env: *const *const libc::c_char) -> Errno {
    // SAFETY: `path` is a C string; the arrays are as the caller promised.
    unsafe { libc::execve(path.as_ptr(), args, env) };
    last_errno()
}

/// *Child-side.* Becomes the program whose file is open, as a reference or otherwise (execveat(2)). Returns only when that
/// failed.
///
/// # Safety
/// As for [`exec`].
pub unsafe fn exec_fd(
    program: BorrowedFd<'_>,
    args: *const *const libc::c_char,
    env: *const *const libc::c_char,
) -> Errno {
    // SAFETY: the empty path is a C string; the arrays are as the caller promised.
    unsafe {
        libc::syscall(libc::SYS_execveat, program.as_raw_fd(), c"".as_ptr(), args, env, libc::AT_EMPTY_PATH)
    };
    last_errno()
}

/// *Child-side.* Copies a descriptor to a given number, which stays open on exec.
pub fn dup_to(from: RawFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: dup2 has no memory operands; what `to` was before is given up on purpose.
    check(i64::from(unsafe { libc::dup2(from, to) }))
}

fn check(result: libc::c_long) -> Result<(), Errno> {
    if result == -1 { Err(last_errno()) } else { Ok(()) }
}

fn last_errno() -> Errno {
    // SAFETY: the location of errno is always valid in the calling thread.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Namespaces;
    use crate::clone::{Clone3, Cloned};

    #[test]
    fn only_what_is_kept_stays_open() {
        let (kept, lost) = (std::fs::File::open("/").unwrap(), std::fs::File::open("/").unwrap());
        // SAFETY: a number that is not open is answered by EBADF; nothing is done with it.
        let is_open = |fd: RawFd| rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(fd) }).is_ok();
        let (kept, lost) = (kept.as_raw_fd(), lost.as_raw_fd());
        // SAFETY: the child makes system calls only and ends by _exit.
        match unsafe { Clone3::new(Namespaces::empty()).spawn() }.unwrap() {
            Cloned::Child => {
                let done = close_all_but(&[2, kept]).is_ok() && is_open(kept) && !is_open(lost) && is_open(1);
                exit_now(if done { 7 } else { 1 })
            }
            Cloned::Parent { pidfd, .. } => assert_eq!(crate::pidfd::wait(&pidfd).unwrap().code(), 7),
        }
    }

    #[test]
    fn the_umask_and_no_new_privs_are_read_back() {
        // SAFETY: the child makes system calls only and ends by _exit.
        match unsafe { Clone3::new(Namespaces::empty()).spawn() }.unwrap() {
            Cloned::Child => {
                set_umask(0o1_7027);
                let masked = set_umask(0o022) == 0o027 && set_umask(0) == 0o022;
                let before = has_no_new_privs();
                let set = set_no_new_privs().is_ok() && has_no_new_privs() == Ok(true);
                exit_now(if masked && before.is_ok() && set { 7 } else { 1 })
            }
            Cloned::Parent { pidfd, .. } => assert_eq!(crate::pidfd::wait(&pidfd).unwrap().code(), 7),
        }
    }

    #[test]
    fn closing_and_keyrings_work_in_a_child() {
        // SAFETY: the child makes system calls only and ends by _exit.
        match unsafe { Clone3::new(Namespaces::empty()).spawn() }.unwrap() {
            Cloned::Child => {
                reset_signals();
                let closed = close_from(3).is_ok() && dup_to(0, 77).is_ok() && cloexec_from(3).is_ok();
                let keyed = !matches!(join_session_keyring(c"test"), Err(Errno::INVAL | Errno::FAULT));
                exit_now(if closed && keyed && set_undumpable().is_ok() { 7 } else { 1 })
            }
            Cloned::Parent { pidfd, .. } => assert_eq!(crate::pidfd::wait(&pidfd).unwrap().code(), 7),
        }
    }
}
