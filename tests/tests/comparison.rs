//! Nothing of the sandbox is looser than Docker's defaults, as `cargo xtask sandbox` measured them; docs/sandbox.md shows
//! both. Here is only what needs no Docker.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeSet;
use std::path::Path;

use tinyd_tests::comparison::{ACCEPTED, Accepted, Line, Verdict, compare, docker, image, of_tinyd};
use tinyd_tests::{Mode, in_both_modes, paths, require};

/// The lines of a container with these options, beside Docker's.
#[track_caller]
fn lines(mode: &Mode, image: &Path, options: &[&str]) -> Vec<Line> {
    let options = [&["--userns", mode.userns()], options].concat();
    compare(&of_tinyd(&mode.env, &options, image), &docker())
}

fn accepted() -> Accepted {
    Accepted::read(&paths::workspace().join(ACCEPTED))
}

fn shown(lines: &[&Line]) -> String {
    lines.iter().map(|line| format!("  {}\n", line.shown())).collect()
}

#[test]
fn nothing_of_a_default_container_is_looser_than_dockers_and_what_is_tighter_stays_so() {
    require!(root);
    require!(command "cc");
    in_both_modes(|mode| {
        let lines = lines(mode, &image(&mode.env), &[]);
        let count = |subject: &str| lines.iter().filter(|line| line.subject == subject).count();
        for (subject, least) in [
            ("attempts", 60),
            ("calls", 1803),
            ("capabilities", 5),
            ("descriptors", 3),
            ("devices", 20),
            ("files", 2000),
            ("limits", 32),
            ("made-devices", 30),
            ("masked", 10),
            ("mounts", 20),
            ("namespaces", 8),
            ("read-only", 5),
            ("settings", 20),
            ("x32-socket", 46),
        ] {
            assert!(count(subject) >= least, "only {} of {subject}", count(subject));
        }
        let accepted = accepted();
        let refused = accepted.refused(&lines);
        assert!(refused.is_empty(), "looser than Docker's:\n{}", shown(&refused));

        // What was hardened beyond Docker stays so.
        let tighter: BTreeSet<String> = lines
            .iter()
            .filter(|line| line.verdict == Verdict::Tighter)
            .map(|line| format!("{} {}", line.subject, line.key))
            .collect();
        for line in [
            "capabilities CapBnd",
            "groups pids.max",
            "namespaces cgroup",
            "masked /proc/interrupts",
            "files /proc/interrupts",
            "made-devices net-tun",
            "calls x86_64 io_uring_setup",
            "x86_64-socket 38",
            "i386-socket 40",
            "mounts /",
        ] {
            assert!(tighter.contains(line), "{line} is not in {tighter:#?}");
        }
        assert_eq!(tighter.contains("namespaces user"), mode.mapped);
        assert_eq!(tighter.contains("process uid_map"), mode.mapped);
    });
}

#[test]
fn a_container_that_is_given_more_is_found_to_be_looser() {
    require!(root);
    require!(command "cc");
    in_both_modes(|mode| {
        let image = image(&mode.env);
        let looser = |options: &[&str]| {
            let lines = lines(mode, &image, options);
            let refused = accepted().refused(&lines).into_iter();
            refused.map(|line| format!("{} {}", line.subject, line.key)).collect::<BTreeSet<_>>()
        };
        for (options, expected) in [
            (
                &["--privileged"][..],
                &[
                    "capabilities CapBnd",
                    "calls x86_64 mount",
                    "status Seccomp",
                    "attempts mount-tmpfs",
                    "masked /proc/keys",
                    "read-only /proc/sys",
                    "files /proc/keys",
                    "mounts /sys",
                ][..],
            ),
            (
                &[
                    "--cap-add",
                    "SYS_ADMIN",
                    "--security-opt",
                    "seccomp=unconfined",
                    "--net",
                    "host",
                    "-v",
                    "/usr:/x",
                    "-e",
                    "SECRET=1",
                    "--device",
                    "/dev/kmsg",
                ],
                &[
                    "capabilities CapEff",
                    "calls i386 bpf",
                    "attempts unshare-mount",
                    "x32-clone 0x20000",
                    "namespaces net",
                    "mounts /x",
                    "variables SECRET",
                    "devices kmsg",
                ],
            ),
        ] {
            let found = looser(options);
            for line in expected {
                assert!(found.contains(*line), "{options:?}: {line} is not in {found:#?}");
            }
        }
    });
}
