//! `exec`: a further command in a container.

use super::options::{Flag, Parsed, Rest, flag, parse, value};
use super::store::{Container, Status};
use super::{Context, Problem, cgroup, console, create, foreground, streams};
use crate::config::{Process, User};
use crate::exec::{Entrance, Target};
use crate::init::Stdio;
use crate::launch::{give_streams, internal};
use crate::plan::{self, Bundle, Priority, ProcessPlan, UserPlan, invalid};
use crate::{Failure, FailureKind};
use rustix::thread::CpuSet;
use std::path::Path;
use tinyd_ns::Namespaces;
use tinyd_ns::caps::Capability;

const FLAGS: &[Flag] = &[
    value("process", Some('p')),
    value("console-socket", None),
    value("pid-file", None),
    value("pidfd-socket", None),
    value("cwd", None),
    value("env", Some('e')),
    value("user", Some('u')),
    value("additional-gids", Some('g')),
    value("cap", Some('c')),
    value("preserve-fds", None),
    value("process-label", None),
    value("apparmor", None),
    value("cgroup", None),
    flag("tty", Some('t')),
    flag("detach", Some('d')),
    flag("no-new-privs", None),
    flag("ignore-paused", None),
];

/// What is told when the command was not run: neither 126 nor 127, nor what a command says itself.
const NOT_RUN: u8 = 255;

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(FLAGS, words, Rest::AsItIs)?;
    let Some((id, command)) = parsed.rest.split_first() else {
        return Err("exec: the container's id is missing".to_owned().into());
    };
    exec(context, id, command, &parsed).map_err(|problem| match problem {
        Problem::Failed(failure, _) => {
            let code = match failure.kind {
                FailureKind::CommandNotFound => 127,
                FailureKind::CommandNotExecutable => 126,
                _ => NOT_RUN,
            };
            Problem::Failed(failure, code)
        }
        problem => problem,
    })
}

fn exec(context: &Context, id: &str, command: &[String], parsed: &Parsed) -> Result<u8, Problem> {
    let container = Container::open(context, id)?;
    let status = container.status();
    match status {
        _ if container.record.half_made => {
            let problem = format!("exec: container {id:?} is not made to its end");
            return Err(Failure::new(FailureKind::NotRunning, problem).into());
        }
        Status::Created | Status::Running => {}
        Status::Paused if parsed.has("ignore-paused") => {}
        status => {
            let problem = format!("exec: container {id:?} is {}", status.word());
            return Err(Failure::new(FailureKind::NotRunning, problem).into());
        }
    }
    let bundle = container.bundle()?;
    let mut process = process(&bundle, command, parsed)?;
    create::complete(&mut process, context);
    if bundle.is_before(1) {
        plan::refuse_unknown_capabilities(&process)?;
    }
    super::report::warn_of(&process, &[]);
    let terminal = process.terminal.unwrap_or(false);
    let detached = parsed.has("detach");
    let console = console::wanted(parsed.last("console-socket"), terminal, !detached)?;
    let preserved = parsed.number("preserve-fds")?.unwrap_or(0);
    create::reserve(preserved)?;

    let window = create::window(&process);
    let (mut plan, user) = plan::of_its_own(&bundle, &process, id, &container.folder, window)?;
    plan.preserved = preserved;
    if container.record.inherits_keyring {
        plan.keyring = None;
    }
    if context.debug {
        tell_where_it_runs(&plan.priority);
    }
    if let Some(listener) = &mut plan.listener {
        listener.of_bundle(&container.record.bundle);
    }
    let entrance = entrance(&container, &bundle, plan, &user)?;
    let (stdio, ways) = match terminal {
        true => (Stdio { stdin: None, stdout: None, stderr: None }, Vec::new()),
        false => streams::of_ours(preserved, !detached)?,
    };
    if !detached {
        foreground::hold_signals();
    }
    give_streams(entrance.owner, &stdio)?;
    let mut entered = entrance.enter(stdio)?;
    if let (Some(path), Some(terminal)) = (&console, &entered.terminal) {
        console::send(terminal, path)?;
        entered.terminal = None;
    }
    if let Some(path) = parsed.last("pidfd-socket") {
        console::send(&entered.child.pidfd, Path::new(path))?;
    }
    if let Some(path) = parsed.last("pid-file") {
        create::write_pid(Path::new(path), entered.pid)?;
    }
    entered.child.keep();
    if detached {
        return Ok(0);
    }
    Ok(foreground::stay(&entered.child.pidfd, entered.terminal.as_ref(), ways, None)?)
}

fn tell_where_it_runs(priority: &Priority) {
    for (cpus, when) in priority.cpus.iter().zip(["on its way into the container", "there"]) {
        if let Some(cpus) = cpus {
            super::report::debug(&format!("the command's CPU affinity: {} {when}", hexadecimal(cpus)));
        }
    }
}

/// A bit for each, the first in the last digit.
fn hexadecimal(cpus: &CpuSet) -> String {
    let digit =
        |nibble: usize| (0..4).fold(0, |all, bit| all | u32::from(cpus.is_set(4 * nibble + bit)) << bit);
    let digits = (0..CpuSet::MAX_CPU / 4).rev().map(digit).skip_while(|digit| *digit == 0);
    format!("0x{}", digits.filter_map(|digit| char::from_digit(digit, 16)).collect::<String>())
}

