//! `--after`: a container is started when those are there that it needs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::time::Duration;

use tinyd_tests::{Env, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Ends at once when it is asked to.
const STAY: &str = "trap 'exit 0' TERM; while :; do sleep 0.01; done";

/// A container called `db` that runs, and is healthy as soon as it has a file `/tmp/ok`; it is found unhealthy without one
/// after a minute.
fn database(env: &Env, options: &[&str], script: &str) {
    let image = image();
    let words = ["run", "-d", "--name", "db", "--health-cmd", "test -e /tmp/ok", "--health-interval", "50ms"];
    let words = words.into_iter().chain(["--health-retries", "1200"]).chain(options.iter().copied());
    env.tinyd(words.chain([&*image, "sh", "-c", script])).ok();
}

fn status(env: &Env, name: &str) -> String {
    env.tinyd(["inspect", "--format", "{{.State.Status}}", name]).ok().text()
}

#[test]
fn a_start_waits_until_the_other_one_is_healthy_and_makes_nothing_before() {
    require!(root);
    let env = Env::new();
    database(&env, &[], STAY);
    let image = image();
    let waiting = env.cmd(["run", "-d", "--name", "web", "--after", "db", &image, "sleep", "1000"]).spawn();
    let at_once =
        env.tinyd(["run", "-d", "--name", "fast", "--after", "db:started", &image, "sleep", "1000"]);
    at_once.ok();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(env.containers().len(), 2, "nothing is made before its time");
    env.tinyd(["exec", "db", "touch", "/tmp/ok"]).ok();
    waiting.wait().ok();
    assert_eq!(status(&env, "web"), "running");
    assert_eq!(env.tinyd(["inspect", "--format", "{{.HostConfig.After}}", "web"]).ok().text(), "[db]");
    // The same each time that somebody starts it.
    env.tinyd(["stop", "-t", "0", "web"]).ok();
    env.tinyd(["exec", "db", "rm", "/tmp/ok"]).ok();
    env.tinyd(["restart", "db"]).ok();
    let waiting = env.cmd(["start", "web"]).spawn();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(status(&env, "web"), "exited");
    // It holds up nobody else, not even who works on the same one.
    env.tinyd(["rename", "web", "site"]).ok();
    env.tinyd(["exec", "db", "touch", "/tmp/ok"]).ok();
    waiting.wait().ok();
    assert_eq!(status(&env, "site"), "running");
}

#[test]
fn who_is_interrupted_while_it_waits_leaves_nothing() {
    require!(root);
    let env = Env::new();
    database(&env, &[], STAY);
    let waiting = env.cmd(["run", "--name", "web", "--after", "db:healthy", &image(), "true"]).spawn();
    std::thread::sleep(Duration::from_millis(200));
    waiting.signal(rustix::process::Signal::INT);
    waiting.wait();
    assert_eq!(env.tinyd(["ps", "-a", "--format", "{{.Names}}"]).ok().text(), "db");
    env.tinyd(["rm", "-f", "db"]).ok();
    env.assert_clean();
}

#[test]
fn what_will_not_come_is_said_at_once() {
    require!(root);
    let env = Env::new();
    let image = image();
    let run = |after: &str| env.tinyd(["run", "--rm", "--after", after, &image, "echo", "here"]);
    let refused = |after: &str, said: &str| {
        let output = run(after);
        assert_eq!(output.code(), Some(125), "{output}");
        assert!(output.stderr().contains(said) && output.stderr().lines().count() == 1, "{output}");
    };
    refused("nobody", "nobody");
    refused("db:soon", "there are started, healthy and done");
    env.tinyd(["create", "--name", "db", &image, "sh", "-c", "exit 3"]).ok();
    refused("db", "does not run (start that one first, with tinyd start)");
    refused("db:done", "does not run");
    env.tinyd(["start", "-a", "db"]).fails(3);
    refused("db:done", "ended with 3");
    env.tinyd(["run", "--name", "job", &image, "true"]).ok();
    assert_eq!(run("job:done").ok().text(), "here");
    refused("job", "does not run");
    env.tinyd(["run", "-d", "--name", "plain", &image, "sleep", "1000"]).ok();
    refused("plain:healthy", "has no health check");
    assert_eq!(run("plain").ok().text(), "here");
    let sick = ["--health-cmd", "false", "--health-interval", "10ms", "--health-retries", "2"];
    let words = ["run", "-d", "--name", "sick"].into_iter().chain(sick).chain([&*image, "sleep", "1000"]);
    env.tinyd(words).ok();
    refused("sick", "is not healthy");
    // What is wrong with the container itself is said before anything is waited for.
    database(&env, &["--name", "slow"], STAY);
    let wrong = env.tinyd(["run", "--after", "slow", "/no/such/image", "true"]);
    assert_eq!(wrong.code(), Some(125), "{wrong}");
    assert_eq!(env.tinyd(["create", "--after", "slow", "--name", "c9", &image, "true"]).ok().code(), Some(0));
}

/// What cannot be started again is not stopped, and what is not started at a start of the machine is said.
#[test]
fn who_needs_one_that_is_gone_stays_as_it_is_and_is_named() {
    require!(root);
    let env = Env::new();
    let image = image();
    env.tinyd(["run", "--name", "migrate", &image, "true"]).ok();
    let words = ["run", "-d", "--name", "web", "--restart", "always", "--after", "migrate:done"];
    env.tinyd(words.into_iter().chain([&*image, "sh", "-c", STAY])).ok();
    env.tinyd(["run", "-d", "--name", "other", "--restart", "always", &image, "sh", "-c", STAY]).ok();
    env.tinyd(["rm", "migrate"]).ok();
    let refused = env.tinyd(["restart", "web"]).fails(1);
    assert!(refused.stderr().contains("migrate") && refused.stderr().contains("not there"), "{refused}");
    assert_eq!(status(&env, "web"), "running");
    env.tinyd(["system", "cleanup"]).ok();
    let are = |wanted: &str| ["web", "other"].iter().all(|name| status(&env, name) == wanted);
    wait_until("all have ended", || are("exited"));
    let told = env.tinyd(["system", "restart-policies"]).fails(1);
    assert!(told.stderr().contains("migrate"), "{told}");
    assert_eq!((status(&env, "web"), status(&env, "other")), ("exited".into(), "running".into()));
    env.tinyd(["rm", "-f", "web", "other"]).ok();
}

#[test]
fn a_start_of_the_machine_goes_by_the_same_order() {
    require!(root);
    let env = Env::new();
    // Healthy when it is told so, after each start.
    database(&env, &["--restart", "always"], &format!("rm -f /tmp/ok; {STAY}"));
    // It is told until it is found healthy: its first command takes away what was said before that ran.
    let heal = || {
        wait_until("the database is told and found healthy", || {
            let told = env.tinyd(["exec", "db", "touch", "/tmp/ok"]).code() == Some(0);
            let health = env.tinyd(["inspect", "--format", "{{.State.Health.Status}}", "db"]);
            told && health.ok().text() == "healthy"
        });
    };
    heal();
    let image = image();
    let run = |name: &str, after: &[&str]| {
        let words = ["run", "-d", "--name", name, "--restart", "always"].into_iter();
        env.tinyd(words.chain(after.iter().copied()).chain([&image, "sh", "-c", STAY])).ok();
    };
    run("web", &["--after", "db"]);
    // It needs one that waits itself, and the last one needs nobody.
    run("front", &["--after", "web"]);
    run("other", &[]);
    let all = ["db", "web", "front", "other"];
    let are = |wanted: &str| all.iter().all(|name| status(&env, name) == wanted);
    env.tinyd(["system", "cleanup"]).ok();
    wait_until("all have ended", || are("exited"));
    let policies = env.cmd(["system", "restart-policies"]).spawn();
    wait_until("the last one runs", || status(&env, "other") == "running");
    assert_eq!(status(&env, "web"), "exited", "it was waited for");
    heal();
    policies.wait().ok();
    assert!(are("running"));
    env.tinyd(["rm", "-f"].iter().chain(&all)).ok();
}
