//! `--health-cmd` and what goes with it.

use crate::failure::Failure;
use std::time::Duration;
use tinyd_engine::{HealthCheck, OnUnhealthy};

/// How it is found out that the container is healthy.
#[derive(clap::Args, Debug)]
pub(crate) struct HealthOptions {
    /// Run this command in the container again and again, by its /bin/sh -c: the container is healthy when it succeeds
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between two of them; 30s by default
    #[arg(long, value_name = "TIME", value_parser = duration)]
    health_interval: Option<Duration>,
    /// Time that one may take before it is killed, and has failed; 30s by default
    #[arg(long, value_name = "TIME", value_parser = duration)]
    health_timeout: Option<Duration>,
    /// How often in a row it has to fail; 3 by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    health_retries: Option<u32>,
    /// Time after the start in which a failure does not count; 0s by default
    #[arg(long, value_name = "TIME", value_parser = duration)]
    health_start_period: Option<Duration>,
    /// No health check
    #[arg(long, conflicts_with = "health_cmd")]
    no_healthcheck: bool,
    /// What is done to a container that is not healthy: none (the default), restart, kill, stop
    #[arg(long, value_name = "ACTION", value_parser = on_unhealthy)]
    on_unhealthy: Option<OnUnhealthy>,
}

impl HealthOptions {
    /// The check that is asked for.
    pub(super) fn check(self) -> Result<Option<HealthCheck>, Failure> {
        let times = [self.health_interval, self.health_timeout, self.health_start_period];
        let others = self.health_retries.is_some() || self.on_unhealthy.is_some();
        let Some(command) = self.health_cmd else {
            if others || times.iter().any(Option::is_some) {
                return Err(Failure::Usage("there is no health check without --health-cmd".to_owned()));
            }
            return Ok(None);
        };
        let default = HealthCheck::new(command);
        Ok(Some(HealthCheck {
            interval: self.health_interval.unwrap_or(default.interval),
            timeout: self.health_timeout.unwrap_or(default.timeout),
            retries: self.health_retries.unwrap_or(default.retries),
            start_period: self.health_start_period.unwrap_or(default.start_period),
            on_unhealthy: self.on_unhealthy.unwrap_or_default(),
            ..default
        }))
    }
}

fn on_unhealthy(text: &str) -> Result<OnUnhealthy, String> {
    [OnUnhealthy::None, OnUnhealthy::Restart, OnUnhealthy::Kill, OnUnhealthy::Stop]
        .into_iter()
        .find(|action| action.word() == text)
        .ok_or_else(|| "it is one of none, restart, kill and stop".to_owned())
}

/// `1m30s`, `500ms`, `10s`, and seconds without a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time like 500ms, 10s, 1m30s".to_owned();
    let (mut total, mut rest) = (Duration::ZERO, text);
    if !text.starts_with(|letter: char| letter.is_ascii_digit()) {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits =
            rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let letters = behind.find(|letter: char| letter.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "" if number == text => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = behind;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, ms) in [
            ("500ms", 500),
            ("10s", 10_000),
            ("1m30s", 90_000),
            ("2", 2000),
            ("1.5s", 1500),
            ("1h", 3_600_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for wrong in ["", "s", "5x", "1m30", "-1s", "1..2s", "99999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }
}
