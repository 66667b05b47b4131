//! Using a processor as far as one may.

use super::{Report, counters};
use std::time::{Duration, Instant};

/// Counts for a while and reports how much processor time that got.
pub(super) fn load(time: Duration) -> Result<Report, String> {
    let (start, (used, throttled)) = (Instant::now(), counters::processor()?);
    let mut number = 0_u64;
    while start.elapsed() < time {
        for _ in 0..10_000 {
            number = std::hint::black_box(number.wrapping_add(1));
        }
    }
    let (wall, (now, then)) = (start.elapsed(), counters::processor()?);
    Ok(Report::Processor {
        used_ns: now.saturating_sub(used),
        wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX),
        throttled: then.saturating_sub(throttled),
    })
}
