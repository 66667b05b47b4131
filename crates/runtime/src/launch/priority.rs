//! What a command has of the machine's time, as far as its parent sets it: with the host's rights, which a child with mapped ids has
//! lost as soon as it is in its own user namespace.

use super::explain;
use crate::Failure;
use crate::plan::Priority;
use rustix::io::Errno;
use tinyd_ns::schedule;

/// Goes to the processors where a further command is to be made, before it is in the container's cgroup.
pub(crate) fn go_there(priority: &Priority) -> Result<(), Failure> {
    let [Some(cpus), _] = &priority.cpus else { return Ok(()) };
    rustix::thread::sched_setaffinity(None, cpus).map_err(|errno| {
        Failure::new(explain::kind(errno), "go to the command's first processors")
            .caused_by(&std::io::Error::from(errno))
    })
}

/// Before the child is told its identity: with that it goes on to become the command.
pub(crate) fn apply(priority: &Priority, pid: u32) -> Result<(), Failure> {
    let failed = |what: &'static str| {
        move |errno: Errno| Failure::new(explain::kind(errno), what).caused_by(&std::io::Error::from(errno))
    };
    if let Some(score) = priority.oom_score_adj {
        std::fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string())
            .map_err(|error| super::internal("set the command's oom_score_adj", error))?;
    }
    if let Some((class, level)) = priority.io {
        schedule::set_io_priority(pid, class, level)
            .map_err(failed("set the priority of the command's input and output"))?;
    }
    if let Some(scheduler) = &priority.scheduler {
        schedule::set(pid, scheduler).map_err(|errno| {
            let failure = failed("schedule the command")(errno);
            match errno {
                Errno::PERM => failure
                    .with_hint("real time is a matter of the cgroup: linux.resources.cpu.realtimeRuntime"),
                _ => failure,
            }
        })?;
    }
    Ok(())
}
