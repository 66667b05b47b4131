//! Profiles that are large, by mistake or on purpose, take time in proportion to their size and no more.

use std::borrow::Cow;

use rustix::time::{ClockId, clock_gettime};

use super::random::{rule, with_rules};
use crate::seccomp::{Action, Arch, Arg, CompileError, Compiled, Op, Profile, Rule, compile};

/// Compiles and requires that it took less than a second of this thread's own time, which no other work on the machine
/// lengthens. What is quadratic takes minutes with these sizes.
#[track_caller]
fn within_a_second(profile: &Profile) -> Result<Compiled, CompileError> {
    let now = || clock_gettime(ClockId::ThreadCPUTime);
    let before = now();
    let result = compile(profile, Arch::X86_64);
    let after = now();
    let took = (after.tv_sec - before.tv_sec) * 1_000 + (after.tv_nsec - before.tv_nsec) / 1_000_000;
    assert!(took < 1_000, "{took} ms");
    result
}

fn equals(value: u64) -> Arg {
    Arg { index: 0, value, value_two: 0, op: Op::Eq }
}

#[test]
fn a_hundred_thousand_names_that_no_architecture_has_are_told_once_each() {
    let rules = (0..20_000).map(|at| {
        let names = (0..5).map(|name| Cow::Owned(format!("call_{}_{name}", at / 2))).collect();
        Rule { names, ..rule(&[], Action::Errno, Vec::new()) }
    });
    let compiled = within_a_second(&with_rules(Action::Allow, rules.collect())).unwrap();
    assert_eq!(compiled.unknown.len(), 50_000);
    assert_eq!(compiled.unknown[..3], ["call_0_0", "call_0_1", "call_0_2"]);
}

#[test]
fn a_call_named_a_hundred_thousand_times_is_one_call() {
    let once = with_rules(Action::Allow, vec![rule(&["read", "write"], Action::Errno, vec![equals(1)])]);
    let often = ["read", "write"].repeat(50_000);
    let often = with_rules(Action::Allow, vec![rule(&often, Action::Errno, vec![equals(1)])]);
    assert_eq!(within_a_second(&often), compile(&once, Arch::X86_64));
}

#[test]
fn calls_that_all_have_chains_of_their_own_are_refused_in_time() {
    let names: Vec<&str> = (0..60).flat_map(|nr| super::reading::names(Arch::X86_64, nr)).collect();
    let profile = |rules: usize| {
        let one = |at: usize| {
            let named = names.iter().enumerate().filter(|(call, _)| call * (at + 1) % 11 < 6);
            rule(&named.map(|(_, name)| *name).collect::<Vec<_>>(), Action::Errno, vec![equals(at as u64)])
        };
        with_rules(Action::Allow, (0..rules).map(one).collect())
    };
    assert_eq!(within_a_second(&profile(500)), Err(CompileError::TooLong));
    assert!(matches!(within_a_second(&profile(12_000)), Err(CompileError::TooManyRules(_))));
}

#[test]
fn a_million_conditions_are_refused_before_they_are_assembled() {
    let all =
        |repeat: u64| (0..1_000_000).map(|at| Arg { index: (at % repeat) as u32, ..equals(at) }).collect();
    for repeat in [1, 6] {
        let profile = with_rules(Action::Allow, vec![rule(&["read"], Action::Errno, all(repeat))]);
        assert_eq!(within_a_second(&profile), Err(CompileError::TooLong));
    }
}

#[test]
fn the_most_rules_of_one_call_that_the_kernel_takes_compile() {
    let rules = |count: u64| {
        let one =
            |at| rule(&["read"], Action::Errno, vec![Arg { op: Op::MaskedEq, value_two: 1, ..equals(at) }]);
        with_rules(Action::Allow, (0..count).map(one).collect())
    };
    assert!(within_a_second(&rules(1_000)).is_ok());
    assert_eq!(within_a_second(&rules(60_000)), Err(CompileError::TooLong));
}
