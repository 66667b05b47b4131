//! Signals: passed on by a client in the foreground, sent by `kill` and `stop`; and `wait`, which tells the end.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use rustix::process::Signal;
use std::time::{Duration, Instant};
use tinyd_tests::{Env, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Runs `c1` in the background; it says `up` in its log once its traps are set.
fn start(env: &Env, script: &str) -> String {
    let script = format!("{script}; echo up; while :; do sleep 0.05; done");
    let id = env.tinyd(["run", "-d", "--name", "c1", &image(), "sh", "-c", &script]).ok().text();
    wait_until("the traps are set", || env.tinyd(["logs", "c1"]).ok().stdout() == "up\n");
    id
}

fn state(env: &Env) -> String {
    env.tinyd(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "c1"]).ok().text()
}

#[test]
fn the_clients_signals_reach_the_command() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (signal, name, code) in [
        (Signal::INT, "INT", 21),
        (Signal::TERM, "TERM", 22),
        (Signal::HUP, "HUP", 23),
        (Signal::QUIT, "QUIT", 24),
        (Signal::USR1, "USR1", 25),
        (Signal::USR2, "USR2", 26),
    ] {
        let script = format!("trap 'echo got; exit {code}' {name}; echo up; while :; do sleep 0.05; done");
        let mut running = env.cmd(["run", "--rm", &image, "sh", "-c", &script]).spawn();
        running.expect("up\n");
        running.signal(signal);
        let output = running.wait().fails(code);
        assert_eq!(output.stdout(), "up\ngot\n", "{name}");
    }
}

#[test]
fn a_command_that_goes_on_after_a_signal_keeps_its_client() {
    require!(root);
    let env = Env::new();
    let trap = "trap 'n=$((n+1)); echo got $n; [ $n -lt 5 ] || exit 9' TERM";
    let script = format!("n=0; {trap}; echo up; while :; do sleep 0.05; done");
    let mut running = env.cmd(["run", "--rm", &image(), "sh", "-c", &script]).spawn();
    running.expect("up\n");
    for count in 1..=5 {
        running.signal(Signal::TERM);
        running.expect(&format!("got {count}\n"));
    }
    running.wait().fails(9);
}

/// A way out for whoever sits before a program that does not listen.
#[test]
fn the_third_interrupt_in_a_row_kills() {
    require!(root);
    let env = Env::new();
    let script = "n=0; trap 'n=$((n+1)); echo got $n' INT; echo up; while :; do sleep 0.05; done";
    let mut running = env.cmd(["run", "--rm", &image(), "sh", "-c", script]).spawn();
    running.expect("up\n");
    for count in 1..=2 {
        running.signal(Signal::INT);
        running.expect(&format!("got {count}\n"));
    }
    running.signal(Signal::INT);
    assert_eq!(running.wait().fails(137).stdout(), "up\ngot 1\ngot 2\n");
    env.assert_clean();
}

#[test]
fn kill_sends_the_signal_of_that_name_or_number() {
    require!(root);
    let env = Env::new();
    let id = start(
        &env,
        "for s in HUP USR1 USR2; do trap \"echo $s\" $s; done; trap 'echo 35' 35; trap 'exit 8' TERM",
    );
    let mut expected = "up\n".to_owned();
    for (word, said) in
        [("HUP", "HUP"), ("SIGUSR1", "USR1"), ("12", "USR2"), ("usr2", "USR2"), ("RTMIN+1", "35")]
    {
        assert_eq!(env.tinyd(["kill", "-s", word, "c1"]).ok().text(), id);
        expected.push_str(&format!("{said}\n"));
        wait_until("the command has got it", || env.tinyd(["logs", "c1"]).ok().stdout() == expected);
    }
    for word in ["NOPE", "0", "65", "-1", ""] {
        let option = format!("--signal={word}");
        env.tinyd(["kill", &option, "c1"]).fails(2);
    }
    assert_eq!(state(&env), "running 0");
    env.tinyd(["kill", "--signal", "TERM", "c1"]).ok();
    assert_eq!(env.tinyd(["wait", "c1"]).ok().text(), "8");
    assert_eq!(state(&env), "exited 8");
}

