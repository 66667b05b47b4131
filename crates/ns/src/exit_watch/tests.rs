#![expect(clippy::zombie_processes, reason = "a child of a test that is skipped ends with its input")]

use super::*;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

/// A command that ends when it is told to.
fn start(program: &str, words: &[&str]) -> Child {
    Command::new(program).args(words).stdin(Stdio::piped()).spawn().unwrap()
}

fn watch(child: &Child) -> Option<ExitWatch> {
    match ExitWatch::new(pidfd::open(child.id()).unwrap(), child.id()) {
        Ok(watch) => Some(watch),
        Err(error) => {
            eprintln!("SKIPPED (needs root of the first namespaces, and the process connector): {error}");
            None
        }
    }
}

#[test]
fn an_exit_that_the_parent_has_taken_is_known() {
    for (words, exit) in [("read x; exit 7", Exit::Exited(7)), ("read x; kill -9 $$", Exit::Signaled(9))] {
        let mut child = start("sh", &["-c", words]);
        let Some(mut watch) = watch(&child) else { return };
        assert!(!is_readable(watch.as_fd(), Duration::ZERO), "nothing has ended yet");
        // Ends of others are none of its.
        assert!(Command::new("true").status().unwrap().success());
        assert!(!is_readable(watch.as_fd(), Duration::from_millis(50)));
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        child.wait().unwrap();
        assert_eq!(watch.exit(), Some(exit));
        assert_eq!(watch.exit(), Some(exit), "it can be asked again");
    }
}

#[test]
fn an_end_before_anybody_listened_is_not_made_up() {
    let mut child = start("true", &[]);
    let process = pidfd::open(child.id()).unwrap();
    assert!(is_readable(process.as_fd(), Duration::from_secs(60)));
    let Some(mut watch) = watch(&child) else { return };
    assert_eq!(watch.exit(), None);
    child.wait().unwrap();
}

/// The first thread goes with a code of its own while another goes on, which decides the exit.
#[test]
fn a_first_thread_that_ends_early_does_not_decide() {
    const PROGRAM: &str = "import ctypes, os, sys, threading\n\
        threading.Thread(target=lambda: (sys.stdin.readline(), os._exit(5))).start()\n\
        ctypes.CDLL(None).syscall(ctypes.c_long({'x86_64': 60}.get(os.uname().machine, 93)), 0)\n";
    if Command::new("python3").arg("-V").output().is_err() {
        eprintln!("SKIPPED (needs python3)");
        return;
    }
    let mut child = start("python3", &["-c", PROGRAM]);
    let Some(mut watch) = watch(&child) else { return };
    let stat = format!("/proc/{}/stat", child.id());
    while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(is_readable(watch.as_fd(), PATIENCE), "the end of the first thread is told");
    watch.look();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(5));
    assert_eq!(watch.exit(), None);
}

/// Another thread takes the place of the first, which is told as an end too.
#[test]
fn a_program_that_another_thread_has_become_ends_later() {
    const PROGRAM: &str = "import os, sys, threading, time\n\
        def become():\n\
        \x20   os.execv('/bin/sh', ['sh', '-c', 'echo; read x; exit 6'])\n\
        threading.Thread(target=become).start()\n\
        time.sleep(1000)\n";
    if Command::new("python3").arg("-V").output().is_err() {
        eprintln!("SKIPPED (needs python3)");
        return;
    }
    let mut child = Command::new("python3")
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let Some(mut watch) = watch(&child) else { return };
    let mut line = String::new();
    let mut output = io::BufReader::new(child.stdout.take().unwrap());
    io::BufRead::read_line(&mut output, &mut line).unwrap();
    assert_eq!(line, "\n", "it is the shell by now");
    watch.look();
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(6));
    assert_eq!(watch.exit(), Some(Exit::Exited(6)));
}

#[test]
fn releases_are_compared_as_numbers() {
    assert!(version("6.1.0-48-amd64").unwrap() < TOLD_BY_DESCRIPTOR);
    assert!(
        version("6.9").unwrap() < TOLD_BY_DESCRIPTOR && version("6.15-rc1").unwrap() >= TOLD_BY_DESCRIPTOR
    );
    assert_eq!(version("strange"), None);
}
