//! Programs that the bundle wants run at certain points of a container's life; each is told the container's state.

use super::state;
use super::store::{Container, Status};
use crate::launch::internal;
use crate::plan::{Bundle, invalid};
use crate::{Failure, FailureKind};
use oci_spec::runtime::{Hook, Hooks};
use rustix::event::Timespec;
use rustix::fs::MemfdFlags;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use tinyd_ns::{Namespaces, credentials, join, pidfd, process};

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

    #[allow(deprecated, reason = "the specification still has prestart, and engines still use it")]
    fn of(self, hooks: &Hooks) -> &[Hook] {
        let list = match self {
            Self::Prestart => hooks.prestart(),
            Self::CreateRuntime => hooks.create_runtime(),
            Self::CreateContainer => hooks.create_container(),
            Self::StartContainer => hooks.start_container(),
            Self::Poststart => hooks.poststart(),
            Self::Poststop => hooks.poststop(),
        };
        list.as_deref().unwrap_or_default()
    }

    fn hooks(self, bundle: &Bundle) -> &[Hook] {
        bundle.spec.hooks().as_ref().map_or(&[], |hooks| self.of(hooks))
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
            if !hook.path().is_absolute() {
                return Err(invalid(&property, format!("{} is no absolute path", hook.path().display())));
            }
            if hook.timeout().is_some_and(|seconds| seconds <= 0) {
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
    hooks.iter().try_for_each(|hook| run_one(hook, moment, document.as_bytes(), inside))
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
        if let Err(failure) = run_one(hook, moment, document.as_bytes(), None) {
            super::report::warn(&failure);
        }
    }
}

fn run_one(hook: &Hook, moment: Moment, document: &[u8], inside: Option<Inside<'_>>) -> Result<(), Failure> {
    let name = || format!("hook {} {}", moment.word(), hook.path().display());
    let failed = |error: std::io::Error| internal(&format!("run {}", name()), error);
    let input = in_memory(document).map_err(failed)?;
    let mut said = in_memory(b"").map_err(failed)?;
    let output = || said.try_clone().map(Stdio::from);
    let mut command = Command::new(hook.path());
    let (first, others) = hook.args().as_deref().and_then(<[String]>::split_first).unzip();
    command.args(others.unwrap_or_default()).env_clear();
    if let Some(first) = first {
        command.arg0(first);
    }
    for entry in hook.env().iter().flatten() {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        command.env(name, value);
    }
    command.stdin(Stdio::from(input)).stdout(output().map_err(failed)?).stderr(output().map_err(failed)?);
    let mut child = spawn(command, inside).map_err(failed)?;
    let ended = wait(&mut child, hook.timeout());
    if let Ok(Some(status)) = &ended
        && status.success()
    {
        return Ok(());
    }
    let how = match ended {
        Ok(Some(status)) => status.to_string(),
        Ok(None) => format!("it took longer than {} seconds", hook.timeout().unwrap_or_default()),
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

/// Starts a hook; with `inside` as a process of the container.
#[allow(
    clippy::disallowed_methods,
    reason = "this process has one thread, and between fork and exec are system calls alone"
)]
fn spawn(mut command: Command, inside: Option<Inside<'_>>) -> std::io::Result<Child> {
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
            // Only children notice.
            let home = File::open("/proc/self/ns/pid")?;
            join::of_process(inside.pidfd, Namespaces::PID)?;
            let child = command.spawn();
            let _ = join::of_file(home.as_fd(), Some(Namespaces::PID));
            child
        }
    }
}

/// Waits for its end; for so many seconds, after which it is killed.
fn wait(child: &mut Child, seconds: Option<i64>) -> std::io::Result<Option<std::process::ExitStatus>> {
    if let Some(seconds) = seconds {
        let handle = pidfd::open(child.id())?;
        if !super::store::wait_for_end(&handle, Timespec { tv_sec: seconds, tv_nsec: 0 }) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
    }
    child.wait().map(Some)
}

fn in_memory(content: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create(c"hook", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
}