#[test]
fn kill_without_a_signal_is_sure() {
    require!(root);
    let env = Env::new();
    start(&env, "trap '' TERM INT HUP");
    env.tinyd(["kill", "c1"]).ok();
    assert_eq!(state(&env), "exited 137", "it has ended when the answer comes");
}

#[test]
fn a_graceful_command_writes_its_marker_before_it_ends() {
    require!(root);
    let env = Env::new();
    start(&env, "trap 'sleep 0.2; echo bye > /root/marker; exit 0' TERM");
    let began = Instant::now();
    env.tinyd(["stop", "c1"]).ok();
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "it was not asked, or not noticed: {:?}",
        began.elapsed()
    );
    assert_eq!(state(&env), "exited 0");
    let upper = env.tinyd(["inspect", "-f", "{{.GraphDriver.Data.UpperDir}}", "c1"]).ok().text();
    assert_eq!(std::fs::read_to_string(format!("{upper}/root/marker")).unwrap(), "bye\n");
}

#[test]
fn a_command_that_ignores_the_request_is_killed_after_the_grace() {
    require!(root);
    let env = Env::new();
    start(&env, "trap 'echo no' TERM");
    let began = Instant::now();
    env.tinyd(["stop", "-t", "2", "c1"]).ok();
    let took = began.elapsed();
    assert!((Duration::from_millis(1900)..Duration::from_secs(6)).contains(&took), "{took:?}");
    assert_eq!(state(&env), "exited 137");
    assert_eq!(env.tinyd(["logs", "c1"]).ok().stdout(), "up\nno\n", "it was asked first");
    let oom = env.tinyd(["inspect", "-f", "{{.State.OOMKilled}}", "c1"]).ok().text();
    assert_eq!(oom, "false", "a kill is no want of memory");
    env.tinyd(["start", "c1"]).ok();
    let began = Instant::now();
    env.tinyd(["stop", "--time", "0", "c1"]).ok();
    assert!(began.elapsed() < Duration::from_millis(900), "{:?}", began.elapsed());
    assert_eq!(state(&env), "exited 137");
}

#[test]
fn wait_tells_the_code_before_and_after_the_end() {
    require!(root);
    let env = Env::new();
    start(&env, "trap 'exit 42' TERM");
    let mut waiting = env.cmd(["wait", "c1"]).spawn();
    let mut second = env.cmd(["wait", "c1"]).spawn();
    std::thread::sleep(Duration::from_millis(50));
    assert!(!waiting.has_ended() && !second.has_ended(), "it waits while the command runs");
    env.tinyd(["kill", "-s", "TERM", "c1"]).ok();
    assert_eq!(waiting.wait().ok().stdout(), "42\n");
    assert_eq!(second.wait().ok().stdout(), "42\n");
    assert_eq!(env.tinyd(["wait", "c1"]).ok().stdout(), "42\n", "it is told afterwards, too");
}

#[test]
fn wait_takes_several_and_tells_each() {
    require!(root);
    let env = Env::new();
    let image = image();
    for (name, script) in [("a", "sleep 0.3; exit 1"), ("b", "exit 2"), ("c", "sleep 0.1; exit 3")] {
        env.tinyd(["run", "-d", "--name", name, &image, "sh", "-c", script]).ok();
    }
    assert_eq!(env.tinyd(["wait", "a", "b", "c"]).ok().stdout(), "1\n2\n3\n", "in the order of the words");
    let wrong = env.tinyd(["wait", "a", "nope", "b"]).fails(1);
    assert_eq!(wrong.stdout(), "1\n2\n");
    assert!(wrong.stderr().contains("\"nope\""), "{wrong}");
}

#[test]
fn waiting_for_one_that_removes_itself_gives_its_code() {
    require!(root);
    let env = Env::new();
    env.tinyd(["run", "-d", "--rm", "--name", "c1", &image(), "sh", "-c", "sleep 3; exit 11"]).ok();
    assert_eq!(env.tinyd(["wait", "c1"]).ok().stdout(), "11\n");
}
