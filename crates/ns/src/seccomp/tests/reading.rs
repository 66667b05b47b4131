//! What a profile says of a call, read rule by rule: slow, and without anything of the compiler's.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{ALLOW, Call, ENOSYS, KILL_PROCESS, KILL_THREAD};
use crate::seccomp::{Action, Arch, Arg, Op, Profile};

/// A name, and its numbers by column.
type Line = (&'static str, Vec<Option<u32>>);

/// The table, from its text.
fn lines() -> &'static [Line] {
    static LINES: LazyLock<Vec<Line>> = LazyLock::new(|| {
        let lines = include_str!("../syscalls.tbl").lines().filter(|line| !line.starts_with('#'));
        let split = lines.map(|line| {
            let mut words = line.split(' ');
            (words.next().unwrap(), words.take(5).map(|word| word.parse().ok()).collect())
        });
        split.collect()
    });
    &LINES
}

/// The names of a call; there are two for some calls of Arm.
pub(super) fn names(arch: Arch, nr: u32) -> Vec<&'static str> {
    static NAMES: LazyLock<HashMap<(usize, u32), Vec<&'static str>>> = LazyLock::new(|| {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for (name, numbers) in lines() {
            for (column, nr) in numbers.iter().enumerate().filter_map(|(column, nr)| Some((column, (*nr)?))) {
                all.entry((column, nr)).or_default().push(*name);
            }
        }
        all
    });
    NAMES.get(&(arch as usize, nr)).cloned().unwrap_or_default()
}

pub(super) fn number(arch: Arch, name: &str) -> Option<u32> {
    lines().iter().find(|(of, _)| *of == name)?.1[arch as usize]
}

pub(super) fn verdict(profile: &Profile, native: Arch, call: &Call) -> u32 {
    // From the bit on: what lies above it is no call, and no concern of x86-64's.
    let x32 = call.nr >= 0x4000_0000 && call.audit == 0xc000_003e;
    let arch = match call.audit {
        0xc000_003e if x32 => Arch::X32,
        0xc000_003e => Arch::X86_64,
        0x4000_0003 => Arch::X86,
        0xc000_00b7 => Arch::Aarch64,
        0x4000_0028 => Arch::Arm,
        _ => return KILL_PROCESS,
    };
    let default = value(profile.default_action, profile.default_errno_ret);
    let newer = if profile.default_action == Action::Errno { ENOSYS } else { default };
    let runs_here = native == arch
        || matches!((native, arch), (Arch::X86_64, Arch::X86 | Arch::X32) | (Arch::Aarch64, Arch::Arm))
        || matches!((native, arch), (Arch::X32, Arch::X86_64 | Arch::X86));
    // The kernel of an x32 program is one of x86-64.
    let is_native = arch == native || (native == Arch::X32 && arch == Arch::X86_64);
    if !runs_here || (!is_native && !profile.architectures.contains(&arch.architecture())) {
        return if x32 && call.nr == u32::MAX && native == Arch::X86_64 { newer } else { KILL_PROCESS };
    }
    let nr = if x32 { call.nr & !0x4000_0000 } else { call.nr };
    let names = names(arch, nr);
    for rule in &profile.syscalls {
        if !rule.names.iter().any(|name| names.contains(&name.as_ref())) {
            continue;
        }
        let repeated =
            rule.args.iter().enumerate().any(|(i, arg)| rule.args[..i].iter().any(|a| a.index == arg.index));
        let wide = matches!(arch, Arch::X86_64 | Arch::Aarch64);
        let mut holds = rule.args.iter().map(|arg| condition(arg, call, wide));
        if if repeated { holds.any(|it| it) } else { holds.all(|it| it) } {
            return value(rule.action, rule.errno_ret);
        }
    }
    // The tables end at file_setattr; x32 has calls of its own above, Arm private ones.
    let known = nr <= 469
        || (arch == Arch::X32 && (512..548).contains(&nr))
        || (arch == Arch::Arm && (0xf_0000..0xf_0010).contains(&nr));
    if known { default } else { newer }
}

fn condition(arg: &Arg, call: &Call, wide: bool) -> bool {
    let cut = |value: u64| if wide { value } else { value & 0xffff_ffff };
    let (actual, value, value_two) = (cut(call.args[arg.index as usize]), cut(arg.value), cut(arg.value_two));
    match arg.op {
        Op::Ne => actual != value,
        Op::Lt => actual < value,
        Op::Le => actual <= value,
        Op::Eq => actual == value,
        Op::Ge => actual >= value,
        Op::Gt => actual > value,
        Op::MaskedEq => actual & value == value_two & value,
    }
}

fn value(action: Action, errno: Option<u32>) -> u32 {
    match action {
        Action::Kill | Action::KillThread => KILL_THREAD,
        Action::KillProcess => KILL_PROCESS,
        Action::Trap => 0x0003_0000,
        Action::Errno => 0x0005_0000 | errno.unwrap_or(1),
        Action::Trace => 0x7ff0_0000 | errno.unwrap_or(1),
        Action::Allow => ALLOW,
        Action::Log => 0x7ffc_0000,
        Action::Notify => 0x7fc0_0000,
    }
}
