//! A container's life: created, running, stopped, started again, gone; and what is refused at each station.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use serde_json::Value;
use tinyd_tests::proc::{self, cgroups, mounts};
use tinyd_tests::{Env, require, roots, wait_until};

/// Ends at once when it is asked to: as PID 1, a program without a handler is not reached by SIGTERM.
const SERVER: &str = "trap 'exit 0' TERM; sleep 300 & wait";

/// A moment that has not come.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn inspect(env: &Env, container: &str) -> Value {
    env.tinyd(["inspect", container]).ok().json()[0].take()
}

fn pid(env: &Env, container: &str) -> i32 {
    i32::try_from(inspect(env, container)["State"]["Pid"].as_i64().unwrap()).unwrap()
}

fn server(env: &Env, name: &str) -> String {
    env.tinyd(["run", "-d", "--name", name, &image(), "sh", "-c", SERVER]).ok().text()
}

/// The groups of a container in all hierarchies.
fn groups(id: &str) -> Vec<std::path::PathBuf> {
    let tops = cgroups::hierarchies();
    let all = tops.iter().flat_map(|top| cgroups::walk(&top.mount));
    all.filter(|path| path.to_string_lossy().contains(id)).collect()
}

/// What the kernel holds as the memory limit and the process limit of a container.
fn limits(id: &str) -> [Option<String>; 2] {
    let v2 = cgroups::hierarchy_of("memory").unwrap().v2;
    let file = if v2 { "memory.max" } else { "memory.limit_in_bytes" };
    [cgroups::value(id, "memory", file), cgroups::value(id, "pids", "pids.max")]
}

#[test]
fn what_is_created_has_no_process_and_no_start() {
    require!(root);
    let env = Env::new();
    let now = || env.other(["date", "-u", "+%FT%T"]).output().ok().text();
    let before = now();
    let id = env.tinyd(["create", "--name", "c1", &image(), "sleep", "31234001"]).ok().text();
    let after = now();
    let listed = env.tinyd(["ps", "-a", "--format", "{{.Names}} {{.Status}} {{.Pid}}"]).ok();
    assert_eq!(listed.text(), "c1 CREATED 0");
    assert_eq!(env.tinyd(["ps", "-q"]).ok().text(), "", "it does not run");
    let seen = inspect(&env, "c1");
    assert_eq!(seen["Id"], id.as_str());
    assert_eq!(seen["State"]["Status"], "created");
    assert_eq!(seen["State"]["Pid"], 0);
    assert_eq!(seen["State"]["Running"], false);
    let created = &seen["Created"].as_str().unwrap()[..19];
    assert!(before.as_str() <= created && created <= after.as_str(), "{before} <= {created} <= {after}");
    assert_eq!(seen["State"]["StartedAt"], NEVER);
    assert_eq!(seen["State"]["FinishedAt"], NEVER);
    let running =
        proc::all_pids().into_iter().filter(|pid| proc::arguments(*pid).contains(&"31234001".into()));
    assert_eq!(running.count(), 0);
    assert_eq!(groups(&id), Vec::<std::path::PathBuf>::new());
}

#[test]
fn run_is_create_and_start() {
    require!(root);
    let env = Env::new();
    let id = env.tinyd(["run", "-d", "--name", "c1", &image(), "sleep", "31234002"]).ok().text();
    let seen = inspect(&env, "c1");
    assert_eq!(seen["State"]["Status"], "running");
    assert_eq!(seen["State"]["Running"], true);
    let pid = pid(&env, "c1");
    assert!(proc::is_alive(pid));
    assert_eq!(proc::arguments(pid), ["sleep", "31234002"]);
    assert!(seen["State"]["StartedAt"].as_str() >= seen["Created"].as_str(), "{seen}");
    assert_eq!(seen["State"]["FinishedAt"], NEVER);
    assert_eq!(seen["Id"], id.as_str());
    assert_eq!(env.tinyd(["ps", "--format", "{{.Status}}"]).ok().text(), "RUNNING");
}

