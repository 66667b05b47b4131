//! The verdict of the default seccomp filter on every system call number of every ABI, against a table that is kept.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use tinyd_tests::comparison::build;
use tinyd_tests::{Mode, in_both_modes, require, skip};

/// What the probe (`tests/probe`) prints in a container when it is asked for calls. When the default profile is changed on purpose, the lines that the failing test
/// shows go here.
const GOLDEN: &str = include_str!("seccomp_table/golden.txt");

/// 128 and the number of SIGSYS.
const KILLED: i32 = 159;

fn bind(mode: &Mode) -> String {
    format!("{}:/probe:ro", build(&mode.env.files()).display())
}

/// What the kernel itself lets an i386 call do on this machine.
fn has_i386(mode: &Mode) -> bool {
    mode.env.other([build(&mode.env.files()).to_str().unwrap(), "i386"]).output().code() == Some(0)
}

/// The lines of one that the other has not.
fn only_in(one: &str, other: &str) -> String {
    one.lines()
        .filter(|line| !other.lines().any(|kept| kept == *line))
        .map(|line| format!("{line}\n"))
        .collect()
}

#[track_caller]
fn assert_golden(found: &str, golden: &str) {
    assert!(found == golden, "new:\n{}\ngone:\n{}", only_in(found, golden), only_in(golden, found));
}

#[test]
fn the_default_filter_gives_every_call_of_every_abi_the_verdict_of_the_table() {
    require!(root);
    require!(command "cc");
    in_both_modes(|mode| {
        if !has_i386(mode) {
            skip("seccomp_table", "this kernel has no IA32 emulation");
            return;
        }
        let bind = bind(mode);
        assert_golden(&mode.run(["--rm", "-v", &bind, "host", "/probe", "calls"]).ok().stdout(), GOLDEN);
        let container = mode.start(["-v", &bind, "host", "sleep", "300"]);
        assert_golden(&container.exec(&[], &["/probe", "calls"]).ok().stdout(), GOLDEN);
    });
}

#[test]
fn without_a_filter_every_call_passes() {
    require!(root);
    require!(command "cc");
    in_both_modes(|mode| {
        let words =
            ["--rm", "--security-opt", "seccomp=unconfined", "-v", &bind(mode), "host", "/probe", "calls"];
        let found = mode.run(words).ok().stdout();
        // What a table of another kind would mean: the program cannot tell the filter's answers from the kernel's.
        let native: Vec<&str> = found.lines().filter(|line| line.starts_with("x86_64")).collect();
        let all =
            ["x86_64 0-334 allow allow", "x86_64 335-336 unasked unasked", "x86_64 337-600 allow allow"];
        assert_eq!(native, all);
        assert!(found.ends_with("x32 0-600 allow allow\n"), "{found}");
    });
}

#[test]
fn without_32_bits_every_call_of_i386_and_x32_kills_and_no_other_is_another() {
    require!(root);
    require!(command "cc");
    let killed = "i386 0-600 kill kill\nx32 0-600 kill kill\n";
    let native: String =
        GOLDEN.lines().filter(|line| line.starts_with("x86_64")).map(|line| format!("{line}\n")).collect();
    in_both_modes(|mode| {
        let bind = bind(mode);
        let run = |options: &[&str]| {
            let words = [options, &["--rm", "-v", &bind, "host", "/probe", "calls"]].concat();
            mode.run(words).ok().stdout()
        };
        let golden = format!("{native}{killed}");
        assert_golden(&run(&["--no-32bit"]), &golden);
        assert_golden(&run(&["--security-opt", "no-32bit"]), &golden);
        let unconfined = run(&["--no-32bit", "--security-opt", "seccomp=unconfined"]);
        assert!(unconfined.ends_with(killed), "{unconfined}");
        let profile = mode.env.file(
            "profile.json",
            r#"{"defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]}"#,
        );
        let own = format!("seccomp={}", profile.display());
        let allowing = run(&["--security-opt", &own]);
        assert!(allowing.ends_with("i386 0-600 allow allow\nx32 0-600 allow allow\n"), "{allowing}");
        let own = run(&["--no-32bit", "--security-opt", &own]);
        assert!(own.ends_with(killed), "{own}");
    });
}

#[test]
fn a_program_of_i386_runs_unless_it_was_said_that_none_may() {
    require!(root);
    require!(command "cc");
    in_both_modes(|mode| {
        if !has_i386(mode) {
            skip("seccomp_table", "this kernel has no IA32 emulation");
            return;
        }
        let bind = bind(mode);
        mode.run(["--rm", "-v", &bind, "host", "/probe", "i386"]).ok();
        mode.run(["--rm", "--no-32bit", "-v", &bind, "host", "/probe", "i386"]).fails(KILLED);
        let container = mode.start(["--no-32bit", "-v", &bind, "host", "sleep", "300"]);
        container.exec(&[], &["/probe", "i386"]).fails(KILLED);
        // The choice is kept with the container.
        assert_eq!(container.inspect()["HostConfig"]["SecurityOpt"], serde_json::json!(["no-32bit"]));
    });
}
