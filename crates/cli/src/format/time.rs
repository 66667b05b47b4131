//! Moments, for people and for programs.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::time::SystemTime;

/// RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    timestamp(time).map(|time| format!("{time:.0}")).unwrap_or_default()
}

/// RFC 3339 in UTC, to the nanosecond: what sorts as text sorts in time.
pub(crate) fn precise(time: SystemTime) -> String {
    timestamp(time).map(|time| format!("{time:.9}")).unwrap_or_default()
}

/// The time of the day when it is today's, else the date, by the clocks of this place.
pub(crate) fn short(time: SystemTime, now: SystemTime) -> String {
    short_in(time, now, &TimeZone::system())
}

fn short_in(time: SystemTime, now: SystemTime, zone: &TimeZone) -> String {
    let (Some(time), Some(now)) = (timestamp(time), timestamp(now)) else { return String::new() };
    let (time, now) = (time.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let form = if time.date() == now.date() { "%H:%M" } else { "%Y-%m-%d" };
    time.strftime(form).to_string()
}

/// A moment as it is written: RFC 3339, a local date or time, Unix seconds, or how long ago (`10m`, `1h30m`).
pub(crate) fn moment(text: &str) -> Result<SystemTime, String> {
    moment_in(text, SystemTime::now(), &TimeZone::system()).ok_or_else(|| {
        "it is no time; write it like 2026-11-22T10:00:00Z, 2026-11-22, Unix seconds, or 10m for ten minutes ago".to_owned()
    })
}

fn moment_in(text: &str, now: SystemTime, zone: &TimeZone) -> Option<SystemTime> {
    if text.starts_with(|letter: char| letter.is_ascii_digit())
        && !text.contains(|letter: char| letter.is_alphabetic() || letter == '-')
    {
        let seconds: f64 = text.parse().ok()?;
        return Some(SystemTime::from(
            Timestamp::from_duration(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()?,
        ));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.into());
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return zone.to_timestamp(time).ok().map(SystemTime::from);
    }
    let ago = text.parse::<SignedDuration>().ok().filter(|ago| !ago.is_negative())?;
    Some(timestamp(now)?.checked_sub(ago).ok()?.into())
}

fn timestamp(time: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    /// 2026-11-22T14:49:30Z
    const NOON: u64 = 1_795_358_970;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn today_by_the_clock_and_before_by_the_date() {
        let zone = TimeZone::UTC;
        assert_eq!(short_in(at(NOON), at(NOON + 60), &zone), "14:49");
        assert_eq!(short_in(at(NOON), at(NOON + 86_400), &zone), "2026-11-22");
        let east = TimeZone::fixed(jiff::tz::offset(10));
        assert_eq!(short_in(at(NOON), at(NOON), &east), "00:49");
    }

    #[test]
    fn for_programs() {
        assert_eq!(rfc3339(at(NOON)), "2026-11-22T14:49:30Z");
        assert_eq!(precise(at(NOON)), "2026-11-22T14:49:30.000000000Z");
    }

    #[test]
    fn moments() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (text, seconds) in [
            ("2026-11-22T14:49:30Z", NOON),
            ("2026-11-22T15:49:30+01:00", NOON),
            ("2026-11-22T15:49:30", NOON),
            ("2026-11-22", NOON - 15 * 3600 - 49 * 60 - 30),
            ("1795358970", NOON),
            ("10m", NOON - 600),
            ("1h30m", NOON - 5400),
            ("90s", NOON - 90),
        ] {
            assert_eq!(moment_in(text, at(NOON), &zone), Some(at(seconds)), "{text}");
        }
        let half = moment_in("1795358970.5", at(0), &zone).expect("a fraction");
        assert_eq!(half.duration_since(at(NOON)).expect("later"), Duration::from_millis(500));
        for text in ["", "x", "-5m", "10", "yesterday", "2026-13-01"] {
            let parsed = moment_in(text, at(NOON), &zone);
            assert_eq!(parsed, if text == "10" { Some(at(10)) } else { None }, "{text}");
        }
    }
}
