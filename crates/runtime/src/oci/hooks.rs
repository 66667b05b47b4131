//! Programs that the bundle wants run at certain points of a container's life; each is told the container's state.

use super::state;
use super::store::{Container, Status};
use crate::config::{Hook, Hooks};
use crate::launch::{Child, internal};
use crate::plan::{self, Bundle, invalid};
use crate::{Failure, FailureKind, defence, init};
use rustix::event::Timespec;
use rustix::fs::MemfdFlags;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use tinyd_ns::pidfd::{self, Exit};
use tinyd_ns::{Namespaces, credentials, join, process};

/// So much of what a hook that failed has written is repeated.
const MOST_SAID: u64 = 4096;

/// When one is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Prestart,
    CreateRuntime,
    CreateContainer,
    StartContainer,
    Poststart,
    Poststop,
}

impl Moment {
    pub(super) const ALL: [Self; 6] = [
        Self::Prestart,
        Self::CreateRuntime,
        Self::CreateContainer,
        Self::StartContainer,
        Self::Poststart,
        Self::Poststop,
    ];

    /// The specification's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Prestart => "prestart",
            Self::CreateRuntime => "createRuntime",
            Self::CreateContainer => "createContainer",
            Self::StartContainer => "startContainer",
            Self::Poststart => "poststart",
            Self::Poststop => "poststop",
        }
    }

    fn of(self, hooks: &Hooks) -> &[Hook] {
        let list = match self {
            Self::Prestart => &hooks.prestart,
            Self::CreateRuntime => &hooks.create_runtime,
            Self::CreateContainer => &hooks.create_container,
            Self::StartContainer => &hooks.start_container,
            Self::Poststart => &hooks.poststart,
            Self::Poststop => &hooks.poststop,
        };
        list.as_deref().unwrap_or_default()
    }

    fn hooks(self, bundle: &Bundle) -> &[Hook] {
        bundle.spec.hooks.as_ref().map_or(&[], |hooks| self.of(hooks))
    }

    /// Whether there is something to do.
    pub(super) fn is_wanted(self, bundle: &Bundle) -> bool {
        !self.hooks(bundle).is_empty()
    }
}

/// Checks all of them, before anything is made.
pub(super) fn check(bundle: &Bundle) -> Result<(), Failure> {
    for moment in Moment::ALL {
        for hook in moment.hooks(bundle) {
            let property = format!("hooks.{}", moment.word());
            if !hook.path.is_absolute() {
                return Err(invalid(&property, format!("{} is no absolute path", hook.path.display())));
            }
            let texts = hook.args.iter().chain(&hook.env).flatten().map(String::as_bytes);
            if texts.chain([hook.path.as_os_str().as_bytes()]).any(|text| text.contains(&0)) {
                return Err(invalid(&property, "holds a zero byte"));
            }
            if hook.timeout.is_some_and(|seconds| seconds <= 0) {
                return Err(invalid(&property, "timeout must be greater than zero"));
            }
        }
    }
    Ok(())
}

/// Where hooks of a container run.
#[derive(Clone, Copy)]
pub(super) struct Inside<'fd> {
    /// Its first process.
    pub(super) pid: u32,
    pub(super) pidfd: BorrowedFd<'fd>,
}

/// Runs those of a moment one after the other, until one fails.
pub(super) fn run(
    moment: Moment,
    bundle: &Bundle,
    container: &Container,
    status: Status,
    inside: Option<Inside<'_>>,
) -> Result<(), Failure> {
    let hooks = moment.hooks(bundle);
    if hooks.is_empty() {
        return Ok(());
    }
    let mut document = state::document(container, Some(bundle), status);
    if let Some(inside) = inside {
        document["pid"] = number_inside(inside.pid)?.into();
    }
    let document = document.to_string();
    let start = |hook: &Hook, streams: Streams| spawn(command(hook), streams, inside);
    hooks.iter().try_for_each(|hook| run_one(hook, moment, document.as_bytes(), &start))
}

