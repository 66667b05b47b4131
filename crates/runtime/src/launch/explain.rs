//! A failure in the child, in words: what was done, on which object.

use super::limits;
use crate::plan::{Plan, ProcessPlan};
use crate::report::{ChildFailure, Stage};
use crate::{Failure, FailureKind};
use rustix::io::Errno;
use std::ffi::CString;
use tinyd_ns::Namespaces;
use tinyd_ns::join::JoinError;
use tinyd_ns::rlimit::RlimitError;

/// A failure in the start of a container.
pub(super) fn explain(failure: &ChildFailure, plan: &Plan, cgroup: &str) -> Failure {
    let operand = usize::from(failure.operand);
    let named = |what: &str, list: &[CString]| {
        format!("{what} {}", list.get(operand).map_or_else(|| "?".into(), |text| text.to_string_lossy()))
    };
    let message = match failure.stage {
        Stage::JoinCgroup => format!("join cgroup {cgroup}"),
        Stage::JoinNamespaces => {
            let joined = plan.joined.get(operand);
            joined.map_or_else(
                || "join namespaces".to_owned(),
                |joined| format!("join the {} namespace {}", joined.kind, joined.path.display()),
            )
        }
        Stage::Clocks => "set the clocks of the container".to_owned(),
        Stage::NewNamespaces => return cannot_clone(plan.namespaces, &failure.errno.into()),
        Stage::CgroupNamespace => "make a cgroup namespace".to_owned(),
        Stage::MappedRoot => "become root of the user namespace".to_owned(),
        Stage::Hostname => "set the host name".to_owned(),
        Stage::Domainname => "set the domain name".to_owned(),
        Stage::Loopback => "switch the loopback device on".to_owned(),
        Stage::PrivateMounts => "make the container's mounts private".to_owned(),
        Stage::Propagation => "set the propagation of the root's mounts".to_owned(),
        Stage::Root => "attach the root file system".to_owned(),
        Stage::Layer => named("attach the layer of", &plan.layers),
        Stage::Mount => {
            let target = plan.mounts.get(operand).map(|mount| mount.target.to_string_lossy());
            let target = target.unwrap_or_else(|| "?".into());
            match (failure.errno, &*target) {
                // A link could lead them to another place; the words are those that users of other runtimes know.
                (Errno::LOOP | Errno::NOTDIR, "/proc" | "/sys") => {
                    format!("mount {target} in the container: it must be mounted on ordinary directory")
                }
                _ => format!("mount {target} in the container"),
            }
        }
        Stage::Device => {
            let stray = plan.strays.places.get(operand).map(|stray| stray.target.to_string_lossy());
            let place = stray.unwrap_or_else(|| "?".into());
            match failure.errno {
                Errno::EXIST => format!("make the device {place}: something else has its place"),
                _ => format!("make the device {place}"),
            }
        }
        Stage::Mask => named("mask", &plan.masked),
        Stage::ReadOnlyPath => named("make read-only", &plan.read_only),
        Stage::Sysctl => {
            let names: Vec<_> = plan.sysctls.iter().map(|(name, _)| name.clone()).collect();
            named("set", &names)
        }
        Stage::Terminal => "open a terminal in the container".to_owned(),
        Stage::MakeWorkingDirectory => {
            format!("make the working directory {}", plan.process.cwd.to_string_lossy())
        }
        Stage::ReadOnlyRoot => "make the root file system read-only".to_owned(),
        Stage::Pivot => "move into the container's root".to_owned(),
        _ => return explain_exec(failure, &plan.process),
    };
    Failure::new(kind(failure.errno), message).caused_by(&std::io::Error::from(failure.errno))
}

