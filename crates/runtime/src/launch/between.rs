//! A process between parent and child, where the child is to be born into namespaces that are there already, or whose clocks must
//! be set before anyone lives in them. It is there for a moment, goes in, and bears the child, which is its parent's.
//!
//! The parent never goes in itself: from a user namespace there is no way back.

use super::explain;
use crate::defence;
use crate::plan::{Joined, Plan};
use crate::report::{ChildFailure, Report, Stage, at, at_operand};
use crate::{Failure, FailureKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use tinyd_ns::clone::{Clone3, Cloned};
use tinyd_ns::{Namespaces, join, pidfd, process};

/// What it says once the child is there: the number follows.
const BORN: u8 = 0;

/// Clones the container's first process into its namespaces.
///
/// # Safety
/// As of [`Clone3::spawn`].
pub(super) unsafe fn spawn(
    plan: &Plan,
    cgroup: Option<BorrowedFd<'_>>,
    named: &str,
) -> Result<Cloned, Failure> {
    if plan.joined.is_empty() && plan.time_offsets.is_none() {
        // SAFETY: as the caller promised.
        let cloned = unsafe { Clone3::new(plan.namespaces).into_cgroup(cgroup).spawn() };
        return cloned.map_err(|error| explain::cannot_clone(plan.namespaces, &error));
    }
    let failed = |error: std::io::Error| super::internal("make the container's first process", error);
    let files = plan.joined.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let (reads, writes) = pipe_with(PipeFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
    // SAFETY: as the caller promised: this process only makes system calls, and ends by _exit.
    let between =
        match unsafe { Clone3::new(Namespaces::empty()).into_cgroup(cgroup).spawn() }.map_err(failed)? {
            Cloned::Parent { pidfd, .. } => pidfd,
            Cloned::Child => {
                // SAFETY: the same holds for who is born here.
                let told = match unsafe { bear(plan, &files) } {
                    Ok(Cloned::Child) => return Ok(Cloned::Child),
                    Ok(Cloned::Parent { pid, .. }) => {
                        let [a, b, c, d] = pid.to_ne_bytes();
                        [BORN, a, b, c, d, 0, 0, 0]
                    }
                    Err(failure) => Report::Failed(failure).to_bytes(),
                };
                let _ = rustix::io::write(&writes, &told);
                process::exit_now(0)
            }
        };
    drop(writes);
    let mut told = [0; Report::LENGTH];
    let length = rustix::io::retry_on_intr(|| rustix::io::read(&reads, &mut told));
    let length = length.map_err(|errno| failed(errno.into()))?;
    pidfd::wait(&between).map_err(failed)?;
    match (length, told) {
        (Report::LENGTH, [BORN, a, b, c, d, ..]) => {
            let pid = u32::from_ne_bytes([a, b, c, d]);
            // A child of this process, which has not waited for it: the number is its own.
            Ok(Cloned::Parent { pid, pidfd: pidfd::open(pid).map_err(failed)? })
        }
        (Report::LENGTH, told) => match Report::from_bytes(&told) {
            Some(Report::Failed(failure)) => Err(explain::explain(&failure, plan, named)),
            _ => Err(failed(Errno::PROTO.into())),
        },
        _ => Err(failed(Errno::PIPE.into())),
    }
}

fn open(joined: &Joined) -> Result<File, Failure> {
    joined.open().map_err(|error| {
        let message = format!("join the {} namespace {}", joined.kind, joined.path.display());
        Failure::new(FailureKind::Invalid, message).caused_by(&error)
    })
}

/// *Child-side.* Goes where the child is to live.
///
/// # Safety
/// As of [`Clone3::spawn`].
unsafe fn bear(plan: &Plan, files: &[File]) -> Result<Cloned, ChildFailure> {
    let joined = || plan.joined.iter().zip(files).enumerate();
    // With the host's rights, which are gone once the user namespace is entered; and they are none in it before.
    for (index, (joined, file)) in joined().filter(|(_, (joined, _))| joined.kind != Namespaces::USER) {
        join::of_file(file.as_fd(), Some(joined.kind)).map_err(at_operand(Stage::JoinNamespaces, index))?;
    }
    if let Some(offsets) = &plan.time_offsets {
        join::unshare(Namespaces::TIME).map_err(at(Stage::Clocks))?;
        if !offsets.is_empty() {
            crate::init::proc_of_host()
                .and_then(|proc| {
                    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
                    rustix::fs::openat(proc, c"self/timens_offsets", flags, Mode::empty())
                })
                .and_then(|file| rustix::io::write(&file, offsets.to_bytes()))
                .map_err(at(Stage::Clocks))?;
        }
    }
    for (index, (joined, file)) in joined().filter(|(_, (joined, _))| joined.kind == Namespaces::USER) {
        join::of_file(file.as_fd(), Some(joined.kind)).map_err(at_operand(Stage::JoinNamespaces, index))?;
        // Whoever else is in there may not look into this process (CVE-2016-9962).
        defence::become_undumpable().map_err(at_operand(Stage::JoinNamespaces, index))?;
    }
    // SAFETY: as the caller promised.
    let cloned = unsafe { Clone3::new(plan.namespaces - Namespaces::TIME).sibling().spawn() };
    cloned.map_err(|error| at(Stage::NewNamespaces)(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
}
