//! What a start costs: the processes it makes and the calls it does without.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test reports trouble by failing")]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tinyd_tests::ground::{self, Ground};
use tinyd_tests::kill::monitor_of;
use tinyd_tests::proc::cgroups;
use tinyd_tests::{Env, eventually, require, roots, wait_until};

/// One line of `strace -ff -y`: a process has a file of its own, so that no line is torn in two.
struct Call {
    name: String,
    line: String,
}

impl Call {
    /// The number after the last `=`: what the call gave. `None` for one that never came back.
    fn result(&self) -> Option<i64> {
        self.line.rsplit_once(" = ")?.1.split([' ', '<']).next()?.parse().ok()
    }

    /// The strings among its arguments.
    fn texts(&self) -> Vec<&str> {
        self.line.split('"').skip(1).step_by(2).collect()
    }

    /// What its first argument, a descriptor, is open on.
    fn target(&self) -> &str {
        let inside = |text: &'_ str| text.find('<').map(|at| at + 1);
        let Some(start) = inside(&self.line) else { return "" };
        let end = self.line[start..].find('>').map_or(self.line.len(), |length| start + length);
        &self.line[start..end]
    }
}

/// The calls of a `run --rm --net none IMAGE true`, process by process. The first one, which makes what is made once for
/// all, is not looked at.
fn calls(env: &Env, image: &str) -> Vec<Vec<Call>> {
    calls_with(env, &[], image)
}

/// The same with options of `run`.
fn calls_with(env: &Env, options: &[&str], image: &str) -> Vec<Vec<Call>> {
    let words = [&["run", "--rm", "--net", "none"], options, &[image, "true"]].concat();
    env.tinyd(words.iter().copied()).ok();
    let all = traced(env, &words);
    env.assert_clean();
    all
}

fn traced(env: &Env, words: &[&str]) -> Vec<Vec<Call>> {
    let folder = env.files().join("calls");
    fs::create_dir(&folder).unwrap();
    let prefix = folder.join("of");
    let strace = ["strace", "-ff", "-y", "-s", "256", "-o", prefix.to_str().unwrap()];
    env.cmd(words.iter().copied()).under(strace).output().ok();
    let files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.iter().map(|file| fs::read_to_string(file).unwrap().lines().filter_map(parse).collect()).collect()
}

fn parse(line: &str) -> Option<Call> {
    let name = line.split_once('(')?.0;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then(|| Call { name: name.to_owned(), line: line.to_owned() })
}

fn each<'calls>(all: &'calls [Vec<Call>], names: &'calls [&str]) -> impl Iterator<Item = &'calls Call> {
    all.iter().flatten().filter(|call| names.contains(&call.name.as_str()))
}

fn each_of<'calls>(calls: &'calls [Call], name: &str) -> impl Iterator<Item = &'calls Call> {
    calls.iter().filter(move |call| call.name == name)
}

