//! The record of an exit: written before the zombie is reaped, so that it is never lost between the two.

use super::clock::now_ns;
use super::wait_loop::End;
use crate::StartRequest;
use crate::state::{self, EXIT_FILE, ExitRecord};

/// Writes the record.
pub(super) fn record(request: &StartRequest, started_ns: i64, end: &End) -> ExitRecord {
    let record =
        ExitRecord { code: end.exit.code(), oom_killed: end.oom_killed, started_ns, finished_ns: now_ns() };
    // Without room for the record those who are connected are told all the same, and the copy on disk is tried.
    let _ = state::store(&request.run_dir.join(EXIT_FILE), &record, false);
    request.tell("die", &[("exitCode", record.code.to_string())]);
    record
}
