//! Another compiler, seccompiler, as witness for the profiles that it can express: one architecture, one action beside
//! the default one.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::interpreter::{code_of, run};
use super::{ALLOW, EPERM, call, reading};
use crate::caps::CapSet;
use crate::seccomp::{Action, Arch, Arg, Op, Profile, compile, default_profile};

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

/// The program that seccompiler makes of a profile with the default EPERM and rules that allow.
fn theirs(profile: &Profile) -> Vec<(u16, u8, u8, u32)> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for rule in profile.syscalls.iter().filter(|rule| rule.action == Action::Allow) {
        for nr in rule.names.iter().filter_map(|name| reading::number(Arch::X86_64, name)) {
            let of_call = rules.entry(nr.into()).or_default();
            if !rule.args.is_empty() {
                of_call.push(SeccompRule::new(rule.args.iter().map(condition).collect()).unwrap());
            }
        }
    }
    let filter =
        SeccompFilter::new(rules, SeccompAction::Errno(1), SeccompAction::Allow, TargetArch::x86_64).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    program.iter().map(|insn| (insn.code, insn.jt, insn.jf, insn.k)).collect()
}

#[test]
fn the_default_profile_is_what_seccompiler_makes_of_it() {
    let mut profile = default_profile(CapSet::DOCKER);
    // The one rule with an errno of its own.
    profile.syscalls.retain(|rule| rule.action == Action::Allow);
    let (ours, theirs) = (code_of(&compile(&profile, Arch::X86_64).unwrap().program), theirs(&profile));
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
                let theirs = theirs(&profile);
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
