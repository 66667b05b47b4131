//! Whichever system call of a command with a volume fails, and at whichever a process is killed: what was acknowledged is there,
//! nothing stays mounted, the volume can be used and removed, and the error says what failed.
//!
//! The volumes are btrfs in a file: its driver mounts for a user, fills, keeps states, and has a loop device to lose. A good run
//! is traced first; then, run after run, one of its calls is made to fail with EIO, or one of its processes is killed there. What
//! the command did not take back, the next one does. The tests that run by default take a sample, another one each time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test reports trouble by failing, and shows what was said"
)]

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use tinyd_tests::tracer::{self, Fault, Point, Role, Traced};
use tinyd_tests::{Cmd, Dice, Env, eventually, require, roots};

const FAIL: Fault = Fault::Fail(nix::libc::EIO);
/// How long a command may take, whatever fails.
const DEADLINE: Duration = Duration::from_secs(20);
/// The exit code of the container's command, which no failure has.
const ANSWER: i32 = 42;
/// How many points a sample has.
const SAMPLE: usize = 3;

/// A command line under test, with what stands before and after it.
struct Subject {
    words: &'static [&'static str],
    /// A script in a container with the image, after those words.
    script: Option<&'static str>,
    /// The exit code when all goes well.
    good: i32,
    /// Makes everything as it is before the command.
    reset: fn(&Lab),
    /// What must hold afterwards, beside that nothing is mounted and nothing is found by `system check`.
    after: fn(&Lab, done: bool) -> Result<(), String>,
}

/// The volume is mounted, written by the command, and unmounted by the monitor.
const RUN: Subject = Subject {
    words: &["run", "--rm", "--name", "c", "--net", "none", "-v", "data:/d"],
    script: Some("echo line >> /d/log; exit 42"),
    good: ANSWER,
    reset: |lab| lab.inside("rm -f /d/log"),
    after: |lab, done| {
        let seen = lab.read("cat /d/file; test -e /d/log && cat /d/log")?;
        match (seen.as_str(), done) {
            ("old\n", false) | ("old\nline\n", _) => Ok(()),
            _ => Err(format!("the volume holds {seen:?}")),
        }
    },
};

/// The volume is made, and filled from the image.
const FILL: Subject = Subject {
    words: &[
        "run",
        "--rm",
        "--name",
        "c",
        "--net",
        "none",
        "--volume-driver",
        "btrfs",
        "-v",
        "new:/srv/tree",
    ],
    script: Some("exit 42"),
    reset: |lab| lab.ok(&["volume", "rm", "-f", "new"]),
    after: |lab, _| {
        let options = ["--volume-driver", "btrfs", "-v", "new:/srv/tree"];
        let seen = lab.read_with(&options, "cat /srv/tree/file /srv/tree/deep/file")?;
        if seen == "image\ndeep\n" { Ok(()) } else { Err(format!("it was filled with {seen:?}")) }
    },
    ..RUN
};

const SNAPSHOT: Subject = Subject {
    words: &["volume", "snapshot", "create", "data", "taken"],
    script: None,
    good: 0,
    reset: |lab| {
        if lab.lines(&["volume", "snapshot", "ls", "-q", "data"]).contains(&"taken".to_owned()) {
            lab.ok(&["volume", "snapshot", "rm", "data", "taken"]);
        }
    },
    after: |lab, done| {
        let there = lab.lines(&["volume", "snapshot", "ls", "-q", "data"]).contains(&"taken".to_owned());
        if done && !there {
            return Err("the state that was told of is not there".to_owned());
        }
        if !there {
            lab.ok(&["volume", "snapshot", "create", "data", "taken"]);
        }
        let archive = lab.env.tinyd(["volume", "export", "--snapshot", "taken", "data"]);
        match archive.code() == Some(0) && archive.stdout().contains("old\n") {
            true => Ok(()),
            false => Err(format!("the state is not what the volume was: {}", archive.stderr())),
        }
    },
};

const ROLLBACK: Subject = Subject {
    words: &["volume", "rollback", "data", "first"],
    reset: |lab| lab.inside("echo new > /d/file"),
    after: |lab, done| {
        let seen = lab.read("cat /d/file")?;
        match (seen.as_str(), done) {
            ("new\n", false) | ("old\n", _) => {}
            _ => return Err(format!("the volume holds {seen:?}")),
        }
        // The state is there still, and can be gone back to.
        lab.ok(&["volume", "rollback", "data", "first"]);
        match lab.read("cat /d/file")?.as_str() {
            "old\n" => Ok(()),
            other => Err(format!("the state holds {other:?}")),
        }
    },
    ..SNAPSHOT
};

