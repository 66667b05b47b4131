//! Another compiler, seccompiler, as witness for the profiles that it can express: one architecture, one action beside
//! the default one, no two conditions of a rule on the same argument (which it takes for "and", runc for "or").

use std::collections::{BTreeMap, BTreeSet};

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::interpreter::{code_of, run};
use super::random::{ACTIONS, OPS, Random, rule, with_rules};
use super::{ALLOW, EPERM, call, reading};
use crate::caps::CapSet;
use crate::seccomp::{Action, Arch, Arg, Op, Profile, Rule, compile, default_profile};

fn condition(arg: &Arg) -> SeccompCondition {
    let (op, value) = match arg.op {
        Op::Ne => (SeccompCmpOp::Ne, arg.value),
        Op::Lt => (SeccompCmpOp::Lt, arg.value),
        Op::Le => (SeccompCmpOp::Le, arg.value),
        Op::Eq => (SeccompCmpOp::Eq, arg.value),
        Op::Ge => (SeccompCmpOp::Ge, arg.value),
        Op::Gt => (SeccompCmpOp::Gt, arg.value),
        Op::MaskedEq => (SeccompCmpOp::MaskedEq(arg.value), arg.value_two),
    };
    SeccompCondition::new(arg.index as u8, SeccompCmpArgLen::Qword, op, value).unwrap()
}

/// The program that seccompiler makes of a profile all of whose rules have the same action.
fn theirs(profile: &Profile, arch: Arch) -> Vec<(u16, u8, u8, u32)> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    // Where a rule has no conditions, no other of that call counts.
    let mut unconditional = BTreeSet::new();
    for rule in &profile.syscalls {
        for nr in rule.names.iter().filter_map(|name| reading::number(arch, name)).map(i64::from) {
            let of_call = rules.entry(nr).or_default();
            if rule.args.is_empty() {
                unconditional.insert(nr);
            }
            if unconditional.contains(&nr) {
                of_call.clear();
            } else {
                of_call.push(SeccompRule::new(rule.args.iter().map(condition).collect()).unwrap());
            }
        }
    }
    let matched =
        profile.syscalls.first().map_or((Action::Allow, None), |rule| (rule.action, rule.errno_ret));
    let target = if arch == Arch::Aarch64 { TargetArch::aarch64 } else { TargetArch::x86_64 };
    let default = action(profile.default_action, profile.default_errno_ret);
    let filter = SeccompFilter::new(rules, default, action(matched.0, matched.1), target).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    program.iter().map(|insn| (insn.code, insn.jt, insn.jf, insn.k)).collect()
}

fn action(action: Action, errno: Option<u32>) -> SeccompAction {
    match action {
        Action::Kill | Action::KillThread => SeccompAction::KillThread,
        Action::KillProcess => SeccompAction::KillProcess,
        Action::Trap => SeccompAction::Trap,
        Action::Errno => SeccompAction::Errno(errno.unwrap_or(1)),
        Action::Trace => SeccompAction::Trace(errno.unwrap_or(1)),
        Action::Allow => SeccompAction::Allow,
        Action::Log => SeccompAction::Log,
        Action::Notify => panic!("seccompiler has no such action"),
    }
}

#[test]
fn the_default_profile_is_what_seccompiler_makes_of_it() {
    let mut profile = default_profile(CapSet::DOCKER);
    // The one rule with an errno of its own.
    profile.syscalls.retain(|rule| rule.action == Action::Allow);
    let (ours, theirs) =
        (code_of(&compile(&profile, Arch::X86_64).unwrap().program), theirs(&profile, Arch::X86_64));
    for nr in 0..470 {
        for first in
            [0, 8, 37, 38, 39, 40, 41, 63, 64, 0x2_0000, 0x7e02_0000, 0x0200_0000, 0xffff_ffff, 0x1_0000_0026]
        {
            let call = call(Arch::X86_64, nr, [first, 1, 2, 3, 4, 5]);
            assert_eq!(run(&ours, &call).0, run(&theirs, &call).0, "{call:x?}");
        }
    }
    assert!(
        ours.len() * 4 < theirs.len() * 3,
        "{} instructions for three architectures, {}",
        ours.len(),
        theirs.len()
    );
}

