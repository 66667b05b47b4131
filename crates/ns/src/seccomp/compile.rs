//! From a profile to a program.

mod rules;
mod tree;

use self::rules::Rules;
use self::tree::Tree;
use super::arch::{Arch, X32_BIT};
use super::assemble::{self, Assembler, JEQ_K, JGE_K, Label};
use super::profile::{Action, Profile};
use super::program::Program;

const RET_KILL_PROCESS: u32 = 0x8000_0000;
const RET_KILL_THREAD: u32 = 0x0000_0000;
const RET_TRAP: u32 = 0x0003_0000;
const RET_ERRNO: u32 = 0x0005_0000;
const RET_USER_NOTIF: u32 = 0x7fc0_0000;
const RET_TRACE: u32 = 0x7ff0_0000;
const RET_LOG: u32 = 0x7ffc_0000;
const RET_ALLOW: u32 = 0x7fff_0000;

/// The kernel cuts larger numbers to this one (`MAX_ERRNO`).
const MAX_ERRNO: u32 = 4095;
/// The data of `SECCOMP_RET_TRACE` has 16 bits.
const MAX_TRACE: u32 = 0xffff;

/// What [`compile`] makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// The filter.
    pub program: Program,
    /// The names in the profile that no architecture of our table has, each once, in order.
    pub unknown: Vec<String>,
}

/// A profile that cannot be made a filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// An `errnoRet` or `defaultErrnoRet` is no errno (nor, with `SCMP_ACT_TRACE`, 16 bits).
    #[error("errno {value} of seccomp action {action:?} is out of range")]
    Errno {
        /// The action it belongs to.
        action: Action,
        /// The number.
        value: u32,
    },
    /// A condition is about an argument that no call has.
    #[error("seccomp condition on argument {0}: calls have arguments 0 to 5")]
    ArgIndex(u32),
    /// `defaultAction` is `SCMP_ACT_NOTIFY`, which would stop the very calls that hand the listener over.
    #[error("SCMP_ACT_NOTIFY cannot be the default seccomp action")]
    NotifyByDefault,
    /// The profile has more rules than can be told apart.
    #[error("the seccomp profile has {0} rules, which are too many")]
    TooManyRules(usize),
    /// The program is longer than the kernel accepts.
    #[error("the seccomp profile takes more than the {max} instructions that the kernel accepts", max = Program::MAX_LEN)]
    TooLong,
}

/// Compiles `profile` for a kernel whose architecture is `native`, as the [module](super) describes.
///
/// # Errors
/// See [`CompileError`].
pub fn compile(profile: &Profile, native: Arch) -> Result<Compiled, CompileError> {
    if profile.default_action == Action::Notify {
        return Err(CompileError::NotifyByDefault);
    }
    let family = native.family();
    // An x32 program runs on an x86-64 kernel: the first of the family is what the kernel calls itself.
    let covered = |arch: Arch| {
        arch == family[0] || arch == native || profile.architectures.contains(&arch.architecture())
    };
    let default = ret(profile.default_action, profile.default_errno_ret)?;
    let newer =
        if default & 0xffff_0000 == RET_ERRNO { RET_ERRNO | libc::ENOSYS.unsigned_abs() } else { default };

    let (rules, unknown) = Rules::read(profile, default, family, covered)?;
    let mut asm = Assembler::with_capacity(1024);
    let mut written = [vec![None; rules.chain_count()], vec![None; rules.chain_count()]];
    let mut sections: Vec<(u32, Label)> = Vec::with_capacity(family.len());
    let mut tree =
        |arch, asm: &mut Assembler| Tree { asm, rules: &rules, arch, newer, written: &mut written }.build();
    // The assembler works backwards: the native architecture comes last, to be the first that is asked for.
    for &arch in family.iter().rev().filter(|&&arch| arch != Arch::X32 && covered(arch)) {
        let mut root = tree(arch, &mut asm)?;
        if arch == Arch::X86_64 {
            let x32 = if covered(Arch::X32) {
                tree(Arch::X32, &mut asm)?
            } else {
                // -1 has the bit too, but is no call of any architecture: it is what a tracer leaves to skip a call.
                let (newer, kill) = (asm.ret(newer), asm.ret(RET_KILL_PROCESS));
                asm.branch(JEQ_K, u32::MAX, newer, kill)
            };
            root = asm.branch(JGE_K, X32_BIT, x32, root);
        }
        sections.push((arch.audit(), asm.load(assemble::NR, root)));
    }
    let mut at = asm.ret(RET_KILL_PROCESS);
    for (audit, section) in sections {
        at = asm.branch(JEQ_K, audit, section, at);
    }
    asm.load(assemble::ARCH, at);

    if asm.len() > Program::MAX_LEN {
        return Err(CompileError::TooLong);
    }
    let notifies = profile.syscalls.iter().any(|rule| rule.action == Action::Notify);
    Ok(Compiled { program: Program::new(asm.finish(), notifies), unknown })
}

/// The value that makes the kernel do `action`.
fn ret(action: Action, errno: Option<u32>) -> Result<u32, CompileError> {
    let data = |max| match errno {
        None => Ok(libc::EPERM.unsigned_abs()),
        Some(value) if value <= max => Ok(value),
        Some(value) => Err(CompileError::Errno { action, value }),
    };
    Ok(match action {
        Action::Kill | Action::KillThread => RET_KILL_THREAD,
        Action::KillProcess => RET_KILL_PROCESS,
        Action::Trap => RET_TRAP,
        Action::Errno => RET_ERRNO | data(MAX_ERRNO)?,
        Action::Trace => RET_TRACE | data(MAX_TRACE)?,
        Action::Allow => RET_ALLOW,
        Action::Log => RET_LOG,
        Action::Notify => RET_USER_NOTIF,
    })
}
