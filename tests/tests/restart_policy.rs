//! Restart policies: a container that has ended is started again, by nobody's process but its own last monitor.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tinyd_tests::kill::{await_new_monitor, await_trap, init_of, kill, monitor_of};
use tinyd_tests::web::Daemon;
use tinyd_tests::{Env, in_both_modes, proc, require, roots, unserved, wait_until};

/// Ends well as soon as it is asked to.
const STAY: &str = "trap 'exit 0' TERM; while :; do sleep 0.01; done";

/// Fails as soon as [`fail`] lets it.
const FRAIL: &str = "trap 'exit 5' USR1; while :; do sleep 0.01; done";

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn inspect(env: &Env, name: &str) -> Value {
    env.tinyd(["inspect", name]).ok().json()[0].clone()
}

fn status(env: &Env, name: &str) -> String {
    inspect(env, name)["State"]["Status"].as_str().unwrap().to_owned()
}

fn count(env: &Env, name: &str) -> u64 {
    inspect(env, name)["RestartCount"].as_u64().unwrap()
}

/// A detached container with a policy.
#[track_caller]
fn start(env: &Env, name: &str, options: &[&str], script: &str) {
    let words = ["run", "-d", "--name", name].into_iter().chain(options.iter().copied());
    env.tinyd(words.chain([&*image(), "sh", "-c", script])).ok();
}

/// Lets `c` fail, which is [`FRAIL`].
#[track_caller]
fn fail(env: &Env) {
    await_trap(env, "c", Signal::USR1);
    env.tinyd(["kill", "-s", "USR1", "c"]).ok();
}

/// The file that says that a start is to come.
fn due(env: &Env, name: &str) -> PathBuf {
    env.run_root().join("restarting").join(inspect(env, name)["Id"].as_str().unwrap())
}

/// The process that waits for the moment.
fn sleeper(env: &Env, name: &str) -> i32 {
    let due: Value = serde_json::from_slice(&fs::read(due(env, name)).unwrap()).unwrap();
    due["monitor"]["pid"].as_i64().unwrap().try_into().unwrap()
}

/// Waits until it is in a pause that is long enough to do something in.
fn await_pause(env: &Env, name: &str) {
    wait_until("it is in a long pause", || {
        let text = fs::read(due(env, name)).unwrap_or_default();
        let due: Value = serde_json::from_slice(&text).unwrap_or_default();
        due["pause_ms"].as_u64().is_some_and(|pause| pause >= 1600)
    });
}

#[test]
fn one_that_fails_is_started_as_often_as_was_said_and_after_growing_pauses() {
    require!(root);
    in_both_modes(|mode| {
        let env = &mode.env;
        let started = Instant::now();
        let options = ["--userns", mode.userns(), "--restart", "on-failure:3"];
        start(env, "c", &options, "echo run; exit 3");
        wait_until("it has failed for good", || status(env, "c") == "exited");
        // 100, 200 and 400 ms.
        assert!(started.elapsed() >= Duration::from_millis(700));
        let seen = inspect(env, "c");
        assert_eq!((&seen["RestartCount"], &seen["State"]["ExitCode"]), (&3.into(), &3.into()));
        let policy = &seen["HostConfig"]["RestartPolicy"];
        assert_eq!((&policy["Name"], &policy["MaximumRetryCount"]), (&"on-failure".into(), &3.into()));
        assert_eq!(env.tinyd(["logs", "c"]).ok().stdout(), "run\n".repeat(4));
        assert_eq!(env.tinyd(["ps", "-a", "--format", "{{.Status}}"]).ok().text(), "STOPPED (3)");
        // Whoever starts it begins anew.
        env.tinyd(["start", "c"]).ok();
        wait_until("it has failed again", || status(env, "c") == "exited");
        assert_eq!((count(env, "c"), env.tinyd(["logs", "c"]).ok().stdout()), (3, "run\n".repeat(8)));
        env.tinyd(["rm", "c"]).ok();
        env.assert_clean();
    });
}

