//! bpf(2), as far as device filters need it: load a program, attach it to a group, tell which are attached.
//!
//! Raw system calls, because the libraries that have them bring loaders, linkers and a type format along, and this is
//! five calls. The layouts are those of include/uapi/linux/bpf.h; a kernel takes a shorter structure than its own and
//! reads what is missing as zero.
#![allow(unsafe_code, reason = "bpf(2) has no safe wrapper")]

use rustix::io::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Identifies our programs among those that others attached; `BPF_OBJ_NAME_LEN` is 16 with the NUL.
const NAME: [u8; 16] = *b"tinyd_devices\0\0\0";

/// A group takes at most 64 programs of a kind (`BPF_CGROUP_MAX_PROGS`).
const MOST: usize = 64;

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_GET_FD_BY_ID: i32 = 13;
const OBJ_GET_INFO_BY_FD: i32 = 15;
const PROG_QUERY: i32 = 16;

const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
/// Programs of the groups above, and of others on the same group, stay and must agree.
const ALLOW_MULTI: u32 = 2;
/// Linux 5.6.
const REPLACE: u32 = 4;

/// One instruction, as `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    pub(super) code: u8,
    pub(super) registers: u8,
    pub(super) offset: i16,
    pub(super) immediate: i32,
}

#[derive(Default)]
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[derive(Default)]
#[repr(C)]
struct Attach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
    replaced: u32,
}

#[derive(Default)]
#[repr(C)]
struct Query {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    ids: u64,
    count: u32,
    padding: u32,
}

#[derive(Default)]
#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

#[derive(Default)]
#[repr(C)]
struct InfoByFd {
    program: u32,
    length: u32,
    info: u64,
}

/// The beginning of `struct bpf_prog_info`. The lengths and counts say how much the kernel may write behind the
/// pointers, so they stay zero.
#[derive(Default)]
#[repr(C)]
struct Info {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    lengths: [u32; 2],
    pointers: [u64; 2],
    load_time: u64,
    uid: u32,
    map_count: u32,
    maps: u64,
    name: [u8; 16],
}

/// Lets the kernel check a program; it lives as long as the descriptor or an attachment.
pub(super) fn load(instructions: &[Instruction]) -> Result<OwnedFd, Errno> {
    let license = c"Dual MIT/GPL";
    let mut attr = Load {
        kind: TYPE_CGROUP_DEVICE,
        count: u32::try_from(instructions.len()).map_err(|_| Errno::TOOBIG)?,
        instructions: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        name: NAME,
        attach_type: ATTACH_CGROUP_DEVICE,
        ..Default::default()
    };
    // SAFETY: `instructions` holds `count` structures of the kernel's layout, and the license ends with NUL; both
    // outlive the call, and the kernel only reads them.
    let fd = unsafe { call(PROG_LOAD, &mut attr)? };
    Ok(owned(fd))
}

/// Attaches a program to a group, in the place of another one or beside those that are there.
pub(super) fn attach(
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
    replaced: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut attr = Attach {
        target: number(group),
        program: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        flags: ALLOW_MULTI | if replaced.is_some() { REPLACE } else { 0 },
        replaced: replaced.map_or(0, number),
    };
    // SAFETY: the structure holds no pointers.
    unsafe { call(PROG_ATTACH, &mut attr) }.map(drop)
}

pub(super) fn detach(group: BorrowedFd<'_>, program: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut attr = Attach {
        target: number(group),
        program: number(program),
        attach_type: ATTACH_CGROUP_DEVICE,
        ..Default::default()
    };
    // SAFETY: the structure holds no pointers.
    unsafe { call(PROG_DETACH, &mut attr) }.map(drop)
}

/// The programs of this crate that are attached to a group itself, not to those above it.
pub(super) fn ours(group: BorrowedFd<'_>) -> Result<Vec<OwnedFd>, Errno> {
    let mut ids = [0u32; MOST];
    let mut attr = Query {
        target: number(group),
        attach_type: ATTACH_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: MOST as u32,
        ..Default::default()
    };
    // SAFETY: `ids` has room for `count` numbers and outlives the call.
    unsafe { call(PROG_QUERY, &mut attr)? };
    let mut found = Vec::new();
    for &id in ids.iter().take(attr.count as usize) {
        let mut attr = ById { id, ..Default::default() };
        // SAFETY: the structure holds no pointers.
        let program = match unsafe { call(PROG_GET_FD_BY_ID, &mut attr) } {
            Ok(fd) => owned(fd),
            // Detached since.
            Err(Errno::NOENT) => continue,
            Err(e) => return Err(e),
        };
        if name(&program)? == NAME {
            found.push(program);
        }
    }
    Ok(found)
}

fn name(program: &OwnedFd) -> Result<[u8; 16], Errno> {
    let mut info = Info::default();
    let mut attr = InfoByFd {
        program: program.as_raw_fd() as u32,
        length: size_of::<Info>() as u32,
        info: std::ptr::from_mut(&mut info) as u64,
    };
    // SAFETY: `info` has `length` bytes and outlives the call; its own pointers are null with lengths of zero.
    unsafe { call(OBJ_GET_INFO_BY_FD, &mut attr)? };
    Ok(info.name)
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    // A descriptor is never negative.
    fd.as_raw_fd() as u32
}

fn owned(fd: i32) -> OwnedFd {
    // SAFETY: the kernel has just made this descriptor (close-on-exec, as all of bpf(2)), and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// # Safety
/// `attr` has the layout that `command` takes, and what it points to is valid for what the kernel does with it.
unsafe fn call<T>(command: i32, attr: &mut T) -> Result<i32, Errno> {
    loop {
        // SAFETY: the size is that of the structure; the rest is the caller's promise.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attr), size_of::<T>()) };
        if result >= 0 {
            return i32::try_from(result).map_err(|_| Errno::RANGE);
        }
        match Errno::from_io_error(&std::io::Error::last_os_error()) {
            // The verifier was interrupted by a signal.
            Some(Errno::AGAIN | Errno::INTR) => {}
            other => return Err(other.unwrap_or(Errno::IO)),
        }
    }
}
