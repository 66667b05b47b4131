//! What is written down of a container that is started again when it ends: by the engine for the monitor, and by the monitor
//! for the engine.
//!
//! | file | where | writer | what it says |
//! |---|---|---|---|
//! | [`RestartPlan::state`] | the container's folder | engine | [`RestartState`]: the policy, and what was done by it |
//! | [`RestartPlan::stopped`] | the container's folder | engine | somebody stopped it: it is not started again |
//! | [`RestartPlan::due`] | the engine's run folder | monitor, engine | [`Due`]: it has ended, and is about to be started again |
//!
//! The monitor never writes the first two, so that what a user says is lost to nobody who writes at the same time.

use crate::state::ProcessId;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// How long a command that has ended is left alone at first, and at most where it ends again and again.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
/// One that ran for so long has not failed to start: the next pause is the first one again.
const STEADY: Duration = Duration::from_secs(10);

/// When a container that has ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// Never.
    #[default]
    No,
    /// When it failed, at most so many times; 0 is without an end.
    OnFailure(u32),
    /// Always.
    Always,
    /// Always, but for one that somebody had stopped when the machine went down.
    UnlessStopped,
}

/// A container's policy and how often it was started again by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartState {
    /// The policy.
    pub policy: Policy,
    /// How often it was started again since somebody started it.
    pub count: u32,
    /// The last pause, in milliseconds; 0 before the first one.
    pub pause_ms: u64,
}

impl RestartState {
    /// Whether one that has ended so is started again. One that somebody stopped is not, whatever the policy.
    pub fn wants(&self, code: u8) -> bool {
        match self.policy {
            Policy::No => false,
            Policy::OnFailure(most) => code != 0 && (most == 0 || self.count < most),
            Policy::Always | Policy::UnlessStopped => true,
        }
    }

    /// How long to wait after a run of this length.
    pub fn pause_after(&self, ran: Duration) -> Duration {
        let last = Duration::from_millis(self.pause_ms);
        if ran >= STEADY || last.is_zero() { FIRST } else { (last * 2).min(LONGEST) }
    }
}

/// A container that has ended, and is about to be started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The process that waits for the moment. When it is dead the engine's next command starts the container.
    pub monitor: ProcessId,
    /// How long it waits after the end, in milliseconds.
    pub pause_ms: u64,
    /// How the command ended.
    pub code: u8,
    /// It was ended to be started again, whatever its policy is.
    #[serde(default)]
    pub wanted: bool,
}

/// What a monitor is told, so that its container can be started again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPlan {
    /// Where the [`RestartState`] is; there is none without a policy.
    pub state: PathBuf,
    /// A file that is there when somebody has stopped the container.
    pub stopped: PathBuf,
    /// Where [`Due`] is written.
    pub due: PathBuf,
    /// What starts it again. Without it the engine's next command does.
    pub command: Option<CleanUp>,
}

/// The command that a monitor runs at the end of the pause. It ends with 0 when nothing more is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanUp {
    /// Its file.
    pub program: PathBuf,
    /// What it is given after its own name.
    pub arguments: Vec<String>,
    /// All of its environment.
    pub environment: Vec<(String, String)>,
}

/// Name of the socket of a monitor that waits. Whoever connects makes it look whether it is to go on.
pub const WAKE_SOCKET: &str = "restart.sock";

#[cfg(test)]
mod tests {
    use super::*;

    fn state(policy: Policy, count: u32) -> RestartState {
        RestartState { policy, count, pause_ms: 0 }
    }

    #[test]
    fn every_policy_has_its_say_about_every_end() {
        for code in [0, 1, 125, 137, 255] {
            assert!(!state(Policy::No, 0).wants(code));
            assert!(state(Policy::Always, 1000).wants(code));
            assert!(state(Policy::UnlessStopped, 1000).wants(code));
            assert_eq!(state(Policy::OnFailure(0), 1000).wants(code), code != 0);
            assert_eq!(state(Policy::OnFailure(3), 2).wants(code), code != 0);
            assert!(!state(Policy::OnFailure(3), 3).wants(code));
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_steady_run() {
        let mut state = state(Policy::Always, 0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let pause = state.pause_after(Duration::from_secs(9));
            state.pause_ms = pause.as_millis() as u64;
            pauses.push(state.pause_ms);
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
        assert_eq!(state.pause_after(STEADY), FIRST);
    }
}
