//! Every profile that is valid compiles, every other is refused for what is wrong with it, and every call, of whatever
//! architecture and number, gets the verdict that a plain reading of the profile gives.

use super::interpreter::{code_of, run};
use super::random::{ACTIONS, OPS, Random, rule, with_rules};
use super::{ALL_ARCHES, Call, call, reading};
use crate::seccomp::{Action, Arch, Arg, CompileError, Profile, Rule, compile};

const NATIVES: [Arch; 6] = [Arch::X86_64, Arch::X86_64, Arch::Aarch64, Arch::X86, Arch::Arm, Arch::X32];

/// A profile in which now and then something is out of range.
fn random_profile(random: &mut Random, native: Arch) -> Profile {
    let mut syscalls = Vec::new();
    for _ in 0..random.below(30) {
        let mut names = random.names(native);
        if random.below(8) == 0 {
            names.push("no_such_call");
        }
        let args = (0..random.below(4)).map(|_| Arg {
            index: if random.below(400) == 0 { 6 + random.below(9) as u32 } else { random.below(6) as u32 },
            value: random.value(),
            value_two: random.value(),
            op: random.one_of(&OPS),
        });
        let args = args.collect();
        let action = random.one_of(&ACTIONS);
        syscalls.push(Rule { errno_ret: random_errno(random), ..rule(&names, action, args) });
    }
    let mut profile = with_rules(random.one_of(&ACTIONS), syscalls);
    profile.default_errno_ret = random_errno(random);
    profile.architectures =
        native.family().iter().filter(|_| random.below(3) > 0).map(|arch| arch.architecture()).collect();
    profile
}

fn random_errno(random: &mut Random) -> Option<u32> {
    match random.below(60) {
        0 => Some(4095 + random.below(2) as u32),
        1 => Some(0xffff + random.below(2) as u32),
        number @ 2..30 => Some(number as u32),
        _ => None,
    }
}

/// What is wrong with it, read from its beginning to its end.
fn defect(profile: &Profile) -> Option<CompileError> {
    if profile.default_action == Action::Notify {
        return Some(CompileError::NotifyByDefault);
    }
    let errno = |action, value: Option<u32>| {
        let most = match action {
            Action::Errno => 4095,
            Action::Trace => 65_535,
            _ => u32::MAX,
        };
        value.filter(|value| *value > most).map(|value| CompileError::Errno { action, value })
    };
    let of_rule = |rule: &Rule| {
        let index = rule.args.iter().map(|arg| arg.index).find(|index| *index > 5);
        errno(rule.action, rule.errno_ret).or(index.map(CompileError::ArgIndex))
    };
    errno(profile.default_action, profile.default_errno_ret)
        .or_else(|| profile.syscalls.iter().find_map(of_rule))
}

/// A call of any kind; mostly one that the profile speaks of.
fn random_call(random: &mut Random, named: &[&str]) -> Call {
    let arch = random.one_of(&ALL_ARCHES);
    let args = std::array::from_fn(|_| random.value());
    let known = match random.below(4) {
        0 => None,
        _ if named.is_empty() => None,
        _ => reading::number(arch, random.one_of(named)),
    };
    let nr = known.unwrap_or_else(|| random.below(600) as u32);
    let mut call = call(arch, nr, args);
    match random.below(16) {
        0 => call.audit = random.next() as u32,
        1 => call.nr = random.next() as u32,
        2 => call.nr = random.one_of(&[0x3fff_ffff, 0x4000_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX]),
        _ => {}
    }
    call
}

#[test]
fn random_profiles_compile_to_what_they_say_or_are_refused_for_what_is_wrong() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let mut refused = 0;
    for round in 0..300 {
        let native = random.one_of(&NATIVES);
        let profile = random_profile(&mut random, native);
        let compiled = match (compile(&profile, native), defect(&profile)) {
            (Ok(compiled), None) => compiled,
            (Err(error), Some(defect)) => {
                assert_eq!(error, defect, "round {round}: {profile:?}");
                refused += 1;
                continue;
            }
            (compiled, defect) => panic!("round {round}: {compiled:?}, but {defect:?}: {profile:?}"),
        };
        let code = code_of(&compiled.program);
        let named: Vec<&str> =
            profile.syscalls.iter().flat_map(|rule| rule.names.iter().map(AsRef::as_ref)).collect();
        assert_eq!(compiled.unknown.is_empty(), !named.contains(&"no_such_call"), "round {round}");
        for _ in 0..150 {
            let call = random_call(&mut random, &named);
            let wanted = reading::verdict(&profile, native, &call);
            assert_eq!(run(&code, &call).0, wanted, "round {round}, {native:?}, {call:x?}: {profile:?}");
        }
    }
    assert!((30..270).contains(&refused), "{refused} refused of 300 are no test of the one or the other");
}

#[test]
fn every_number_of_every_architecture_has_the_verdict_that_the_profile_gives_it() {
    let mut random = Random::new(0x0bad_cafe_dead_beef);
    let mut rounds = 0;
    while rounds < 12 {
        let native = random.one_of(&NATIVES);
        let profile = random_profile(&mut random, native);
        let Ok(compiled) = compile(&profile, native) else { continue };
        rounds += 1;
        let code = code_of(&compiled.program);
        for arch in ALL_ARCHES {
            for nr in (0..600).chain(0xe_fff0..0xf_0020) {
                let call = call(arch, nr, std::array::from_fn(|_| random.value()));
                let wanted = reading::verdict(&profile, native, &call);
                assert_eq!(run(&code, &call).0, wanted, "{native:?}, {call:x?}: {profile:?}");
            }
        }
    }
}
