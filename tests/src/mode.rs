//! The two ways in which a container has user ids, and containers that are started to be looked at.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use crate::env::Env;
use crate::need::{Need, check_need};
use crate::output::Output;
use crate::proc;
use crate::proc::cgroups;

/// A test's surroundings, and the way in which its containers have user ids.
#[derive(Debug)]
pub struct Mode {
    /// The surroundings, which this way does not share with the other.
    pub env: Env,
    /// Whether containers have ids of their own (`--userns auto`), or the machine's (`--userns host`).
    pub mapped: bool,
}

/// Runs a test in both ways, each with an [`Env`] of its own. Which one failed stands in what the test printed.
///
/// Where the kernel has one way only, it says so past the capture of the test runner: a test of what both share is none of
/// those that are skipped.
#[allow(clippy::print_stdout, reason = "the test runner keeps it, and shows it when the test fails")]
pub fn in_both_modes(test: impl Fn(&Mode)) {
    let one_way = check_need(Need::UserNamespaces).err();
    if let Some(reason) = &one_way {
        let _ = writeln!(std::io::stderr(), "with --userns host alone: {reason}");
    }
    for mapped in [true, false] {
        if mapped && one_way.is_some() {
            continue;
        }
        let mode = Mode { env: Env::new(), mapped };
        println!("with --userns {}", mode.userns());
        test(&mode);
    }
}

impl Mode {
    /// The value of `--userns`.
    pub fn userns(&self) -> &'static str {
        if self.mapped { "auto" } else { "host" }
    }

    /// `run` with this mode before the given options, image and command, to its end.
    #[track_caller]
    pub fn run<S: Into<OsString>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.env.tinyd(self.words("--rm", args))
    }

    /// `run -d` with this mode before the given options, image and command.
    #[track_caller]
    pub fn start<S: Into<OsString>>(&self, args: impl IntoIterator<Item = S>) -> Container<'_> {
        Container::start(&self.env, self.words("-d", args))
    }

    fn words<S: Into<OsString>>(&self, how: &str, args: impl IntoIterator<Item = S>) -> Vec<OsString> {
        let mut words: Vec<OsString> =
            vec!["run".into(), how.into(), "--userns".into(), self.userns().into()];
        words.extend(args.into_iter().map(Into::into));
        words
    }
}

/// A container that goes on while the test looks at it. The [`Env`] removes it.
#[derive(Debug)]
pub struct Container<'env> {
    env: &'env Env,
    /// The whole id.
    pub id: String,
    /// The host's id of its first process.
    pub pid: i32,
}

impl<'env> Container<'env> {
    /// Runs this command line, which must print the id of a running container.
    #[track_caller]
    pub fn start<S: Into<OsString>>(env: &'env Env, args: impl IntoIterator<Item = S>) -> Container<'env> {
        let id = env.tinyd(args).ok().text();
        let mut container = Container { env, id, pid: 0 };
        let pid = container.inspect()["State"]["Pid"].as_i64();
        container.pid = pid.and_then(|pid| i32::try_from(pid).ok()).expect("inspect gives a process id");
        assert!(container.pid > 0, "the container does not run: {}", container.inspect());
        container
    }

    /// What `inspect` says of it.
    #[track_caller]
    pub fn inspect(&self) -> Value {
        self.env.tinyd(["inspect", &self.id]).ok().json()[0].take()
    }

    /// Runs a command in it, with the options of `exec` before it if there are any, to its end.
    #[track_caller]
    pub fn exec(&self, options: &[&str], command: &[&str]) -> Output {
        self.env.tinyd(["exec"].iter().chain(options).chain(&[self.id.as_str()]).chain(command).copied())
    }

    /// Its folder on the disk.
    pub fn folder(&self) -> PathBuf {
        self.env.root().join("containers").join(&self.id)
    }

    /// The host's ids of its processes, by the cgroup `pids`.
    pub fn pids(&self) -> Vec<i32> {
        cgroups::of_container(&self.id, "pids").map(|group| cgroups::members(&group)).unwrap_or_default()
    }

    /// The host's id of its process with these arguments, once it is there.
    #[track_caller]
    pub fn process(&self, arguments: &[&str]) -> i32 {
        let find = || self.pids().into_iter().find(|pid| proc::arguments(*pid) == arguments);
        crate::eventually(std::time::Duration::from_secs(10), find)
            .unwrap_or_else(|| panic!("no process {arguments:?} in {}", self.id))
    }
}
