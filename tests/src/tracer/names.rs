//! The system calls that count: those that do something, or ask for something that may not be had.
//!
//! Left out is what cannot fail in practice (getpid, close, rt_sigaction, …) and what the language's own library cannot do
//! without (mmap, brk, getrandom).

use nix::libc;

macro_rules! table {
    ($($name:ident),* $(,)?) => {
        const TABLE: &[(libc::c_long, &str)] = &[$((libc::$name, stringify!($name))),*];
    };
}

table! {
    SYS_accept4, SYS_access, SYS_bind, SYS_capget, SYS_capset, SYS_chdir, SYS_chmod, SYS_chown, SYS_clone, SYS_clone3,
    SYS_close_range, SYS_connect, SYS_copy_file_range, SYS_dup, SYS_dup2, SYS_dup3, SYS_epoll_create1, SYS_epoll_ctl,
    SYS_eventfd2, SYS_execve, SYS_execveat, SYS_faccessat, SYS_faccessat2, SYS_fchdir, SYS_fchmod, SYS_fchmodat,
    SYS_fchmodat2, SYS_fchown, SYS_fchownat, SYS_fcntl, SYS_fdatasync, SYS_fgetxattr, SYS_flock, SYS_fsconfig,
    SYS_fsetxattr, SYS_fsmount, SYS_fsopen, SYS_fstat, SYS_fstatfs, SYS_fsync, SYS_ftruncate, SYS_getdents64,
    SYS_getsockopt, SYS_inotify_add_watch, SYS_inotify_init1, SYS_ioctl, SYS_keyctl, SYS_kill, SYS_link,
    SYS_linkat, SYS_listen, SYS_lseek, SYS_memfd_create, SYS_mkdir, SYS_mkdirat, SYS_mknod, SYS_mknodat, SYS_mount,
    SYS_mount_setattr, SYS_move_mount, SYS_newfstatat, SYS_open, SYS_open_tree, SYS_openat, SYS_openat2, SYS_pidfd_open,
    SYS_pidfd_send_signal, SYS_pipe2, SYS_pivot_root, SYS_prctl, SYS_pread64, SYS_prlimit64, SYS_pwrite64, SYS_read,
    SYS_readlink, SYS_readlinkat, SYS_readv, SYS_recvfrom, SYS_recvmsg, SYS_rename, SYS_renameat, SYS_renameat2, SYS_rmdir,
    SYS_seccomp, SYS_sendfile, SYS_sendmsg, SYS_sendto, SYS_setdomainname, SYS_setgid, SYS_setgroups, SYS_sethostname,
    SYS_setns, SYS_setresgid, SYS_setresuid, SYS_setsid, SYS_setsockopt, SYS_setuid, SYS_shutdown, SYS_signalfd4,
    SYS_socket, SYS_socketpair, SYS_splice, SYS_stat, SYS_statfs, SYS_statx, SYS_symlink, SYS_symlinkat, SYS_syncfs,
    SYS_timerfd_create, SYS_timerfd_settime, SYS_umount2, SYS_uname, SYS_unlink, SYS_unlinkat, SYS_unshare, SYS_utimensat,
    SYS_wait4, SYS_waitid, SYS_write, SYS_writev,
}

/// The name of a system call that counts.
pub fn name(number: u64) -> Option<&'static str> {
    let entry = TABLE.iter().find(|(known, _)| *known as u64 == number)?;
    Some(entry.1.trim_start_matches("SYS_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_has_a_name_and_what_cannot_fail_has_none() {
        assert_eq!(name(libc::SYS_mkdirat as u64), Some("mkdirat"));
        assert_eq!(name(libc::SYS_getpid as u64), None);
    }
}