const CREATE: Subject = Subject {
    words: &["volume", "create", "-d", "btrfs", "other"],
    reset: |lab| lab.ok(&["volume", "rm", "-f", "other"]),
    after: |lab, done| {
        let there = lab.lines(&["volume", "ls", "-q"]).contains(&"other".to_owned());
        if done && !there {
            return Err("the volume that was told of is not there".to_owned());
        }
        lab.ok(&["volume", "create", "-d", "btrfs", "other"]);
        lab.read_with(&["-v", "other:/o"], "touch /o/x").map(drop)
    },
    ..SNAPSHOT
};

const REMOVE: Subject = Subject {
    words: &["volume", "rm", "other"],
    reset: |lab| lab.ok(&["volume", "create", "-d", "btrfs", "other"]),
    after: |lab, done| {
        let there = lab.lines(&["volume", "ls", "-q"]).contains(&"other".to_owned());
        if done && there {
            return Err("the volume is there still".to_owned());
        }
        lab.ok(&["volume", "rm", "-f", "other"]);
        Ok(())
    },
    ..SNAPSHOT
};

struct Lab {
    env: Env,
    image: String,
    complaints: Vec<String>,
    /// What was said, and of which points.
    said: BTreeMap<String, Vec<String>>,
}

impl Lab {
    fn new() -> Lab {
        let env = Env::new();
        let root = roots::copy_of_busybox(&env);
        fs::create_dir_all(root.join("srv/tree/deep")).unwrap();
        fs::write(root.join("srv/tree/file"), "image\n").unwrap();
        fs::write(root.join("srv/tree/deep/file"), "deep\n").unwrap();
        let image = root.to_str().unwrap().to_owned();
        let lab = Lab { env, image, complaints: Vec::new(), said: BTreeMap::new() };
        lab.ok(&["volume", "create", "-d", "btrfs", "data"]);
        lab.inside("echo old > /d/file");
        lab.ok(&["volume", "snapshot", "create", "data", "first"]);
        lab
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) {
        self.env.cmd(words.iter().copied()).limit(DEADLINE).output().ok();
    }

    fn lines(&self, words: &[&str]) -> Vec<String> {
        self.env.tinyd(words.iter().copied()).ok().stdout().lines().map(str::to_owned).collect()
    }

    fn inside(&self, script: &str) {
        self.read(script).unwrap();
    }

    fn read(&self, script: &str) -> Result<String, String> {
        self.read_with(&["-v", "data:/d"], script)
    }

    /// What a script says in a container of its own.
    fn read_with(&self, options: &[&str], script: &str) -> Result<String, String> {
        let words = ["run", "--rm", "--net", "none"].into_iter().chain(options.iter().copied());
        let script = format!("{script}; true");
        let output = self.env.cmd(words.chain([&*self.image, "sh", "-c", &script])).limit(DEADLINE).output();
        match output.code() {
            Some(0) => Ok(output.stdout()),
            _ => Err(format!("the volume cannot be used: {output}")),
        }
    }

    fn command(&self, subject: &Subject) -> Cmd {
        let script = subject.script.map(|script| [&*self.image, "sh", "-c", script]);
        self.env.cmd(subject.words.iter().copied().chain(script.into_iter().flatten())).limit(DEADLINE)
    }

    fn points(&self, subject: &Subject) -> Vec<Point> {
        (subject.reset)(self);
        let traced = tracer::trace(&self.command(subject), None, true);
        assert_eq!(traced.output.code(), Some(subject.good), "{}", traced.output);
        traced.points
    }

    fn try_point(&mut self, subject: &Subject, point: Point, fault: Fault) {
        (subject.reset)(self);
        let traced = tracer::trace(&self.command(subject), Some((point, fault)), true);
        let wrong = self.complaints_of(subject, &traced, point, fault);
        if traced.met.is_some() {
            let said = match traced.output.code() == Some(subject.good) {
                true => "(success)".to_owned(),
                false => traced.output.stderr().trim().replace(self.env.tag(), "TEST"),
            };
            self.said.entry(said).or_default().push(point.to_string());
        }
        if !wrong.is_empty() {
            self.complaints.push(format!("{point}: {}\n   {}", wrong.join("; "), traced.output));
        }
    }

