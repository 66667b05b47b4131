//! What the command of a container may do, and what it was given: capabilities, system calls, descriptors, keys.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use tinyd_tests::proc;
use tinyd_tests::{Env, Mode, in_both_modes, paths, require};

/// CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP: the 11 of
/// SECURITY.md §1.1, as capabilities(7) numbers them.
const ELEVEN: u64 = 0x8004_05fb;

const EPERM: &str = "1";
const ENOSYS: &str = "38";

#[track_caller]
fn assert_rights(pid: i32, held: u64) {
    for (field, wanted) in
        [("CapInh", 0), ("CapPrm", held), ("CapEff", held), ("CapBnd", ELEVEN), ("CapAmb", 0)]
    {
        let found = u64::from_str_radix(&proc::status(pid, field).unwrap(), 16).unwrap();
        assert_eq!(found, wanted, "{field} of {:?} is {found:#x}", proc::arguments(pid));
    }
}

#[test]
fn root_holds_eleven_capabilities_and_others_none() {
    require!(root);
    in_both_modes(|mode| {
        let root = mode.start(["host", "sleep", "300"]);
        assert_rights(root.pid, ELEVEN);
        root.exec(&["-d"], &["sleep", "301"]).ok();
        assert_rights(root.process(&["sleep", "301"]), ELEVEN);
        root.exec(&["-d", "-u", "1000:1000"], &["sleep", "302"]).ok();
        assert_rights(root.process(&["sleep", "302"]), 0);

        let user = mode.start(["-u", "1000:1000", "host", "sleep", "300"]);
        assert_rights(user.pid, 0);
        user.exec(&["-d"], &["sleep", "301"]).ok();
        assert_rights(user.process(&["sleep", "301"]), 0);
        user.exec(&["-d", "-u", "0"], &["sleep", "302"]).ok();
        assert_rights(user.process(&["sleep", "302"]), ELEVEN);
    });
}

/// Builds the probe; Rust itself cannot link without a C compiler.
fn probe(env: &Env) -> PathBuf {
    let source = paths::workspace().join("tests/tests/sandbox/probe.c");
    let program = env.files().join("probe");
    let words =
        ["cc", "-O1", "-static", "-no-pie", "-o", program.to_str().unwrap(), source.to_str().unwrap()];
    env.other(words).output().ok();
    program
}

/// What the probe says: the errno of each call.
fn answers(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().map(|line| line.rsplit_once(' ').expect("a line of the probe has two parts"));
    pairs.map(|(call, errno)| (call.to_owned(), errno.to_owned())).collect()
}

#[track_caller]
fn assert_filtered(free: &BTreeMap<String, String>, bound: &BTreeMap<String, String>) {
    assert_eq!(free.len(), bound.len());
    for (call, errno) in bound {
        // A kernel without the other ABIs kills there, or knows no such call.
        let absent = !call.starts_with("native ") && [ENOSYS, "signal"].contains(&free[call].as_str());
        let wanted = if call.ends_with(" clone3") { ENOSYS } else { EPERM };
        if absent {
            assert_ne!(errno, "0", "{call}");
        } else {
            assert_ne!(free[call], wanted, "the probe proves nothing about {call}");
            assert_eq!(errno, wanted, "{call}");
        }
    }
}

#[test]
fn system_calls_that_open_the_kernel_are_refused_in_every_abi() {
    require!(root);
    require!(command "cc");
    in_both_modes(|mode| {
        let program = probe(&mode.env);
        let free = answers(&mode.env.other([&program]).output().ok().stdout());
        let bind = format!("{}:/probe:ro", program.display());
        let container = mode.start(["-v", &bind, "host", "sleep", "300"]);
        for user in ["0", "1000"] {
            let ran = mode.run(["-v", &bind, "-u", user, "host", "/probe"]).ok();
            assert_filtered(&free, &answers(&ran.stdout()));
            let executed = container.exec(&["-u", user], &["/probe"]).ok();
            assert_filtered(&free, &answers(&executed.stdout()));
        }
        container.exec(&["-d"], &["sleep", "301"]).ok();
        for pid in [container.pid, container.process(&["sleep", "301"])] {
            // SECCOMP_MODE_FILTER of seccomp(2).
            assert_eq!(proc::status(pid, "Seccomp").as_deref(), Some("2"));
        }
    });
}

/// The descriptors of the first process and of one that is executed: exactly the three that it was given.
#[track_caller]
fn assert_only_three(pid: i32) {
    let found = proc::descriptors_once(pid, &[0, 1, 2]);
    let numbers: Vec<i32> = found.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, [0, 1, 2], "descriptors: {found:?}");
}

