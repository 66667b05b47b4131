//! `kill`: sends a signal to a container's first process, or to all of its processes.

use super::options::{Rest, flag, parse};
use super::store::{Container, Status, wait_for_end};
use super::{Context, Problem, cgroup, signal};
use crate::launch::internal;
use crate::{Failure, FailureKind, annotation};
use rustix::event::Timespec;
use std::time::{Duration, Instant};

/// How long a killed process may take to end.
pub(super) const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// How long it is tried to kill all that are born meanwhile.
const ROUNDS: Duration = Duration::from_secs(2);

/// How long a signal that nobody survives is waited for.
const SOON: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

pub(super) fn verb(context: &Context, words: Vec<String>) -> Result<u8, Problem> {
    let parsed = parse(&[flag("all", Some('a'))], words, Rest::Mixed)?;
    let (id, said) = match parsed.rest.as_slice() {
        [id] => (id, None),
        [id, name] => (id, Some(signal::number(name).ok_or_else(|| format!("{name:?} is no signal"))?)),
        _ => return Err("kill takes a container and a signal".to_owned().into()),
    };
    let container = Container::open(context, id)?;
    let number = said.or_else(|| of_image(&container)).unwrap_or(libc::SIGTERM);
    if parsed.has("all") {
        all(&container, number)?;
        return Ok(0);
    }
    let status = container.status();
    // One that is being made, too: what it waits for may not come.
    let process = container.process().filter(|_| status.has_process() || status == Status::Creating);
    // Engines look for these words.
    let process = process.ok_or_else(|| {
        Failure::new(FailureKind::NotRunning, format!("container not running: {id:?} is {}", status.word()))
    })?;
    if number == 0 {
        // kill(2): nothing is sent, and whether somebody is there is known.
        return Ok(0);
    }
    tinyd_ns::pidfd::send_signal(&process, number).map_err(|error| internal("send the signal", error))?;
    if number == libc::SIGKILL {
        if status == Status::Paused {
            // Frozen processes do not die.
            let _ = cgroup::open(&container.record)?.thaw();
        }
        // Who kills deletes next.
        wait_for_end(&process, SOON);
    }
    Ok(0)
}

/// What the image that it was made of wants to be ended by.
fn of_image(container: &Container) -> Option<i32> {
    let bundle = container.bundle().ok()?;
    signal::number(bundle.spec.annotations.as_ref()?.get(annotation::STOP_SIGNAL)?)
}

/// To all processes of its control group: also when the first one has ended, where they have no PID namespace of their own.
fn all(container: &Container, number: i32) -> Result<(), Failure> {
    let Ok(group) = cgroup::open(&container.record) else { return Ok(()) };
    let failed = |error: tinyd_cgroup::Error| {
        Failure::new(FailureKind::Internal, "kill the container's processes").caused_by(&error)
    };
    if number == libc::SIGKILL && container.record.found.is_none() {
        // Frozen processes do not die.
        let _ = group.thaw();
        return group.kill().map_err(failed);
    }
    let ends = Instant::now() + ROUNDS;
    loop {
        let own = cgroup::own_processes(container, group.as_ref())?;
        if number == libc::SIGKILL && !own.is_empty() {
            let _ = group.thaw();
        }
        let is_done = number != libc::SIGKILL || own.is_empty();
        own.into_iter().for_each(|pid| cgroup::signal(pid, group.as_ref(), number));
        // Those that were born meanwhile are killed in the next round.
        if is_done {
            return Ok(());
        }
        if Instant::now() > ends {
            let problem = format!("container {:?}: its processes do not end", container.record.id);
            return Err(Failure::new(FailureKind::Internal, problem));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