    fn complaints_of(&self, subject: &Subject, traced: &Traced, point: Point, fault: Fault) -> Vec<String> {
        let (code, said) = (traced.output.code(), traced.output.stderr());
        let done = code == Some(subject.good);
        let killed = fault == Fault::Kill && (traced.output.signal() == Some(9) || code == Some(137));
        let mut wrong = Vec::new();
        if traced.hung {
            wrong.push("it hung".to_owned());
        }
        let failed_in_words = matches!(code, Some(1 | 125..=127)) && is_one_clear_line(&said);
        if !done && !killed && !failed_in_words && !traced.hung {
            wrong.push(format!("it ended with {code:?} and said {said:?}"));
        }
        // What a command did not take back, the next one does; and a monitor whose client was killed goes on.
        let nothing = || {
            self.env.tinyd(["ps", "-a"]).ok();
            self.env.containers().is_empty().then_some(())
        };
        if eventually(Duration::from_secs(5), nothing).is_none() {
            wrong.push("a container is left".to_owned());
            for id in self.env.containers() {
                self.env.tinyd(["rm", "-f", &id]);
            }
        }
        if let Err(complaint) = (subject.after)(self, done) {
            wrong.push(complaint);
        }
        let mut checked = self.env.tinyd(["system", "check"]);
        if checked.code() != Some(0) && (!traced.fault_before_command() || point.role == Role::Other) {
            // Not the start failed, but something of the cleaning up after a command that ran: that is what repair is for.
            self.env.tinyd(["system", "check", "--repair"]);
            checked = self.env.tinyd(["system", "check"]);
        }
        // Control groups of other tests' containers are theirs.
        if checked.code() != Some(0) && checked.stdout().contains(self.env.tag()) {
            wrong.push(format!("found: {}", checked.stdout()));
        }
        if eventually(Duration::from_secs(10), || self.mounted().is_empty().then_some(())).is_none() {
            wrong.push(format!("mounted: {:?}", self.mounted()));
        }
        wrong
    }

    /// What is mounted of this test's, and the loop devices that hold its files.
    fn mounted(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mut found: Vec<String> =
            mounts.lines().filter(|line| line.contains(self.env.tag())).map(str::to_owned).collect();
        found.extend(self.env.loop_files());
        found
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
        self.ok(&["volume", "prune", "--all", "--force"]);
        assert!(self.lines(&["volume", "ls", "-q"]).is_empty());
        self.env.assert_clean();
    }
}

/// `tinyd: what failed: why`, where what failed is more than a word.
fn is_one_clear_line(said: &str) -> bool {
    let mut lines = said.lines();
    let line = lines.next().unwrap_or_default();
    let words = line.strip_prefix("tinyd: ").unwrap_or_default().split_whitespace().count();
    lines.next().is_none() && words >= 4 && !line.contains("panicked")
}

fn sample(subjects: &[Subject], fault: Fault, count: usize) {
    let mut dice = Dice::new();
    let mut lab = Lab::new();
    for subject in subjects {
        let all = lab.points(subject);
        let points = dice.pick(all, count);
        println!("{}: {} points", subject.words.join(" "), points.len());
        for point in points {
            lab.try_point(subject, point, fault);
        }
    }
    lab.report();
}

/// Two devices with one file system are two writers that know nothing of each other: while one container writes, another one
/// that cannot look at the loop device fails, and gets no second.
#[test]
fn a_volume_in_use_gets_no_second_device_when_the_first_cannot_be_looked_at() {
    require!(root);
    require!(program);
    let lab = Lab::new();
    let held =
        ["run", "-d", "--name", "holder", "--net", "none", "-v", "data:/d", &lab.image, "sleep", "300"];
    lab.ok(&held);
    // The steps of one that finds the device in use: those of one that makes it are others.
    let points = lab.points(&RUN);
    lab.inside("rm -f /d/log");
    let looks = |point: &Point| {
        point.role == Role::Client
            && matches!(tracer::name(point.number), Some("open" | "ioctl" | "getdents64" | "readlink"))
    };
    let (mut tried, mut written, mut looked) = (0, 0, 0);
    for point in points.into_iter().filter(looks) {
        let traced = tracer::trace(&lab.command(&RUN), Some((point, FAIL)), true);
        assert!(!traced.hung, "{point}: {}", traced.output);
        tried += 1;
        written += usize::from(traced.output.code() == Some(ANSWER));
        let said = traced.output.stderr();
        looked += usize::from(said.contains("look at the loop device /dev/loop"));
        // So btrfs says to a second device while the first is mounted; when that one is on its way out, it says nothing.
        assert!(!said.contains("File exists"), "{point}: {said}");
        let devices = lab.mounted().iter().filter(|line| line.contains("pool.btrfs")).count();
        assert_eq!(devices, 1, "{point}: {}", traced.output);
        let lines = lab.lines(&["exec", "holder", "sh", "-c", "touch /d/log; cat /d/log"]);
        assert_eq!(lines.len(), written, "{point}: {}", traced.output);
    }
    assert!(tried > 10 && looked > 0, "{tried} points, {written} of them were no matter, {looked} looks");
    lab.ok(&["rm", "-f", "holder"]);
    lab.report();
}

