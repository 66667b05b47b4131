//! T21: whichever system call of a start fails, and at whichever a process is killed, the start leaves nothing and says
//! what failed.
//!
//! A good run is traced first; then, run after run, one of its calls is made to fail with EIO. What a start did not take
//! back itself, the next command does; what is left when the cleaning up *after* a container fails, `system check --repair`
//! does. The tests that run by
//! default take a sample, another one each time; the ignored ones take every call.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what was said"
)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tinyd_tests::tracer::{self, Fault, Point, Role, Traced};
use tinyd_tests::{Cmd, Dice, Env, eventually, leak, require};

const FAIL: Fault = Fault::Fail(nix::libc::EIO);
/// F6: what a machine has too few of, and the calls that say so.
const DESCRIPTORS: &[&str] = &[
    "openat",
    "openat2",
    "open_tree",
    "fsopen",
    "fsmount",
    "socket",
    "socketpair",
    "pipe2",
    "dup",
    "pidfd_open",
    "recvmsg",
    "epoll_create1",
    "eventfd2",
    "signalfd4",
    "clone3",
];
const PROCESSES: &[&str] = &["clone", "clone3"];
const MEMORY: &[&str] = &[
    "openat",
    "mkdir",
    "mkdirat",
    "clone",
    "clone3",
    "fsopen",
    "fsconfig",
    "fsmount",
    "open_tree",
    "move_mount",
    "mount",
    "mount_setattr",
    "pivot_root",
    "unshare",
    "seccomp",
    "execve",
    "execveat",
    "sendmsg",
    "sendto",
    "poll",
    "socketpair",
];
const SHORTAGES: [(i32, &[&str]); 4] = [
    (nix::libc::EMFILE, DESCRIPTORS),
    (nix::libc::ENFILE, DESCRIPTORS),
    (nix::libc::EAGAIN, PROCESSES),
    (nix::libc::ENOMEM, MEMORY),
];

/// How long a command may take, whatever fails.
const DEADLINE: Duration = Duration::from_secs(20);
/// The exit code of the container's command, which no failure has.
const ANSWER: i32 = 42;

/// How many points a sample has.
const SAMPLE: usize = 24;

/// A command line under test, and what stands before and after it.
struct Subject {
    /// Runs before each: what the command works on.
    before: &'static [&'static str],
    words: &'static [&'static str],
    /// The exit code when all goes well.
    good: i32,
    /// Whether the client's end is the end of its work.
    stay: bool,
    /// What must hold after a failure, beside that nothing of the command's own is left.
    after: fn(&Env, &Traced) -> Result<(), String>,
}

const COMMAND: &str = "exit 42";

const RUN: Subject = Subject {
    before: &[],
    words: &["run", "--rm", "--name", "c", "-w", "/tmp", "-m", "64m", "host", "sh", "-c", COMMAND],
    good: ANSWER,
    stay: true,
    after: |_, _| Ok(()),
};

const RUN_HOST_IDS: Subject = Subject {
    words: &["run", "--rm", "--name", "c", "--userns", "host", "--net", "host", "host", "sh", "-c", COMMAND],
    ..RUN
};

const DETACHED: Subject = Subject {
    words: &["run", "-d", "--name", "c", "host", "sh", "-c", COMMAND],
    good: 0,
    after: |env, traced| {
        let listed = env.tinyd(["ps", "-aq", "--no-trunc"]).text();
        let told = traced.output.text();
        // An id is printed of what is there, and of nothing else; one that cannot be printed is at least not silent.
        let unprintable = told.is_empty() && traced.output.stderr().contains("standard output");
        // Killed at the printing itself: it is better to keep one that nobody was told of than to lose one that was told.
        let unprintable =
            unprintable || (traced.output.signal() == Some(9) && traced.fault_was(Role::Client, "write"));
        if listed == told || unprintable {
            Ok(())
        } else {
            Err(format!("told {told:?}, there is {listed:?}"))
        }
    },
    ..RUN
};

const CREATE: Subject = Subject { words: &["create", "--name", "c", "host", "true"], ..DETACHED };

