//! Health checks, as the engine asks for them and as the monitor records them.

use serde::{Deserialize, Serialize};

/// Name of the file, in the container's run-time folder, that holds a [`HealthRecord`].
pub const HEALTH_FILE: &str = "health.json";
/// How many results are kept.
pub const KEPT: usize = 5;
/// How much of a command's output is kept: its end.
pub const OUTPUT: usize = 4096;

/// A command that is run in the container again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthPlan {
    /// How it is run.
    pub exec: crate::ExecRequest,
    /// Milliseconds from the start, and from the end of the last one, to the next.
    pub interval_ms: u64,
    /// How long it may take.
    pub timeout_ms: u64,
    /// How often in a row it has to fail.
    pub retries: u32,
    /// For so long after the start failures do not count.
    pub start_period_ms: u64,
    /// What is done then.
    pub then: Then,
    /// The signal that asks the command to end, and how long it has for that.
    pub stop_signal: i32,
    /// In milliseconds.
    pub grace_ms: u64,
}

/// What is done to a container that is not healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Nothing.
    Nothing,
    /// It is stopped, and started again whatever its policy says.
    Restart,
    /// It is killed.
    Kill,
    /// It is stopped, and stays so.
    Stop,
}

/// How it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Not decided yet.
    #[default]
    Starting,
    /// The last check that counted has succeeded.
    Healthy,
    /// They have failed too often.
    Unhealthy,
}

impl Status {
    /// The word of events.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How a check went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResult {
    /// In nanoseconds since 1970.
    pub started_ns: i64,
    /// In nanoseconds since 1970.
    pub finished_ns: i64,
    /// The command's code; -1 where it took too long or could not be run.
    pub code: i32,
    /// The end of what it wrote.
    pub output: String,
}

/// What is known of a container's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRecord {
    /// How it stands.
    pub status: Status,
    /// How often in a row it has failed.
    pub failing: u32,
    /// The last results, the oldest first.
    pub log: Vec<HealthResult>,
}

impl HealthRecord {
    /// Takes a result. `counts` says whether a failure does. Gives the new status where it is another one.
    pub fn take(&mut self, result: HealthResult, counts: bool, retries: u32) -> Option<Status> {
        let before = self.status;
        if result.code == 0 {
            self.failing = 0;
            self.status = Status::Healthy;
        } else if counts || before != Status::Starting {
            self.failing = self.failing.saturating_add(1);
            if self.failing >= retries {
                self.status = Status::Unhealthy;
            }
        }
        self.log.push(result);
        let over = self.log.len().saturating_sub(KEPT);
        self.log.drain(..over);
        (self.status != before).then_some(self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_decide_and_a_success_forgets_them() {
        let mut record = HealthRecord::default();
        let mut take = |code, counts| {
            let result = HealthResult { started_ns: 1, finished_ns: 2, code, output: String::new() };
            record.take(result, counts, 2);
            (record.status, record.failing, record.log.len())
        };
        assert_eq!(take(1, false), (Status::Starting, 0, 1), "while it starts nothing counts");
        assert_eq!(take(1, true), (Status::Starting, 1, 2));
        assert_eq!(take(0, true), (Status::Healthy, 0, 3));
        assert_eq!(take(1, false), (Status::Healthy, 1, 4), "once it was healthy all counts");
        assert_eq!(take(-1, true), (Status::Unhealthy, 2, 5));
        assert_eq!(take(1, true), (Status::Unhealthy, 3, 5));
        assert_eq!(take(0, true), (Status::Healthy, 0, 5));
    }
}
