//! The record of an exit: written before the zombie is reaped, so that it is never lost between the two.

use super::clock::now_ns;
use crate::StartRequest;
use crate::launch::Running;
use crate::state::{self, EXIT_FILE, ExitRecord};
use tinyd_ns::pidfd::Exit;

/// Writes the record.
pub(super) fn record(request: &StartRequest, running: &Running, started_ns: i64, exit: Exit) -> ExitRecord {
    let record = ExitRecord {
        code: exit.code(),
        oom_killed: running.cgroup.cgroup.oom_kills().is_ok_and(|kills| kills > 0),
        started_ns,
        finished_ns: now_ns(),
    };
    // Without room for the record those who are connected are told all the same, and the copy on disk is tried.
    let _ = state::store(&request.run_dir.join(EXIT_FILE), &record, false);
    if let Some(events) = &request.events {
        if record.oom_killed {
            events.tell(&request.id, "oom", &[]);
        }
        events.tell(&request.id, "die", &[("exitCode", record.code.to_string())]);
    }
    record
}
