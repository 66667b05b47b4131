//! `attach`: coming to a command that runs, with others, and leaving it again.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use rustix::process::Signal;
use std::time::{Duration, Instant};
use tinyd_tests::{Env, Output, Pty, Running, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Starts a script as `c1`, in the background.
fn start(env: &Env, options: &[&str], script: &str) {
    let image = image();
    let words = ["run", "-d", "--name", "c1"].iter().chain(options).copied();
    env.tinyd(words.chain([image.as_str(), "sh", "-c", script])).ok();
}

/// Attaches, and returns when it is: the script answers each line.
fn attach(env: &Env, name: &str) -> Running {
    let mut client = env.cmd(["attach", "c1"]).piped().spawn();
    say(&mut client, &format!("hello-{name}\n"));
    client
}

/// Gives a line of input, which comes back.
fn say(client: &mut Running, line: &str) {
    client.send(line);
    client.expect(line);
}

fn is_running(env: &Env) -> bool {
    env.tinyd(["inspect", "--format", "{{.State.Status}}", "c1"]).ok().text() == "running"
}

const SHELL: &str = "PS1='$ ' exec sh -i";

fn shell(env: &Env) -> Pty {
    let mut terminal = env.pty(["attach", "c1"], 37, 113);
    terminal.send("echo he\"\"re; stty size\n");
    terminal.expect("here\r\n37 113\r\n");
    terminal
}

#[test]
fn each_of_several_clients_gets_all_output_and_the_exit_and_each_gives_input() {
    require!(root);
    let env = Env::new();
    start(
        &env,
        &["--interactive"],
        "echo before; while read line; do echo $line; [ $line != end ] || exit 7; done",
    );
    let mut one = attach(&env, "one");
    let mut two = attach(&env, "two");
    one.expect("hello-two\n");
    say(&mut two, "from-two\n");
    one.expect("from-two\n");
    // One that goes away takes nothing of the others with it, nor their input.
    let mut gone = attach(&env, "gone");
    gone.signal(Signal::KILL);
    wait_until("it is gone", || gone.has_ended());
    two.expect("hello-gone\n");
    say(&mut one, "still\n");
    two.expect("still\n");
    say(&mut one, "end\n");
    let (one, two) = (one.wait(), two.wait());
    assert_eq!((one.code(), two.code()), (Some(7), Some(7)));
    assert_eq!(
        one.stdout(),
        "hello-one\nhello-two\nfrom-two\nhello-gone\nstill\nend\n",
        "from now on, all of it"
    );
    assert_eq!(two.stdout(), "hello-two\nfrom-two\nhello-gone\nstill\nend\n");
    // Attached or not, all of it is in the log.
    let logged = env.tinyd(["logs", "c1"]).ok().stdout();
    assert_eq!(logged, format!("before\n{}", one.stdout()));
    let refused = env.tinyd(["attach", "c1"]);
    assert_eq!(refused.code(), Some(125), "{refused}");
    assert!(refused.stderr().contains("cannot attach to container") && refused.stderr().contains("start -a"));
}

#[test]
fn input_ends_with_the_last_who_gives_it() {
    require!(root);
    let env = Env::new();
    start(&env, &["--interactive"], "cat; echo ended");
    let mut one = attach(&env, "one");
    let mut two = attach(&env, "two");
    // Its input ends; the other's does not.
    let mut closed = env.cmd(["attach", "c1"]).piped().spawn();
    say(&mut closed, "three\n");
    closed.close_stdin();
    let mut looks_on = env.cmd(["attach", "--no-stdin", "c1"]).spawn();
    wait_until("the one without input is attached", || {
        one.send("look\n");
        one.has_said("look\n") && looks_on.has_said("look\n")
    });
    say(&mut one, "more\n");
    closed.expect("more\n");
    two.expect("more\n");
    one.signal(Signal::KILL);
    wait_until("it is gone", || one.has_ended());
    assert!(is_running(&env));
    let two = two.wait().ok();
    assert!(two.stdout().ends_with("more\nended\n"), "{two}");
    assert!(closed.wait().ok().stdout().ends_with("ended\n"));
    assert!(looks_on.wait().ok().stdout().ends_with("ended\n"));
}

#[test]
fn keys_leave_a_terminal_which_can_be_come_back_to() {
    require!(root);
    let env = Env::new();
    start(&env, &["-it"], SHELL);
    let mut terminal = shell(&env);
    terminal.send("x=kept\n\x1d");
    let (status, text) = terminal.wait();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.contains("tinyd: detached; the container runs on (tinyd attach "), "{text}");
    // Others by an option, and by the environment; with none the usual ones are for the command.
    let mut terminal = env.pty(["attach", "--detach-keys", "ctrl-p,ctrl-q", "c1"], 50, 200);
    terminal.send("echo $x; stty size\n");
    terminal.expect("kept\r\n50 200\r\n");
    terminal.resize(20, 40);
    terminal.send("stty size\n");
    terminal.expect("20 40\r\n");
    terminal.send("\x10\x11");
    assert_eq!(terminal.wait().0.code(), Some(0));
    let mut terminal = env.cmd(["attach", "c1"]).env("TINYD_DETACH_KEYS", "ctrl-a,d").pty(24, 80);
    terminal.send("\x1d\x15echo o\"\"n\n");
    terminal.expect("on\r\n");
    terminal.send("\x01d");
    assert_eq!(terminal.wait().0.code(), Some(0));
    let mut terminal = env.pty(["attach", "--detach-keys", "", "c1"], 24, 80);
    terminal.send("\x1d\x15echo o\"\"n\n");
    terminal.expect("on\r\n");
    terminal.send("exit 5\n");
    assert_eq!(terminal.wait().0.code(), Some(5));
}

