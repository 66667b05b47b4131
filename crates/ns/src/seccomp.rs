//! Seccomp: profiles of the OCI runtime specification, compiled to small balanced filters (seccomp(2)).
//!
//! [`compile()`] turns a [`Profile`] into a [`Program`]: a binary search over system call numbers in which neighbours of
//! one verdict are one range. The kernel runs a new filter once for every call number when it is loaded, so that depth
//! is what a load costs. [`default_profile`] is the profile for containers; it needs no JSON.
//!
//! # What a profile means
//! - The rules of a call are tried in the order of the profile; the first whose arguments match decides, and
//!   `defaultAction` if none does. (libseccomp lets a rule without arguments win wherever it stands; a profile that says
//!   one thing in both readings puts it last.)
//! - The conditions of one rule must all hold; but if two of them look at the same argument, any one condition of the
//!   rule is enough, as runc has it.
//! - Arguments are compared as 64 bits wide on x86-64 and aarch64, as 32 bits on the others, x32 included, as libseccomp
//!   does.
//! - Names that none of our architectures has are left out and reported in [`Compiled::unknown`].
//! - If `defaultAction` is `SCMP_ACT_ERRNO`, a call newer than our table gets `ENOSYS`, whatever `errnoRet` says: C
//!   libraries fall back to older calls on `ENOSYS` alone.
//! - A call through an architecture that the profile does not list ends the process. (libseccomp's default ends the
//!   thread, which leaves the others of the process to hang.) The native architecture counts as listed. On x86-64, x32
//!   calls carry the bit 0x40000000, and are foreign in the same way unless `SCMP_ARCH_X32` is listed.
//!
//! # Order of a launch
//! Without `no_new_privs` the filter has to be loaded while the thread has `CAP_SYS_ADMIN`, so before capabilities are
//! dropped; the default profile lets pass what is left to do then. With `no_new_privs` it can be loaded last.
//!
//! ```
//! use tinyd_ns::caps::CapSet;
//! use tinyd_ns::seccomp::{Arch, FilterFlags, compile, default_profile};
//!
//! let compiled = compile(&default_profile(CapSet::DEFAULT), Arch::NATIVE)?;
//! assert!(compiled.unknown.is_empty());
//! // In the process to be confined: compiled.program.load(FilterFlags::empty())?;
//! # Ok::<(), tinyd_ns::seccomp::CompileError>(())
//! ```

mod arch;
mod assemble;
mod compile;
mod default;
mod profile;
mod program;
mod table;

pub use arch::{Arch, Architecture};
pub use compile::{CompileError, Compiled, compile};
pub use default::default_profile;
pub use profile::{Action, Arg, FilterFlag, Op, Profile, Rule};
pub use program::{FilterFlags, Program};

#[cfg(test)]
mod tests;