/// F13: every policy and every end.
#[test]
fn f13_every_policy_has_its_say_about_every_end() {
    require!(root);
    let env = Env::new();
    let mut wanted = Vec::new();
    for policy in ["no", "on-failure", "on-failure:1", "always", "unless-stopped"] {
        for (end, script) in [
            ("0", "exit 0"),
            ("1", "exit 1"),
            ("125", "exit 125"),
            ("137", "exit 137"),
            ("oom", "x=a; while :; do x=$x$x$x$x; done"),
        ] {
            let name = format!("{}-{end}", policy.replace(':', "-"));
            start(&env, &name, &["--restart", policy, "-m", "16m"], script);
            let again = match policy {
                "no" => false,
                "always" | "unless-stopped" => true,
                _ => end != "0",
            };
            wanted.push((name, again, policy == "on-failure:1"));
        }
    }
    for (name, again, once) in &wanted {
        match (again, once) {
            (true, false) => wait_until("it is started again", || count(&env, name) >= 2),
            (true, true) => {
                wait_until("it ends for good", || status(&env, name) == "exited");
                assert_eq!(count(&env, name), 1, "{name}");
            }
            _ => {
                wait_until("it ends", || status(&env, name) != "running");
                // What is to come is written down before the end is.
                assert_eq!((status(&env, name).as_str(), count(&env, name)), ("exited", 0), "{name}");
            }
        }
        if name.ends_with("oom") {
            wait_until("its end is seen", || inspect(&env, name)["State"]["OOMKilled"] == true);
        }
        env.tinyd(["rm", "-f", name]).ok();
    }
    env.assert_clean();
}

