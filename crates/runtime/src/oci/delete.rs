//! `delete`: takes away what a stopped container has left.

use super::hooks::{self, Moment};
use super::options::{Rest, flag, parse};
use super::store::{Container, Status, wait_for_end};
use super::{Context, Problem, cgroup, kill, one_id};
use crate::{Failure, FailureKind};
use rustix::event::Timespec;

/// How long one that has just done its work may take to end.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(&[flag("force", Some('f'))], words, Rest::Mixed)?;
    let force = parsed.has("force");
    let id = one_id("delete", &parsed)?;
    let container = match Container::open(context, &id) {
        Ok(container) => container,
        Err(failure) if failure.kind == FailureKind::NotRunning => {
            let cleared = Container::clear_remains(context, &id)?;
            // It is as it should be.
            return if cleared || force { Ok(0) } else { Err(failure.into()) };
        }
        Err(failure) => return Err(failure.into()),
    };
    let _lock = container.lock()?;
    // Whoever had the lock may have created or removed it meanwhile.
    let container = match Container::open(context, &id) {
        Ok(container) => container,
        Err(failure) if force && failure.kind == FailureKind::NotRunning => return Ok(0),
        Err(failure) => return Err(failure.into()),
    };
    match container.status() {
        // With the lock held it is what a `create` that was killed has left.
        Status::Stopped | Status::Creating => {}
        _ if force || ends(&container) => {}
        status => {
            let problem =
                format!("container {id:?} is {}, and is deleted when it has stopped", status.word());
            return Err(Failure::new(FailureKind::Invalid, problem)
                .with_hint("kill it first, or delete it with --force")
                .into());
        }
    }
    if container.record.init.is_none() {
        cgroup::settle(&container.record)?;
    }
    destroy(&container)?;
    Ok(0)
}

fn ends(container: &Container) -> bool {
    container.process().is_none_or(|process| wait_for_end(&process, MOMENT))
}

/// Ends it, and takes everything away.
pub(super) fn destroy(container: &Container) -> Result<(), Failure> {
    if let Some(pidfd) = container.process() {
        let _ = tinyd_ns::pidfd::send_signal(&pidfd, libc::SIGKILL);
        if let Ok(group) = cgroup::open(&container.record) {
            // Frozen processes do not die.
            let _ = group.thaw();
        }
        wait_for_end(&pidfd, kill::PATIENCE);
    }
    cgroup::remove(&container.record)?;
    // What cannot be read any more has no hooks to run.
    if let Ok(bundle) = container.bundle() {
        hooks::run_each(Moment::Poststop, &bundle, container, Status::Stopped);
    }
    container.remove()
}