/// A user of a volume that is gone, and whom nobody knows any more.
#[test]
fn what_is_mounted_for_nobody_is_found_and_unmounted() {
    require!(root);
    let lab = Lab::new();
    let running = ["run", "-d", "--name", "c", "--net", "none", "-v", "data:/d", &lab.image, "sleep", "300"];
    lab.ok(&running);
    lab.env.assert_checked();
    // As it is left of one: a user's file, and with it what is mounted.
    let users = lab.env.run_root().join("volumes/btrfs/users/data");
    let [own] = &fs::read_dir(&users).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>()[..]
    else {
        panic!("one container uses it")
    };
    let lost = users.join("0".repeat(32));
    fs::write(&lost, "").unwrap();
    let found = lab.env.tinyd(["system", "check"]).fails(1).stdout();
    assert!(found.contains("volume data") && found.contains("which does not run"), "{found}");
    // Control groups of other tests' containers are theirs, and make it fail too.
    let repaired = lab.env.tinyd(["system", "check", "--repair"]).stdout();
    assert!(repaired.contains("which does not run (repaired)"), "{repaired}");
    assert!(!lost.exists() && own.exists() && !lab.mounted().is_empty(), "the container keeps its own");
    lab.ok(&["exec", "c", "test", "-e", "/d/file"]);
    lab.ok(&["rm", "-f", "c"]);
    lab.report();
}

#[test]
fn a_volume_whose_mount_fill_or_unmount_fails_anywhere_has_lost_nothing() {
    require!(root);
    require!(program);
    sample(&[RUN, FILL], FAIL, SAMPLE);
}

#[test]
fn a_volume_whose_mount_fill_or_unmount_was_killed_anywhere_has_lost_nothing() {
    require!(root);
    require!(program);
    sample(&[RUN, FILL], Fault::Kill, SAMPLE);
}

#[test]
fn a_state_that_was_told_of_is_there_whatever_failed() {
    require!(root);
    require!(program);
    sample(&[SNAPSHOT, ROLLBACK], FAIL, SAMPLE);
    sample(&[CREATE, REMOVE], FAIL, SAMPLE / 2);
}

/// Whoever cannot look for a thing does not know that it is gone, and tells nobody so.
#[test]
fn what_cannot_be_looked_for_is_not_taken_for_gone() {
    require!(root);
    require!(program);
    let mut lab = Lab::new();
    let looks = |point: &Point| {
        point.role == Role::Client && matches!(tracer::name(point.number), Some("statx" | "newfstatat"))
    };
    let mut tried = 0;
    for point in lab.points(&REMOVE).into_iter().filter(looks) {
        lab.try_point(&REMOVE, point, FAIL);
        tried += 1;
        let users = lab.env.run_root().join("volumes/btrfs/users");
        let left: Vec<_> = fs::read_dir(users).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.contains(&"other".into()), "{point}: {left:?}");
    }
    assert!(tried > 5, "{tried} points");
    lab.report();
}

#[test]
fn a_state_that_was_told_of_is_there_whoever_was_killed() {
    require!(root);
    require!(program);
    sample(&[SNAPSHOT, ROLLBACK], Fault::Kill, SAMPLE);
    sample(&[CREATE, REMOVE], Fault::Kill, SAMPLE / 2);
}

#[test]
#[ignore = "takes minutes: every call of a run with a volume"]
fn every_step_of_a_run_with_a_volume_may_fail() {
    require!(root);
    sample(&[RUN], FAIL, usize::MAX);
}

#[test]
#[ignore = "takes minutes: every call of a run with a volume"]
fn a_run_with_a_volume_may_be_killed_at_every_step() {
    require!(root);
    sample(&[RUN], Fault::Kill, usize::MAX);
}

#[test]
#[ignore = "takes minutes: every call of a fill"]
fn every_step_of_a_fill_may_fail() {
    require!(root);
    sample(&[FILL], FAIL, usize::MAX);
}

#[test]
#[ignore = "takes minutes: every call of a fill"]
fn a_fill_may_be_killed_at_every_step() {
    require!(root);
    sample(&[FILL], Fault::Kill, usize::MAX);
}

#[test]
#[ignore = "takes minutes: every call of the verbs"]
fn every_step_of_a_verb_of_volumes_may_fail() {
    require!(root);
    sample(&[SNAPSHOT, ROLLBACK, CREATE, REMOVE], FAIL, usize::MAX);
}

#[test]
#[ignore = "takes minutes: every call of the verbs"]
fn a_verb_of_volumes_may_be_killed_at_every_step() {
    require!(root);
    sample(&[SNAPSHOT, ROLLBACK, CREATE, REMOVE], Fault::Kill, usize::MAX);
}
