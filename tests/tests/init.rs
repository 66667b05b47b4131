//! `--init`: process 1 reaps orphans and passes signals on.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::time::{Duration, Instant};

use tinyd_tests::{in_both_modes, proc, require, wait_until};

#[test]
fn the_end_of_the_command_is_the_containers_as_it_was() {
    require!(root);
    in_both_modes(|mode| {
        let run = |script: &str| mode.run(["--rm", "--init", "host", "sh", "-c", script]);
        assert_eq!(run("echo $$ $PPID; exit 7").fails(7).text(), "2 1");
        run("kill -KILL $$").fails(137);
        run("sleep 300 & exit 3").fails(3);
        let missing = mode.run(["--rm", "--init", "host", "/none/such"]).fails(127);
        assert!(missing.stderr().contains("/none/such"), "{missing}");
    });
}

#[test]
fn a_shell_that_would_not_hear_is_stopped_at_once() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["--init", "host", "sh", "-c", "sleep 300; :"]);
        let begin = Instant::now();
        mode.env.tinyd(["stop", &container.id]).ok();
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        assert_eq!(container.inspect()["State"]["ExitCode"], 143);
        assert_eq!(container.inspect()["HostConfig"]["Init"], true);
    });
}

#[test]
fn every_signal_reaches_the_command_once() {
    require!(root);
    in_both_modes(|mode| {
        let script = "trap 'echo usr1' USR1; trap 'echo int' INT; trap 'echo bye; exit 4' TERM; echo ready; \
                      while :; do sleep 0.05; done";
        let container = mode.start(["--init", "host", "sh", "-c", script]);
        let logs = || mode.env.tinyd(["logs", &container.id]).ok().text();
        wait_until("it is ready", || logs() == "ready");
        for (signal, said) in [("USR1", "usr1"), ("INT", "int"), ("TERM", "bye")] {
            mode.env.tinyd(["kill", "-s", signal, &container.id]).ok();
            wait_until("it has heard", || logs().ends_with(said));
        }
        assert_eq!(mode.env.tinyd(["wait", &container.id]).ok().text(), "4");
        assert_eq!(logs(), "ready\nusr1\nint\nbye");
    });
}

#[test]
fn orphans_are_reaped() {
    require!(root);
    in_both_modes(|mode| {
        // Each inner shell ends before its child does.
        let script = "i=0; while [ $i -lt 20 ]; do sh -c 'sleep 0.1 &'; i=$((i + 1)); done; sleep 300";
        let container = mode.start(["--init", "host", "sh", "-c", script]);
        let zombies = || {
            let of = |pid: &i32| proc::status(*pid, "State").is_some_and(|state| state.starts_with('Z'));
            container.pids().iter().filter(|pid| of(pid)).count()
        };
        wait_until("all are there", || {
            container.pids().iter().any(|pid| proc::arguments(*pid) == ["sleep", "300"])
        });
        wait_until("none is left", || container.pids().len() == 3);
        assert_eq!(zombies(), 0);
        // The init holds nothing open, and nobody inside may look into it.
        assert_eq!(proc::descriptors(container.pid), []);
        let peek = container.exec(&[], &["cat", "/proc/1/environ"]);
        assert_ne!(peek.code(), Some(0), "{peek}");
        assert_eq!(fs::read_to_string(format!("/proc/{}/comm", container.pid)).unwrap(), "tinyd-init\n");
    });
}

#[test]
fn a_terminal_is_the_commands() {
    require!(root);
    in_both_modes(|mode| {
        let words = ["run", "--rm", "--init", "--userns", mode.userns(), "-it", "host", "sh"];
        let mut shell = mode.env.pty(words, 24, 80);
        shell.send("echo re''ady\n");
        shell.expect("ready");
        shell.send("sleep 300\n");
        std::thread::sleep(Duration::from_millis(300));
        shell.send([3]);
        shell.send("echo still $((40 + 2))\n");
        shell.expect("still 42");
        shell.send("exit 5\n");
        assert_eq!(shell.wait().0.code(), Some(5));
    });
}
