//! `wait --healthy`: until a container's health check has succeeded.

use crate::failure::{Failure, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::time::{Duration, Instant};
use tinyd_engine::{Engine, EventFilter, EventsRequest};

/// Waits for one container. An exit, a failed check and the end of the time are failures.
pub(super) fn wait(engine: &dyn Engine, container: &str, timeout: Option<Duration>) -> Outcome {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let id = engine.inspect(container)?.id;
    // What happens between two looks is told: the events come first.
    let filters = vec![EventFilter::Container(id.clone())];
    let mut events = engine.events(&EventsRequest { follow: true, filters, ..EventsRequest::default() })?;
    let failed = |why: &str| Err(Failure::Failed(format!("container {container} {why}")));
    loop {
        let state = engine.inspect(&id)?.state;
        let Some(health) = state.health else { return failed("has no health check") };
        match health.status.as_str() {
            _ if !state.running => return failed("does not run"),
            "healthy" if !state.restarting => return Ok(0),
            "unhealthy" if !state.restarting => return failed("is not healthy"),
            _ => {}
        }
        if !wait_for(events.as_ref(), deadline) {
            return failed("was not healthy in time");
        }
        while events.try_next()?.is_some() {}
    }
}

/// Whether something happened before the time was up.
fn wait_for(events: &dyn tinyd_engine::Events, deadline: Option<Instant>) -> bool {
    let Some(fd) = events.as_fd() else { return false };
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let limit = left.map(|left| Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    });
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], limit.as_ref()).is_ok_and(|ready| ready > 0)
}
