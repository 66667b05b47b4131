//! Signals by name and number.

use nix::sys::signal::Signal;
use std::str::FromStr;

/// The first real-time signal that C programs may use; the library keeps two for itself.
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// `TERM`, `SIGTERM`, `15`, `RTMIN+3`, in any case.
pub(crate) fn parse(text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=64)
            .contains(&number)
            .then_some(number)
            .ok_or_else(|| "signals are numbered 1 to 64".to_owned());
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    real_time(name)
        .or_else(|| Signal::from_str(&format!("SIG{name}")).ok().map(|signal| signal as i32))
        .ok_or_else(|| "there is no such signal; write it like TERM, SIGTERM or 15".to_owned())
}

fn real_time(name: &str) -> Option<i32> {
    let number = match name {
        "RTMIN" => *REAL_TIME.start(),
        "RTMAX" => *REAL_TIME.end(),
        _ => match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(up), _) => REAL_TIME.start().checked_add(up.parse().ok()?)?,
            (_, Some(down)) => REAL_TIME.end().checked_sub(down.parse().ok()?)?,
            _ => return None,
        },
    };
    REAL_TIME.contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGKILL", 9),
            ("hup", 1),
            ("sigusr1", 10),
            ("9", 9),
            ("64", 64),
            ("RTMIN+3", 37),
            ("SIGRTMAX", 64),
            ("rtmax-1", 63),
        ] {
            assert_eq!(parse(text), Ok(number), "{text}");
        }
        for text in ["", "0", "65", "-9", "NOPE", "SIG", "SIGSIGTERM", "RTMIN+31", "RTMAX-31", "RTMIN+-1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