#[test]
fn a_command_is_given_three_descriptors_and_no_more() {
    require!(root);
    in_both_modes(|mode| {
        // The caller's own must not come through either.
        let leaky = ["bash", "-c", r#"exec 7</etc/hostname 20<>/dev/null; exec "$@""#, "bash"];
        let words = ["run", "-d", "--userns", mode.userns(), "host", "sleep", "300"];
        let id = mode.env.cmd(words).under(leaky).output().ok().text();
        let inspected = mode.env.tinyd(["inspect", &id]).ok().json();
        let pid = i32::try_from(inspected[0]["State"]["Pid"].as_i64().unwrap()).unwrap();
        assert_only_three(pid);
        let mut running = mode
            .env
            .cmd(["exec", &id, "sh", "-c", "echo ready; exec sleep 301"])
            .under(leaky)
            .piped()
            .spawn();
        running.expect("ready");
        let group = proc::cgroups::of_container(&id, "pids").unwrap();
        let others = || proc::cgroups::members(&group).into_iter().filter(|other| *other != pid);
        tinyd_tests::wait_until("the executed command has become sleep", || {
            others().any(|other| proc::arguments(other) == ["sleep", "301"])
        });
        others().for_each(|other| assert_only_three(other));
        assert_only_three(pid);
    });
}

#[test]
fn a_command_on_a_terminal_is_given_the_terminal_and_no_more() {
    require!(root);
    in_both_modes(|mode| {
        // Nothing but a built-in after the marker: a child or a pipe of the shell's would be seen as well.
        let script = "stty size; read line";
        let words =
            ["run", "-it", "--rm", "--name", "t", "--userns", mode.userns(), "host", "sh", "-c", script];
        let mut pty = mode.env.pty(words, 31, 87);
        pty.expect("31 87");
        let inspected = mode.env.tinyd(["inspect", "t"]).ok().json();
        let pid = i32::try_from(inspected[0]["State"]["Pid"].as_i64().unwrap()).unwrap();
        let found = proc::descriptors(pid);
        assert_only_three(pid);
        for (_, target) in &found {
            assert!(target.starts_with("/dev/pts") || target.starts_with("/dev/console"), "{found:?}");
        }
        pty.send("\n");
        pty.wait();
    });
}

#[test]
fn a_command_starts_with_no_signal_blocked_or_ignored_and_a_session_of_its_own() {
    require!(root);
    in_both_modes(|mode| {
        // What nohup(1) and a careless parent leave behind.
        let parent = ["env", "--ignore-signal=HUP", "--ignore-signal=PIPE", "--block-signal=USR1"];
        let words = ["run", "-d", "--userns", mode.userns(), "host", "sleep", "300"];
        let id = mode.env.cmd(words).under(parent).output().ok().text();
        mode.env.cmd(["exec", "-d", &id, "sleep", "301"]).under(parent).output().ok();
        let group = proc::cgroups::of_container(&id, "pids").unwrap();
        let find = |words: [&str; 2]| {
            let found = tinyd_tests::eventually(std::time::Duration::from_secs(10), || {
                proc::cgroups::members(&group).into_iter().find(|pid| proc::arguments(*pid) == words)
            });
            found.expect("the process is there")
        };
        for pid in [find(["sleep", "300"]), find(["sleep", "301"])] {
            for field in ["SigBlk", "SigIgn"] {
                assert_eq!(
                    proc::status(pid, field).unwrap(),
                    "0000000000000000",
                    "{field} of {:?}",
                    proc::arguments(pid)
                );
            }
            assert_eq!(proc::status(pid, "Umask").as_deref(), Some("0022"));
            assert_eq!(session(pid), pid, "a session of its own");
        }
    });
}

/// The session of a process: field 6 of proc_pid_stat(5).
fn session(pid: i32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = text.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().nth(3).unwrap().parse().unwrap()
}

#[test]
fn nothing_of_the_callers_environment_comes_through() {
    require!(root);
    in_both_modes(|mode| {
        let words = ["run", "-d", "--userns", mode.userns(), "-e", "GIVEN=1", "host", "sleep", "300"];
        let id = mode.env.cmd(words).env("SECRET_OF_THE_HOST", "hunter2").output().ok().text();
        let exec = ["exec", "-e", "ALSO=2", &id, "env"];
        let executed = mode.env.cmd(exec).env("SECRET_OF_THE_HOST", "hunter2").output().ok().stdout();
        let pid = mode.env.tinyd(["inspect", &id]).ok().json()[0]["State"]["Pid"].as_i64().unwrap();
        let first = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let first = String::from_utf8(first).unwrap().replace('\0', "\n");
        for (text, more) in [(&first, vec!["GIVEN"]), (&executed, vec!["ALSO", "GIVEN"])] {
            let mut names: Vec<&str> =
                text.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
            names.sort_unstable();
            let mut wanted = [vec!["HOME", "HOSTNAME", "PATH"], more].concat();
            wanted.sort_unstable();
            assert_eq!(names, wanted, "{text}");
            assert!(!text.contains("hunter2"));
        }
    });
}

/// The keyrings named for sessions that a user of this id may see, as `/proc/keys` gives them.
fn session_keyrings(mode: &Mode, uid: &str) -> String {
    let words = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "cat", "/proc/keys"];
    let text = mode.env.other(words).output().ok().stdout();
    text.lines().filter(|line| line.contains("_ses.")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_container_has_a_session_keyring_of_its_own() {
    require!(root);
    require!(command "setpriv");
    in_both_modes(|mode| {
        let containers = [mode.start(["host", "sleep", "300"]), mode.start(["host", "sleep", "300"])];
        for container in &containers {
            let uid = proc::status(container.pid, "Uid").unwrap();
            let uid = uid.split_whitespace().next().unwrap();
            let keyrings = session_keyrings(mode, uid);
            let found = keyrings.lines().filter(|line| line.contains(&container.id)).count();
            assert_eq!(found, 1, "{keyrings}");
            assert_eq!(container.exec(&[], &["cat", "/proc/keys"]).ok().stdout(), "");
        }
    });
}