const START: Subject = Subject {
    before: &["create", "--name", "c", "host", "sh", "-c", COMMAND],
    words: &["start", "-a", "c"],
    after: |env, traced| {
        // It stays what it was, and can be started all the same.
        let status = env.tinyd(["ps", "-a", "--format", "{{.Names}} {{.Status}}"]).text();
        let again = env.cmd(["start", "-a", "c"]).limit(DEADLINE).output();
        if again.code() != Some(ANSWER) {
            return Err(format!("it cannot be started again: {again}"));
        }
        let never_ran = traced.output.code() != Some(ANSWER) && traced.fault_before_command();
        match (never_ran, status.as_str()) {
            (true, "c CREATED") | (false, _) => Ok(()),
            // Killed between its last word and its command, it counts as started; and who cannot hear that it has started
            // cannot know.
            (true, "c STOPPED (137)") if traced.output.code() == Some(137) => Ok(()),
            // The client was killed while the others went on.
            (true, "c STOPPED (137)" | "c STOPPED (42)") if traced.output.signal() == Some(9) => Ok(()),
            // The client failed when the command ran already: it could not hear so, or not end its own record of the work.
            (true, "c STOPPED (42)") if traced.fault_was(Role::Client, "recvfrom") => Ok(()),
            (true, "c STOPPED (42)") if traced.fault_was(Role::Client, "unlinkat") => Ok(()),
            (true, other) => Err(format!("after a start that failed it is {other:?}")),
        }
    },
    ..RUN
};

const EXEC: Subject = Subject {
    before: &["run", "-d", "--name", "c", "host", "sleep", "1000"],
    words: &["exec", "-w", "/tmp", "c", "sh", "-c", COMMAND],
    after: |env, _| {
        // The shell's own means only: each further process would be counted. One that has ended is the first's to reap.
        let look =
            "for p in /proc/[0-9]*; do read a name state b < $p/stat; test $state = Z || echo $name; done";
        let inside = || env.tinyd(["exec", "c", "sh", "-c", look]).stdout();
        let alone = || (inside() == "(sleep)\n(sh)\n").then_some(());
        eventually(Duration::from_secs(2), alone).ok_or_else(|| format!("inside: {}", inside()))
    },
    ..RUN
};

/// The surroundings of many runs. They are made anew when one has left something.
struct Lab {
    env: Env,
    complaints: Vec<String>,
    /// Where the container's first process asks whether the kernel has openat2, and how it enters its working directory.
    harmless: Vec<Point>,
    /// What was said, and of how many points.
    said: BTreeMap<String, Vec<String>>,
}

impl Lab {
    fn new() -> Lab {
        Lab { env: Lab::env(), complaints: Vec::new(), harmless: Vec::new(), said: BTreeMap::new() }
    }

    fn env() -> Env {
        let env = Env::new();
        // What is made once for all (the prepared root) is not part of a start.
        env.tinyd(["run", "--rm", "host", "true"]).ok();
        env
    }

    fn command(&self, subject: &Subject) -> Cmd {
        self.env.cmd(subject.words.iter().copied()).limit(DEADLINE)
    }

    /// The calls of a good run.
    fn points(&mut self, subject: &Subject) -> Vec<Point> {
        self.prepare(subject);
        let traced = tracer::trace(&self.command(subject), None, subject.stay);
        assert_eq!(traced.output.code(), Some(subject.good), "{}", traced.output);
        self.clean_up();
        let last = |name: &str| {
            let is_it = |point: &&Point| point.role == Role::Init && tracer::name(point.number) == Some(name);
            traced.points.iter().rfind(is_it).copied()
        };
        let question =
            traced.points.iter().find(|p| p.role == Role::Init && tracer::name(p.number) == Some("openat2"));
        self.harmless = ["openat2", "fchdir"].into_iter().filter_map(last).chain(question.copied()).collect();
        traced.points
    }

    fn prepare(&self, subject: &Subject) {
        if !subject.before.is_empty() {
            self.env.tinyd(subject.before.iter().copied()).ok();
        }
    }

    /// Removes what is meant to be there; what else is left is a complaint.
    fn clean_up(&mut self) -> Option<String> {
        for id in self.env.containers() {
            self.env.tinyd(["rm", "-f", &id]);
        }
        let left = self.env.leaks_within(Duration::from_secs(2));
        if left.is_empty() {
            return None;
        }
        let old = std::mem::replace(&mut self.env, Lab::env());
        let _ = catch_unwind(AssertUnwindSafe(|| drop(old)));
        Some(leak::describe(&left))
    }