/// The way of a command into a container.
pub(super) fn entrance(
    container: &Container,
    bundle: &Bundle,
    plan: ProcessPlan,
    user: &UserPlan,
) -> Result<Entrance, Failure> {
    let id = &container.record.id;
    let pidfd = container.process().ok_or_else(|| {
        Failure::new(FailureKind::NotRunning, format!("exec: container {id:?} has stopped"))
    })?;
    let target = Target { pid: container.pid(), pidfd };
    let namespaces = namespaces_of(target.pid).map_err(|error| internal("look at the container", error))?;
    let group = cgroup::open(&container.record)?;
    let join = group.join_handle().map_err(|error| {
        Failure::new(FailureKind::Internal, "open the container's cgroup").caused_by(&error)
    })?;
    let maps = plan::id_maps_of(bundle)?;
    let mut entrance = Entrance::new(id, target, plan, user, namespaces, maps.as_ref(), join)?;
    entrance.inherits_oom_score = true;
    Ok(entrance)
}

/// The namespaces of a process that are not this one's.
pub(super) fn namespaces_of(pid: u32) -> std::io::Result<Namespaces> {
    let own = std::process::id();
    let mut differ = Namespaces::empty();
    for kind in Namespaces::all().iter() {
        // A kernel without a kind has no file for it.
        match (kind.id_of(pid), kind.id_of(own)) {
            (Ok(theirs), Ok(ours)) if theirs == ours => {}
            (Ok(_), _) => differ |= kind,
            (Err(error), _) if error.kind() == std::io::ErrorKind::NotFound => {}
            (Err(error), _) => return Err(error),
        }
    }
    Ok(differ)
}

/// The process as it is described in a file, or the bundle's with what the options say instead.
fn process(bundle: &Bundle, command: &[String], parsed: &Parsed) -> Result<Process, Problem> {
    if let Some(path) = parsed.last("process") {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            Failure::new(FailureKind::Invalid, format!("read the process from {path}")).caused_by(error)
        };
        let text = std::fs::File::open(path).and_then(plan::read_all).map_err(|error| failed(&error))?;
        let process = plan::read(&text).map_err(|error| failed(&error))?;
        return Ok(with_the_containers(process, bundle));
    }
    let own = bundle.spec.process.as_ref().ok_or_else(|| invalid("process", "is missing"))?;
    if parsed.last("cgroup").is_some_and(|group| !["", "/"].contains(&group)) {
        return Err("exec: --cgroup: a command runs in the container's own group".to_owned().into());
    }
    if command.is_empty() {
        return Err("exec: a command is missing".to_owned().into());
    }
    let mut process = own.clone();
    process.args = Some(command.to_vec());
    process.terminal = Some(parsed.has("tty"));
    if let Some(cwd) = parsed.last("cwd") {
        process.cwd = cwd.into();
    }
    process.env.get_or_insert_default().extend(parsed.all("env").map(str::to_owned));
    if parsed.has("no-new-privs") {
        process.no_new_privileges = Some(true);
    }
    // Where the kernel has no such protection that is an error, as at the creation.
    for (option, own) in
        [("apparmor", &mut process.apparmor_profile), ("process-label", &mut process.selinux_label)]
    {
        if let Some(wanted) = parsed.last(option) {
            *own = Some(wanted.to_owned());
        }
    }
    set_user(&mut process.user, parsed)?;
    add_capabilities(&mut process, &parsed.all("cap").collect::<Vec<_>>())?;
    Ok(process)
}

/// Rights and limits of which it says nothing are those of the container's own process.
fn with_the_containers(mut process: Process, bundle: &Bundle) -> Process {
    if let Some(own) = &bundle.spec.process {
        process.capabilities = process.capabilities.or_else(|| own.capabilities.clone());
        if process.rlimits.as_ref().is_none_or(Vec::is_empty) {
            process.rlimits.clone_from(&own.rlimits);
        }
    }
    process
}

fn set_user(user: &mut User, parsed: &Parsed) -> Result<(), Problem> {
    // Neither signs nor zeros before others: what only looks like a number is no user (CVE-2024-40635).
    let number = |text: &str| {
        let number = text.parse::<u32>().ok().filter(|number| number.to_string() == text);
        number.ok_or_else(|| format!("--user, --additional-gids: {text:?} is no number of a user or group"))
    };
    if let Some(text) = parsed.last("user") {
        let (uid, gid) = text.split_once(':').map_or((text, None), |(uid, gid)| (uid, Some(gid)));
        let gid = gid.map_or(Ok(user.gid), number)?;
        *user = User { uid: number(uid)?, gid, umask: None, additional_gids: None };
    }
    let more = parsed.all("additional-gids").map(number).collect::<Result<Vec<_>, _>>()?;
    user.additional_gids.get_or_insert_default().extend(more);
    Ok(())
}

/// Adds capabilities to what the command has, and to nothing that is handed down (CVE-2022-29162).
fn add_capabilities(process: &mut Process, names: &[&str]) -> Result<(), Problem> {
    if let Some(unknown) = names.iter().find(|name| Capability::from_name(name).is_err()) {
        return Err(format!("--cap {unknown}: is no capability that is known here").into());
    }
    if !names.is_empty() {
        let sets = process.capabilities.get_or_insert_default();
        for set in [&mut sets.bounding, &mut sets.effective, &mut sets.permitted] {
            set.get_or_insert_default().extend(names.iter().map(|&name| name.to_owned()));
        }
    }
    Ok(())
}
