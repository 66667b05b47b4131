//! Programs are run by an interpreter and compared with what a plain reading of the profile says, with another
//! compiler, and with lists written by hand.

mod default_profile;
mod interpreter;
mod oracle;
mod profiles;
mod random;
mod reading;
mod size;
mod totality;

use super::arch::{Arch, X32_BIT};

/// A call, with the fields of `struct seccomp_data` that filters may look at.
#[derive(Debug, Clone, Copy)]
struct Call {
    audit: u32,
    nr: u32,
    args: [u64; 6],
}

/// `nr` without the bit of x32.
fn call(arch: Arch, nr: u32, args: [u64; 6]) -> Call {
    let bit = if arch == Arch::X32 { X32_BIT } else { 0 };
    Call { audit: arch.audit(), nr: nr | bit, args }
}

const ALLOW: u32 = 0x7fff_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const EPERM: u32 = 0x0005_0001;
const ENOSYS: u32 = 0x0005_0026;

const ALL_ARCHES: [Arch; 5] = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];
