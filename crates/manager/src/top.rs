//! `top`: the processes of a container, read from the kernel's own files.
//!
//! Nothing of the container is entered or executed (CVE-2022-1227 did both), and no word of a process is believed. Which processes
//! there are is known by the control group. The arguments of a process lie in its own memory, which it can make answer late or never
//! (a file of its own, a fault that it handles itself): they are read by a thread of their own, for a bounded time.

mod stat;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::ids;
use crate::store::Record;
use rustix::time::{ClockId, clock_gettime};
use stat::Stat;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};
use tinyd_engine::Process;

/// How much of a process's arguments is read.
const MAX_ARGUMENTS: usize = 8 * 1024;
/// How long all of a container's processes have to let theirs be read.
const PATIENCE: Duration = Duration::from_secs(2);
/// Clock ticks of a second: what the kernel counts in for user space (proc(5), USER_HZ).
const TICKS: u64 = 100;

impl Core {
    pub(crate) fn top(&self, word: &str) -> Result<Vec<Process>> {
        const ACTION: &str = "list the processes of";
        let id = self.resolve(word)?;
        let record = self.known(&id, word)?;
        let live = self.running(&record, ACTION, None)?;
        let failed =
            |source| Error::Cgroup { operation: ACTION, container: record.short().to_owned(), source };
        let group = self.open_cgroup(&id)?.ok_or_else(|| self.no_such(word))?;
        let pids = group.processes().map_err(failed)?;
        // How many numbers one of the container has: on the host, and in each namespace on the way to its own.
        let depth = stat::numbers(live.state.init.pid).len();
        let now = Now::look();
        let mut found: Vec<Process> =
            pids.iter().filter_map(|pid| process(&record, *pid, depth, &now)).collect();
        let mut arguments = read_arguments(found.iter().map(|process| process.pid).collect());
        for process in &mut found {
            (process.arguments, process.cut) = arguments.remove(&process.pid).unwrap_or_default();
        }
        // One that ended may have left its number to somebody outside.
        let still = group.processes().map_err(failed)?;
        found.retain(|process| still.contains(&process.pid));
        found.sort_by_key(|process| (process.inner_pid, process.pid));
        self.announce(&record, "top", &[]);
        Ok(found)
    }
}

/// The machine's clocks at one moment.
struct Now {
    wall: SystemTime,
    since_boot: Duration,
}

impl Now {
    fn look() -> Self {
        let boot = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(boot.tv_nsec).unwrap_or(0);
        Self { wall: SystemTime::now(), since_boot: Duration::new(seconds, nanos) }
    }
}

/// What the kernel tells of a process by itself; `None` when it has ended.
fn process(record: &Record, pid: u32, depth: usize, now: &Now) -> Option<Process> {
    let stat = Stat::read(pid)?;
    let ticks = |count: u64| Duration::from_millis(count.saturating_mul(1000 / TICKS));
    let age = now.since_boot.saturating_sub(ticks(stat.start_ticks));
    let numbers = stat::numbers(pid);
    let host_uid = stat::effective_user(pid)?;
    let uid = match record.slot.map(ids::base) {
        Some(base) => host_uid.checked_sub(base).filter(|uid| *uid < ids::RANGE).unwrap_or(host_uid),
        None => host_uid,
    };
    Some(Process {
        pid,
        inner_pid: numbers.get(depth.max(1) - 1).copied().unwrap_or(pid),
        parent: stat.parent,
        uid,
        host_uid,
        state: stat.state,
        name: stat.name,
        arguments: Vec::new(),
        cut: false,
        terminal: stat::terminal(stat.terminal),
        started: now.wall.checked_sub(age).unwrap_or(now.wall),
        age_ns: nanoseconds(age),
        cpu_ns: nanoseconds(ticks(stat.cpu_ticks)),
        nice: stat.nice,
        threads: stat.threads,
        virtual_bytes: stat.virtual_bytes,
        resident_bytes: stat::resident_bytes(pid),
    })
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

type Arguments = (Vec<String>, bool);

/// The arguments of processes, as far as they can be had in time. A thread that one of them holds up stays until that one ends.
fn read_arguments(pids: Vec<u32>) -> BTreeMap<u32, Arguments> {
    let deadline = Instant::now() + PATIENCE;
    let (sender, receiver) = mpsc::channel();
    let mut all = BTreeMap::new();
    let reading = std::thread::Builder::new().name("arguments".to_owned()).spawn(move || {
        for pid in pids {
            if sender.send((pid, arguments(pid))).is_err() {
                return;
            }
        }
    });
    // Where there is no room for a thread there are none.
    if reading.is_ok() {
        while let Ok((pid, found)) = receiver.recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            all.insert(pid, found);
        }
    }
    all
}

/// The beginning of what stands in `/proc/PID/cmdline`: words that end with a zero byte each.
fn arguments(pid: u32) -> Arguments {
    let mut bytes = Vec::new();
    let Ok(file) = std::fs::File::open(format!("/proc/{pid}/cmdline")) else { return Arguments::default() };
    if file.take(MAX_ARGUMENTS as u64 + 1).read_to_end(&mut bytes).is_err() {
        return Arguments::default();
    }
    let cut = bytes.len() > MAX_ARGUMENTS;
    bytes.truncate(MAX_ARGUMENTS);
    // A process may have written over them, without any zero.
    let words = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
    if words.is_empty() {
        return (Vec::new(), cut);
    }
    let words = words.split(|byte| *byte == 0);
    (words.map(|word| String::from_utf8_lossy(word).into_owned()).collect(), cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn pure_arguments_are_words_and_not_too_many() {
        let long = "x".repeat(100_000);
        let mut child = Command::new("sleep").args(["1000", &long]).stderr(Stdio::null()).spawn().unwrap();
        let mut other =
            Command::new("sh").args(["-c", "read x", "", "a b"]).stdin(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let read = read_arguments(vec![child.id(), other.id(), u32::MAX]);
        let first = read[&child.id()].clone();
        let second = read[&other.id()].clone();
        child.kill().unwrap();
        other.kill().unwrap();
        child.wait().unwrap();
        other.wait().unwrap();
        // (`sleep` may have refused its words by now: then it has none.)
        if let Some(word) = first.0.get(2) {
            assert!(first.1 && word.len() < MAX_ARGUMENTS);
        }
        assert_eq!(second, (["sh", "-c", "read x", "", "a b"].map(str::to_owned).to_vec(), false));
        assert_eq!(read[&u32::MAX], Arguments::default());
    }
}
