//! How much of a container's output is kept, and what becomes of the rest: the log never grows beyond its size, nobody waits
//! for who reads it, and what is missing is counted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what it measured"
)]

use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tinyd_tests::small::{Lack, Small};
use tinyd_tests::{Env, Output, remove, require, roots, unserved, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

/// Starts a script as `c1` whose log is kept in two files of 32 KiB.
fn start(env: &Env, image: &str, script: &str) {
    let options = ["run", "-d", "--name", "c1", "--log-opt", "max-size=32k", "--log-opt", "max-file=2"];
    env.tinyd(options.iter().chain(&[image, "sh", "-c", script]).copied()).ok();
}

fn folder(env: &Env) -> PathBuf {
    let path = env.tinyd(["inspect", "-f", "{{.LogPath}}", "c1"]).ok().text();
    PathBuf::from(path).parent().unwrap().to_owned()
}

fn sizes(folder: &PathBuf) -> Vec<u64> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.size())).collect()
}

/// Bytes that a reader says are missing.
fn missing(output: &Output) -> u64 {
    let said = output.stderr();
    let notes = said.lines().filter_map(|line| line.strip_prefix("tinyd: note: "));
    notes.map(|note| note.split(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[test]
fn the_size_and_the_number_of_files_are_chosen() {
    require!(root);
    let env = Env::new();
    start(&env, "host", "seq -f 'line %06.0f of what is written' 1 20000");
    env.tinyd(["wait", "c1"]).ok();
    let sizes = sizes(&folder(&env));
    assert!(sizes.len() == 2 && sizes.iter().all(|size| *size <= 32 << 10), "{sizes:?}");
    assert!(sizes.iter().any(|size| *size > 32_600), "they are filled: {sizes:?}");
    let text = env.tinyd(["logs", "c1"]).ok().stdout();
    assert!(text.ends_with("line 020000 of what is written\n"));
    let shown = env.tinyd(["inspect", "c1"]).ok().json()[0]["HostConfig"]["LogConfig"].take();
    assert_eq!(
        shown,
        serde_json::json!({"Type": "json-file", "Config": {"max-size": "32768", "max-file": "2"}})
    );
    for bad in
        ["max-size=31k", "max-size=much", "max-file=0", "max-file=17", "max-file=x", "colour=red", "max-size"]
    {
        let refused = env.tinyd(["run", "--log-opt", bad, "host", "true"]);
        assert_eq!(refused.code(), Some(125), "{bad}: {refused}");
    }
    assert_eq!(env.tinyd(["run", "--log-driver", "syslog", "host", "true"]).code(), Some(125));
    let both = env.tinyd(["run", "--log-driver", "none", "--log-opt", "max-file=2", "host", "true"]);
    assert_eq!(both.code(), Some(125), "{both}");
    assert_eq!(env.containers().len(), 1, "what is refused is not made");
}

#[test]
fn none_of_it_is_kept_where_that_is_wanted() {
    require!(root);
    let env = Env::new();
    let shown = env.tinyd(["run", "--name", "c1", "--log-driver", "none", &image(), "echo", "seen"]).ok();
    assert_eq!(shown.stdout(), "seen\n");
    let refused = env.tinyd(["logs", "c1"]);
    assert_eq!(refused.code(), Some(1));
    assert!(refused.stderr().contains("it keeps none (--log-driver none)"), "{refused}");
    assert_eq!(sizes(&folder(&env)), Vec::<u64>::new());
    assert_eq!(env.tinyd(["inspect", "-f", "{{.HostConfig.LogConfig.Type}}", "c1"]).ok().text(), "none");
    env.tinyd(["start", "-a", "c1"]).ok();
    assert_eq!(sizes(&folder(&env)), Vec::<u64>::new());
}

#[test]
fn a_reader_that_keeps_up_misses_nothing_when_files_are_put_away() {
    require!(root);
    let env = Env::new();
    // 3,000 lines of 60 bytes beside what stands before each: some ten times two files, in pieces.
    let script = "until [ -e /tmp/go ]; do sleep 0.02; done; i=0
        while [ $i -lt 3000 ]; do i=$((i+1)); printf 'line %055d\\n' $i; [ $((i % 50)) -ne 0 ] || sleep 0.05; done";
    start(&env, &image(), &format!("echo old; echo older; {script}"));
    wait_until("it is up", || env.tinyd(["logs", "c1"]).ok().stdout() == "old\nolder\n");
    let following =
        env.cmd(["logs", "-f", "--tail", "1", "-t", "--since", "1h", "c1"]).limit(Duration::from_secs(60));
    let mut following = following.spawn();
    following.expect("older\n");
    env.tinyd(["exec", "c1", "touch", "/tmp/go"]).ok();
    let output = following.wait().ok();
    let lines: Vec<(String, String)> = output
        .stdout()
        .lines()
        .map(|line| line.split_once(' ').map(|(time, text)| (time.to_owned(), text.to_owned())).unwrap())
        .collect();
    assert_eq!(lines[0].1, "older", "the last line that was there");
    let numbers: Vec<u32> =
        lines[1..].iter().map(|(_, text)| text.strip_prefix("line ").unwrap().parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=3000), "{} lines", numbers.len());
    assert!(lines.windows(2).all(|pair| pair[0].0 <= pair[1].0), "times go forward");
    assert_eq!(output.stderr(), "");
    // What is kept by now is less than that.
    let kept = env.tinyd(["logs", "c1"]).ok().stdout().lines().count();
    assert!((200..1000).contains(&kept), "{kept} lines are kept");
    let since = &lines[2990].0;
    let late = env.tinyd(["logs", "--since", since, "--tail", "5", "c1"]).ok().stdout();
    assert_eq!(late.lines().count(), 5);
}

#[test]
fn f16_a_reader_that_stands_still_holds_up_nobody_and_is_told_what_it_missed() {
    require!(root);
    let env = Env::new();
    let script = "until [ -e /tmp/go ]; do sleep 0.02; done; seq -f '%0999.0f' 1 100000";
    start(&env, "host", &format!("echo up; {script}"));
    let following = env.cmd(["logs", "-f", "c1"]).limit(Duration::from_secs(100));
    let mut following = following.spawn();
    following.expect("up\n");
    following.signal(Signal::STOP);
    let folder = folder(&env);
    let began = Instant::now();
    env.tinyd(["exec", "c1", "touch", "/tmp/go"]).ok();
    // At no moment is there more than was allowed.
    let mut looks = 0;
    while env.tinyd(["inspect", "-f", "{{.State.Running}}", "c1"]).ok().text() == "true" {
        for _ in 0..200 {
            let sizes = sizes(&folder);
            assert!(sizes.len() <= 2 && sizes.iter().all(|size| *size <= 32 << 10), "{sizes:?}");
            looks += 1;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the writer is held up");
    }
    println!("100 MB in {:?}, {looks} looks", began.elapsed());
    following.signal(Signal::CONT);
    let output = following.wait().ok();
    let text = output.stdout();
    assert!(text.ends_with(&format!("{:0999}\n", 100_000)), "the newest line comes");
    // A piece of the log has 41 bytes before it, and a line feed behind it, for each kilobyte.
    let written = 100_000.0 * 1041.0;
    let (read, lost) = (text.lines().count() as f64 * 1041.0, missing(&output) as f64);
    assert!(lost > 0.9 * written, "{}", output.stderr());
    assert!(((read + lost) / written - 1.0).abs() < 0.01, "{read} and {lost} of {written}");
}

#[test]
fn f16_what_there_is_no_room_for_is_counted_and_the_writer_goes_on() {
    require!(root);
    unserved!("it puts another file system in the place of the root, which a daemon has open");
    let env = Env::new();
    let small = Small::new(env.root(), Lack::Space.options());
    let script = "until [ -e /tmp/go ]; do sleep 0.02; done; seq -f '%099.0f' 1 20000; echo done > /tmp/done
        until [ -e /tmp/again ]; do sleep 0.02; done; echo again; until [ -e /tmp/end ]; do sleep 0.02; done";
    // What it writes to its own /tmp is in memory.
    let words = ["run", "-d", "--name", "c1", "--tmpfs", "/tmp", "host", "sh", "-c", script];
    env.tinyd(words).ok();
    let filler = Lack::Space.bring_about(&env.root());
    env.tinyd(["exec", "c1", "touch", "/tmp/go"]).ok();
    wait_until("all is written", || env.tinyd(["exec", "c1", "test", "-e", "/tmp/done"]).code() == Some(0));
    remove::remove_tree(&filler).unwrap();
    env.tinyd(["exec", "c1", "touch", "/tmp/again"]).ok();
    wait_until("it is logged again", || env.tinyd(["logs", "c1"]).ok().stdout().ends_with("again\n"));
    env.tinyd(["exec", "c1", "touch", "/tmp/end"]);
    env.tinyd(["wait", "c1"]).ok();
    let output = env.tinyd(["logs", "c1"]).ok();
    let lost: u64 =
        env.tinyd(["inspect", "-f", "{{.State.LogLostBytes}}", "c1"]).ok().text().parse().unwrap();
    assert_eq!(lost + output.stdout_bytes().len() as u64, 20_000 * 100 + 6);
    assert!(lost > 1_000_000, "{lost}");
    assert_eq!(missing(&output), lost, "{}", output.stderr());
    env.tinyd(["rm", "c1"]).ok();
    drop(small);
}
