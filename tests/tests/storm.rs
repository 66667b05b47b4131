//! A thousand containers, eight at a time: every exit code right, and the machine as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what a soak took"
)]

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tinyd_tests::proc::{cgroups, mounts};
use tinyd_tests::{Env, crowd, require, roots, wait_until};

const RUNS: usize = 1000;
const AT_A_TIME: usize = 8;

/// Open files of the whole machine. Others work on it too: the count is the least of a few.
fn open_files() -> i64 {
    let look = || {
        let text = fs::read_to_string("/proc/sys/fs/file-nr").unwrap();
        text.split_whitespace().next().unwrap().parse::<i64>().unwrap()
    };
    (0..20)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            look()
        })
        .min()
        .unwrap()
}

/// The mounts of the machine that no other test makes and unmounts meanwhile.
fn mount_points() -> BTreeSet<String> {
    let all = mounts::of_self().unwrap().into_iter().map(|mount| mount.line);
    all.filter(|line| !line.contains("tinyd-test-")).collect()
}

/// Runs each of the numbers through `work`, so many at a time; gives what was wrong.
fn storm(count: usize, work: impl Fn(usize) -> Result<(), String> + Sync) -> Vec<String> {
    crowd(AT_A_TIME, count, work)
}

#[test]
fn a_thousand_runs_give_their_exit_codes_and_leave_the_machine_as_it_was() {
    require!(root);
    require!(program);
    let env = Env::new();
    let image = roots::busybox();
    let image = image.to_str().unwrap();
    // Mounted and opened once for all by the first.
    env.tinyd(["run", "--rm", image, "true"]).ok();
    env.assert_clean();
    let (files, points) = (open_files(), mount_points());
    let start = Instant::now();
    let wrong = storm(RUNS, |number| {
        let code = number % 256;
        // What ends by a signal has the codes from 129 on as well: these exit with them.
        let text = format!("echo {number}; exit {code}");
        let output = env.tinyd(["run", "--rm", image, "sh", "-c", &text]);
        let right = output.code() == i32::try_from(code).ok() && output.stdout() == format!("{number}\n");
        if right && output.stderr().is_empty() { Ok(()) } else { Err(format!("{number}: {output}")) }
    });
    let took = start.elapsed();
    assert!(wrong.is_empty(), "{} of {RUNS} are wrong, the first:\n{}", wrong.len(), wrong[0]);
    assert!(took < Duration::from_secs(60), "{RUNS} runs took {took:?}");
    env.assert_clean();
    assert_eq!(env.tinyd(["ps", "-aq"]).ok().stdout(), "");
    env.assert_checked();
    assert_eq!(mount_points(), points);
    // One descriptor that is lost each time would be a thousand; the other tests have theirs.
    wait_until("the open files are as many as before", || open_files() - files < 500);
}

/// F10: a hundred clients, a hundred runs each.
#[test]
#[ignore = "takes minutes: 10,000 runs"]
fn soak_a_hundred_clients_run_a_hundred_containers_each() {
    require!(root);
    let env = Env::new();
    let image = roots::busybox();
    let image = image.to_str().unwrap();
    env.tinyd(["run", "--rm", image, "true"]).ok();
    env.assert_clean();
    let (files, points, start) = (open_files(), mount_points(), Instant::now());
    let wrong = crowd(100, 10_000, |number| {
        let text = format!("echo {number}; exit {}", number % 256);
        let name = format!("n{number}");
        let output = env.tinyd(["run", "--rm", "--name", &name, image, "sh", "-c", &text]);
        let right =
            output.code() == i32::try_from(number % 256).ok() && output.stdout() == format!("{number}\n");
        if right && output.stderr().is_empty() { Ok(()) } else { Err(format!("{number}: {output}")) }
    });
    println!("10,000 runs, a hundred at a time: {:?}", start.elapsed());
    assert!(wrong.is_empty(), "{} of 10,000 are wrong, the first:\n{}", wrong.len(), wrong[0]);
    env.assert_clean();
    assert_eq!(env.tinyd(["ps", "-aq"]).ok().stdout(), "");
    env.assert_checked();
    assert_eq!(mount_points(), points);
    wait_until("the open files are as many as before", || open_files() - files < 500);
}

#[test]
fn detached_containers_come_and_go_side_by_side() {
    require!(root);
    require!(program);
    let env = Env::new();
    let image = roots::busybox();
    let image = image.to_str().unwrap();
    let wrong = storm(64, |number| {
        let name = format!("c{number}");
        let code = number % 200;
        let text = format!("echo from {name}; exit {code}");
        let started = env.tinyd(["run", "-d", "--name", &name, image, "sh", "-c", &text]);
        let waited = env.tinyd(["wait", &name]).text();
        let logged = env.tinyd(["logs", &name]).stdout();
        let removed = env.tinyd(["rm", &name]);
        let right = (waited.as_str(), logged.as_str()) == (&*code.to_string(), &*format!("from {name}\n"));
        if right && removed.code() == Some(0) {
            Ok(())
        } else {
            Err(format!("{name}: {started}\nwait {waited:?}, logs {logged:?}, {removed}"))
        }
    });
    assert!(wrong.is_empty(), "{} are wrong, the first:\n{}", wrong.len(), wrong[0]);
    env.assert_clean();
}

/// One name is wanted by all: exactly one has it at any moment, and the others are told.
#[test]
fn a_name_that_many_want_at_once_goes_to_one() {
    require!(root);
    require!(program);
    let env = Env::new();
    let image = roots::busybox();
    let image = image.to_str().unwrap();
    let won = AtomicUsize::new(0);
    let wrong = storm(AT_A_TIME, |number| {
        let output = env.tinyd(["run", "-d", "--name", "wanted", image, "sleep", "1000"]);
        match output.code() {
            Some(0) => {
                won.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Some(125) if output.stderr().contains("wanted") => Ok(()),
            _ => Err(format!("{number}: {output}")),
        }
    });
    assert_eq!((wrong, won.into_inner()), (Vec::new(), 1));
    let pids = |id: &str| cgroups::of_container(id, "pids").map_or(0, |group| cgroups::members(&group).len());
    assert_eq!(env.containers().iter().map(|id| pids(id)).collect::<Vec<_>>(), [1]);
}
