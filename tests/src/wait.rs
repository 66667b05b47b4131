//! Waiting for something that happens soon, with a limit after which the test fails.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Calls `probe` until it gives a value, for at most `limit`.
pub fn eventually<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// How long something may take that is soon: a machine that is busy with other tests stands still for seconds.
const SOON: Duration = Duration::from_secs(40);

/// Waits up to 40 s until `condition` holds.
///
/// # Panics
/// When it does not hold by then: `what` says what was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let met = eventually(SOON, || condition().then_some(()));
    assert!(met.is_some(), "waited {SOON:?} in vain until {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_value_as_soon_as_it_is_there() {
        let mut calls = 0;
        let found = eventually(Duration::from_secs(5), || {
            calls += 1;
            (calls == 3).then_some(calls)
        });
        assert_eq!(found, Some(3));
    }

    #[test]
    fn gives_up_at_the_limit() {
        assert_eq!(eventually(Duration::from_millis(20), || None::<()>), None);
    }
}