#[test]
fn every_comparison_is_what_seccompiler_makes_of_it() {
    let values =
        [0, 1, 5, 0x7fff_ffff, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0005, 0xffff_ffff_0000_0000, u64::MAX];
    let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}, {"index": 5, "value": 5, "op": "SCMP_CMP_GE"}]}]}"#;
    let mut profile: Profile = serde_json::from_str(json).unwrap();
    let mut seen = [false; 2];
    for op in [Op::Ne, Op::Lt, Op::Le, Op::Eq, Op::Ge, Op::Gt, Op::MaskedEq] {
        for value in values {
            for value_two in if op == Op::MaskedEq { &values[..] } else { &values[..1] } {
                profile.syscalls[0].args[0] = Arg { index: 0, value, value_two: value_two & value, op };
                let ours = code_of(&compile(&profile, Arch::X86_64).unwrap().program);
                let theirs = theirs(&profile, Arch::X86_64);
                for (first, sixth) in values.into_iter().flat_map(|first| [(first, 4), (first, 5)]) {
                    let call = call(Arch::X86_64, 0, [first, 0, 0, 0, 0, sixth]);
                    let verdict = run(&ours, &call).0;
                    assert_eq!(verdict, run(&theirs, &call).0, "{op:?} {value:x} {value_two:x} {call:x?}");
                    seen[usize::from(verdict == ALLOW)] = true;
                    assert!(verdict == ALLOW || verdict == EPERM);
                }
            }
        }
    }
    assert_eq!(seen, [true; 2]);
}

/// A profile of at most one action beside the default one, whose rules name different arguments.
fn random_profile(random: &mut Random, arch: Arch) -> Profile {
    let [default, matched] = loop {
        // The last one is Notify.
        let pair = [random.one_of(&ACTIONS[1..8]), random.one_of(&ACTIONS[1..8])];
        if pair[0] != pair[1] {
            break pair;
        }
    };
    let errno = Some(1 + random.below(100) as u32);
    let mut syscalls = Vec::new();
    for _ in 0..1 + random.below(25) {
        let mut args: Vec<Arg> = Vec::new();
        for _ in 0..random.below(5) {
            let (value, op, index) = (random.value(), random.one_of(&OPS), random.below(6) as u32);
            if args.iter().all(|arg| arg.index != index) {
                args.push(Arg { index, value, value_two: random.value() & value, op });
            }
        }
        let names = random.names(arch);
        syscalls.push(Rule { errno_ret: errno, ..rule(&names, matched, args) });
    }
    let default_errno_ret = Some(random.below(100) as u32);
    Profile { default_errno_ret, ..with_rules(default, syscalls) }
}

#[test]
fn random_profiles_are_what_seccompiler_makes_of_them() {
    let mut random = Random::new(0x5ecc_0399_17e5_0ac1);
    let mut matched = 0;
    for round in 0..200 {
        let arch = random.one_of(&[Arch::X86_64, Arch::X86_64, Arch::Aarch64]);
        let profile = random_profile(&mut random, arch);
        let ours = code_of(&compile(&profile, arch).unwrap().program);
        let theirs = theirs(&profile, arch);
        let named: Vec<&str> =
            profile.syscalls.iter().flat_map(|rule| rule.names.iter().map(AsRef::as_ref)).collect();
        // Values that the rules speak of, and their neighbours.
        let mut values: Vec<u64> =
            profile.syscalls.iter().flat_map(|rule| &rule.args).map(|arg| arg.value).collect();
        values.push(0);
        for _ in 0..150 {
            let known = if named.is_empty() { None } else { reading::number(arch, random.one_of(&named)) };
            // A call newer than the table answers ENOSYS with us: no other compiler does that.
            let nr = known.filter(|_| random.below(5) > 0).unwrap_or_else(|| random.below(470) as u32);
            let args = std::array::from_fn(|_| match random.below(3) {
                0 => random.value(),
                _ => random.one_of(&values).wrapping_add(random.below(3)).wrapping_sub(1),
            });
            let call = call(arch, nr, args);
            let verdict = run(&ours, &call).0;
            assert_eq!(verdict, run(&theirs, &call).0, "round {round}, {arch:?}, {call:x?}: {profile:?}");
            matched += u32::from(
                verdict != reading::verdict(&with_rules(profile.default_action, vec![]), arch, &call),
            );
        }
    }
    assert!(matched > 3_000, "{matched} of 30,000 calls met a rule");
}