/// Kilobytes of memory that a process has for itself and has written to.
fn own_memory(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn images() -> [String; 2] {
    ["host".to_owned(), roots::busybox().to_str().unwrap().to_owned()]
}

#[test]
fn three_programs_are_executed_and_three_processes_made() {
    require!(root);
    require!(program);
    require!(command "strace");
    for image in images() {
        let env = Env::new();
        let all = calls(&env, &image);
        let executed = each(&all, &["execve", "execveat"]).filter(|call| call.result() == Some(0));
        let mut names: Vec<_> =
            executed.map(|call| call.texts()[0].rsplit('/').next().unwrap().to_owned()).collect();
        names.sort();
        assert_eq!(names, ["tinyd", "tinyd-runtime", "true"], "{image}");
        // The runtime's start (vfork), its way into the background, and the container's first process.
        let made = each(&all, &["clone", "clone3", "fork", "vfork"]).filter(|call| call.result() > Some(0));
        let made: Vec<_> = made.map(|call| call.line.as_str()).collect();
        assert_eq!(made.len(), 3, "{image}: {made:#?}");
        // Only one of them brings memory of its own that has to be copied twice over: the big one is never copied.
        let is_client = |call: &Call| call.name == "execve" && call.texts()[0].ends_with("/tinyd");
        let client = all.iter().find(|calls| calls.first().is_some_and(is_client)).unwrap();
        let by_client: Vec<_> =
            client.iter().filter(|call| call.name.starts_with("clone") || call.name == "fork").collect();
        assert_eq!(by_client.len(), 1);
        assert!(by_client[0].line.contains("CLONE_VM") && by_client[0].line.contains("CLONE_VFORK"));
    }
}

#[test]
fn nothing_is_synced() {
    require!(root);
    require!(program);
    require!(command "strace");
    for image in images() {
        let env = Env::new();
        let all = calls(&env, &image);
        let names = ["fsync", "fdatasync", "syncfs", "sync", "msync", "sync_file_range"];
        let found: Vec<_> = each(&all, &names).map(|call| call.line.as_str()).collect();
        assert!(found.is_empty(), "{found:#?}");
        let flags = ["O_SYNC", "O_DSYNC"];
        let opened = each(&all, &["open", "openat", "openat2"]);
        let found: Vec<_> = opened
            .filter(|call| flags.iter().any(|flag| call.line.contains(flag)))
            .map(|call| &call.line)
            .collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Moving a process from outside waits for a grace period of the kernel in each hierarchy of version 1.
#[test]
fn no_process_is_moved_into_a_cgroup_by_another() {
    require!(root);
    require!(program);
    require!(command "strace");
    let old: Vec<_> =
        cgroups::hierarchies().into_iter().filter(|found| !found.v2).map(|found| found.mount).collect();
    for image in images() {
        let env = Env::new();
        let all = calls(&env, &image);
        let mut joined = 0;
        for call in each(&all, &["write", "pwrite64", "writev"]) {
            let target = call.target();
            let in_old = old.iter().any(|mount| target.starts_with(mount.to_str().unwrap()));
            assert!(!(in_old && target.ends_with("/cgroup.procs")), "{}", call.line);
            if target.ends_with("/tasks") || target.ends_with("/cgroup.procs") {
                assert_eq!(
                    call.texts().first().map(|text| text.trim_end_matches("\\n")),
                    Some("0"),
                    "{}",
                    call.line
                );
                joined += usize::from(in_old);
            }
        }
        // The test has seen what it looks for: where there are such hierarchies the container's process joins some.
        let wanted = old.iter().any(|mount| mount.ends_with("memory") || mount.ends_with("pids"));
        assert_eq!(joined > 0, wanted, "{image}: {joined} joined");
    }
}

/// Nor does one move there by itself in that of version 2, which holds up whoever does anything with a cgroup: each process is
/// born where it belongs, the one that serves a network's names, too.
#[test]
fn on_a_network_no_process_moves_within_version_2() {
    require!(root);
    require!(program);
    require!(command "strace");
    let new = cgroups::hierarchies().into_iter().find(|found| found.v2);
    let Some(new) = new.map(|found| found.mount) else {
        tinyd_tests::skip(module_path!(), "there are no control groups of version 2");
        return;
    };
    Ground::stand(|_, env| {
        ground::network(env, "web", &["10.77.0.0/24"], &[]);
        let image = ground::image();
        let all = traced(env, &["run", "--rm", "--net", "web", "-p", "127.0.0.1:8080:80", &image, "true"]);
        let moves: Vec<_> = each(&all, &["write", "pwrite64", "writev"])
            .filter(|call| call.target().starts_with(new.to_str().unwrap()))
            .filter(|call| call.target().ends_with("/cgroup.procs"))
            .map(|call| &call.line)
            .collect();
        assert!(moves.is_empty(), "{moves:#?}");
        // The test has seen what it looks for: somebody served the names, in a control group of version 2.
        let names =
            all.iter().find(|calls| each_of(calls, "execve").any(|call| call.texts().contains(&"names")));
        let born = names.unwrap().iter().any(|call| call.line.contains("CLONE_INTO_CGROUP"));
        assert!(born, "{:#?}", names.unwrap().iter().map(|call| &call.line).collect::<Vec<_>>());
    });
}

/// Nobody sleeps, or looks every few milliseconds whether something has come to pass. (A monitor's loop wakes once by itself, to give
/// back what the start has left, if the command runs for so long.)
#[test]
fn nothing_waits_by_the_clock() {
    require!(root);
    require!(program);
    require!(command "strace");
    for image in images() {
        let env = Env::new();
        let all = calls(&env, &image);
        let slept: Vec<_> =
            each(&all, &["nanosleep", "clock_nanosleep", "sched_yield", "select", "pselect6"])
                .map(|call| &call.line)
                .collect();
        assert!(slept.is_empty(), "{slept:#?}");
        let mut looks = 0;
        let is_monitor =
            |calls: &[Call]| each_of(calls, "clone3").any(|call| call.line.contains("CLONE_NEWNS"));
        let monitors: Vec<_> = all.iter().filter(|calls| is_monitor(calls)).collect();
        assert_eq!(monitors.len(), 1, "{image}");
        for call in each(&all, &["poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2", "futex"]) {
            let arguments = call.line.rsplit_once(" = ").map_or(call.line.as_str(), |(left, _)| left);
            let mut timed = arguments.contains("tv_sec") && !arguments.contains("tv_sec=0, tv_nsec=0");
            // Each turn of the monitor's loop waits for what is left of the same moment, which passes once at most.
            let is_monitors = monitors[0].iter().any(|other| std::ptr::eq(other, call));
            if timed && is_monitors && call.name == "ppoll" && arguments.contains("tv_sec=0") {
                looks += usize::from(call.result() == Some(0));
                timed = looks > 1;
            }
            let milliseconds = match call.name.as_str() {
                "poll" | "epoll_wait" => arguments
                    .trim_end()
                    .trim_end_matches(')')
                    .rsplit(", ")
                    .next()
                    .and_then(|last| last.parse::<i64>().ok()),
                _ => None,
            };
            assert!(!timed && milliseconds.unwrap_or(0) <= 0, "{}", call.line);
        }
    }
}

/// What a user mounts lies on a folder that is made while the runtime comes up, before it is told of the container, and not on
/// the way of the container's own first process; and whoever makes it, it is made once.
#[test]
fn the_places_of_mounts_are_made_before_the_runtime_hears_of_them() {
    require!(root);
    require!(program);
    require!(command "strace");
    for image in images() {
        let env = Env::new();
        let folder = env.files().join("bound");
        fs::create_dir(&folder).unwrap();
        let bind = format!("{}:/tinyd-bind", folder.display());
        let options = ["-v", &bind, "-v", "/tinyd-own", "--tmpfs", "/tinyd-memory"];
        let all = calls_with(&env, &options, &image);
        let is_client = |call: &Call| call.name == "execve" && call.texts()[0].ends_with("/tinyd");
        let client = all.iter().find(|calls| calls.first().is_some_and(is_client)).unwrap();
        let sent = client.iter().position(|call| call.name == "sendmsg").unwrap();
        for place in ["/tinyd-bind", "/tinyd-own", "/tinyd-memory"] {
            let made: Vec<_> = each(&all, &["mkdir", "mkdirat"])
                .filter(|call| call.texts().iter().any(|text| text.ends_with(&place[1..])))
                .map(|call| (call.texts().last().unwrap().to_string(), call.result()))
                .collect();
            assert!(
                matches!(&made[..], [(path, Some(0))] if path.ends_with(&format!("/upper{place}"))),
                "{image}: {made:?}"
            );
            let by_client = client[..sent].iter().any(|call| {
                call.name.starts_with("mkdir")
                    && call.texts().last().is_some_and(|text| text.ends_with(place))
            });
            assert!(by_client, "{image}: {place} is made before the request is sent");
        }
    }
}

/// ADR 44.
#[test]
fn the_memory_of_a_start_goes_back_when_the_command_has_run_for_a_moment() {
    require!(root);
    let env = Env::new();
    let image = roots::busybox();
    // On a machine that is busy the first look may come too late.
    let first = eventually(Duration::from_secs(30), || {
        env.tinyd(["rm", "-f", "c"]);
        let begun = Instant::now();
        env.tinyd(["run", "-d", "--name", "c", image.to_str().unwrap(), "sleep", "1000"]).ok();
        let first = own_memory(monitor_of(&env, "c"));
        (begun.elapsed() < Duration::from_millis(200)).then_some(first)
    });
    let first = first.unwrap();
    wait_until("much of it goes back", || own_memory(monitor_of(&env, "c")) + 48 <= first);
    // What is left works.
    env.tinyd(["exec", "c", "true"]).ok();
    env.tinyd(["stop", "-t", "0", "c"]).ok();
    assert_eq!(env.tinyd(["wait", "c"]).ok().text(), "137");
    env.tinyd(["rm", "c"]).ok();
    env.assert_clean();
}