/// A failure in the steps that a container's command and a further one share.
pub(crate) fn explain_exec(failure: &ChildFailure, plan: &ProcessPlan) -> Failure {
    let operand = usize::from(failure.operand);
    let message = match failure.stage {
        Stage::Exec => return cannot_exec(failure.errno, plan),
        Stage::Rlimit => return cannot_limit(failure.errno, plan, operand),
        Stage::JoinCgroup => "join the container's cgroup".to_owned(),
        Stage::JoinNamespaces => "join the container's namespaces".to_owned(),
        Stage::MappedRoot => "become root of the user namespace".to_owned(),
        Stage::Label => "give the command its label or profile".to_owned(),
        Stage::Affinity => "set the command's processors".to_owned(),
        Stage::Personality => "take on the personality".to_owned(),
        Stage::MemoryPolicy => "set the memory policy".to_owned(),
        Stage::Keyring => "make a session keyring".to_owned(),
        Stage::Session => "start a session".to_owned(),
        Stage::Terminal => "open a terminal in the container".to_owned(),
        Stage::Stdio => "set up the command's streams".to_owned(),
        Stage::WorkingDirectory => format!("enter the working directory {}", plan.cwd.to_string_lossy()),
        Stage::NoNewPrivileges => "set no_new_privs".to_owned(),
        Stage::Listener => "hand the filter's calls over to their agent".to_owned(),
        Stage::Seccomp => "load the seccomp filter".to_owned(),
        Stage::Capabilities => "set the capabilities".to_owned(),
        Stage::Init => "start an init in front of the command".to_owned(),
        Stage::User => "become the command's user".to_owned(),
        Stage::Descriptors => "close descriptors".to_owned(),
        _ => "talk to the parent".to_owned(),
    };
    Failure::new(kind(failure.errno), message).caused_by(&std::io::Error::from(failure.errno))
}

/// A limit that the command's processes were to have.
fn cannot_limit(errno: Errno, plan: &ProcessPlan, operand: usize) -> Failure {
    match plan.rlimits.get(operand) {
        Some(&wanted) => limits::refused(&RlimitError::Kernel { wanted, errno }),
        None => Failure::new(kind(errno), "set a limit").caused_by(&std::io::Error::from(errno)),
    }
}

/// Namespaces of a container's process that the kernel does not let the runtime into.
pub(crate) fn cannot_join(pid: u32, kinds: Namespaces, errno: Errno) -> Failure {
    let error = JoinError::EnterProcess { pid, kinds, source: errno.into() };
    Failure::new(kind(errno), "join the container's namespaces").caused_by(&error)
}

/// The kernel refused the namespaces that the bundle asks for.
pub(super) fn cannot_clone(namespaces: Namespaces, error: &std::io::Error) -> Failure {
    let names: Vec<_> = namespaces.iter().filter_map(Namespaces::file_name).collect();
    let kind = match error.raw_os_error() {
        Some(libc::EPERM) => FailureKind::Permission,
        Some(libc::EINVAL | libc::ENOSYS) => FailureKind::Unsupported,
        _ => FailureKind::Internal,
    };
    let failure = Failure::new(kind, format!("make new namespaces ({})", names.join(", "))).caused_by(error);
    let forbidden = [libc::EPERM, libc::EINVAL, libc::ENOSYS, libc::ENOSPC, libc::EUSERS];
    match error.raw_os_error() {
        Some(libc::EAGAIN) => {
            failure.with_hint("a limit of processes is reached: ulimit -u, or the caller's cgroup")
        }
        Some(errno) if forbidden.contains(&errno) && namespaces.contains(Namespaces::USER) => {
            failure.with_hint("where this kernel or a limit forbids user namespaces, use --userns host")
        }
        _ => failure,
    }
}

/// The command itself could not be executed: the two cases that have exit codes of their own.
fn cannot_exec(errno: Errno, plan: &ProcessPlan) -> Failure {
    let program = plan.args.first().map_or_else(String::new, |arg| arg.to_string_lossy().into_owned());
    match errno {
        Errno::NOENT | Errno::NOTDIR => Failure::new(
            FailureKind::CommandNotFound,
            format!("{program:?}: command not found in the container"),
        ),
        errno => Failure::new(FailureKind::CommandNotExecutable, format!("{program:?}: cannot be executed"))
            .caused_by(&std::io::Error::from(errno)),
    }
}

pub(super) fn kind(errno: Errno) -> FailureKind {
    match errno {
        Errno::PERM | Errno::ACCESS => FailureKind::Permission,
        Errno::NOSYS | Errno::OPNOTSUPP | Errno::NODEV => FailureKind::Unsupported,
        _ => FailureKind::Internal,
    }
}
