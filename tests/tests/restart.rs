//! `restart`: the command once more; all else stays.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::time::{Duration, Instant};
use tinyd_tests::{Env, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn seen(env: &Env, template: &str) -> String {
    env.tinyd(["inspect", "--format", template, "c1"]).ok().text()
}

#[test]
fn what_runs_is_stopped_and_started_and_keeps_all_that_it_had() {
    require!(root);
    let env = Env::new();
    let image = image();
    let script = "echo up >> /log; trap 'echo asked >> /log; exit 3' TERM; while :; do sleep 0.05; done";
    let options = ["run", "-d", "--name", "c1", "--memory", "64m", "-e", "A=1", &image, "sh", "-c", script];
    let id = env.tinyd(options).ok().text();
    wait_until("it is up", || env.tinyd(["exec", "c1", "cat", "/log"]).stdout() == "up\n");
    let before = seen(&env, "{{.Id}} {{.Name}} {{.HostConfig.Memory}} {{.Config.Hostname}}");
    let pid = seen(&env, "{{.State.Pid}}");
    assert_eq!(env.tinyd(["restart", "c1"]).ok().text(), id);
    assert_eq!(seen(&env, "{{.State.Status}}"), "running");
    assert_ne!(seen(&env, "{{.State.Pid}}"), pid);
    assert_eq!(seen(&env, "{{.Id}} {{.Name}} {{.HostConfig.Memory}} {{.Config.Hostname}}"), before);
    wait_until("it is up", || env.tinyd(["exec", "c1", "cat", "/log"]).stdout() == "up\nasked\nup\n");
    assert_eq!(env.tinyd(["exec", "c1", "sh", "-c", "echo $A"]).ok().text(), "1");
}

#[test]
fn what_does_not_run_is_started_and_what_does_not_stop_is_killed() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.tinyd(["create", "--name", "c1", &image, "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"])
        .ok();
    env.tinyd(["restart", "c1"]).ok();
    assert_eq!(seen(&env, "{{.State.Status}}"), "running");
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    env.tinyd(["restart", "-t", "1", "c1"]).ok();
    assert!((1..8).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    env.tinyd(["kill", "c1"]).ok();
    assert_eq!(seen(&env, "{{.State.Status}}"), "exited");
    let both = env.tinyd(["restart", "nosuch", "c1"]);
    assert_eq!((both.code(), both.stdout().lines().count()), (Some(1), 1), "{both}");
    assert_eq!(seen(&env, "{{.State.Status}}"), "running");
}

#[test]
fn one_that_removes_itself_is_left_alone() {
    require!(root);
    let env = Env::new();
    env.tinyd(["run", "-d", "--rm", "--name", "c1", &image(), "sleep", "1000"]).ok();
    let refused = env.tinyd(["restart", "-t", "0", "c1"]);
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr().contains("removes itself when it ends"), "{refused}");
    assert_eq!(seen(&env, "{{.State.Status}}"), "running");
}
