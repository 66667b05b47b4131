//! A command: a container's own, or a further one.

use super::cstrings::c_path;
use super::filter::{self, Filter};
use super::spec::{Bundle, invalid};
use super::{CStrings, Priority, ProcessPlan, UserPlan, label, priority};
use crate::config::{Capabilities, Linux, Process};
use crate::defence::{self, Defence};
use crate::listener::Listener;
use crate::{ExecRequest, Failure, FailureKind, annotation};
use std::ffi::CString;
use std::path::Path;
use tinyd_ns::caps::{CapSet, CapSets, Capability};
use tinyd_ns::rlimit::{Resource, Rlimit};

/// What execvp(3) searches when the environment does not say.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

pub(super) fn plan(
    process: &Process,
    bundle: &Bundle,
    folder: &Path,
    id: &str,
    window: Option<(u16, u16)>,
    init: bool,
) -> Result<ProcessPlan, Failure> {
    let args = process.args.as_deref().unwrap_or_default();
    let env = process.env.as_deref().unwrap_or_default();
    let filter = bundle.seccomp.as_deref().map(filter::compile).transpose()?;
    let annotations = bundle.spec.annotations.as_ref();
    let filter = filter.map(|(filter, asked)| (filter, asked.map(|asked| asked.of(id, folder, annotations))));
    let linux = bundle.spec.linux.as_ref();
    command(process, linux, args, env, &process.cwd, filter, id).map(|plan| ProcessPlan {
        terminal: process.terminal.unwrap_or(false),
        init,
        window,
        // Said of further commands alone.
        priority: Priority { cpus: [None, None], ..plan.priority },
        ..plan
    })
}

/// A further command in a container: the bundle's process, with what the request says instead.
pub(crate) fn for_exec(bundle: &Bundle, request: &ExecRequest) -> Result<(ProcessPlan, UserPlan), Failure> {
    let process = bundle.spec.process.as_ref().ok_or_else(|| invalid("process", "is missing"))?;
    let mut env = process.env.clone().unwrap_or_default();
    for entry in &request.env {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        env.retain(|old| old.split_once('=').is_none_or(|(old, _)| old != name));
        env.push(entry.clone());
    }
    if request.terminal && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    let cwd = request.cwd.as_ref().map_or(process.cwd.as_path(), |cwd| Path::new(cwd));
    let user = match (&request.user, bundle.noted(annotation::USER)) {
        (Some(text), _) | (None, Some(text)) => UserPlan::Text(text.clone()),
        (None, None) => ids(process)?,
    };
    let filter = filter_of(bundle, &request.bundle, &request.run_dir, &request.id)?;
    let linux = bundle.spec.linux.as_ref();
    let plan = command(process, linux, &request.args, &env, cwd, filter, &request.id)?;
    Ok((ProcessPlan { terminal: request.terminal, window: request.window, ..plan }, user))
}

/// A further command that is described as a whole, in a container whose folder has its filter.
pub(crate) fn of_its_own(
    bundle: &Bundle,
    process: &Process,
    id: &str,
    run_dir: &Path,
    window: Option<(u16, u16)>,
) -> Result<(ProcessPlan, UserPlan), Failure> {
    let args = process.args.as_deref().unwrap_or_default();
    let env = process.env.as_deref().unwrap_or_default();
    let filter = filter_of(bundle, run_dir, run_dir, id)?;
    let linux = bundle.spec.linux.as_ref();
    let plan = command(process, linux, args, env, &process.cwd, filter, id)?;
    let terminal = process.terminal.unwrap_or(false);
    Ok((ProcessPlan { terminal, window, ..plan }, ids(process)?))
}

/// The container's filter, for a command that joins it.
fn filter_of(
    bundle: &Bundle,
    folder: &Path,
    run_dir: &Path,
    id: &str,
) -> Result<Option<(Filter, Option<Listener>)>, Failure> {
    let annotations = bundle.spec.annotations.as_ref();
    match (&bundle.seccomp, filter::kept(run_dir)) {
        (None, _) => Ok(None),
        (Some(_), Some(kept)) if !kept.0.needs_listener() => Ok(Some((kept, None))),
        (Some(profile), _) => {
            let (filter, asked) = filter::compile(profile)?;
            Ok(Some((filter, asked.map(|asked| asked.of(id, folder, annotations)))))
        }
    }
}