#[test]
fn a_stopped_container_starts_again_as_it_was() {
    require!(root);
    require!(controller "memory");
    require!(controller "pids");
    let env = Env::new();
    let words = ["--name", "c1", "--mem", "64m", "--pids-limit", "77", "-e", "A=a  b"];
    let words = ["run", "-d"].into_iter().chain(words);
    let image = image();
    let id = env.tinyd(words.chain([image.as_str(), "sh", "-c", SERVER])).ok().text();
    env.tinyd(["exec", "c1", "sh", "-c", "echo kept > /root/file; mkdir /new"]).ok();
    let (first, first_pid) = (inspect(&env, "c1"), pid(&env, "c1"));
    let held = limits(&id);
    assert_eq!(held, [Some("67108864".to_owned()), Some("77".to_owned())]);
    let arguments = proc::arguments(first_pid);
    env.tinyd(["stop", "-t", "0", "c1"]).ok();
    wait_until("the first process is gone", || !proc::is_alive(first_pid));
    assert_eq!(env.tinyd(["start", "c1"]).ok().text(), id);
    let (second, second_pid) = (inspect(&env, "c1"), pid(&env, "c1"));
    assert_ne!(second_pid, first_pid);
    assert!(proc::is_alive(second_pid));
    assert_eq!(second["Id"], first["Id"]);
    assert_eq!(proc::arguments(second_pid), arguments);
    assert_eq!(second["HostConfig"], first["HostConfig"]);
    assert_eq!(second["Config"], first["Config"]);
    assert_eq!(limits(&id), held);
    assert_eq!(second["Created"], first["Created"]);
    assert!(second["State"]["StartedAt"].as_str() > first["State"]["StartedAt"].as_str());
    let kept = env.tinyd(["exec", "c1", "sh", "-c", "cat /root/file; ls -d /new; echo \"$A\""]).ok();
    assert_eq!(kept.stdout(), "kept\n/new\na  b\n");
}

#[test]
fn stop_ends_the_whole_tree_and_notes_the_moment() {
    require!(root);
    let env = Env::new();
    let script = "trap 'exit 3' TERM; sleep 300 & setsid sh -c 'sleep 300 & sleep 300' & echo up; wait";
    let id = env.tinyd(["run", "-d", "--name", "c1", &image(), "sh", "-c", script]).ok().text();
    let group = cgroups::of_container(&id, "pids").unwrap();
    wait_until("all of the tree runs", || cgroups::members(&group).len() >= 4);
    let members = cgroups::members(&group);
    let stopped = env.tinyd(["stop", "c1"]).ok();
    assert_eq!(stopped.text(), id);
    assert!(members.iter().all(|pid| !proc::is_alive(*pid)), "{members:?}");
    let seen = inspect(&env, "c1");
    assert_eq!(seen["State"]["Status"], "exited");
    assert_eq!(seen["State"]["ExitCode"], 3);
    assert_eq!(seen["State"]["Pid"], 0);
    assert!(seen["State"]["FinishedAt"].as_str() >= seen["State"]["StartedAt"].as_str());
    assert_eq!(env.tinyd(["ps", "-a", "--format", "{{.Status}}"]).ok().text(), "STOPPED (3)");
    wait_until("its groups are gone", || groups(&id).is_empty());
    let again = env.tinyd(["stop", "c1"]).fails(1);
    assert!(again.stderr().contains("cannot stop container"), "{again}");
}

#[test]
fn what_is_removed_is_gone_and_its_name_is_free() {
    require!(root);
    let env = Env::new();
    let id = server(&env, "c1");
    let pid = pid(&env, "c1");
    assert!(mounts::of(pid).unwrap().iter().any(|mount| mount.point.as_os_str() == "/"));
    assert!(!groups(&id).is_empty());
    env.tinyd(["stop", "-t", "0", "c1"]).ok();
    assert_eq!(env.tinyd(["rm", "c1"]).ok().text(), id);
    assert_eq!(env.tinyd(["ps", "-aq"]).ok().text(), "");
    assert!(!proc::is_alive(pid));
    env.assert_clean();
    assert_eq!(groups(&id), Vec::<std::path::PathBuf>::new());
    assert!(!mounts::of_self().unwrap().iter().any(|mount| mount.line.contains(&id)));
    assert!(!env.root().join("containers").join(&id).exists());
    let second = server(&env, "c1");
    assert_ne!(second, id);
    assert_eq!(inspect(&env, "c1")["Id"], second.as_str());
}

