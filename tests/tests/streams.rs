//! The command's three streams: what goes in and out of `run`, byte for byte, whoever reads or does not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tinyd_tests::{Cmd, Env, NO_NETWORK, proc, require, roots, wait_until};

fn image() -> String {
    roots::busybox().to_str().unwrap().to_owned()
}

fn bytes(count: u32) -> Vec<u8> {
    (0..count).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Starts a command whose pipes are the test's own, for readers that are slow or go away.
fn start(cmd: &Cmd) -> Child {
    let mut command = Command::new(&cmd.words()[0]);
    command
        .args(&cmd.words()[1..])
        .envs([NO_NETWORK])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

#[test]
fn both_streams_come_apart() {
    require!(root);
    let env = Env::new();
    let output = env.tinyd(["run", "--rm", &image(), "sh", "-c", "echo a; echo b >&2; echo c"]).ok();
    assert_eq!((output.stdout(), output.stderr()), ("a\nc\n".into(), "b\n".into()));
}

#[test]
fn five_megabytes_go_in_and_come_out() {
    require!(root);
    for userns in ["auto", "host"] {
        let env = Env::new();
        let input = bytes(5_000_000);
        let words = ["run", "--rm", "--interactive", "--userns", userns, &image(), "cat"];
        let output = env.cmd(words).stdin(input.clone()).output().ok();
        assert!(output.stdout_bytes() == input, "{} bytes came back", output.stdout_bytes().len());
        assert_eq!(output.stderr(), "");
    }
}

#[test]
fn the_end_of_the_input_is_passed_on() {
    require!(root);
    let env = Env::new();
    let image = image();
    let empty = env
        .cmd(["run", "--rm", "--interactive", &image, "sh", "-c", "cat; echo end"])
        .stdin("")
        .output()
        .ok();
    assert_eq!(empty.stdout(), "end\n");
    let mut running = env.cmd(["run", "--rm", "--interactive", &image, "cat"]).piped().spawn();
    running.send("first\n");
    running.expect("first\n");
    running.send("second\n");
    running.expect("second\n");
    running.close_stdin();
    assert_eq!(running.wait().ok().stdout(), "first\nsecond\n");
}

#[test]
fn input_that_nobody_reads_holds_nobody_up() {
    require!(root);
    let env = Env::new();
    let image = image();
    let words = ["run", "--rm", "--interactive", &image, "sh", "-c", "sleep 0.2; echo done; exit 4"];
    let output = env.cmd(words).stdin(bytes(5_000_000)).output().fails(4);
    assert_eq!(output.stdout(), "done\n");
    // An input that never ends is no reason to stay, either.
    let mut running = env.cmd(["run", "--rm", "--interactive", &image, "true"]).piped().spawn();
    wait_until("the command's end is the client's end", || running.has_ended());
    running.wait().ok();
}

#[test]
fn without_the_options_the_input_is_not_attached_and_the_streams_are_pipes() {
    require!(root);
    let env = Env::new();
    let image = image();
    let output =
        env.cmd(["run", "--rm", &image, "sh", "-c", "cat; echo end; tty"]).stdin("not for it").output();
    assert_eq!(output.fails(1).stdout(), "end\nnot a tty\n");
    for (options, is_pipe) in [(&["-d"][..], false), (&["-d", "--interactive"], true)] {
        let words = ["run"].iter().chain(options).copied();
        let id = env.tinyd(words.chain([image.as_str(), "sleep", "300"])).ok().text();
        let pid: i32 = env.tinyd(["inspect", "-f", "{{.State.Pid}}", &id]).ok().text().parse().unwrap();
        let open = proc::descriptors_once(pid, &[0, 1, 2]);
        assert_eq!(open.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 2], "{open:?}");
        let is_fifo =
            |number| fs::metadata(format!("/proc/{pid}/fd/{number}")).unwrap().file_type().is_fifo();
        assert_eq!([0, 1, 2].map(is_fifo), [is_pipe, true, true], "{options:?}: {open:?}");
        assert_eq!(open[0].1 == Path::new("/dev/null"), !is_pipe, "{open:?}");
        assert_ne!(open[1].1, open[2].1, "one pipe for both could not be told apart");
    }
}

/// Servers write their logs to /dev/stdout and /dev/stderr, also when they are not root.
#[test]
fn the_streams_can_be_opened_by_name_whoever_the_user_is() {
    require!(root);
    let env = Env::new();
    let image = image();
    for userns in ["auto", "host"] {
        for user in ["0", "1000", "app"] {
            let script = "echo out > /dev/stdout; echo err > /dev/stderr; echo more >> /proc/self/fd/1";
            let words = ["run", "--rm", "--userns", userns, "-u", user, &image, "sh", "-c", script];
            let output = env.tinyd(words).ok();
            assert_eq!((output.stdout(), output.stderr()), ("out\nmore\n".into(), "err\n".into()), "{user}");
        }
    }
}

#[test]
fn a_slow_reader_gets_everything() {
    require!(root);
    let env = Env::new();
    let script = "dd if=/dev/zero bs=1000 count=3000 2>/dev/null; echo end >&2; exit 3";
    let mut child = start(&env.cmd(["run", "--rm", &image(), "sh", "-c", script]));
    let mut stdout = child.stdout.take().unwrap();
    let mut chunk = vec![0; 300_000];
    let mut count = 0;
    loop {
        // The slowness is what is tested.
        std::thread::sleep(Duration::from_millis(15));
        match stdout.read(&mut chunk).unwrap() {
            0 => break,
            read => count += read,
        }
    }
    assert_eq!(count, 3_000_000);
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(3), "end\n"));
}

/// `tinyd run … | head -1`: as quiet as any other program, and the container does not stay behind.
#[test]
fn a_reader_that_leaves_ends_nothing_but_the_output() {
    require!(root);
    let env = Env::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo end >&2; exit 6";
    let mut child = start(&env.cmd(["run", "--rm", &image(), "sh", "-c", script]));
    let mut line = String::new();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    reader.read_line(&mut line).unwrap();
    drop(reader);
    assert_eq!(line, "line 0\n");
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((child.wait().unwrap().code(), stderr.as_str()), (Some(6), "end\n"));
    wait_until("the container is gone", || env.containers().is_empty());
}

#[test]
fn what_is_written_last_is_not_lost() {
    require!(root);
    let env = Env::new();
    let image = image();
    // 60 kB fit into the pipe: the command is gone before anybody has read them.
    for round in 0..10 {
        let script = "dd if=/dev/zero bs=60000 count=1 2>/dev/null; echo last >&2";
        let output = env.tinyd(["run", "--rm", &image, "sh", "-c", script]).ok();
        assert_eq!(
            (output.stdout_bytes().len(), output.stderr()),
            (60_000, "last\n".into()),
            "round {round}"
        );
    }
}

#[test]
fn a_child_that_keeps_the_streams_does_not_keep_the_client() {
    require!(root);
    let env = Env::new();
    let script = "sleep 300 & echo up; exit 2";
    assert_eq!(env.tinyd(["run", "--rm", &image(), "sh", "-c", script]).fails(2).stdout(), "up\n");
}

#[test]
fn bytes_that_are_no_text_arrive() {
    require!(root);
    let env = Env::new();
    let script = r"printf '\000\377\r\n\200no newline'";
    let output = env.tinyd(["run", "--rm", &image(), "sh", "-c", script]).ok();
    assert_eq!(output.stdout_bytes(), b"\0\xff\r\n\x80no newline");
}