#[test]
fn run_start_and_exec_are_left_by_keys_as_well() {
    require!(root);
    let env = Env::new();
    let image = image();
    let mut terminal = env.pty(["run", "-it", "--name", "c1", &image, "sh"], 24, 80);
    terminal.send("echo u\"\"p\n");
    terminal.expect("up\r\n");
    terminal.send("\x1d");
    assert_eq!(terminal.wait().0.code(), Some(0));
    assert!(is_running(&env));
    // What runs beside it goes on too, though the terminal is gone that it was started from.
    let mut terminal = env.pty(["exec", "-it", "c1", "sh"], 24, 80);
    terminal.send("(sleep 1; touch /done; sleep 1000) & echo $$ > /p\"\"id; echo u\"\"p; wait\n");
    terminal.expect("up\r\n");
    terminal.send("\x1d");
    let (status, text) = terminal.wait();
    assert_eq!(status.code(), Some(0), "{text}");
    assert!(text.contains("tinyd: detached; the command runs on"), "{text}");
    wait_until("it went on", || env.tinyd(["exec", "c1", "test", "-e", "/done"]).code() == Some(0));
    env.tinyd(["exec", "c1", "sh", "-c", "kill -0 $(cat /pid)"]).ok();
    // One that is not left by keys ends with its session.
    let mut terminal = env.pty(["exec", "-it", "c1", "sh"], 24, 80);
    terminal.send("echo $$ > /second; echo u\"\"p\n");
    terminal.expect("up\r\n");
    drop(terminal);
    wait_until("it has ended", || {
        env.tinyd(["exec", "c1", "sh", "-c", "kill -0 $(cat /second)"]).code() != Some(0)
    });
    env.tinyd(["kill", "c1"]).ok();
    env.tinyd(["wait", "c1"]).ok();
    let mut terminal = env.pty(["start", "-ai", "c1"], 24, 80);
    terminal.send("echo u\"\"p\n");
    terminal.expect("up\r\n");
    terminal.send("\x1d");
    assert_eq!(terminal.wait().0.code(), Some(0));
    assert!(is_running(&env));
}

#[test]
fn signals_are_passed_on_unless_that_is_not_wanted() {
    require!(root);
    let env = Env::new();
    start(&env, &[], "trap 'echo got; exit 9' USR1 TERM; while :; do echo up; sleep 0.05; done");
    let mut alone = env.cmd(["attach", "--sig-proxy=false", "c1"]).spawn();
    let mut passing = env.cmd(["attach", "c1"]).spawn();
    // Whoever hears what it says takes signals.
    alone.expect("up\n");
    passing.expect("up\n");
    alone.signal(Signal::TERM);
    wait_until("it has ended", || alone.has_ended());
    assert_eq!(alone.wait().code(), Some(143));
    assert!(is_running(&env));
    passing.signal(Signal::USR1);
    let passing = passing.wait();
    assert!(passing.code() == Some(9) && passing.stdout().ends_with("got\n"), "{passing}");
}

/// Lines of the log's files: what the command has written so far.
fn written(env: &Env) -> u64 {
    let id = env.containers().into_iter().next().unwrap();
    let last = env.tinyd(["logs", "--tail", "1", &id]).ok().text();
    last.trim().parse().unwrap_or(0)
}