/// Who the bundle says by number.
pub(super) fn ids(process: &Process) -> Result<UserPlan, Failure> {
    let user = &process.user;
    let groups = user.additional_gids.clone().unwrap_or_default();
    // To the kernel it means "as it is": the command would stay root.
    if [user.uid, user.gid].iter().chain(&groups).any(|id| *id == u32::MAX) {
        return Err(invalid("process.user", format!("{} is no user or group", u32::MAX)));
    }
    Ok(UserPlan::Ids { uid: user.uid, gid: user.gid, groups })
}

fn command(
    process: &Process,
    linux: Option<&Linux>,
    args: &[String],
    env: &[String],
    cwd: &Path,
    filter: Option<(Filter, Option<Listener>)>,
    id: &str,
) -> Result<ProcessPlan, Failure> {
    if args.is_empty() {
        return Err(Failure::new(FailureKind::Invalid, "Missing container command"));
    }
    if !cwd.is_absolute() {
        return Err(invalid("process.cwd", format!("{} is not an absolute path", cwd.display())));
    }
    // An entry without "=" would be taken for something else by whatever reads it next (CVE-2026-57231).
    if let Some(entry) = env.iter().find(|entry| entry.find('=').is_none_or(|at| at == 0))
        && defence::on(Defence::EnvCheck)
    {
        return Err(invalid("process.env", format!("{entry:?} is not NAME=VALUE")));
    }
    let strings = |property, list: &[String]| {
        list.iter().map(|text| c_path(property, Path::new(text))).collect::<Result<Vec<_>, _>>()
    };
    let (args_list, env_list) = (strings("process.args", args)?, strings("process.env", env)?);
    let search = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or(DEFAULT_PATH);
    let (seccomp, listener) = filter.map_or((None, None), |(filter, listener)| (Some(filter), listener));
    Ok(defence::command(ProcessPlan {
        candidates: candidates(&args[0], search)?,
        has_home: env.iter().any(|entry| entry.starts_with("HOME=")),
        args: CStrings::new(args_list, 0),
        env: CStrings::new(env_list, 1),
        cwd: c_path("process.cwd", cwd)?,
        caps: caps(process.capabilities.as_ref()),
        no_new_privileges: process.no_new_privileges.unwrap_or(false),
        rlimits: rlimits(process)?,
        seccomp,
        listener,
        umask: process.user.umask.unwrap_or(0o022),
        priority: priority::of(process, linux)?,
        label: label::of(process)?,
        keyring: Some(c_path("id", Path::new(&format!("_ses.{id}")))?),
        terminal: false,
        init: false,
        window: None,
        gate: None,
        preserved: 0,
    }))
}

/// Where a program may be: as execvp(3), but looked for inside the container.
fn candidates(program: &str, search: &str) -> Result<Vec<CString>, Failure> {
    if program.contains('/') {
        return Ok(vec![c_path("process.args", Path::new(program))?]);
    }
    if program.is_empty() {
        return Err(Failure::new(FailureKind::CommandNotFound, "\"\" is no program"));
    }
    search
        .split(':')
        .map(|folder| if folder.is_empty() { "." } else { folder })
        .map(|folder| c_path("process.env", &Path::new(folder).join(program)))
        .collect()
}

fn set_of(list: &Option<Vec<String>>) -> CapSet {
    list.iter().flatten().filter_map(|name| Capability::from_name(name).ok()).collect()
}

/// What cannot be had is not asked for: the kernel would refuse the whole set.
fn caps(spec: Option<&Capabilities>) -> CapSets {
    let possible = CapSet::bounding();
    let spec = spec.cloned().unwrap_or_default();
    let bounding = set_of(&spec.bounding).intersect(possible);
    let permitted = set_of(&spec.permitted).intersect(possible);
    CapSets {
        bounding,
        permitted,
        effective: set_of(&spec.effective).intersect(permitted),
        inheritable: set_of(&spec.inheritable).intersect(bounding),
        ambient: set_of(&spec.ambient).intersect(bounding).intersect(permitted),
    }
}

