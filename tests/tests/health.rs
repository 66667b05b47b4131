//! Health checks: a command in the container says how it is, and what is done then is done by its monitor.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use tinyd_tests::kill::{await_new_monitor, kill, monitor_of};
use tinyd_tests::{Env, in_both_modes, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn state(env: &Env, name: &str) -> Value {
    env.tinyd(["inspect", name]).ok().json()[0]["State"].clone()
}

fn health(env: &Env, name: &str) -> String {
    state(env, name)["Health"]["Status"].as_str().unwrap_or_default().to_owned()
}

/// A detached container with this check, ten times a second.
#[track_caller]
fn start(env: &Env, options: &[&str], check: &str, script: &str) {
    let words = ["run", "-d", "--name", "c", "--health-interval", "100ms", "--health-cmd", check];
    let words = words.into_iter().chain(options.iter().copied());
    env.tinyd(words.chain([&*image(), "sh", "-c", script])).ok();
}

/// Ends at once when it is asked to.
const STAY: &str = "trap 'exit 0' TERM; while :; do sleep 0.01; done";

#[test]
fn a_check_decides_and_is_seen_everywhere() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let long = "until test -e /tmp/begin; do sleep 0.05; done; i=0; while test $i -lt 2000; do i=$((i + 1)); echo $i; done; test -e /tmp/ok";
        start(env, &["--userns", mode.userns(), "--health-retries", "2"], long, STAY);
        assert_eq!(env.tinyd(["ps", "--format", "{{.Status}}"]).ok().text(), "RUNNING (starting)");
        env.tinyd(["exec", "c", "touch", "/tmp/begin"]).ok();
        wait_until("it is not healthy", || health(env, "c") == "unhealthy");
        assert!(state(env, "c")["Health"]["FailingStreak"].as_u64().unwrap() >= 2);
        env.tinyd(["exec", "c", "touch", "/tmp/ok"]).ok();
        wait_until("it is healthy", || health(env, "c") == "healthy");
        assert_eq!(env.tinyd(["ps", "--format", "{{.Status}}"]).ok().text(), "RUNNING (healthy)");
        for (filter, count) in [("health=healthy", 1), ("health=unhealthy", 0), ("health=none", 0)] {
            assert_eq!(
                env.tinyd(["ps", "-q", "--filter", filter]).ok().stdout().lines().count(),
                count,
                "{filter}"
            );
        }
        wait_until("five are kept, and no more", || {
            let log = state(env, "c")["Health"]["Log"].clone();
            let log = log.as_array().unwrap().clone();
            assert!(log.len() <= 5);
            for one in &log {
                let output = one["Output"].as_str().unwrap();
                assert!(output.len() == 4096 && output.ends_with("1999\n2000\n"), "{} bytes", output.len());
                assert!(one["Start"].as_str() < one["End"].as_str());
            }
            log.len() == 5 && log.iter().all(|one| one["ExitCode"] == 0)
        });
        let words = ["events", "--since", "0", "--no-stream", "--filter", "event=health_status"];
        let told = env.tinyd(words.into_iter().chain(["--format", "{{.Action}}"])).ok().stdout();
        assert_eq!(told, "health_status: unhealthy\nhealth_status: healthy\n");
        let config = env.tinyd(["inspect", "c"]).ok().json()[0]["Config"]["Healthcheck"].clone();
        assert_eq!((&config["Test"][1], &config["Interval"]), (&long.into(), &100_000_000.into()));
        assert_eq!((&config["Timeout"], &config["Retries"]), (&30_000_000_000u64.into(), &2.into()));
        env.tinyd(["rm", "-f", "c"]).ok();
        env.assert_clean();
    });
}