/// Runs those that are programs of the container's own, whoever made its root: with the rights of its command, as further commands
/// have them, and no others.
pub(super) fn run_in(bundle: &Bundle, container: &Container) -> Result<(), Failure> {
    let moment = Moment::StartContainer;
    if !moment.is_wanted(bundle) {
        return Ok(());
    }
    let mut document = state::document(container, Some(bundle), Status::Created);
    document["pid"] = number_inside(container.pid())?.into();
    let document = document.to_string();
    let start = |hook: &Hook, streams: Streams| enter(hook, streams, bundle, container);
    moment.hooks(bundle).iter().try_for_each(|hook| run_one(hook, moment, document.as_bytes(), &start))
}

/// What a process is called in its own PID namespace.
fn number_inside(pid: u32) -> Result<u32, Failure> {
    let failed = |error| internal("look at the container's first process", error);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(failed)?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let innermost = numbers.and_then(|numbers| numbers.split_whitespace().last()?.parse().ok());
    innermost.ok_or_else(|| failed(std::io::ErrorKind::InvalidData.into()))
}

/// Runs those of a moment that nothing depends on: what fails is told, and the others run all the same.
pub(super) fn run_each(moment: Moment, bundle: &Bundle, container: &Container, status: Status) {
    if !moment.is_wanted(bundle) {
        return;
    }
    let document = state::document(container, Some(bundle), status).to_string();
    for hook in moment.hooks(bundle) {
        let start = |hook: &Hook, streams: Streams| spawn(command(hook), streams, None);
        if let Err(failure) = run_one(hook, moment, document.as_bytes(), &start) {
            super::report::warn(&failure);
        }
    }
}

/// Input, output and errors of a hook: files in memory.
type Streams = [File; 3];

/// A hook that runs: how it is waited for, and killed.
type Start<'a> = &'a dyn Fn(&Hook, Streams) -> Result<Child, Failure>;

fn run_one(hook: &Hook, moment: Moment, document: &[u8], start: Start<'_>) -> Result<(), Failure> {
    let name = || format!("hook {} {}", moment.word(), hook.path.display());
    let failed = |error: std::io::Error| internal(&format!("run {}", name()), error);
    let mut said = in_memory(b"").map_err(failed)?;
    let output = || said.try_clone().map_err(failed);
    let streams = [in_memory(document).map_err(failed)?, output()?, output()?];
    let mut child = start(hook, streams).map_err(|failure| {
        let beneath = std::io::Error::other(failure.in_one_line());
        Failure::new(failure.kind, format!("run {}", name())).caused_by(&beneath)
    })?;
    let ended = wait(&mut child, hook.timeout);
    if let Ok(Some(Exit::Exited(0))) = &ended {
        return Ok(());
    }
    let how = match ended {
        Ok(Some(Exit::Exited(code))) => format!("exit status: {code}"),
        Ok(Some(Exit::Signaled(signal))) => format!("signal: {signal}"),
        Ok(None) => format!("it took longer than {} seconds", hook.timeout.unwrap_or_default()),
        Err(error) => error.to_string(),
    };
    let mut text = String::new();
    let _ = said.rewind().and_then(|()| (&said).take(MOST_SAID).read_to_string(&mut text));
    let failure = Failure::new(FailureKind::Internal, format!("{} failed: {how}", name()));
    Err(match text.trim() {
        "" => failure,
        text => failure.caused_by(&std::io::Error::other(text.to_owned())),
    })
}

fn command(hook: &Hook) -> Command {
    let mut command = Command::new(&hook.path);
    let (first, others) = hook.args.as_deref().and_then(<[String]>::split_first).unzip();
    command.args(others.unwrap_or_default()).env_clear();
    if let Some(first) = first {
        command.arg0(first);
    }
    for entry in hook.env.iter().flatten() {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        command.env(name, value);
    }
    command
}

/// Starts a program of the host's; with `inside` in the container's namespaces.
fn spawn(mut command: Command, streams: Streams, inside: Option<Inside<'_>>) -> Result<Child, Failure> {
    let [input, output, errors] = streams.map(Stdio::from);
    command.stdin(input).stdout(output).stderr(errors);
    let started = spawn_there(command, inside).and_then(|child| pidfd::open(child.id()));
    started.map(Child::new).map_err(|error| internal("start it", error))
}

