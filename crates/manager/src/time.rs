//! Moments as they are kept (nanoseconds since 1970) and as they are shown (RFC 3339 in UTC).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What Docker shows for a moment that has not come.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// Nanoseconds since 1970; negative before it.
pub(crate) fn to_ns(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// The moment of so many nanoseconds since 1970.
pub(crate) fn from_ns(ns: i64) -> SystemTime {
    let distance = Duration::from_nanos(ns.unsigned_abs());
    let moved = if ns < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    moved.unwrap_or(UNIX_EPOCH)
}

/// Nanoseconds since 1970, now.
pub(crate) fn now_ns() -> i64 {
    to_ns(SystemTime::now())
}

/// `2026-11-22T02:36:02.123456789Z`: always nine digits, so that texts compare as the moments do.
pub(crate) fn rfc3339(ns: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(ns)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.9}")
}

/// Reads what [`rfc3339`] wrote.
pub(crate) fn parse(text: &str) -> Option<SystemTime> {
    text.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_a_moment_has_nine_digits_and_survives() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(1_795_315_000_120_000_000), "2026-11-22T02:36:40.120000000Z");
        for ns in [0, 1, 1_795_315_000_120_000_001, -1] {
            assert_eq!(parse(&rfc3339(ns)).map(to_ns), Some(ns));
            assert_eq!(to_ns(from_ns(ns)), ns);
        }
        assert_eq!(parse("yesterday"), None);
    }
}