/// F13: what somebody stops stays so, in the pause as in a run.
#[test]
fn f13_who_stops_or_kills_it_has_the_last_word() {
    require!(root);
    let env = Env::new();
    for policy in ["always", "unless-stopped", "on-failure"] {
        for words in [["stop", "-t", "0", "c"].as_slice(), &["kill", "c"], &["kill", "-s", "TERM", "c"]] {
            start(&env, "c", &["--restart", policy], "trap 'exit 9' TERM; while :; do sleep 0.01; done");
            await_trap(&env, "c", Signal::TERM);
            env.tinyd(words.iter().copied()).ok();
            wait_until("it has ended", || status(&env, "c") != "running");
            assert_eq!((status(&env, "c").as_str(), count(&env, "c")), ("exited", 0), "{policy} {words:?}");
            env.tinyd(["rm", "c"]).ok();

            start(&env, "c", &["--restart", policy], "exit 4");
            await_pause(&env, "c");
            let sleeper = sleeper(&env, "c");
            let seen = inspect(&env, "c");
            assert_eq!(seen["State"]["Restarting"], true, "{seen}");
            assert_eq!((&seen["State"]["Pid"], &seen["State"]["ExitCode"]), (&0.into(), &4.into()));
            assert_eq!(env.tinyd(["ps", "--format", "{{.Names}} {{.Status}}"]).ok().text(), "c RESTARTING");
            env.tinyd(["rm", "c"]).fails(1);
            let since = Instant::now();
            env.tinyd(words.iter().copied()).ok();
            assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
            assert!(!proc::is_alive(sleeper), "nobody waits for anything any more");
            assert_eq!(status(&env, "c"), "exited");
            let before = count(&env, "c");
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!((status(&env, "c").as_str(), count(&env, "c")), ("exited", before));
            env.tinyd(["rm", "c"]).ok();
        }
    }
    // A signal that ends nothing means something else.
    start(&env, "c", &["--restart", "always"], FRAIL);
    fail(&env);
    wait_until("it comes back", || count(&env, "c") == 1);
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

#[test]
fn a_pause_is_ended_by_a_start_and_by_a_removal() {
    require!(root);
    let env = Env::new();
    start(&env, "c", &["--restart", "always"], "echo run; exit 0");
    await_pause(&env, "c");
    let waiting = sleeper(&env, "c");
    env.tinyd(["start", "c"]).ok();
    assert!(!proc::is_alive(waiting));
    wait_until("the pauses are short again", || {
        let text = fs::read(due(&env, "c")).unwrap_or_default();
        let due: Value = serde_json::from_slice(&text).unwrap_or_default();
        due["pause_ms"].as_u64().is_some_and(|pause| pause <= 400)
    });
    await_pause(&env, "c");
    let waiting = sleeper(&env, "c");
    env.tinyd(["rm", "-f", "c"]).ok();
    assert!(!proc::is_alive(waiting));
    env.assert_clean();
}

/// W12.
#[test]
fn a_policy_is_changed_while_it_runs_and_while_it_waits() {
    require!(root);
    let env = Env::new();
    start(&env, "c", &[], FRAIL);
    assert_eq!(inspect(&env, "c")["HostConfig"]["RestartPolicy"]["Name"], "no");
    env.tinyd(["update", "--restart", "on-failure:7", "c"]).ok();
    let policy = inspect(&env, "c")["HostConfig"]["RestartPolicy"].clone();
    assert_eq!((&policy["Name"], &policy["MaximumRetryCount"]), (&"on-failure".into(), &7.into()));
    fail(&env);
    wait_until("it comes back", || count(&env, "c") == 1 && status(&env, "c") == "running");
    env.tinyd(["update", "--restart", "no", "c"]).ok();
    fail(&env);
    wait_until("it ends", || status(&env, "c") != "running");
    assert_eq!(status(&env, "c"), "exited");
    env.tinyd(["rm", "c"]).ok();

    start(&env, "c", &["--restart", "always"], "exit 4");
    await_pause(&env, "c");
    let waiting = sleeper(&env, "c");
    env.tinyd(["update", "--restart", "unless-stopped", "c"]).ok();
    assert!(proc::is_alive(waiting), "that changes nothing for it");
    env.tinyd(["update", "--restart", "no", "c"]).ok();
    assert!(!proc::is_alive(waiting));
    assert_eq!(status(&env, "c"), "exited");
    env.tinyd(["rm", "c"]).ok();
    env.assert_clean();
}

#[test]
fn what_cannot_be_is_refused() {
    require!(root);
    let env = Env::new();
    for (words, code) in [
        (["run", "--rm", "--restart", "always", &*image(), "true"].as_slice(), 125),
        (&["create", "--restart", "always:3", &image(), "true"], 125),
        (&["create", "--restart", "sometimes", &image(), "true"], 125),
    ] {
        let output = env.tinyd(words.iter().copied()).fails(code);
        assert!(output.stderr().contains("restart"), "{output}");
    }
    env.tinyd(["run", "-d", "--rm", "--name", "c", &image(), "sleep", "100"]).ok();
    assert!(env.tinyd(["update", "--restart", "always", "c"]).fails(1).stderr().contains("--rm"));
    env.tinyd(["rm", "-f", "c"]).ok();
    assert!(env.containers().is_empty());
    env.assert_clean();
}

#[test]
fn a_start_that_fails_counts_and_is_tried_again() {
    require!(root);
    let env = Env::new();
    let source = env.files().join("source");
    fs::create_dir(&source).unwrap();
    let bind = format!("type=bind,src={},dst=/m", source.display());
    start(
        &env,
        "c",
        &["--restart", "always", "--mount", &bind],
        "test ! -e /m/stay || exec sleep 100; exit 1",
    );
    wait_until("it is in a pause", || status(&env, "c") == "restarting");
    fs::remove_dir(&source).unwrap();
    let error = || inspect(&env, "c")["State"]["Error"].as_str().unwrap().to_owned();
    wait_until("its start fails", || error().contains("source"));
    let failed = count(&env, "c");
    assert_eq!(status(&env, "c"), "restarting");
    wait_until("it is tried again", || count(&env, "c") > failed);
    fs::create_dir(&source).unwrap();
    fs::write(source.join("stay"), "").unwrap();
    wait_until("it runs", || status(&env, "c") == "running");
    assert_eq!(error(), "");
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

/// Whoever is killed: it comes back, at the latest with the next command.
#[test]
fn a_monitor_that_is_killed_in_the_pause_or_in_the_run_keeps_nobody_from_coming_back() {
    require!(root);
    let env = Env::new();
    start(&env, "c", &["--restart", "always"], "echo run; exit 0");
    await_pause(&env, "c");
    let (waiting, before) = (sleeper(&env, "c"), count(&env, "c"));
    kill(waiting);
    // The first command starts it; a daemon, when its pause is over.
    wait_until("it comes back", || count(&env, "c") > before);
    wait_until("it goes on", || count(&env, "c") > before + 1);
    env.tinyd(["rm", "-f", "c"]).ok();

    start(&env, "c", &["--restart", "on-failure"], FRAIL);
    kill(monitor_of(&env, "c"));
    env.tinyd(["ps"]).ok();
    fail(&env);
    wait_until("the new monitor has brought it back", || {
        count(&env, "c") == 1 && status(&env, "c") == "running"
    });
    // It ends while it has none: nobody knows how, which counts as a failure.
    let init = inspect(&env, "c")["State"]["Pid"].as_i64().unwrap().try_into().unwrap();
    kill(monitor_of(&env, "c"));
    kill(init);
    env.tinyd(["ps"]).ok();
    wait_until("the next command has brought it back", || status(&env, "c") == "running");
    assert_eq!(count(&env, "c"), 2);
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

/// As for a program that embeds the engine and names no clean-up command.
#[test]
fn without_a_program_that_could_start_it_the_next_command_does() {
    require!(root);
    unserved!("the program that goes is the client's, and monitors call the daemon's");
    let env = Env::new();
    let here = tinyd_tests::paths::tinyd();
    let copy = env.files().join("tinyd");
    fs::copy(&here, &copy).unwrap();
    let words =
        [copy.to_str().unwrap(), "--root", env.root().to_str().unwrap(), "--run-root"].map(str::to_owned);
    let words = words.into_iter().chain([env.run_root().display().to_string(), "--runtime".to_owned()]);
    let words = words.chain([here.with_file_name("tinyd-runtime").display().to_string()]);
    let run = ["run", "-d", "--net", "none", "--name", "c", "--restart", "always", &image()];
    let script = ["sh", "-c", "test -e /ran && exec sleep 1000; touch /ran; sleep 0.3"];
    env.other(words.chain(run.iter().chain(&script).map(|word| (*word).to_owned()))).output().ok();
    fs::remove_file(&copy).unwrap();
    let due = due(&env, "c");
    wait_until("its monitor has given up", || {
        fs::read(&due).is_ok_and(|text| {
            let due: Value = serde_json::from_slice(&text).unwrap();
            !proc::is_alive(due["monitor"]["pid"].as_i64().unwrap().try_into().unwrap())
        })
    });
    assert_eq!(env.tinyd(["ps", "--format", "{{.Status}}"]).ok().text(), "RUNNING");
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

/// Those who wait are told every exit, and who ran it in the foreground the first one.
#[test]
fn no_exit_is_lost() {
    require!(root);
    let env = Env::new();
    let words = ["run", "--name", "c", "--restart", "on-failure:1", &image(), "sh", "-c", "echo out; exit 7"];
    assert_eq!(env.tinyd(words).fails(7).stdout(), "out\n");
    wait_until("it has failed for good", || status(&env, "c") == "exited");
    assert_eq!(env.tinyd(["wait", "c"]).ok().text(), "7");
    env.tinyd(["rm", "c"]).ok();
    env.assert_clean();
}

/// What systemd calls, without the program's own name.
fn words_of_the_unit(which: &str) -> Vec<String> {
    let unit = include_str!("../../packaging/systemd/tinyd-restart.service");
    let line = unit.lines().find_map(|line| line.strip_prefix(which)).unwrap();
    line.split(' ').skip(1).map(str::to_owned).collect()
}

/// F13: a start of the machine.
#[test]
fn f13_a_start_of_the_machine_starts_what_its_policy_says() {
    require!(root);
    let env = Env::new();
    let policies = ["no", "on-failure", "always", "unless-stopped"];
    for policy in policies {
        start(&env, &format!("{policy}-ran"), &["--restart", policy], STAY);
        start(&env, &format!("{policy}-stopped"), &["--restart", policy], STAY);
        env.tinyd(["stop", &format!("{policy}-stopped")]).ok();
        env.tinyd(["create", "--name", &format!("{policy}-new"), "--restart", policy, &image(), "true"]).ok();
    }
    start(&env, "on-failure-well", &["--restart", "on-failure"], "exit 0");
    wait_until("it has ended", || status(&env, "on-failure-well") == "exited");
    // The machine goes down: everything is gone at once, and what is in memory with it.
    for policy in policies {
        let name = format!("{policy}-ran");
        let init = inspect(&env, &name)["State"]["Pid"].as_i64().unwrap().try_into().unwrap();
        kill(monitor_of(&env, &name));
        kill(init);
    }
    tinyd_tests::remove::remove_tree(&env.run_root()).unwrap();
    assert_eq!(env.tinyd(["ps", "-q"]).ok().text(), "");
    let started = env.tinyd(words_of_the_unit("ExecStart=")).ok();
    assert_eq!(started.stdout().lines().count(), 4, "{started}");
    let running = || {
        let mut names: Vec<_> =
            env.tinyd(["ps", "--format", "{{.Names}}"]).ok().stdout().lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    let wanted = ["always-ran", "always-stopped", "on-failure-ran", "unless-stopped-ran"];
    assert_eq!(running(), wanted);
    // Once more changes nothing; nor does it matter that all were stopped in an orderly way in between.
    assert_eq!(env.tinyd(["system", "restart-policies"]).ok().stdout(), "");
    env.tinyd(words_of_the_unit("ExecStop=")).ok();
    assert_eq!(running(), [""; 0]);
    env.tinyd(["system", "restart-policies"]).ok();
    assert_eq!(running(), ["always-ran", "always-stopped", "unless-stopped-ran"]);
    for name in env.tinyd(["ps", "-aq"]).ok().stdout().lines() {
        env.tinyd(["rm", "-f", name]).ok();
    }
    env.assert_clean();
}

/// F13: a daemon does what the boot's unit does, once.
#[test]
fn f13_a_daemon_starts_after_a_reboot_what_policies_say_and_nothing_when_it_merely_comes_back() {
    require!(root);
    unserved!("it starts a daemon of its own");
    let env = Env::new();
    let running = || {
        let words = ["-H", "local", "ps", "--format", "{{.Names}}"];
        let mut names: Vec<_> = env.tinyd(words).ok().stdout().lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    for policy in ["no", "on-failure", "always", "unless-stopped"] {
        start(&env, &format!("{policy}-ran"), &["--restart", policy], STAY);
        start(&env, &format!("{policy}-stopped"), &["--restart", policy], STAY);
        env.tinyd(["stop", &format!("{policy}-stopped")]).ok();
    }
    // The machine goes down at once.
    for name in running() {
        let init = inspect(&env, &name)["State"]["Pid"].as_i64().unwrap().try_into().unwrap();
        kill(monitor_of(&env, &name));
        kill(init);
    }
    tinyd_tests::remove::remove_tree(&env.run_root()).unwrap();
    let daemon = Daemon::start(&env, &[]);
    let after_a_crash = ["always-ran", "always-stopped", "on-failure-ran", "unless-stopped-ran"];
    wait_until("all are started that should be", || running() == after_a_crash);
    // What somebody stops stays so, however often the daemon is killed or ends and leaves the others alone.
    env.tinyd(["stop", "always-stopped", "on-failure-ran"]).ok();
    let counts = || ["always-ran", "unless-stopped-ran"].map(|name| count(&env, name));
    let before = counts();
    daemon.signal(Signal::KILL);
    daemon.wait();
    for _ in 0..2 {
        let daemon = Daemon::start(&env, &["--live-restore"]);
        std::thread::sleep(Duration::from_millis(500));
        daemon.stop().ok();
        assert_eq!((running(), counts()), (vec!["always-ran".into(), "unless-stopped-ran".into()], before));
    }
    // Nor does the boot's unit leave anything for the daemon to do.
    env.tinyd(words_of_the_unit("ExecStart=")).ok();
    assert_eq!(running(), ["always-ran", "always-stopped", "unless-stopped-ran"]);
    env.tinyd(["stop", "always-stopped"]).ok();
    let daemon = Daemon::start(&env, &[]);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(running(), ["always-ran", "unless-stopped-ran"]);
    // An end of the daemon that ends them all is as one of the machine.
    daemon.stop().ok();
    assert_eq!(running(), [""; 0]);
    let daemon = Daemon::start(&env, &[]);
    wait_until("they come back", || running() == ["always-ran", "always-stopped", "unless-stopped-ran"]);
    daemon.stop().ok();
    for name in env.tinyd(["ps", "-aq"]).ok().stdout().lines() {
        env.tinyd(["rm", "-f", name]).ok();
    }
    env.assert_clean();
}

/// Whoever was killed: what he left is put right while a daemon runs too, by the next that it is asked.
#[test]
fn a_daemon_brings_back_those_whose_monitors_were_killed() {
    require!(root);
    unserved!("it starts a daemon of its own");
    let env = Env::new();
    let daemon = Daemon::start(&env, &[]);
    start(&env, "c", &["--restart", "always"], "echo run; exit 0");
    await_pause(&env, "c");
    let (waiting, before) = (sleeper(&env, "c"), count(&env, "c"));
    kill(waiting);
    // Whoever asks a daemon hurries nothing: its pause goes on, without whoever slept it.
    assert_eq!(count(&env, "c"), before);
    wait_until("it goes on", || count(&env, "c") > before + 1);
    env.tinyd(["rm", "-f", "c"]).ok();

    // Both are killed, and nobody asks the engine: it is seen from outside that it runs again.
    let noted = env.file("noted", "");
    let place = format!("{}:/noted", noted.display());
    start(&env, "c", &["--restart", "always", "-v", &place], "echo run >> /noted; exec sleep 1000");
    let runs = || fs::read_to_string(&noted).unwrap().lines().count();
    wait_until("it runs", || runs() == 1);
    let (monitor, init) = (monitor_of(&env, "c"), init_of(&env, "c"));
    kill(monitor);
    kill(init);
    wait_until("it runs again", || runs() == 2);
    env.tinyd(["rm", "-f", "c"]).ok();

    start(&env, "c", &["--restart", "on-failure"], FRAIL);
    let killed = monitor_of(&env, "c");
    kill(killed);
    await_new_monitor(&env, "c", killed);
    fail(&env);
    wait_until("it has come back", || count(&env, "c") == 1 && status(&env, "c") == "running");
    // Its monitor brings it back though the daemon is killed meanwhile, and another one finds it.
    daemon.signal(Signal::KILL);
    daemon.wait();
    fail(&env);
    wait_until("it has come back", || count(&env, "c") == 2 && status(&env, "c") == "running");
    let daemon = Daemon::start(&env, &["--live-restore"]);
    assert_eq!((status(&env, "c").as_str(), count(&env, "c")), ("running", 2));
    daemon.stop().ok();
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

/// All containers as `ps` has them, in the order of their names.
fn shown(env: &Env) -> Vec<String> {
    let listed = env.tinyd(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok().stdout();
    let mut lines: Vec<_> = listed.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// F14: the same with a run folder that is empty, as a tmpfs is after a start of the machine; the page says it as well. What
/// somebody killed on the host that is still the same one is unknown, and no more.
#[test]
fn f14_one_that_ran_when_the_host_was_restarted_is_shown_as_such() {
    require!(root);
    unserved!("it starts a daemon of its own");
    let env = Env::new();
    start(&env, "c", &[], "while :; do sleep 0.01; done");
    start(&env, "ended", &[], "exit 7");
    wait_until("it has ended", || status(&env, "ended") == "exited");
    let lose = |name: &str| {
        let init = tinyd_tests::ground::init(&env, name);
        kill(monitor_of(&env, name));
        kill(init);
    };
    lose("c");
    tinyd_tests::remove::remove_tree(&env.run_root()).unwrap();
    start(&env, "lost", &[], "while :; do sleep 0.01; done");
    lose("lost");
    let before = shown(&env);
    assert_eq!(before[..2], ["c STOPPED (host restart)", "ended STOPPED (7)"]);
    // Whether the kernel tells of it is the kernel's affair.
    assert!(["lost STOPPED (unknown)", "lost STOPPED (137)"].contains(&&*before[2]), "{before:?}");
    let state = inspect(&env, "c")["State"].take();
    assert_eq!((&state["Status"], &state["ExitUnknown"]), (&"exited".into(), &true.into()));
    assert!(state["Error"].as_str().unwrap().contains("host was restarted"), "{state}");
    assert_eq!(inspect(&env, "lost")["State"]["Error"], "");
    let daemon = Daemon::start(&env, &["--live-restore"]);
    assert_eq!(shown(&env), before);
    let overview = daemon.json("/api/overview");
    let all = overview["containers"].as_array().unwrap().iter();
    let mut restarted: Vec<_> =
        all.map(|one| (one["name"].as_str().unwrap(), one["host_restarted"].as_bool().unwrap())).collect();
    restarted.sort_unstable();
    assert_eq!(restarted, [("c", true), ("ended", false), ("lost", false)]);
    daemon.stop().ok();
    env.tinyd(["rm", "c", "ended", "lost"]).ok();
    env.assert_clean();
}

/// F14: a run folder that survived the machine's start names processes of another boot, whose numbers others have now.
#[test]
fn f14_what_another_boot_left_is_no_state_and_no_process() {
    require!(root);
    let env = Env::new();
    start(&env, "c", &["--restart", "unless-stopped"], "while :; do sleep 0.01; done");
    start(&env, "ended", &[], "exit 7");
    wait_until("it has ended", || status(&env, "ended") == "exited");
    let seen = inspect(&env, "c");
    let path = env.run_root().join("containers").join(seen["Id"].as_str().unwrap()).join("state.json");
    let mut state: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    kill(monitor_of(&env, "c"));
    kill(seen["State"]["Pid"].as_i64().unwrap().try_into().unwrap());
    // Somebody who has nothing to do with it.
    let decoy = env.other(["sleep", "1000"]).spawn();
    let stat = fs::read_to_string(format!("/proc/{}/stat", decoy.pid())).unwrap();
    let since: u64 =
        stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap().parse().unwrap();
    for which in ["init", "monitor"] {
        state[which] = serde_json::json!({ "pid": decoy.pid(), "start_time": since });
    }
    state["boot_id"] = "00000000-0000-4000-8000-000000000000".into();
    fs::write(&path, state.to_string()).unwrap();
    let seen = inspect(&env, "c");
    assert_eq!((&seen["State"]["Status"], &seen["State"]["ExitUnknown"]), (&"exited".into(), &true.into()));
    // Whoever looks understands why.
    assert_eq!(shown(&env), ["c STOPPED (host restart)", "ended STOPPED (7)"]);
    assert!(seen["State"]["Error"].as_str().unwrap().contains("host was restarted"), "{seen}");
    env.tinyd(["stop", "c"]).fails(1);
    env.tinyd(["kill", "c"]).fails(1);
    assert_eq!(inspect(&env, "ended")["State"]["ExitCode"], 7);
    assert_eq!(env.tinyd(["system", "restart-policies"]).ok().stdout().lines().count(), 1);
    assert_eq!((status(&env, "c").as_str(), status(&env, "ended").as_str()), ("running", "exited"));
    assert_eq!(inspect(&env, "c")["State"]["Error"], "");
    env.tinyd(["rm", "-f", "c", "ended"]).ok();
    assert!(proc::is_alive(decoy.pid()));
    decoy.signal(rustix::process::Signal::TERM);
    decoy.wait();
    env.assert_clean();
}
