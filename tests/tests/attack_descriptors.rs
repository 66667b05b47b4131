//! A working folder that is a descriptor of the runtime's, and descriptors that come through (A2, CVE-2024-21626).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tinyd_tests::attack::counts;
use tinyd_tests::{Output, in_both_modes, proc, require};

const ATTACK: &str = env!("CARGO_BIN_EXE_attack");

/// The numbers that SECURITY.md §2 names.
const NUMBERS: std::ops::RangeInclusive<i32> = 3..=64;

/// Either it was refused, or the folder is one of the container's.
#[track_caller]
fn assert_refused_or_inside(output: &Output, folder: &str) {
    let said = output.stdout();
    if output.code() == Some(0) {
        assert!(said.contains("inside=true") && said.contains("cwd=/"), "{folder}: {output}");
        assert!(!said.contains("unreachable"), "{folder}: {output}");
    } else {
        assert!(said.is_empty(), "{folder}: {output}");
        assert!(matches!(output.code(), Some(125..=127)), "{folder}: {output}");
    }
}

#[test]
fn a2_no_descriptor_of_the_runtimes_is_a_working_folder() {
    require!(root);
    in_both_modes(|mode| {
        let links = mode.env.files().join("links");
        fs::create_dir(&links).unwrap();
        for number in NUMBERS {
            symlink(format!("/proc/self/fd/{number}"), links.join(number.to_string())).unwrap();
        }
        let binds = [format!("{ATTACK}:/attack:ro"), format!("{}:/links", links.display())];
        let container = mode.start(["-v", &binds[0], "-v", &binds[1], "host", "sleep", "300"]);
        let ways: [fn(i32) -> String; 4] = [
            |number| format!("/proc/self/fd/{number}"),
            |number| format!("/links/{number}"),
            |number| format!("/proc/thread-self/fd/{number}/.."),
            |number| format!("/proc/self/fd/{number}"),
        ];
        let way = |number: i32| ways[usize::try_from(number).unwrap() % ways.len()](number);
        // Two at a time, for each start waits more than it works.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for folder in NUMBERS.map(way) {
                    let words =
                        ["-v", &binds[0], "-v", &binds[1], "-w", &folder, "host", "/attack", "folder"];
                    assert_refused_or_inside(&mode.run(words), &folder);
                }
            });
            for folder in NUMBERS.map(way) {
                let output = container.exec(&["-w", &folder], &["/attack", "folder"]);
                assert_refused_or_inside(&output, &folder);
            }
        });
        // One of its own is a folder like others, and so the attack above can be told from a mistake.
        let output = container.exec(&["-w", "/usr/bin"], &["/attack", "folder"]).ok();
        assert!(output.stdout().contains("inside=true\ncwd=/usr/bin"), "{output}");
    });
}

/// What a process may have open: its three streams, and nothing of the host's.
#[track_caller]
fn assert_nothing_of_the_hosts(pid: i32) {
    let found = proc::descriptors_once(pid, &[0, 1, 2]);
    let numbers: Vec<i32> = found.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 2], "{found:?}");
    for (_, target) in &found {
        let text = target.to_string_lossy();
        let is_stream =
            target == Path::new("/dev/null") || text.ends_with("/stdout") || text.ends_with("/stderr");
        assert!(is_stream || text.starts_with("pipe:"), "{found:?}");
    }
}

#[test]
fn a2_the_descriptors_of_every_process_are_those_it_was_given() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "300"]);
        assert_nothing_of_the_hosts(container.pid);
        container.exec(&["-d"], &["sleep", "301"]).ok();
        assert_nothing_of_the_hosts(container.process(&["sleep", "301"]));
        assert_nothing_of_the_hosts(container.pid);
        // As the container sees it, too.
        let listed = container.exec(&[], &["sh", "-c", "echo open=$(ls /proc/1/fd | wc -l)"]).ok();
        assert_eq!(counts(&listed.stdout())["open"], 3, "{listed}");
    });
}
