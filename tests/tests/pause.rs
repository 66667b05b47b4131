//! `pause` and `unpause`: the whole container stands still, and every verb knows it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::time::Duration;

use tinyd_tests::{Container, in_both_modes, require, wait_until};

const BUSY: [&str; 4] = ["host", "sh", "-c", "while :; do :; done"];

/// Ticks of processor time that its first process has used: fields 14 and 15 of proc_pid_stat(5).
fn ticks(container: &Container<'_>) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", container.pid)).unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_ascii_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

fn state(container: &Container<'_>) -> (String, bool, bool) {
    let state = container.inspect()["State"].take();
    let flag = |name: &str| state[name].as_bool().unwrap();
    (state["Status"].as_str().unwrap().to_owned(), flag("Running"), flag("Paused"))
}

#[test]
fn a_paused_container_takes_no_step_and_goes_on_where_it_stood() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(BUSY);
        wait_until("it works", || ticks(&container) > 0);
        let said = mode.env.tinyd(["pause", &container.id]).ok();
        assert_eq!(said.text(), container.id);
        let before = ticks(&container);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(ticks(&container), before, "it went on");
        assert_eq!(state(&container), ("paused".to_owned(), true, true));
        let listed = mode.env.tinyd(["ps", "--format", "{{.Status}}"]).ok().text();
        assert_eq!(listed, "PAUSED");
        assert_eq!(
            mode.env.tinyd(["ps", "-q", "--filter", "status=paused"]).ok().stdout().lines().count(),
            1
        );
        mode.env.tinyd(["unpause", &container.id]).ok();
        assert_eq!(state(&container), ("running".to_owned(), true, false));
        wait_until("it works on", || ticks(&container) > before);
    });
}

#[test]
fn what_cannot_be_done_to_a_paused_container_is_refused_and_changes_nothing() {
    require!(root);
    in_both_modes(|mode| {
        let container = mode.start(["host", "sleep", "300"]);
        let refused = |words: &[&str], code, text: &str| {
            let output = mode.env.tinyd(words.iter().copied()).fails(code);
            assert!(output.stderr().contains(text) && output.stderr().lines().count() == 1, "{output}");
        };
        let id = container.id.as_str();
        refused(&["unpause", id], 1, "is not paused");
        mode.env.tinyd(["pause", id]).ok();
        refused(&["pause", id], 1, "is paused already");
        refused(&["exec", id, "true"], 125, "is paused");
        refused(&["rm", id], 1, "runs");
        refused(&["start", id], 125, "runs already");
        assert_eq!(state(&container).0, "paused");
        mode.env.tinyd(["unpause", id]).ok();
        container.exec(&[], &["true"]).ok();
        mode.env.tinyd(["stop", "-t", "1", id]).ok();
        refused(&["pause", id], 1, "does not run");
        refused(&["unpause", id], 1, "does not run");
    });
}

#[test]
fn a_paused_container_can_be_stopped_killed_and_removed() {
    require!(root);
    in_both_modes(|mode| {
        let trap = "trap 'exit 7' TERM; while :; do sleep 0.1; done";
        let codes =
            [(&["stop", "-t", "20"][..], "7"), (&["kill"][..], "137"), (&["kill", "-s", "KILL"][..], "137")];
        for (verb, code) in codes {
            let container = mode.start(["host", "sh", "-c", trap]);
            // Its trap is set once it sleeps.
            container.process(&["sleep", "0.1"]);
            mode.env.tinyd(["pause", &container.id]).ok();
            mode.env.tinyd(verb.iter().copied().chain([container.id.as_str()])).ok();
            assert_eq!(mode.env.tinyd(["wait", &container.id]).ok().text(), code, "{verb:?}");
        }
        let container = mode.start(["host", "sleep", "300"]);
        mode.env.tinyd(["pause", &container.id]).ok();
        mode.env.tinyd(["rm", "-f", &container.id]).ok();
        assert!(!mode.env.containers().contains(&container.id));
    });
}
