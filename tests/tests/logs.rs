//! `logs`: what a container wrote, on the stream it came from, while it runs and afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tinyd_tests::kill::await_trap;
use tinyd_tests::{Env, Output, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Runs a script as `c1` to its end, in the background as its output goes to the log alone.
fn run(env: &Env, script: &str) {
    env.tinyd(["run", "-d", "--name", "c1", &image(), "sh", "-c", script]).ok();
    env.tinyd(["wait", "c1"]).ok();
}

fn logs(env: &Env, options: &[&str]) -> Output {
    env.tinyd(["logs"].iter().chain(options).chain(&["c1"]).copied()).ok()
}

#[test]
fn each_stream_comes_back_on_its_own() {
    require!(root);
    let env = Env::new();
    run(&env, "echo out; echo err >&2; echo more; printf 'no newline'");
    let output = logs(&env, &[]);
    assert_eq!(output.stdout(), "out\nmore\nno newline");
    assert_eq!(output.stderr(), "err\n");
}

#[test]
fn bytes_that_are_no_text_and_long_lines_come_back() {
    require!(root);
    let env = Env::new();
    run(&env, r"printf '\000\377\r\n'; head -c 300000 /dev/zero | tr '\0' x; echo; echo end");
    let output = logs(&env, &[]);
    let expected = [&b"\0\xff\r\n"[..], &[b'x'; 300_000], b"\nend\n"].concat();
    assert!(output.stdout_bytes() == expected, "{} bytes", output.stdout_bytes().len());
}

#[test]
fn a_foreground_container_has_a_log_as_well() {
    require!(root);
    let env = Env::new();
    let shown = env.tinyd(["run", "--name", "c1", &image(), "sh", "-c", "echo a; echo b >&2"]).ok();
    let logged = logs(&env, &[]);
    assert_eq!((logged.stdout(), logged.stderr()), (shown.stdout(), shown.stderr()));
    env.tinyd(["start", "-a", "c1"]).ok();
    assert_eq!(logs(&env, &[]).stdout(), "a\na\n", "it survives a second start");
}

#[test]
fn following_goes_on_until_the_end() {
    require!(root);
    let env = Env::new();
    let script = "echo one; until [ -e /root/go ]; do sleep 0.02; done; echo two; echo err >&2; exit 3";
    env.tinyd(["run", "-d", "--name", "c1", &image(), "sh", "-c", script]).ok();
    let mut following = env.cmd(["logs", "-f", "c1"]).spawn();
    following.expect("one\n");
    assert!(!following.has_ended());
    // It may die with the container, whose end it brings about.
    let touched = env.tinyd(["exec", "c1", "touch", "/root/go"]);
    assert!(matches!(touched.code(), Some(0 | 137)), "{touched}");
    let output = following.wait().ok();
    assert_eq!((output.stdout(), output.stderr()), ("one\ntwo\n".into(), "err\n".into()));
    assert_eq!(logs(&env, &["-f"]).stdout(), "one\ntwo\n", "what has ended is followed to its end");
}

#[test]
fn only_the_last_lines_are_shown_when_that_is_wanted() {
    require!(root);
    let env = Env::new();
    run(&env, "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done");
    assert_eq!(logs(&env, &["--tail", "2"]).stdout(), "line 1998\nline 1999\n");
    assert_eq!(logs(&env, &["-n", "1"]).stdout(), "line 1999\n");
    assert_eq!(logs(&env, &["--tail", "0"]).stdout(), "");
    for all in ["all", "2000", "9999"] {
        let text = logs(&env, &["--tail", all]).stdout();
        assert_eq!((text.lines().count(), text.lines().next()), (2000, Some("line 0")), "{all}");
    }
    assert_eq!(logs(&env, &["-f", "--tail", "1"]).stdout(), "line 1999\n");
}

#[test]
fn lines_have_times_and_can_be_chosen_by_them() {
    require!(root);
    let env = Env::new();
    run(&env, "echo a; sleep 0.3; echo b; echo e >&2");
    let output = logs(&env, &["-t"]);
    let lines: Vec<(String, String)> = output
        .stdout()
        .lines()
        .map(|line| {
            let (time, text) = line.split_once(' ').unwrap();
            (time.to_owned(), text.to_owned())
        })
        .collect();
    assert_eq!(lines.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    let (first, second) = (&lines[0].0, &lines[1].0);
    assert!(first < second && first.len() == 30 && first.ends_with('Z'), "{output}");
    assert!(output.stderr().ends_with(" e\n") && output.stderr().len() > 30, "{output}");
    let today = env.other(["date", "-u", "+%F"]).output().ok().text();
    assert!(first.starts_with(&today), "{first}");
    assert_eq!(logs(&env, &["--since", second]).stdout(), "b\n");
    assert_eq!(logs(&env, &["--until", second]).stdout(), "a\n");
    assert_eq!(logs(&env, &["--since", first]).stdout(), "a\nb\n");
    assert_eq!(logs(&env, &["--since", "10m"]).stdout(), "a\nb\n");
    assert_eq!(logs(&env, &["--since", "2100-01-01T00:00:00Z"]).stdout(), "");
    assert_eq!(logs(&env, &["--until", "1h"]).stdout(), "");
}

#[test]
fn they_survive_stop_and_start() {
    require!(root);
    let env = Env::new();
    let script = "echo started; trap 'echo stopped; exit 0' TERM; while :; do sleep 0.05; done";
    env.tinyd(["run", "-d", "--name", "c1", &image(), "sh", "-c", script]).ok();
    wait_until("it is up", || logs(&env, &[]).stdout() == "started\n");
    // The trap is set right after the line; a request before it would be lost on the first process.
    await_trap(&env, "c1", Signal::TERM);
    env.tinyd(["stop", "c1"]).ok();
    assert_eq!(logs(&env, &[]).stdout(), "started\nstopped\n");
    env.tinyd(["start", "c1"]).ok();
    wait_until("it is up again", || logs(&env, &[]).stdout() == "started\nstopped\nstarted\n");
}

#[test]
fn what_is_written_at_the_very_end_is_there() {
    require!(root);
    let env = Env::new();
    let image = image();
    for round in 0..5 {
        let name = format!("c{round}");
        let script = "head -c 60000 /dev/zero | tr '\\0' y; echo last";
        env.tinyd(["run", "-d", "--name", &name, &image, "sh", "-c", script]).ok();
        env.tinyd(["wait", &name]).ok();
        let text = env.tinyd(["logs", &name]).ok().stdout();
        assert!(text.len() == 60_005 && text.ends_with("last\n"), "round {round}: {} bytes", text.len());
    }
}

/// Whether anything is written by then or not.
#[test]
fn following_ends_at_the_moment_that_was_said() {
    require!(root);
    let env = Env::new();
    env.tinyd(["run", "-d", "--name", "c1", &image(), "sh", "-c", "echo one; sleep 1000"]).ok();
    wait_until("it has spoken", || logs(&env, &[]).stdout() == "one\n");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let until = (now + 2).to_string();
    let following = env.cmd(["logs", "-f", "--until", &until, "c1"]).limit(Duration::from_secs(20));
    assert_eq!(following.output().ok().stdout(), "one\n");
    env.tinyd(["rm", "-f", "c1"]).ok();
}

/// Its log goes with it, and whoever reads it has it until its end.
#[test]
fn the_last_words_of_one_that_removes_itself_are_read() {
    require!(root);
    let env = Env::new();
    for round in 0..10 {
        let name = format!("c{round}");
        env.tinyd([
            "run",
            "-d",
            "--rm",
            "--name",
            &name,
            &image(),
            "sh",
            "-c",
            "echo first; until [ -e /tmp/go ]; do sleep 0.01; done; echo last",
        ])
        .ok();
        let mut reading = env.cmd(["logs", "-f", &name]).spawn();
        reading.expect("first\n");
        env.tinyd(["exec", &name, "touch", "/tmp/go"]).ok();
        assert_eq!(reading.wait().ok().stdout(), "first\nlast\n", "{round}");
    }
}

#[test]
fn a_reader_that_leaves_ends_the_following() {
    require!(root);
    let env = Env::new();
    let script = "echo one; while :; do sleep 0.05; done";
    env.tinyd(["run", "-d", "--name", "c1", &image(), "sh", "-c", script]).ok();
    let program = env.cmd(["logs", "-f", "c1"]).words().to_vec();
    let words: Vec<_> = program.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let began = Instant::now();
    let script = format!("set -o pipefail; {} | head -1; echo $?", words.join(" "));
    let output = env.other(["bash", "-c", &script]).limit(Duration::from_secs(20)).output().ok();
    assert_eq!((output.stdout(), output.stderr()), ("one\n0\n".into(), String::new()));
    assert!(began.elapsed() < Duration::from_secs(10));
    // So does that of what is counted, which is asked for again and again.
    let program = env.cmd(["stats", "c1"]).words().to_vec();
    let words: Vec<_> = program.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let script = format!("set -o pipefail; {} | head -1; echo $?", words.join(" "));
    let output = env.other(["bash", "-c", &script]).limit(Duration::from_secs(20)).output().ok();
    assert!(output.stdout().ends_with("\n0\n"), "{output}");
}

#[test]
fn a_terminals_output_is_logged() {
    require!(root);
    let env = Env::new();
    let (_, shown) = env
        .pty(["run", "-it", "--name", "c1", &image(), "sh", "-c", "echo seen; echo err >&2"], 24, 80)
        .wait();
    assert_eq!(shown, "seen\r\nerr\r\n");
    assert_eq!(logs(&env, &[]).stdout(), "seen\r\nerr\r\n");
}

/// Heavy: writes 35 MiB. The three newest parts are kept, of 10 MiB at most, and the writer is never held up.
#[test]
fn logs_are_rotated_and_the_newest_is_kept() {
    require!(root);
    let env = Env::new();
    // 700,000 lines of 52 bytes.
    let script = "seq -f 'line %09.0f 0123456789012345678901234567890123456' 1 700000 || exit 9";
    let words = ["run", "-d", "--name", "c1", "host", "sh", "-c", script];
    env.tinyd(words).ok();
    assert_eq!(env.cmd(["wait", "c1"]).output().ok().text(), "0");
    let path = env.tinyd(["inspect", "-f", "{{.LogPath}}", "c1"]).ok().text();
    let folder = std::path::Path::new(&path).parent().unwrap();
    let sizes: Vec<u64> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().size()).collect();
    assert_eq!(sizes.len(), 3, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 11 << 20), "{sizes:?}");
    let text = logs(&env, &[]).stdout();
    // The oldest part may begin within a line: its beginning went with the part before.
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert!(lines[lines.len() - 1].starts_with("line 000700000 "), "the newest line is there");
    assert!(lines.len() > 200_000 && lines.len() < 700_000, "{} lines are kept", lines.len());
    let number = |line: &str| line[5..14].parse::<u32>().unwrap();
    let gap = lines.windows(2).find(|pair| number(pair[0]) + 1 != number(pair[1]));
    assert_eq!(gap, None, "the parts follow each other");
    assert!(logs(&env, &["--tail", "2"]).stdout().starts_with("line 000699999 "));
}
