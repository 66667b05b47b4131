//! The runtime as other engines call it: the command line that Podman, containerd and Docker know, over the same core.
//!
//! Whoever creates a container this way is its engine: there is no monitor, and its first process belongs to the caller, or to
//! whoever reaps the caller's orphans. What is known of a container lies in its [folder](store); what can be asked of the kernel
//! is asked there.

pub(crate) mod activation;
mod cgroup;
mod console;
mod create;
mod delete;
mod events;
mod exec;
mod features;
mod foreground;
mod hooks;
mod kill;
mod list;
mod notify;
mod options;
mod pause;
mod ps;
mod report;
mod run;
mod signal;
mod spec;
mod start;
mod state;
mod store;
mod streams;
mod update;

use crate::launch::internal;
use crate::{Failure, FailureKind};
use options::{Flag, Parsed, flag, value};
use report::Reports;
use rustix::fs::Mode;
use std::path::PathBuf;

/// The version of the specification that this runtime follows.
pub(crate) const SPECIFICATION: &str = "1.3.0";

/// The variable that says where the service manager of our caller listens.
pub(crate) const SERVICE_MANAGER: &str = "NOTIFY_SOCKET";

/// The variable that says where the bus is on which systemd is reached.
pub(crate) const SYSTEM_BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// Where containers are kept when nobody says.
const ROOT: &str = "/run/tinyd-runtime";

/// What stands before the verb.
const FLAGS: &[Flag] = &[
    value("root", None),
    value("log", None),
    value("log-format", None),
    value("log-level", None),
    flag("debug", None),
    flag("systemd-cgroup", None),
    value("cgroup-manager", None),
    value("rootless", None),
    value("criu", None),
];

/// What all verbs need to know.
struct Context {
    /// The folder with a folder for each container.
    root: PathBuf,
    /// Control groups are asked of systemd.
    systemd: bool,
    /// The caller's, which a command has that is given none.
    umask: Mode,
    /// What is done is told as well.
    debug: bool,
}

/// Does what the words say, and gives the exit code.
pub(crate) fn main(words: Vec<String>, umask: Mode) -> u8 {
    let parsed = match options::parse(FLAGS, words, options::Rest::AsItIs) {
        Ok(parsed) => parsed,
        Err(problem) => return Reports::default().wrong_use(&problem),
    };
    let reports = match Reports::of(&parsed) {
        Ok(reports) => report::begin(reports),
        Err(problem) => return Reports::default().wrong_use(&problem),
    };
    match act(&parsed, umask) {
        Ok(code) => code,
        Err(Problem::Use(problem)) => reports.wrong_use(&problem),
        Err(Problem::Failed(failure, code)) => {
            reports.failed(&failure);
            code
        }
    }
}

/// Why a verb was not done.
enum Problem {
    /// The words are wrong.
    Use(String),
    /// Something failed; the exit code says what kind of thing to who looks at no text.
    Failed(Failure, u8),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure, 1)
    }
}

impl From<String> for Problem {
    fn from(problem: String) -> Self {
        Self::Use(problem)
    }
}

fn act(parsed: &Parsed, umask: Mode) -> Result<u8, Problem> {
    let systemd = match parsed.last("cgroup-manager") {
        None | Some("cgroupfs") => parsed.has("systemd-cgroup"),
        Some("systemd") => true,
        Some(other) => return Err(format!("--cgroup-manager {other}: cgroupfs or systemd").into()),
    };
    let root = parsed.last("root").unwrap_or(ROOT);
    let root = std::path::absolute(root).map_err(|error| format!("--root {root:?}: {error}"))?;
    let debug = parsed.has("debug") || parsed.last("log-level") == Some("debug");
    let context = Context { root, systemd, umask, debug };
    let Some((verb, words)) = parsed.rest.split_first() else {
        return Err("a verb is missing".to_owned().into());
    };
    let words = words.to_vec();
    if matches!(verb.as_str(), "create" | "run" | "exec") {
        // It may be executed once more, and asks for its caller's umask again then.
        let own = rustix::process::umask(umask);
        crate::entry::protect().map_err(|error| internal("protect this program", error))?;
        rustix::process::umask(own);
    }
    match verb.as_str() {
        "create" => create::verb(&context, words),
        "start" => start::verb(&context, words),
        "state" => state::verb(&context, words),
        "kill" => kill::verb(&context, words),
        "delete" => delete::verb(&context, words),
        "run" => run::verb(&context, words),
        "exec" => exec::verb(&context, words),
        "ps" => ps::verb(&context, words),
        "list" => list::verb(&context, words),
        "pause" => pause::verb(&context, words, true),
        "resume" => pause::verb(&context, words, false),
        "update" => update::verb(&context, words),
        "events" => events::verb(&context, words),
        "spec" => spec::verb(words),
        "features" => features::verb(words),
        "checkpoint" | "restore" => Err(Failure::new(
            FailureKind::Unsupported,
            format!("{verb}: this runtime saves no running processes"),
        )
        .into()),
        other => Err(format!("there is no verb {other:?}").into()),
    }
}

/// What `create` checks of a bundle before it makes anything, beside the plan of its start; gives the name of its control group.
pub(crate) fn check(bundle: &crate::plan::Bundle, id: &str) -> Result<String, Failure> {
    hooks::check(bundle)?;
    cgroup::name(bundle, id, false)
}

/// Prints a line; a reader that is gone is no failure of the verb.
fn say(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The only word that a verb takes.
fn only_id(verb: &str, words: Vec<String>) -> Result<String, Problem> {
    let parsed = options::parse(&[], words, options::Rest::Mixed)?;
    one_id(verb, &parsed)
}

fn one_id(verb: &str, parsed: &Parsed) -> Result<String, Problem> {
    match parsed.rest.as_slice() {
        [id] => Ok(id.clone()),
        [] => Err(format!("{verb}: the container's id is missing").into()),
        _ => Err(format!("{verb} takes one container, not {}", parsed.rest.join(" ")).into()),
    }
}
