//! Profiles as users and other engines write them.

use super::interpreter::{code_of, run};
use super::random::{rule, with_rules};
use super::{ALLOW, ENOSYS, EPERM, KILL_PROCESS, KILL_THREAD, call, reading};
use crate::caps::CapSet;
use crate::seccomp::{Action, Arch, Arg, CompileError, FilterFlags, Op, Profile, compile, default_profile};

fn profile(json: &str) -> Profile {
    serde_json::from_str(json).unwrap()
}

#[test]
fn a_document_is_read_whole_and_written_back() {
    let text = r#"{
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_S390X"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
        "listenerPath": "/run/agent.sock", "listenerMetadata": "x",
        "syscalls": [
            {"names": ["read", "no_such_call", "write", "no_such_call"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["mknod"], "action": "SCMP_ACT_NOTIFY", "errnoRet": 1,
             "args": [{"index": 1, "value": 4, "valueTwo": 5, "op": "SCMP_CMP_MASKED_EQ"}]}
        ]
    }"#;
    let parsed = profile(text);
    assert_eq!(
        serde_json::to_value(&parsed).unwrap(),
        serde_json::from_str::<serde_json::Value>(text).unwrap()
    );
    assert_eq!(parsed.filter_flags(), FilterFlags::LOG | FilterFlags::TSYNC);
    let compiled = compile(&parsed, Arch::X86_64).unwrap();
    assert_eq!(compiled.unknown, ["no_such_call"]);
    assert!(compiled.program.needs_listener());
    let code = code_of(&compiled.program);
    assert_eq!(run(&code, &call(Arch::X86_64, 133, [0, 4, 0, 0, 0, 0])).0, 0x7fc0_0000);
    assert_eq!(run(&code, &call(Arch::X86_64, 133, [0, 3, 0, 0, 0, 0])).0, ENOSYS);
    assert_eq!(run(&code, &call(Arch::X32, 0, [0; 6])).0, KILL_PROCESS);
}

#[test]
fn null_and_absent_lists_are_empty() {
    let parsed = profile(
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": null, "flags": null, "unknownField": 1,
            "syscalls": [{"names": ["read"], "action": "SCMP_ACT_KILL", "args": null}]}"#,
    );
    assert!(parsed.architectures.is_empty() && parsed.syscalls[0].args.is_empty());
    assert!(profile(r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#).syscalls.is_empty());
    for bad in [
        r#"{}"#,
        r#"{"defaultAction": "SCMP_ACT_MAYBE"}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_VAX"]}"#,
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"]}"#,
    ] {
        assert!(serde_json::from_str::<Profile>(bad).is_err(), "{bad}");
    }
}

#[test]
fn the_default_profile_survives_json() {
    let default = default_profile(CapSet::DOCKER);
    let again: Profile = serde_json::from_str(&serde_json::to_string(&default).unwrap()).unwrap();
    assert_eq!(again, default);
    assert_eq!(compile(&again, Arch::NATIVE), compile(&default, Arch::NATIVE));
}

#[test]
fn the_first_matching_rule_decides() {
    let on = |value| vec![Arg { index: 0, value, value_two: 0, op: Op::Eq }];
    let profile = with_rules(
        Action::KillThread,
        vec![
            rule(&["read"], Action::Trap, on(1)),
            rule(&["read"], Action::Errno, on(1)),
            rule(&["read"], Action::Log, on(2)),
            rule(&["read"], Action::Allow, vec![]),
            rule(&["read"], Action::KillProcess, on(3)),
        ],
    );
    let code = code_of(&compile(&profile, Arch::X86_64).unwrap().program);
    for (first, wanted) in [(1, 0x0003_0000), (2, 0x7ffc_0000), (3, ALLOW), (4, ALLOW)] {
        assert_eq!(run(&code, &call(Arch::X86_64, 0, [first, 0, 0, 0, 0, 0])).0, wanted);
    }
    assert_eq!(run(&code, &call(Arch::X86_64, 1, [0; 6])).0, KILL_THREAD);
    assert_eq!(
        run(&code, &call(Arch::X86_64, 5000, [0; 6])).0,
        KILL_THREAD,
        "no ENOSYS unless the default is an errno"
    );
}

#[test]
fn conditions_are_joined_by_and_but_by_or_if_an_argument_repeats() {
    let arg = |index, value| Arg { index, value, value_two: 0, op: Op::Eq };
    let profile = with_rules(
        Action::Errno,
        vec![
            rule(&["read"], Action::Allow, vec![arg(0, 1), arg(2, 2)]),
            rule(&["write"], Action::Allow, vec![arg(0, 1), arg(0, 2), arg(2, 7)]),
        ],
    );
    let code = code_of(&compile(&profile, Arch::X86_64).unwrap().program);
    for (nr, first, third, wanted) in [
        (0, 1, 2, ALLOW),
        (0, 1, 3, EPERM),
        (0, 2, 2, EPERM),
        (1, 1, 0, ALLOW),
        (1, 2, 0, ALLOW),
        (1, 3, 7, ALLOW),
        (1, 3, 0, EPERM),
    ] {
        assert_eq!(
            run(&code, &call(Arch::X86_64, nr, [first, 0, third, 0, 0, 0])).0,
            wanted,
            "{nr} {first} {third}"
        );
    }
}

#[test]
fn profiles_that_make_no_filter_are_refused() {
    let on = |index| vec![Arg { index, value: 0, value_two: 0, op: Op::Eq }];
    let error = |profile: &Profile| compile(profile, Arch::X86_64).unwrap_err();
    assert_eq!(error(&with_rules(Action::Notify, vec![])), CompileError::NotifyByDefault);
    let sixth = with_rules(Action::Allow, vec![rule(&["read"], Action::Errno, on(6))]);
    assert_eq!(error(&sixth), CompileError::ArgIndex(6));
    let mut errno = with_rules(Action::Errno, vec![]);
    errno.default_errno_ret = Some(4096);
    assert_eq!(error(&errno), CompileError::Errno { action: Action::Errno, value: 4096 });
    let endless =
        with_rules(Action::Allow, (0..5000).map(|_| rule(&["read"], Action::Errno, on(0))).collect());
    assert_eq!(error(&endless), CompileError::TooLong);
    let rules =
        with_rules(Action::Allow, (0..70_000).map(|_| rule(&["read"], Action::Errno, vec![])).collect());
    assert_eq!(error(&rules), CompileError::TooManyRules(70_000));
}

#[test]
fn a_program_with_jumps_too_far_for_a_byte_is_right_all_the_same() {
    // A long chain for every third call: the tree's targets come to lie thousands of instructions apart.
    let rules = (0..60).map(|nr| {
        let args = (0..4).map(|index| Arg { index, value: u64::from(nr) << 31, value_two: 0, op: Op::Gt });
        let names = reading::names(Arch::X86_64, nr * 3);
        rule(&names, if nr % 2 == 0 { Action::Errno } else { Action::Log }, args.collect())
    });
    let profile = with_rules(Action::Trap, rules.collect());
    let code = code_of(&compile(&profile, Arch::X86_64).unwrap().program);
    assert!(code.len() > 900, "{} instructions are no test", code.len());
    for nr in 0..200 {
        for value in [0, u64::from(nr) << 31, u64::MAX] {
            let call = call(Arch::X86_64, nr, [value; 6]);
            assert_eq!(run(&code, &call).0, reading::verdict(&profile, Arch::X86_64, &call), "{call:?}");
        }
    }
}