#[test]
fn who_attaches_and_stops_holds_up_nobody_and_is_told_what_it_missed() {
    require!(root);
    let env = Env::new();
    // Each line is 100 bytes and its number.
    let script = "until [ -e /go ]; do sleep 0.02; done
        seq -f '%0100.0f' 1 200000 2>/dev/null || awk 'BEGIN { for (i = 1; i <= 200000; i++) printf \"%0100d\\n\", i }'
        until [ -e /end ]; do sleep 0.02; done; echo end";
    start(&env, &[], script);
    let mut stopped = env.cmd(["attach", "c1"]).spawn();
    let mut taking = env.cmd(["attach", "c1"]).limit(Duration::from_secs(60)).spawn();
    for client in [&mut stopped, &mut taking] {
        client.settle();
        assert!(!client.has_ended());
    }
    let taking = std::thread::spawn(move || taking.wait());
    stopped.signal(Signal::STOP);
    env.tinyd(["exec", "c1", "touch", "/go"]).ok();
    // At no time does it wait, as it would for who had started it.
    let (mut last, mut moved) = (0, Instant::now());
    while last < 200_000 {
        let now = written(&env);
        if now > last {
            (last, moved) = (now, Instant::now());
        }
        assert!(moved.elapsed() < Duration::from_secs(4), "it waits at line {last}");
        // Whoever looks all the time is the one who holds it up.
        std::thread::sleep(Duration::from_millis(50));
    }
    env.tinyd(["exec", "c1", "touch", "/end"]);
    stopped.signal(Signal::CONT);
    let stopped = stopped.wait().ok();
    assert_eq!(missed(&stopped) + stopped.stdout().len(), 200_000 * 101 + 4);
    // A daemon on the way, and the connection to it, hold something too.
    let most = if tinyd_tests::is_served() { 4_000_000 } else { 2_000_000 };
    assert!(stopped.stdout().len() < most, "{} bytes were kept for it", stopped.stdout().len());
    // Who takes what comes may be too slow for such a writer as well; it knows by how much.
    let taking = taking.join().unwrap().ok();
    assert_eq!(missed(&taking) + taking.stdout().len(), 200_000 * 101 + 4);
}

/// How many bytes a client says that it did not get.
fn missed(output: &Output) -> usize {
    let said = output.stderr();
    let Some(rest) = said.strip_prefix("tinyd: note: ") else { return 0 };
    rest.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{said:?}"))
}

#[test]
fn who_runs_a_command_loses_nothing_until_others_are_attached() {
    require!(root);
    let env = Env::new();
    let image = image();
    let script = "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); printf '%0100d\\n' $i; done";
    let mut first = env.cmd(["run", "--name", "c1", &image, "sh", "-c", script]).spawn();
    first.expect("0000001\n");
    first.signal(Signal::STOP);
    let at_rest = || {
        let before = written(&env);
        std::thread::sleep(Duration::from_millis(700));
        before == written(&env)
    };
    wait_until("it waits for its reader", at_rest);
    let before = written(&env);
    assert!(before < 30_000, "it had written all before it was stopped");
    // Now somebody else wants the output too; the command waits some seconds more, and then goes on.
    let second = env.cmd(["attach", "c1"]).limit(Duration::from_secs(60)).spawn();
    let second = second.wait().ok();
    // (All that came since it attached, of a line it may be the rest; it may be too slow for such a writer as well.)
    let (since, had) =
        ((30_000 - usize::try_from(before).unwrap()) * 101, missed(&second) + second.stdout().len());
    assert!((since - 100..=since).contains(&had), "{had} of {since} bytes");
    assert!(written(&env) == 30_000);
    first.signal(Signal::CONT);
    let first = first.wait().ok();
    assert_eq!(missed(&first) + first.stdout().len(), 30_000 * 101);
    assert!(missed(&first) > 0);
}

#[test]
fn a_new_monitor_is_attached_to_as_the_first_one() {
    require!(root);
    let env = Env::new();
    start(&env, &[], "while :; do date +%s%N; sleep 0.1; done");
    let monitor = tinyd_tests::kill::monitor_of(&env, "c1");
    tinyd_tests::kill::kill(monitor);
    let mut client = env.cmd(["attach", "c1"]).spawn();
    client.expect("\n");
    env.tinyd(["kill", "c1"]).ok();
    assert_eq!(client.wait().code(), Some(137));
}
