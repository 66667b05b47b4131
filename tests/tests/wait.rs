//! `wait --condition`: not only for the end of what runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::time::Duration;
use tinyd_tests::{Env, Running, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn waiting(env: &Env, condition: &str) -> Running {
    let mut waiting = env.cmd(["wait", "--condition", condition, "c1"]).spawn();
    waiting.settle();
    assert!(!waiting.has_ended(), "{condition}: {:?}", waiting.wait());
    waiting
}

fn at_once(env: &Env, condition: &str) -> String {
    env.cmd(["wait", "--condition", condition, "c1"]).limit(Duration::from_secs(10)).output().ok().text()
}

#[test]
fn each_condition_is_met_when_it_is_so_and_not_before() {
    require!(root);
    let env = Env::new();
    env.tinyd([
        "create",
        "--name",
        "c1",
        &image(),
        "sh",
        "-c",
        "until [ -e /tmp/end ]; do sleep 0.02; done; exit 4",
    ])
    .ok();
    assert_eq!(at_once(&env, "not-running"), "0", "it never ran");
    let (runs, next, gone) = (waiting(&env, "running"), waiting(&env, "next-exit"), waiting(&env, "removed"));
    env.tinyd(["start", "c1"]).ok();
    assert_eq!(runs.wait().ok().text(), "");
    assert_eq!(at_once(&env, "running"), "");
    let stopped = waiting(&env, "stopped");
    env.tinyd(["kill", "c1"]).ok();
    assert_eq!(next.wait().ok().text(), "137");
    assert_eq!(stopped.wait().ok().text(), "137");
    assert_eq!(at_once(&env, "not-running"), "137");
    // The end that was is not the next one.
    let next = waiting(&env, "next-exit");
    env.tinyd(["start", "c1"]).ok();
    tinyd_tests::kill::let_end(&env, "c1");
    assert_eq!(next.wait().ok().text(), "4");
    let mut gone = gone;
    assert!(!gone.has_ended());
    let never = waiting(&env, "running");
    env.tinyd(["rm", "c1"]).ok();
    assert_eq!(gone.wait().ok().text(), "4");
    let never = never.wait();
    assert_eq!(never.code(), Some(1), "{never}");
    assert!(never.stderr().contains("there is no container"), "{never}");
    assert_eq!(env.tinyd(["wait", "--condition", "bored", "c1"]).code(), Some(2));
}

#[test]
fn one_that_removes_itself_is_waited_for_in_each_way() {
    require!(root);
    let env = Env::new();
    let script = "until [ -e /tmp/end ]; do sleep 0.02; done; exit 6";
    env.tinyd(["run", "-d", "--rm", "--name", "c1", &image(), "sh", "-c", script]).ok();
    let all = ["removed", "next-exit", "not-running"].map(|condition| waiting(&env, condition));
    tinyd_tests::kill::let_end(&env, "c1");
    for waiting in all {
        assert_eq!(waiting.wait().ok().text(), "6");
    }
    wait_until("it is gone", || env.containers().is_empty());
}
