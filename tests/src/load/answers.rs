//! How long answers take.

use std::time::{Duration, Instant};

use crate::web::Daemon;

/// Between two questions, so that they are not a load themselves.
const PAUSE: Duration = Duration::from_millis(5);

/// What makes the thread that asks go before those of the load.
const AHEAD: i32 = 10;

/// The times of answers, sorted.
#[derive(Debug)]
pub struct Answers(Vec<Duration>);

impl Answers {
    /// Asks one after the other for all containers and for this one, each time over a new connection.
    #[track_caller]
    pub(super) fn ask(daemon: &Daemon, id: &str, count: usize) -> Answers {
        let one = format!("/api/containers/{id}");
        let mut times = Vec::with_capacity(count);
        // As who asks from another machine: the load's own clients do not hold it up. (Of this thread alone, as Linux has it.)
        let _ = rustix::process::nice(-AHEAD);
        for number in 0..count {
            let path = if number % 2 == 0 { one.as_str() } else { "/api/containers" };
            let before = Instant::now();
            let answer = daemon.get(path);
            times.push(before.elapsed());
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
            std::thread::sleep(PAUSE);
        }
        let _ = rustix::process::nice(AHEAD);
        times.sort_unstable();
        Answers(times)
    }

    /// The shortest time that so many of a hundred did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// How long as many questions will take at least.
    pub(super) fn expected(&self) -> Duration {
        self.0.iter().map(|time| *time + PAUSE).sum()
    }
}
