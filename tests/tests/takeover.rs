//! What becomes of a container whose monitor is killed: the next command gives it a new one, which takes its exit and its
//! output over.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use tinyd_tests::kill::{kill, let_end, monitor_of};
use tinyd_tests::{Env, in_both_modes, leak, proc, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn status(env: &Env) -> String {
    env.tinyd(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).ok().text()
}

/// Says a hundred lines whenever it is told to, and has an exit code of its own.
const SPEAKING: &str = "for n in 1 2 3; do while test ! -e /shared/$n; do sleep 0.01; done; i=0; \
     while test $i -lt 100; do i=$((i + 1)); echo $n.$i; done; : > /shared/said$n; done; \
     while test ! -e /shared/end; do sleep 0.01; done; echo last; exit 7";

/// F2.
#[test]
fn its_exit_is_known_and_no_line_of_its_output_is_lost() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let env = &mode.env;
        let shared = env.files().join("shared");
        fs::create_dir(&shared).unwrap();
        let bind = format!("{}:/shared", shared.display());
        let options = ["run", "-d", "--name", "c", "-v", &bind, "--userns", mode.userns(), &image()];
        env.tinyd(options.into_iter().chain(["sh", "-c", SPEAKING])).ok();
        let mut expected = String::new();
        for turn in 1..=3 {
            let old = monitor_of(env, "c");
            kill(old);
            // What it says now nobody reads.
            fs::write(shared.join(turn.to_string()), "").unwrap();
            wait_until("all is said", || shared.join(format!("said{turn}")).exists());
            (1..=100).for_each(|line| expected.push_str(&format!("{turn}.{line}\n")));
            assert_eq!(status(env), "c RUNNING");
            let new = monitor_of(env, "c");
            assert!(new != old && proc::is_alive(new));
            wait_until("the log has it", || env.tinyd(["logs", "c"]).ok().stdout() == expected);
        }
        fs::write(shared.join("end"), "").unwrap();
        assert_eq!(env.cmd(["wait", "c"]).limit(Duration::from_secs(10)).output().ok().text(), "7");
        assert_eq!(status(env), "c STOPPED (7)");
        assert_eq!(env.tinyd(["logs", "c"]).ok().stdout(), expected + "last\n");
        env.tinyd(["rm", "c"]).ok();
        env.assert_clean();
    });
}

/// F2: whoever waits is told the truth, however the command ends.
#[test]
fn a_signal_a_stop_and_a_kill_have_their_exit_codes() {
    require!(root);
    require!(program);
    let env = Env::new();
    for (words, code) in [
        (["stop", "-t", "30", "c"].as_slice(), "5"),
        (&["kill", "c"], "137"),
        (&["kill", "-s", "USR1", "c"], "6"),
        (&["stop", "-t", "0", "stubborn"], "137"),
    ] {
        let name = *words.last().unwrap();
        let text = match name {
            "c" => "trap 'exit 5' TERM; trap 'exit 6' USR1; echo up; while :; do sleep 0.01; done",
            _ => "trap '' TERM; echo up; while :; do sleep 0.01; done",
        };
        env.tinyd(["run", "-d", "--name", name, &image(), "sh", "-c", text]).ok();
        wait_until("its traps are set", || env.tinyd(["logs", name]).ok().stdout() == "up\n");
        kill(monitor_of(&env, name));
        let waiting = env.cmd(["wait", name]).limit(Duration::from_secs(15)).spawn();
        env.tinyd(words.iter().copied()).ok();
        assert_eq!(waiting.wait().ok().text(), code, "{words:?}");
        assert_eq!(status(&env), format!("{name} STOPPED ({code})"));
        env.tinyd(["rm", name]).ok();
    }
    env.assert_clean();
}

#[test]
fn one_that_removes_itself_does_so_without_a_further_command() {
    require!(root);
    require!(program);
    in_both_modes(|mode| {
        let env = &mode.env;
        let options = ["run", "-d", "--rm", "--name", "c", "--userns", mode.userns(), &image(), "sh", "-c"];
        env.tinyd(options.into_iter().chain(["while test ! -e /tmp/end; do sleep 0.01; done"])).ok();
        kill(monitor_of(env, "c"));
        let_end(env, "c");
        env.assert_clean();
    });
}