    fn try_point(&mut self, subject: &Subject, point: Point, fault: Fault) {
        self.prepare(subject);
        let traced = tracer::trace(&self.command(subject), Some((point, fault)), subject.stay);
        let code = traced.output.code();
        let said = traced.output.stderr();
        let mut wrong = Vec::new();
        if traced.hung {
            wrong.push("it hung".to_owned());
        } else if fault == Fault::Kill && point.role == Role::Client {
            if traced.met.is_some() && traced.output.signal() != Some(9) {
                wrong.push("it was not killed".to_owned());
            }
        } else if fault == Fault::Kill && point.role == Role::Init && code == Some(137) {
            // Killed when all was ready for its command: as any container that somebody kills.
        } else if code == Some(subject.good) {
            if fault != Fault::Kill
                && traced.fault_before_command()
                && point.role == Role::Init
                && !self.may_be_ignored(point)
            {
                wrong.push("a failure in the sandbox was ignored".to_owned());
            }
        } else if !matches!(code, Some(125..=127)) {
            wrong.push(format!("it ended with {code:?} and signal {:?}", traced.output.signal()));
        } else if !is_one_clear_line(&said) {
            wrong.push(format!("it said {said:?}"));
        }
        if traced.met.is_some() && code != Some(subject.good) {
            self.said.entry(said.trim().to_owned()).or_default().push(point.to_string());
        } else if traced.met.is_some() {
            self.said.entry("(success)".to_owned()).or_default().push(point.to_string());
        }
        // What a command did not take back (its process may have been stopped by the very failure), the next one does.
        self.env.tinyd(["ps", "-a"]);
        if !traced.hung
            && let Err(complaint) = (subject.after)(&self.env, &traced)
        {
            wrong.push(complaint);
        }
        if !traced.fault_before_command() && !self.env.leaks_within(Duration::from_millis(300)).is_empty() {
            // Not the start failed, but something of the cleaning up after a command that ran: that is what repair is for.
            self.env.tinyd(["system", "check", "--repair"]);
        }
        if let Some(left) = self.clean_up() {
            wrong.push(format!("left behind:\n{left}"));
        }
        if !wrong.is_empty() {
            self.complaints.push(format!("{point}: {}", wrong.join("; ")));
        }
    }

    /// What a start goes without: an extra wall, a place of many where the command may be, a question whose only telling
    /// answer is "no such call", and the working directory, which is entered once more as the command's user.
    fn may_be_ignored(&self, point: Point) -> bool {
        match tracer::name(point.number) {
            Some("keyctl" | "execve") => true,
            Some("openat2" | "fchdir") => self.harmless.contains(&point),
            _ => false,
        }
    }

    #[track_caller]
    fn report(self) {
        for (said, points) in &self.said {
            println!("{:>4} x {said}\n       {}", points.len(), points[..points.len().min(6)].join(", "));
        }
        assert!(
            self.complaints.is_empty(),
            "{} complaints:\n{}",
            self.complaints.len(),
            self.complaints.join("\n")
        );
    }
}

/// `tinyd: what failed: why`, where what failed is more than a word.
fn is_one_clear_line(said: &str) -> bool {
    let mut lines = said.lines();
    let line = lines.next().unwrap_or_default();
    let words = line.strip_prefix("tinyd: ").unwrap_or_default().split_whitespace().count();
    lines.next().is_none() && words >= 4 && !line.contains("panicked")
}

fn sample(subject: &Subject, fault: Fault, count: usize) {
    let mut dice = Dice::new();
    let mut lab = Lab::new();
    for point in dice.pick(lab.points(subject), count) {
        lab.try_point(subject, point, fault);
    }
    lab.report();
}

/// As [`sample`], of each shortage so many.
fn shortages(subject: &Subject, count: usize) {
    let mut dice = Dice::new();
    let mut lab = Lab::new();
    let points = lab.points(subject);
    for (error, calls) in SHORTAGES {
        let mut there = points.clone();
        there.retain(|point| tracer::name(point.number).is_some_and(|name| calls.contains(&name)));
        for point in dice.pick(there, count) {
            lab.try_point(subject, point, Fault::Fail(error));
        }
    }
    lab.report();
}

fn sweep(subject: &Subject, fault: Fault) {
    sample(subject, fault, usize::MAX);
}

