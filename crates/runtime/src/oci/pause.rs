//! `pause` and `resume`.

use super::store::{Container, Status};
use super::{Context, Problem, cgroup, only_id};
use crate::{Failure, FailureKind};

pub(super) fn verb(context: &Context, words: Vec<String>, pause: bool) -> Result<u8, Problem> {
    let verb = if pause { "pause" } else { "resume" };
    let id = only_id(verb, words)?;
    let container = Container::open(context, &id)?;
    let _lock = container.lock()?;
    match (container.status(), pause) {
        (Status::Running | Status::Created, true) | (Status::Paused, false) => {}
        (status, _) => {
            let needed = if pause { "running" } else { "paused" };
            let problem = format!("{verb}: container {id:?} is {}, not {needed}", status.word());
            return Err(Failure::new(FailureKind::NotRunning, problem).into());
        }
    }
    let group = cgroup::open(&container.record)?;
    let done = if pause { group.freeze() } else { group.thaw() };
    done.map_err(|error| {
        Failure::new(FailureKind::Internal, format!("{verb} container {id:?}")).caused_by(&error)
    })?;
    Ok(0)
}
