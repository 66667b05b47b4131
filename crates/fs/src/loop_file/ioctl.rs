//! What the kernel can be asked of loop devices, by ioctl(2): `linux/loop.h`.
#![allow(unsafe_code, reason = "ioctl(2) has no safe wrapper")]
#![allow(dead_code, reason = "what the kernel alone reads or writes is part of a structure too")]

use rustix::io::Errno;
use rustix::ioctl::{Getter, Ioctl, IoctlOutput, Opcode, Setter, ioctl};
use std::ffi::c_void;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};

type Answer<T> = std::result::Result<T, Errno>;

/// `struct loop_info64`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct LoopInfo {
    /// The device of the file behind it.
    pub(super) device: u64,
    /// The inode of the file behind it.
    pub(super) inode: u64,
    rdevice: u64,
    pub(super) offset: u64,
    sizelimit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    pub(super) flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// LO_FLAGS_AUTOCLEAR: the device is free again when the last one closes it.
pub(super) const LOOP_AUTOCLEAR: u32 = 4;
/// LO_FLAGS_DIRECT_IO: what it holds is not cached a second time.
pub(super) const LOOP_DIRECT_IO: u32 = 16;

/// LOOP_CTL_GET_FREE, whose answer is the return value.
struct GetFree;

// SAFETY: the ioctl takes no argument, and its output is the number that the kernel returned.
unsafe impl Ioctl for GetFree {
    type Output = u32;
    const IS_MUTATING: bool = false;
    fn opcode(&self) -> Opcode {
        0x4C82
    }
    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }
    unsafe fn output_from_ptr(output: IoctlOutput, _: *mut c_void) -> Answer<u32> {
        u32::try_from(output).map_err(|_| Errno::RANGE)
    }
}

/// The number of a loop device that is free, made where all are taken.
pub(super) fn free_loop(control: BorrowedFd<'_>) -> Answer<u32> {
    // SAFETY: as the implementation of `Ioctl` says.
    unsafe { ioctl(control, GetFree) }
}

/// Puts a file behind a loop device (Linux 5.8): `BUSY` where another one was faster.
pub(super) fn configure_loop(device: BorrowedFd<'_>, file: BorrowedFd<'_>, flags: u32) -> Answer<()> {
    let fd = u32::try_from(file.as_raw_fd()).map_err(|_| Errno::BADF)?;
    let info = LoopInfo {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        sizelimit: 0,
        number: 0,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags,
        file_name: [0; 64],
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
    // Blocks as large as pages let the file be written directly whatever the disk below it has.
    let config = LoopConfig { fd, block_size: 4096, info, reserved: [0; 8] };
    // SAFETY: LOOP_CONFIGURE reads this structure; the descriptor in it is open for as long as the call.
    unsafe { ioctl(device, Setter::<0x4C0A, _>::new(config)) }
}

/// What is behind a loop device: `NXIO` where there is nothing.
pub(super) fn loop_info(device: BorrowedFd<'_>) -> Answer<LoopInfo> {
    // SAFETY: LOOP_GET_STATUS64 fills this structure, for which any bytes are valid.
    unsafe { ioctl(device, Getter::<0x4C05, LoopInfo>::new()) }
}

// As the header has them on every architecture.
const _: () = assert!(size_of::<LoopInfo>() == 232 && size_of::<LoopConfig>() == 304);
const _: () = assert!(offset_of!(LoopInfo, inode) == 8 && offset_of!(LoopInfo, offset) == 24);
const _: () = assert!(offset_of!(LoopInfo, flags) == 52 && offset_of!(LoopConfig, info) == 8);