/// F14 has no part in this: a check that hangs is killed, and hurts nobody meanwhile.
#[test]
fn a_check_that_hangs_is_killed_and_hurts_nobody() {
    require!(root);
    let env = Env::new();
    let options = ["--health-timeout", "300ms", "--health-retries", "1"];
    // What the check's shell has begun is killed with it.
    let check = "trap '' TERM INT HUP; sleep 4711; true";
    start(&env, &options, check, "while :; do echo alive; sleep 0.05; done");
    wait_until("it is not healthy", || health(&env, "c") == "unhealthy");
    let result = state(&env, "c")["Health"]["Log"][0].clone();
    assert_eq!(result["ExitCode"], -1);
    assert!(result["Output"].as_str().unwrap().contains("exceeded its time"), "{result}");
    let sleepers = || {
        env.tinyd(["exec", "c", "sh", "-c", "grep -lx 'sleep.4711.' /proc/[0-9]*/cmdline | wc -l"])
            .ok()
            .text()
    };
    // Of several that were begun by now at most one is there.
    std::thread::sleep(Duration::from_secs(1));
    assert!(["0", "1"].contains(&&*sleepers()), "{}", sleepers());
    // Its output goes on, and it can be worked with.
    let lines = env.tinyd(["logs", "c"]).ok().stdout().lines().count();
    wait_until("it writes on", || env.tinyd(["logs", "c"]).ok().stdout().lines().count() > lines + 5);
    let since = Instant::now();
    env.tinyd(["stop", "-t", "0", "c"]).ok();
    env.tinyd(["rm", "c"]).ok();
    assert!(since.elapsed() < Duration::from_secs(3), "{:?}", since.elapsed());
    env.assert_clean();
}