#[test]
fn the_list_counts_what_was_not_removed() {
    require!(root);
    let env = Env::new();
    let count = || env.tinyd(["ps", "-aq", "--no-trunc"]).ok().stdout().lines().count();
    assert_eq!(count(), 0);
    let image = image();
    for name in ["a", "b", "c"] {
        env.tinyd(["create", "--name", name, &image, "true"]).ok();
    }
    server(&env, "d");
    assert_eq!(count(), 4);
    env.tinyd(["start", "-a", "a"]).ok();
    assert_eq!(count(), 4, "a container that has ended is still there");
    env.tinyd(["rm", "a"]).ok();
    assert_eq!(count(), 3);
    env.tinyd(["rm", "-f", "b", "c", "d"]).ok();
    assert_eq!(count(), 0);
}

#[test]
fn what_is_not_there_is_not_found() {
    require!(root);
    let env = Env::new();
    for verb in ["inspect", "info", "start", "stop", "kill", "rm", "delete", "wait", "logs"] {
        let output = env.tinyd([verb, "nope"]);
        assert!(matches!(output.code(), Some(1 | 125)), "{output}");
        assert!(output.stderr().contains("no container \"nope\""), "{output}");
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
    }
    assert_eq!(env.tinyd(["inspect", "nope"]).fails(1).json(), serde_json::json!([]));
    env.tinyd(["exec", "nope", "true"]).fails(125);
}

/// What each verb answers at each station; 0 stands for success.
#[test]
fn illegal_transitions_are_refused_and_change_nothing() {
    require!(root);
    let env = Env::new();
    let image = image();
    let status = || inspect(&env, "c1")["State"]["Status"].as_str().unwrap().to_owned();
    let refused = |words: &[&str], code: i32| {
        let before = status();
        let output = env.tinyd(words.iter().copied()).fails(code);
        assert_eq!(output.stdout(), "", "{output}");
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
        assert_eq!(status(), before, "{words:?} changed it");
    };
    env.tinyd(["create", "--name", "c1", &image, "sh", "-c", SERVER]).ok();
    assert_eq!(status(), "created");
    refused(&["stop", "c1"], 1);
    refused(&["kill", "c1"], 1);
    refused(&["exec", "c1", "true"], 125);
    env.tinyd(["start", "c1"]).ok();
    assert_eq!(status(), "running");
    let first = pid(&env, "c1");
    refused(&["start", "c1"], 125);
    refused(&["start", "-a", "c1"], 125);
    refused(&["rm", "c1"], 1);
    assert_eq!(pid(&env, "c1"), first);
    env.tinyd(["exec", "c1", "true"]).ok();
    env.tinyd(["stop", "-t", "0", "c1"]).ok();
    assert_eq!(status(), "exited");
    refused(&["stop", "c1"], 1);
    refused(&["kill", "c1"], 1);
    refused(&["exec", "c1", "true"], 125);
    env.tinyd(["start", "c1"]).ok();
    env.tinyd(["kill", "c1"]).ok();
    assert_eq!((status(), inspect(&env, "c1")["State"]["ExitCode"].as_i64()), ("exited".into(), Some(137)));
    let id = env.tinyd(["rm", "c1"]).ok().text();
    for word in ["c1", id.as_str()] {
        for verb in ["start", "stop", "kill", "rm", "inspect", "wait", "logs"] {
            let output = env.tinyd([verb, word]);
            assert_eq!(output.code(), Some(if verb == "start" { 125 } else { 1 }), "{output}");
        }
        env.tinyd(["exec", word, "true"]).fails(125);
    }
    let unstarted = env.tinyd(["create", "--name", "c2", &image, "true"]).ok().text();
    assert_eq!(env.tinyd(["rm", "c2"]).ok().text(), unstarted);
}