/// T21.
#[test]
fn a_failing_step_of_a_run_leaves_nothing_and_is_named() {
    require!(root);
    require!(program);
    sample(&RUN, FAIL, 2 * SAMPLE);
}

#[test]
fn a_failing_step_of_a_run_with_the_hosts_ids_leaves_nothing_and_is_named() {
    require!(root);
    require!(program);
    sample(&RUN_HOST_IDS, FAIL, SAMPLE);
}

#[test]
fn a_failing_step_of_a_detached_run_leaves_nothing_that_was_not_told() {
    require!(root);
    require!(program);
    sample(&DETACHED, FAIL, SAMPLE);
}

#[test]
fn a_failing_step_of_a_create_leaves_nothing_that_was_not_told() {
    require!(root);
    require!(program);
    sample(&CREATE, FAIL, SAMPLE / 2);
}

#[test]
fn a_container_whose_start_failed_is_as_it_was_and_starts() {
    require!(root);
    require!(program);
    sample(&START, FAIL, SAMPLE);
}

#[test]
fn a_failing_step_of_an_exec_leaves_the_container_as_it_was() {
    require!(root);
    require!(program);
    sample(&EXEC, FAIL, SAMPLE);
}

/// F6.
#[test]
fn a_run_that_lacks_descriptors_processes_or_memory_leaves_nothing_and_says_so() {
    require!(root);
    require!(program);
    shortages(&RUN, 5);
}

#[test]
fn an_exec_that_lacks_descriptors_processes_or_memory_leaves_the_container_as_it_was() {
    require!(root);
    require!(program);
    shortages(&EXEC, 4);
}

#[test]
#[ignore = "takes minutes: every shortage at every call"]
fn soak_a_run_may_lack_anything_anywhere() {
    require!(root);
    shortages(&RUN, usize::MAX);
    shortages(&DETACHED, usize::MAX);
    shortages(&EXEC, usize::MAX);
}

#[test]
#[ignore = "takes minutes: every call of a run"]
fn every_step_of_a_run_may_fail() {
    require!(root);
    sweep(&RUN, FAIL);
}

#[test]
#[ignore = "takes minutes: every call of a run"]
fn every_step_of_a_run_with_the_hosts_ids_may_fail() {
    require!(root);
    sweep(&RUN_HOST_IDS, FAIL);
}

#[test]
#[ignore = "takes minutes: every call of a detached run"]
fn every_step_of_a_detached_run_may_fail() {
    require!(root);
    sweep(&DETACHED, FAIL);
}

#[test]
#[ignore = "takes minutes: every call of a create"]
fn every_step_of_a_create_may_fail() {
    require!(root);
    sweep(&CREATE, FAIL);
}

#[test]
#[ignore = "takes minutes: every call of a start"]
fn every_step_of_a_start_may_fail() {
    require!(root);
    sweep(&START, FAIL);
}

#[test]
#[ignore = "takes minutes: every call of an exec"]
fn every_step_of_an_exec_may_fail() {
    require!(root);
    sweep(&EXEC, FAIL);
}

#[test]
fn a_run_that_is_killed_anywhere_leaves_nothing_after_the_next_command() {
    require!(root);
    require!(program);
    sample(&RUN, Fault::Kill, SAMPLE);
}

#[test]
fn a_detached_run_that_is_killed_anywhere_leaves_nothing_that_was_not_told() {
    require!(root);
    require!(program);
    sample(&DETACHED, Fault::Kill, SAMPLE);
}

#[test]
fn a_container_whose_start_was_killed_anywhere_starts_again() {
    require!(root);
    require!(program);
    sample(&START, Fault::Kill, SAMPLE / 2);
}

#[test]
#[ignore = "takes minutes: every call of a run"]
fn a_run_may_be_killed_at_every_step() {
    require!(root);
    sweep(&RUN, Fault::Kill);
}

#[test]
#[ignore = "takes minutes: every call of a detached run"]
fn a_detached_run_may_be_killed_at_every_step() {
    require!(root);
    sweep(&DETACHED, Fault::Kill);
}

#[test]
#[ignore = "takes minutes: every call of a create"]
fn a_create_may_be_killed_at_every_step() {
    require!(root);
    sweep(&CREATE, Fault::Kill);
}

#[test]
#[ignore = "takes minutes: every call of a start"]
fn a_start_may_be_killed_at_every_step() {
    require!(root);
    sweep(&START, Fault::Kill);
}