#[test]
fn what_is_to_be_done_then_is_done() {
    require!(root);
    let env = Env::new();
    let count = || env.tinyd(["inspect", "-f", "{{.RestartCount}}", "c"]).ok().text().parse::<u32>().unwrap();
    let with = |more: &[&str]| {
        let options = [["--health-retries", "1"].as_slice(), more].concat();
        start(&env, &options, "test ! -e /tmp/ill", STAY);
        wait_until("it is healthy", || health(&env, "c") == "healthy");
        // It may be ended before this one has its answer.
        env.tinyd(["exec", "c", "touch", "/tmp/ill"]);
    };
    // It is started again although no policy says so. What it wrote is there still: it is ill again.
    with(&["--on-unhealthy", "restart"]);
    wait_until("it is started again", || count() >= 2);
    env.tinyd(["exec", "c", "rm", "/tmp/ill"]);
    env.tinyd(["rm", "-f", "c"]).ok();
    // Asked to end, which it does not do in time.
    let options = [
        "--health-retries",
        "1",
        "--on-unhealthy",
        "restart",
        "--stop-signal",
        "USR2",
        "--stop-timeout",
        "1",
    ];
    let script = "trap 'echo asked' USR2; touch /tmp/up; while :; do sleep 0.01; done";
    start(&env, &options, "test ! -e /tmp/up", script);
    wait_until("it is started again", || count() >= 1);
    assert_eq!(env.tinyd(["logs", "c"]).ok().stdout().lines().next(), Some("asked"));
    let words = [
        "events",
        "--since",
        "0",
        "--no-stream",
        "--filter",
        "event=die",
        "--format",
        "{{.Actor.Attributes.exitCode}}",
    ];
    assert_eq!(env.tinyd(words).ok().stdout().lines().last(), Some("137"));
    env.tinyd(["rm", "-f", "c"]).ok();
    // Stopped is stopped, also where its policy would start it again.
    with(&["--on-unhealthy", "stop", "--restart", "always"]);
    wait_until("it ends", || state(&env, "c")["Running"] == false);
    assert_eq!((state(&env, "c")["ExitCode"].clone(), count()), (0.into(), 0));
    env.tinyd(["rm", "c"]).ok();
    // Killed is left to its policy.
    with(&["--on-unhealthy", "kill"]);
    wait_until("it ends", || state(&env, "c")["Running"] == false);
    assert_eq!(state(&env, "c")["ExitCode"], 137);
    env.tinyd(["rm", "c"]).ok();
    with(&["--on-unhealthy", "kill", "--restart", "on-failure:1"]);
    wait_until("it is started again", || count() >= 1);
    env.tinyd(["rm", "-f", "c"]).ok();
    with(&[]);
    wait_until("it is not healthy", || health(&env, "c") == "unhealthy");
    assert_eq!((state(&env, "c")["Running"].clone(), count()), (true.into(), 0));
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

#[test]
fn a_new_monitor_goes_on_with_it() {
    require!(root);
    require!(program);
    let env = Env::new();
    start(&env, &["--health-retries", "1"], "test -e /tmp/ok", STAY);
    wait_until("it is not healthy", || health(&env, "c") == "unhealthy");
    kill(monitor_of(&env, "c"));
    assert_eq!(health(&env, "c"), "unhealthy");
    env.tinyd(["exec", "c", "touch", "/tmp/ok"]).ok();
    wait_until("it is healthy", || health(&env, "c") == "healthy");
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

/// Failures of the start period do not count, but a success ends it; it is the container's own, and not its monitor's.
#[test]
fn a_start_is_given_its_time_once() {
    require!(root);
    require!(program);
    let env = Env::new();
    let options = ["--health-retries", "1", "--health-start-period", "600s"];
    start(&env, &options, "test -e /tmp/ok", STAY);
    wait_until("it has failed often", || state(&env, "c")["Health"]["Log"].as_array().unwrap().len() == 5);
    assert_eq!(health(&env, "c"), "starting");
    env.tinyd(["exec", "c", "touch", "/tmp/ok"]).ok();
    wait_until("it is healthy", || health(&env, "c") == "healthy");
    env.tinyd(["rm", "-f", "c"]).ok();

    let options = ["--health-retries", "1", "--health-start-period", "12s"];
    let begun = Instant::now();
    start(&env, &options, "false", STAY);
    std::thread::sleep(Duration::from_secs(8));
    let killed = monitor_of(&env, "c");
    kill(killed);
    env.tinyd(["ps"]).ok();
    await_new_monitor(&env, "c", killed);
    wait_until("it is not healthy", || health(&env, "c") == "unhealthy");
    // One that began the period anew would have taken twenty.
    let took = begun.elapsed();
    assert!(Duration::from_secs(12) <= took && took < Duration::from_secs(19), "{took:?}");
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

#[test]
fn what_stands_still_is_not_judged() {
    require!(root);
    let env = Env::new();
    start(&env, &["--health-timeout", "200ms", "--health-retries", "1"], "true", STAY);
    wait_until("it is healthy", || health(&env, "c") == "healthy");
    env.tinyd(["pause", "c"]).ok();
    // One that was under way when it was frozen may have been cut off.
    std::thread::sleep(Duration::from_millis(500));
    let before = state(&env, "c")["Health"]["Log"].clone();
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(state(&env, "c")["Health"]["Log"], before);
    env.tinyd(["unpause", "c"]).ok();
    wait_until("it goes on", || {
        state(&env, "c")["Health"]["Log"] != before && health(&env, "c") == "healthy"
    });
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

/// A check that was under way when its container was frozen stands still too: it did not fail.
#[test]
fn a_check_that_was_frozen_says_nothing() {
    require!(root);
    let env = Env::new();
    let options = ["--health-timeout", "2s", "--health-retries", "1", "--on-unhealthy", "kill"];
    start(&env, &options, "sleep 0.5", STAY);
    wait_until("it is healthy", || health(&env, "c") == "healthy");
    for _ in 0..3 {
        env.tinyd(["pause", "c"]).ok();
        std::thread::sleep(Duration::from_secs(4));
        env.tinyd(["unpause", "c"]).ok();
        std::thread::sleep(Duration::from_millis(700));
    }
    assert_eq!((state(&env, "c")["Status"].as_str(), &*health(&env, "c")), (Some("running"), "healthy"));
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

/// B8: what a check runs is the container's own, with the container's rights, whatever this machine has under that name.
#[test]
fn b8_nothing_of_the_hosts_is_executed() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let secret = env.file("secret", "of the host");
        let check = format!(
            "cat {} 2>&1; grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status; cat /proc/self/uid_map; hostname; pwd; \
             cat /proc/self/cgroup; ls /proc/self/fd | wc -l",
            secret.display()
        );
        start(
            env,
            &["--userns", mode.userns(), "--hostname", "inside", "--health-retries", "9"],
            &check,
            STAY,
        );
        let log = || state(env, "c")["Health"]["Log"][0]["Output"].as_str().unwrap_or_default().to_owned();
        wait_until("it was checked", || !log().is_empty());
        let seen = log();
        assert!(!seen.contains("of the host") && seen.contains("inside"), "{seen}");
        // As a command that somebody runs in it.
        assert_eq!(seen, env.tinyd(["exec", "c", "/bin/sh", "-c", &check]).ok().stdout());
        env.tinyd(["rm", "-f", "c"]).ok();
        // This machine has a shell; the container has none.
        let bare = env.files().join("bare");
        fs::create_dir(&bare).unwrap();
        fs::copy(roots::busybox().join("bin/busybox"), bare.join("busybox")).unwrap();
        let words = ["run", "-d", "--name", "c", "--userns", mode.userns(), "--health-interval", "100ms"];
        let words = words.into_iter().chain(["--health-cmd", "touch /tmp/x", "--health-retries", "1"]);
        env.tinyd(words.chain([bare.to_str().unwrap(), "/busybox", "sleep", "1000"])).ok();
        wait_until("it is not healthy", || health(env, "c") == "unhealthy");
        let result = state(env, "c")["Health"]["Log"][0].clone();
        assert_eq!(result["ExitCode"], -1, "{result}");
        assert!(result["Output"].as_str().unwrap().contains("/bin/sh"), "{result}");
        env.tinyd(["rm", "-f", "c"]).ok();
        env.assert_clean();
    });
}

/// W37.
#[test]
fn who_waits_for_health_is_told_the_truth() {
    require!(root);
    let env = Env::new();
    let wait = |words: &[&str]| {
        env.cmd(["wait", "--healthy"].iter().chain(words).copied()).limit(Duration::from_secs(20)).output()
    };
    start(&env, &["--health-retries", "1000"], "test -e /tmp/ok", STAY);
    assert!(wait(&["--timeout", "300ms", "c"]).fails(1).stderr().contains("in time"));
    let waiting = env.cmd(["wait", "--healthy", "c"]).limit(Duration::from_secs(20)).spawn();
    env.tinyd(["exec", "c", "touch", "/tmp/ok"]).ok();
    waiting.wait().ok();
    wait(&["c"]).ok();
    env.tinyd(["rm", "-f", "c"]).ok();
    start(&env, &["--health-retries", "1000"], "false", STAY);
    let waiting = env.cmd(["wait", "--healthy", "c"]).limit(Duration::from_secs(20)).spawn();
    env.tinyd(["stop", "c"]).ok();
    assert!(waiting.wait().fails(1).stderr().contains("does not run"));
    env.tinyd(["rm", "-f", "c"]).ok();
    start(&env, &["--health-retries", "2"], "false", STAY);
    assert!(wait(&["c"]).fails(1).stderr().contains("is not healthy"));
    env.tinyd(["rm", "-f", "c"]).ok();
    env.tinyd(["run", "-d", "--name", "c", &image(), "sleep", "1000"]).ok();
    assert!(wait(&["c"]).fails(1).stderr().contains("no health check"));
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

#[test]
fn what_cannot_be_is_refused() {
    require!(root);
    let env = Env::new();
    for words in [
        ["--health-interval", "1s"].as_slice(),
        &["--health-cmd", ""],
        &["--health-cmd", "true", "--health-retries", "0"],
        &["--health-cmd", "true", "--health-interval", "0s"],
        &["--health-cmd", "true", "--health-timeout", "soon"],
        &["--health-cmd", "true", "--on-unhealthy", "despair"],
        &["--health-cmd", "true", "--no-healthcheck"],
        &["--health-cmd", "true", "--on-unhealthy", "restart", "--rm"],
    ] {
        let all = ["create"].iter().chain(words).copied();
        let output = env.tinyd(all.chain([&*image(), "true"])).fails(125);
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
    }
    assert!(env.containers().is_empty());
    // Without one there is none to be seen.
    env.tinyd(["create", "--name", "c", "--no-healthcheck", &image(), "true"]).ok();
    let seen = env.tinyd(["inspect", "c"]).ok().json()[0].clone();
    assert!(seen["State"].get("Health").is_none() && seen["Config"].get("Healthcheck").is_none());
    env.tinyd(["rm", "c"]).ok();
    env.assert_clean();
}