/// The usage example of the first seed.
#[test]
fn hello_world_with_a_limit_and_then_stop_and_start() {
    require!(root);
    require!(controller "memory");
    let env = Env::new();
    let once =
        ["run", "--rm", "--name", "my_container", "--mem", "128m", "/", "/bin/sh", "-c", "echo Hello World"];
    assert_eq!(env.tinyd(once).ok().stdout(), "Hello World\n");
    let script = "trap 'exit 0' TERM; echo Hello World; sleep 300 & wait";
    let words = ["run", "-d", "--name", "my_container", "--mem", "128m", "/", "/bin/sh", "-c", script];
    let id = env.tinyd(words).ok().text();
    let info = env.tinyd(["info", "my_container"]).ok().json()[0].take();
    assert_eq!(info["Id"], id.as_str());
    assert_eq!(info["State"]["Status"], "running");
    assert_eq!(info["Path"], "/bin/sh");
    assert_eq!(info["Args"], serde_json::json!(["-c", script]));
    assert!(proc::is_alive(pid(&env, "my_container")));
    assert_eq!(info["HostConfig"]["Memory"], 134_217_728);
    assert_eq!(limits(&id)[0].as_deref(), Some("134217728"));
    let v2 = cgroups::hierarchy_of("memory").unwrap().v2;
    let usage = cgroups::value(&id, "memory", if v2 { "memory.current" } else { "memory.usage_in_bytes" });
    assert!(usage.unwrap().parse::<u64>().unwrap() > 0);
    wait_until("it has greeted", || env.tinyd(["logs", "my_container"]).ok().stdout() == "Hello World\n");
    env.tinyd(["stop", "my_container"]).ok();
    env.tinyd(["start", "my_container"]).ok();
    wait_until("it has greeted twice", || {
        env.tinyd(["logs", "my_container"]).ok().stdout() == "Hello World\nHello World\n"
    });
}

#[test]
fn many_are_done_and_each_failure_is_told() {
    require!(root);
    let env = Env::new();
    let (a, b) = (server(&env, "a"), server(&env, "b"));
    let stopped = env.tinyd(["stop", "-t", "0", "a", "nope", "b", "nada"]).fails(1);
    assert_eq!(stopped.stdout(), format!("{a}\n{b}\n"));
    assert_eq!(stopped.stderr().lines().count(), 2, "{stopped}");
    assert!(stopped.stderr().contains("\"nope\"") && stopped.stderr().contains("\"nada\""));
    let started = env.tinyd(["start", "nope", "a", "b"]).fails(125);
    assert_eq!(started.stdout(), format!("{a}\n{b}\n"));
    assert_eq!(env.tinyd(["kill", "a", "b"]).ok().stdout(), format!("{a}\n{b}\n"));
    server(&env, "c");
    let removed = env.tinyd(["rm", "a", "c", "b"]).fails(1);
    assert_eq!(removed.stdout(), format!("{a}\n{b}\n"), "c runs: {removed}");
    assert_eq!(env.tinyd(["ps", "-a", "--format", "{{.Names}}"]).ok().text(), "c");
    env.tinyd(["delete", "--force", "c"]).ok();
    env.assert_clean();
}

#[test]
fn rm_leaves_nothing_of_a_command_that_ended_however_it_ended() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (script, code) in
        [("true", 0), ("exit 9", 9), ("kill -9 $$", 0), ("kill -9 -1; sleep 100 & exit 4", 4)]
    {
        let output = env.tinyd(["run", "--rm", "--name", "one", &image, "sh", "-c", script]);
        assert_eq!(output.code(), Some(code), "{script}: {output}");
        assert_eq!(env.tinyd(["ps", "-aq"]).ok().text(), "");
    }
    env.tinyd(["run", "-d", "--rm", "--name", "two", &image, "sleep", "300"]).ok();
    env.tinyd(["stop", "-t", "0", "two"]).ok();
    wait_until("it has removed itself", || env.containers().is_empty());
    env.assert_clean();
}