/// Refuses names that are no capabilities, as the specification had it before 1.1.
pub(crate) fn refuse_unknown_capabilities(process: &Process) -> Result<(), Failure> {
    let Some(spec) = &process.capabilities else { return Ok(()) };
    let sets = [&spec.bounding, &spec.effective, &spec.permitted, &spec.inheritable, &spec.ambient];
    match sets.into_iter().flatten().flatten().find(|name| Capability::from_name(name).is_err()) {
        None => Ok(()),
        Some(name) => {
            Err(invalid("process.capabilities", format!("{name:?} is no capability that is known here")))
        }
    }
}

/// Tells of each capability that is asked for and not given: the bounding set is the most that a process can inherit, and what it may
/// use is a part of what it is permitted.
pub(crate) fn ungranted(process: &Process) -> Vec<String> {
    let Some(spec) = &process.capabilities else { return Vec::new() };
    let given = caps(Some(spec));
    let sets = [
        ("bounding", &spec.bounding, given.bounding),
        ("effective", &spec.effective, given.effective),
        ("permitted", &spec.permitted, given.permitted),
        ("inheritable", &spec.inheritable, given.inheritable),
        ("ambient", &spec.ambient, given.ambient),
    ];
    let missing = |(name, asked, given): (&str, &Option<Vec<String>>, CapSet)| {
        let tell = |one: &String| match Capability::from_name(one) {
            Ok(known) if given.contains(known) => None,
            Ok(_) => Some(format!("process.capabilities.{name}: {one} cannot be given")),
            Err(_) => {
                Some(format!("process.capabilities.{name}: {one:?} is no capability that is known here"))
            }
        };
        asked.iter().flatten().filter_map(tell).collect::<Vec<_>>()
    };
    sets.into_iter().flat_map(missing).collect()
}

fn rlimits(process: &Process) -> Result<Vec<Rlimit>, Failure> {
    let list = process.rlimits.iter().flatten().map(|limit| {
        let resource = limit.typ.parse::<Resource>().map_err(|error| invalid("process.rlimits", error))?;
        // The specification writes "no limit" as the largest number.
        let value = |n: u64| (n != u64::MAX).then_some(n);
        Ok(Rlimit { resource, soft: value(limit.soft), hard: value(limit.hard) })
    });
    let limits: Vec<Rlimit> = list.collect::<Result<_, _>>()?;
    for (at, limit) in limits.iter().enumerate() {
        if limits[..at].iter().any(|other| other.resource == limit.resource) {
            return Err(invalid("process.rlimits", format!("{} is named twice", limit.resource)));
        }
    }
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_capabilities_that_are_unknown_or_cannot_be_had_are_told() {
        let process = r#"{"cwd": "/", "user": {}, "capabilities": {"bounding": ["CAP_CHOWN", "CAP_OF_TOMORROW"],
            "ambient": ["CAP_KILL"]}}"#;
        let process: Process = crate::plan::read(process.as_bytes()).unwrap();
        let told = ungranted(&process);
        assert!(
            told.iter().any(|one| one.contains("bounding: \"CAP_OF_TOMORROW\" is no capability")),
            "{told:?}"
        );
        assert!(told.iter().any(|one| one.contains("ambient: CAP_KILL cannot be given")), "{told:?}");
    }

    #[test]
    fn programs_are_looked_for_as_execvp_does() {
        let list = |program, search| -> Vec<String> {
            candidates(program, search).unwrap().iter().map(|c| c.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(list("ls", "/usr/bin:/bin"), ["/usr/bin/ls", "/bin/ls"]);
        assert_eq!(list("ls", ":/bin"), ["./ls", "/bin/ls"]);
        assert_eq!(list("./ls", "/bin"), ["./ls"]);
        assert_eq!(list("/bin/ls", ""), ["/bin/ls"]);
        assert_eq!(candidates("", "/bin").unwrap_err().kind, FailureKind::CommandNotFound);
    }
}