/// Many commands meet it at once: one new monitor, not many.
#[test]
fn of_many_commands_one_takes_over() {
    require!(root);
    require!(program);
    let env = Env::new();
    env.tinyd(["run", "-d", "--name", "c", &image(), "sleep", "1000"]).ok();
    for _ in 0..10 {
        kill(monitor_of(&env, "c"));
        let commands: Vec<_> = (0..8).map(|_| env.cmd(["ps", "-q"]).spawn()).collect();
        for command in commands {
            assert_eq!(command.wait().ok().stdout().lines().count(), 1);
        }
        let monitors = || {
            let items = env.leaks_within(Duration::ZERO);
            items.into_iter().filter(|item| item.to_string().contains("tinyd-runtime")).collect::<Vec<_>>()
        };
        assert_eq!(monitors().len(), 1, "{}", leak::describe(&monitors()));
        assert!(proc::is_alive(monitor_of(&env, "c")));
    }
    env.tinyd(["rm", "-f", "c"]).ok();
    env.assert_clean();
}

/// Another command is about to give it a new monitor. One that ends it waits for that, or nobody would hear the exit.
#[test]
fn a_kill_waits_for_a_monitor_that_is_on_its_way() {
    require!(root);
    require!(program);
    let env = Env::new();
    env.tinyd(["run", "-d", "--name", "c", &image(), "sleep", "1000"]).ok();
    let id = fs::read_link(env.root().join("names/c")).unwrap();
    kill(monitor_of(&env, "c"));
    // As whoever takes over holds it.
    let lock = fs::File::create(env.run_root().join("locks").join(id)).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let killing = env.cmd(["kill", "c"]).spawn();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(status(&env), "c RUNNING");
    drop(lock);
    killing.wait().ok();
    assert_eq!(status(&env), "c STOPPED (137)");
    env.tinyd(["rm", "c"]).ok();
    env.assert_clean();
}

/// Nobody looked between the monitor's death and the command's: the exit is what the kernel still knows, or unknown.
#[test]
fn an_exit_that_nobody_saw_is_never_invented() {
    require!(root);
    require!(program);
    let env = Env::new();
    for _ in 0..5 {
        env.tinyd(["run", "-d", "--name", "c", &image(), "sh", "-c", "sleep 1; exit 7"]).ok();
        kill(monitor_of(&env, "c"));
        let monitored =
            || env.leaks_within(Duration::ZERO).iter().any(|item| item.kind == leak::Kind::Process);
        wait_until("it has ended", || !monitored());
        let said = status(&env);
        assert!(said == "c STOPPED (7)" || said == "c STOPPED (unknown)", "{said}");
        let seen = env.tinyd(["inspect", "c"]).ok().json()[0]["State"].take();
        assert_eq!(seen["ExitCode"], if said.ends_with("(7)") { 7 } else { 255 }, "{seen}");
        env.tinyd(["rm", "c"]).ok();
    }
    env.assert_clean();
}

/// Its terminal is gone with the monitor that held it. One that does not mind is watched over for its exit.
#[test]
fn one_with_a_terminal_keeps_its_exit() {
    require!(root);
    require!(program);
    let env = Env::new();
    for (trap, code) in [("trap '' HUP", 7), ("trap 'exit 3' HUP", 3)] {
        let text = format!("{trap}; touch /tmp/up; while test ! -e /tmp/end; do sleep 0.01; done; exit 7");
        env.tinyd(["run", "-d", "-t", "--name", "c", &image(), "sh", "-c", &text]).ok();
        wait_until("its trap is set", || env.tinyd(["exec", "c", "test", "-e", "/tmp/up"]).code() == Some(0));
        kill(monitor_of(&env, "c"));
        assert!(status(&env).starts_with("c RUNNING") || code == 3);
        if code == 7 {
            let_end(&env, "c");
        }
        wait_until("it has ended", || status(&env) != "c RUNNING");
        let said = status(&env);
        // The hang-up may have ended it before anybody looked, or while the first who did gave it a new monitor.
        let unseen = code == 3 && said == "c STOPPED (unknown)";
        assert!(said == format!("c STOPPED ({code})") || unseen, "{said}");
        env.tinyd(["rm", "c"]).ok();
    }
    env.assert_clean();
}
