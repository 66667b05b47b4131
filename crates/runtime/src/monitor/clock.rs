//! Moments, without a calendar library in a process that there is one of for each container.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// RFC 3339 in UTC with nine digits: `2026-11-22T02:13:31.000000001Z`.
pub(crate) fn rfc3339(ns: i64) -> String {
    let (seconds, nanoseconds) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = date(days);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{nanoseconds:09}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// The date of the n-th day since 1970-01-01. Years are counted from March, so that the leap day is a year's last; 146,097
/// days are 400 years.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_everyone_writes_them() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(rfc3339(951_782_400_000_000_001), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(rfc3339(1_795_313_611_500_000_000), "2026-11-22T02:13:31.500000000Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = date(-200_000);
        for day in -199_999..200_000 {
            let this = date(day);
            let next_day = this.2 == last.2 + 1 && (this.0, this.1) == (last.0, last.1);
            let next_month = this.2 == 1 && (this.0 * 12 + this.1) == last.0 * 12 + last.1 + 1;
            assert!(next_day || (next_month && last.2 >= 28), "{last:?} {this:?}");
            last = this;
        }
    }
}
