//! What the engine's self-test runs in its containers: a program that reports the limits it lives under, as the kernel's
//! own files show them from inside, puts load on them when it is told to, and measures what it got.
//!
//! It is `tinyd-runtime` itself, bound into the container, because nothing else is known to be there: no shell, no tool
//! that takes a certain amount of memory. It answers each order on its standard input with a line of JSON, a [`Report`].
//!
//! It ends when its input does, which is when whoever ordered is gone, or when no order came for a long time.

mod counters;
mod memory;
mod processor;

pub use memory::patience;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use std::io::Write as _;
use std::time::Duration;

/// The verb of the program.
pub const VERB: &str = "load";
/// The verb of the process that takes the memory, and that the kernel is expected to kill.
const FILL: &str = "fill";

/// How long it waits for an order.
const PATIENCE: Duration = Duration::from_secs(600);

/// What can be ordered, by a line on the standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Say which limits hold.
    Limits,
    /// Take more memory than the limit.
    Memory,
    /// Use a processor for so many milliseconds.
    Processor(u64),
}

impl Order {
    /// The line, with its end.
    #[must_use]
    pub fn line(self) -> String {
        match self {
            Self::Limits => "limits\n".to_owned(),
            Self::Memory => "memory\n".to_owned(),
            Self::Processor(millis) => format!("processor {millis}\n"),
        }
    }

    fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            None if line == "limits" => Some(Self::Limits),
            None if line == "memory" => Some(Self::Memory),
            Some(("processor", millis)) => millis.parse().ok().map(Self::Processor),
            _ => None,
        }
    }
}

/// What is answered, a line of JSON each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The limits of its control groups.
    Limits {
        /// Bytes of memory; `None` without a limit.
        memory_bytes: Option<u64>,
        /// Microseconds of processor time in each period; `None` without a limit.
        quota_us: Option<u64>,
        /// The period in microseconds.
        period_us: u64,
    },
    /// How memory was taken.
    Memory {
        /// The most that the kernel ever counted for the group, in bytes.
        peak_bytes: u64,
        /// Processes of the group that the kernel killed for want of memory.
        oom_kills: u64,
        /// The process that took memory got all that it asked for, which is more than the limit.
        got_all: bool,
    },
    /// How much of a processor was got.
    Processor {
        /// Processor time that the kernel counted for the group, in nanoseconds.
        used_ns: u64,
        /// How long that took, in nanoseconds.
        wall_ns: u64,
        /// Periods in which the quota was used up.
        throttled: u64,
    },
    /// The machine has less memory to spare than the order takes: nothing was done.
    NoMemory {
        /// Bytes that would be taken, with what is left to the machine.
        wanted_bytes: u64,
        /// Bytes that there are (`MemAvailable` of proc_meminfo(5)).
        available_bytes: u64,
    },
    /// What could not be done, and why.
    Failed(String),
}

/// The program, with the words behind [`VERB`].
pub(crate) fn main(mut words: impl Iterator<Item = String>) -> u8 {
    match (words.next().as_deref(), words.next().and_then(|word| word.parse().ok())) {
        (Some(FILL), Some(bytes)) => memory::fill(bytes),
        (None, _) => obey(),
        _ => 2,
    }
}

fn obey() -> u8 {
    let mut waiting = Vec::new();
    while let Some(line) = next_line(&mut waiting) {
        let done = match Order::parse(&line) {
            Some(Order::Limits) => counters::limits(),
            Some(Order::Memory) => memory::load(),
            Some(Order::Processor(millis)) => processor::load(Duration::from_millis(millis)),
            None => Err(format!("{line:?} is no order")),
        };
        let report = done.unwrap_or_else(Report::Failed);
        let Ok(mut json) = serde_json::to_vec(&report) else { return 1 };
        json.push(b'\n');
        if std::io::stdout().write_all(&json).is_err() {
            return 1;
        }
    }
    0
}

/// The next line of the input; `None` at its end, or when it does not come.
fn next_line(waiting: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(at) = waiting.iter().position(|byte| *byte == b'\n') {
            let line = waiting.drain(..=at).take(at).collect();
            return String::from_utf8(line).ok();
        }
        let stdin = rustix::stdio::stdin();
        let timeout = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        match poll(&mut [PollFd::from_borrowed_fd(stdin, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
        let mut piece = [0; 256];
        match rustix::io::read(stdin, &mut piece) {
            Ok(length @ 1..) => waiting.extend_from_slice(&piece[..length]),
            Ok(0) | Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        for order in [Order::Limits, Order::Memory, Order::Processor(2500)] {
            let line = order.line();
            assert_eq!(Order::parse(line.trim_end()), Some(order));
            assert!(line.ends_with('\n'));
        }
        for bad in ["", "memory 3", "processor", "processor x", "fill"] {
            assert_eq!(Order::parse(bad), None, "{bad}");
        }
    }
}
