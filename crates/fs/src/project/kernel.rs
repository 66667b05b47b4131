//! What the kernel is asked of projects: quotactl_fd(2) with `linux/quota.h` and `linux/dqblk_xfs.h`, and the attributes of
//! `struct fsxattr` in `linux/fs.h`.
#![allow(unsafe_code, reason = "neither call has a safe wrapper")]

use rustix::io::Errno;
use rustix::ioctl::{Getter, Setter, ioctl, opcode};
use std::os::fd::{AsRawFd as _, BorrowedFd};

type Answer<T> = std::result::Result<T, Errno>;

/// PRJQUOTA: the kind of quota, in the lowest eight bits of a command (QCMD).
const PROJECT: u32 = 2;
const GET: u32 = 0x80_0007;
const SET: u32 = 0x80_0008;
/// Q_XGETQSTATV, which all file systems answer by now, not XFS alone.
const GET_STATUS: u32 = (b'X' as u32) << 8 | 8;
/// FS_QUOTA_PDQ_ACCT and FS_QUOTA_PDQ_ENFD: what projects have is counted, and held to.
const HELD: u64 = 1 << 4 | 1 << 5;
/// QIF_BLIMITS: of what a structure says, the limits of space count.
const SPACE: u32 = 1;
/// The blocks in which limits are told, whatever those of the file system are (QIF_DQBLKSIZE).
const BLOCK: u64 = 1024;

/// FS_XFLAG_PROJINHERIT: what is made in a folder belongs to its project, and nothing of another can be moved there.
pub(super) const INHERIT: u32 = 0x200;

/// `struct fsxattr`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(super) struct Attributes {
    pub(super) flags: u32,
    extsize: u32,
    nextents: u32,
    /// Which project it belongs to; 0 is none.
    pub(super) project: u32,
    cowextsize: u32,
    padding: [u8; 8],
}

const _: () = assert!(size_of::<Attributes>() == 28);

/// How much a project holds and may hold, in bytes; a limit of 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) used: u64,
    pub(super) limit: u64,
    pub(super) inodes: u64,
}

/// What is said of a file or folder by FS_IOC_FSGETXATTR.
pub(super) fn attributes(file: BorrowedFd<'_>) -> Answer<Attributes> {
    // SAFETY: FS_IOC_FSGETXATTR fills this structure, for which any bytes are valid.
    unsafe { ioctl(file, Getter::<{ opcode::read::<Attributes>(b'X', 31) }, Attributes>::new()) }
}

/// Changes it by FS_IOC_FSSETXATTR.
pub(super) fn set_attributes(file: BorrowedFd<'_>, wanted: Attributes) -> Answer<()> {
    // SAFETY: FS_IOC_FSSETXATTR reads this structure and keeps nothing of it.
    unsafe { ioctl(file, Setter::<{ opcode::write::<Attributes>(b'X', 32) }, _>::new(wanted)) }
}

/// Whether the file system of a file counts what projects have and holds them to their limits.
pub(super) fn holds(file: BorrowedFd<'_>) -> Answer<bool> {
    /// `struct fs_quota_statv` has 168 bytes, of which the first is the version that is asked for.
    type Status = [u64; 32];
    let mut status: Status = [0; 32];
    status[0] = u64::from_ne_bytes([1, 0, 0, 0, 0, 0, 0, 0]);
    // SAFETY: the structure that the command reads and fills is smaller than what it is given, and has no pointers.
    unsafe { quotactl(file, GET_STATUS, 0, status.as_mut_ptr().cast())? };
    let [_, _, low, high, ..] = status[0].to_ne_bytes();
    Ok(u64::from(u16::from_ne_bytes([low, high])) & HELD == HELD)
}

/// What a project has.
pub(super) fn space(file: BorrowedFd<'_>, project: u32) -> Answer<Space> {
    let mut quota = nothing();
    // SAFETY: Q_GETQUOTA fills this structure, for which any bytes are valid.
    unsafe { quotactl(file, GET, project, (&raw mut quota).cast())? };
    Ok(Space {
        used: quota.dqb_curspace,
        limit: quota.dqb_bhardlimit.saturating_mul(BLOCK),
        inodes: quota.dqb_curinodes,
    })
}

/// Holds a project to so many bytes; 0 for no limit.
pub(super) fn set_limit(file: BorrowedFd<'_>, project: u32, bytes: u64) -> Answer<()> {
    let blocks = bytes.div_ceil(BLOCK);
    let mut quota = libc::dqblk { dqb_bhardlimit: blocks, dqb_bsoftlimit: 0, dqb_valid: SPACE, ..nothing() };
    // SAFETY: Q_SETQUOTA reads this structure and keeps nothing of it.
    unsafe { quotactl(file, SET, project, (&raw mut quota).cast()) }
}

fn nothing() -> libc::dqblk {
    libc::dqblk {
        dqb_bhardlimit: 0,
        dqb_bsoftlimit: 0,
        dqb_curspace: 0,
        dqb_ihardlimit: 0,
        dqb_isoftlimit: 0,
        dqb_curinodes: 0,
        dqb_btime: 0,
        dqb_itime: 0,
        dqb_valid: 0,
    }
}

/// quotactl_fd(2) (Linux 5.14), about projects.
///
/// # Safety
/// `address` must be valid for what the command reads and writes.
unsafe fn quotactl(
    file: BorrowedFd<'_>,
    command: u32,
    project: u32,
    address: *mut libc::c_void,
) -> Answer<()> {
    let command = command << 8 | PROJECT;
    // SAFETY: the descriptor is open for as long as the call, and the caller vouches for the address.
    match unsafe { libc::syscall(libc::SYS_quotactl_fd, file.as_raw_fd(), command, project, address) } {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
