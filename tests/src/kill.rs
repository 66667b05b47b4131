//! Killing what is under test, by descriptor, and finding a container's monitor.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::env::Env;
use crate::proc;
use crate::wait::wait_until;

/// Kills a process and waits until it is dead.
///
/// # Panics
/// When there is none of this number.
#[track_caller]
pub fn kill(pid: i32) {
    let number = Pid::from_raw(pid).expect("0 is no process");
    let handle = pidfd_open(number, PidfdFlags::empty()).expect("the process is there to be killed");
    pidfd_send_signal(&handle, Signal::KILL).expect("the process is there to be killed");
    wait_until("the killed process is dead", || !proc::is_alive(pid));
}

/// The monitor of a container that runs, from the record of its run: nothing is asked of the engine, which would give a
/// container without a monitor a new one.
///
/// # Panics
/// When there is no such record.
#[track_caller]
pub fn monitor_of(env: &Env, name: &str) -> i32 {
    of_state(env, name, "monitor")
}

/// Its first process, from the same record.
///
/// # Panics
/// When there is no such record.
#[track_caller]
pub fn init_of(env: &Env, name: &str) -> i32 {
    of_state(env, name, "init")
}

#[track_caller]
fn of_state(env: &Env, name: &str, process: &str) -> i32 {
    let id = fs::read_link(env.root().join("names").join(name)).expect("the container has a name");
    let path = env.run_root().join("containers").join(id).join("state.json");
    let text = fs::read_to_string(path).expect("the container runs");
    let state: serde_json::Value = serde_json::from_str(&text).expect("a record is JSON");
    state[process]["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("a process has a number")
}

/// Waits until the first process of a container has set a trap for a signal: until then it is lost on it, as on any first
/// process of a PID namespace.
pub fn await_trap(env: &Env, name: &str, signal: Signal) {
    let pid = env.tinyd(["inspect", "--format", "{{.State.Pid}}", name]).ok().text();
    let pid = pid.parse().expect("a running container has a first process");
    wait_until("its trap is set", || proc::catches(pid, signal));
}

/// Waits until the container of this name has another monitor than the one that was killed.
pub fn await_new_monitor(env: &Env, name: &str, killed: i32) {
    wait_until("it has a new monitor", || monitor_of(env, name) != killed);
}

/// Lets a command end that waits for the file `/tmp/end`. Whatever makes the file may be killed with the container before it
/// has ended itself.
pub fn let_end(env: &Env, container: &str) {
    let output = env.tinyd(["exec", container, "touch", "/tmp/end"]);
    assert!(matches!(output.code(), Some(0 | 137)), "{output}");
}