#[allow(
    clippy::disallowed_methods,
    reason = "this process has one thread, and between fork and exec are system calls alone"
)]
fn spawn_there(mut command: Command, inside: Option<Inside<'_>>) -> std::io::Result<std::process::Child> {
    let kinds = match inside {
        Some(inside) => super::exec::namespaces_of(inside.pid)?,
        None => Namespaces::empty(),
    };
    let enter = {
        let pidfd = inside.map(|inside| inside.pidfd.try_clone_to_owned()).transpose()?;
        move || {
            process::reset_signals();
            if let Some(pidfd) = &pidfd {
                join::of_process(pidfd.as_fd(), kinds - Namespaces::PID)?;
                if kinds.contains(Namespaces::USER) {
                    credentials::become_user(0, 0, &[])?;
                }
                // New ids may have made it dumpable again (fs.suid_dumpable), and others may look at it (CVE-2016-9962).
                defence::become_undumpable()?;
            }
            // What the command is promised, and what is ours, is no hook's.
            process::cloexec_from(3)?;
            Ok(())
        }
    };
    // SAFETY: this process has one thread, and what the closure does are system calls alone.
    unsafe { command.pre_exec(enter) };
    match inside.filter(|_| kinds.contains(Namespaces::PID)) {
        None => command.spawn(),
        Some(inside) => {
            let back = WayBack::open()?;
            join::of_process(inside.pidfd, Namespaces::PID)?;
            let child = command.spawn();
            drop(back);
            child
        }
    }
}

/// Starts a program of the container's.
fn enter(hook: &Hook, streams: Streams, bundle: &Bundle, container: &Container) -> Result<Child, Failure> {
    let mut process = bundle.spec.process.clone().ok_or_else(|| invalid("process", "is missing"))?;
    let args = hook.args.clone().filter(|args| !args.is_empty());
    let entry = |entry: &String| if entry.contains('=') { entry.clone() } else { format!("{entry}=") };
    process.args = args.or_else(|| Some(vec![hook.path.display().to_string()]));
    // A program of the container's has its environment where it is given none.
    if let Some(env) = &hook.env {
        process.env = Some(env.iter().filter(|entry| !entry.is_empty()).map(entry).collect());
    }
    (process.terminal, process.cwd) = (Some(false), "/".into());
    let (id, folder) = (&container.record.id, &container.folder);
    let (mut plan, user) = plan::of_its_own(bundle, &process, id, folder, None)?;
    plan.candidates = vec![plan::c_path("hooks", &hook.path)?];
    if let Some(listener) = &mut plan.listener {
        listener.of_bundle(&container.record.bundle);
    }
    let entrance = super::exec::entrance(container, bundle, plan, &user)?;
    let [stdin, stdout, stderr] = streams.map(|file| Some(OwnedFd::from(file)));
    let back = WayBack::open().map_err(|error| internal("open the PID namespace", error))?;
    let entered = entrance.enter(init::Stdio { stdin, stdout, stderr });
    drop(back);
    entered.map(|entered| entered.child)
}

/// The PID namespace of this process, in which its children are born again when this goes: joining another one is only noticed by them.
struct WayBack(File);

impl WayBack {
    fn open() -> std::io::Result<Self> {
        File::open("/proc/self/ns/pid").map(Self)
    }
}

impl Drop for WayBack {
    fn drop(&mut self) {
        let _ = join::of_file(self.0.as_fd(), Some(Namespaces::PID));
    }
}

/// Waits for its end; for so many seconds, after which it is killed.
fn wait(child: &mut Child, seconds: Option<i64>) -> std::io::Result<Option<Exit>> {
    if let Some(seconds) = seconds
        && !super::store::wait_for_end(&child.pidfd, Timespec { tv_sec: seconds, tv_nsec: 0 })
    {
        return Ok(None);
    }
    let exit = pidfd::wait(&child.pidfd)?;
    child.keep();
    Ok(Some(exit))
}

fn in_memory(content: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create(c"hook", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}
