//! The profile that containers run under when nothing else is asked for.

use std::borrow::Cow;

use super::arch::Arch;
use super::profile::{Action, Arg, Op, Profile, Rule};
use super::table::{self, Access};
use crate::caps::{CapSet, Capability};

/// The flags of clone(2) that make namespaces: NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. (NEWTIME has
/// no bit there: it cannot be asked for but by clone3 and unshare.)
const CLONE_NAMESPACES: u64 = 0x7e02_0000;

/// The personalities allowed: PER_LINUX, PER_LINUX32, both again with UNAME26, and the value that only asks.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The address families allowed, as mask and value: those of Docker's profile since it lists them (moby/profiles, 2026).
/// Not among them are those that Linux no longer has, AF_ISDN (34), AF_CAIF (37), AF_ALG (38), AF_VSOCK (40), and those
/// that are newer than the list.
///
/// Masks, since the kernel reads 32 bits of the argument: a rule like "greater than 40" on all 64 would let 0x1_0000_0026
/// pass, which the kernel takes for AF_ALG.
const FAMILIES: [(u64, u64); 18] = [
    (0xffff_fff8, 0),
    (0xffff_fffc, 8),
    (0xffff_ffff, 13),
    (0xffff_fffe, 14),
    (0xffff_fffe, 16),
    (0xffff_ffff, 18),
    (0xffff_ffff, 21),
    (0xffff_ffff, 22),
    (0xffff_ffff, 24),
    (0xffff_fffe, 26),
    (0xffff_fffc, 28),
    (0xffff_fffe, 32),
    (0xffff_ffff, 35),
    (0xffff_ffff, 36),
    (0xffff_ffff, 39),
    (0xffff_ffff, 41),
    (0xffff_fffe, 42),
    (0xffff_fffe, 44),
];

/// What does by a path what ioctl(2) does by a descriptor (Linux 6.17). Docker's list has not got them yet; programs that
/// are told `ENOSYS` go on with the ioctl.
const BY_PATH: [&str; 2] = ["file_getattr", "file_setattr"];

/// Docker's default profile for a container with these capabilities, on the architecture this crate was built for.
///
/// What the table calls `allow` passes, and what a capability opens passes with it; the rest is `EPERM`, or `ENOSYS` if
/// it is newer than the table. Beside that:
/// - `clone` makes no namespaces and `clone3`, whose flags a filter cannot see, answers `ENOSYS` so that C libraries
///   fall back to `clone` — unless there is `CAP_SYS_ADMIN`;
/// - `file_getattr` and `file_setattr` answer `ENOSYS`, as from a kernel that is older than they are;
/// - `personality` takes the values that programs use;
/// - `socket` takes the families that programs use, and neither `AF_ALG` nor `AF_VSOCK`, natively, in i386 and in x32.
///
/// **A known gap:** i386's `socketcall` keeps its arguments in memory, out of a filter's sight, and every older 32-bit
/// program needs it. To close it, take [`X86`](super::Architecture::X86) out of `architectures`: 32-bit programs are
/// killed then.
#[must_use]
pub fn default_profile(caps: CapSet) -> Profile {
    let admin = caps.contains(Capability::SysAdmin);
    let allowed = table::all().iter().filter(|row| match row.access() {
        Access::Allow => true,
        Access::Never => false,
        Access::Rule => admin && matches!(row.name(), "clone" | "clone3"),
        Access::With(any) => !any.intersect(caps).is_empty(),
    });
    let mut syscalls = Vec::with_capacity(4 + PERSONALITIES.len() + FAMILIES.len());
    syscalls.push(rule(allowed.map(|row| Cow::Borrowed(row.name())).collect(), None));
    syscalls.push(absent(BY_PATH.map(Cow::Borrowed).to_vec()));
    if !admin {
        syscalls.push(rule(vec!["clone".into()], Some((CLONE_NAMESPACES, 0))));
        syscalls.push(absent(vec!["clone3".into()]));
    }
    syscalls.extend(PERSONALITIES.map(|value| rule(vec!["personality".into()], Some((0xffff_ffff, value)))));
    syscalls.extend(FAMILIES.map(|family| rule(vec!["socket".into()], Some(family))));
    Profile {
        default_action: Action::Errno,
        default_errno_ret: Some(libc::EPERM.unsigned_abs()),
        architectures: Arch::NATIVE.family().iter().map(|arch| arch.architecture()).collect(),
        flags: Vec::new(),
        listener_path: None,
        listener_metadata: None,
        syscalls,
    }
}

/// Allows the calls, under the condition that the first argument, masked, has a value.
fn rule(names: Vec<Cow<'static, str>>, first_arg: Option<(u64, u64)>) -> Rule {
    let args = first_arg.map(|(value, value_two)| Arg { index: 0, value, value_two, op: Op::MaskedEq });
    Rule { names, action: Action::Allow, errno_ret: None, args: args.into_iter().collect() }
}

/// Answers as a kernel does that has no such calls.
fn absent(names: Vec<Cow<'static, str>>) -> Rule {
    let errno_ret = Some(libc::ENOSYS.unsigned_abs());
    Rule { action: Action::Errno, errno_ret, ..rule(names, None) }
}
