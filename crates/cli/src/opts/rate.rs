//! Rates and classes of network traffic, in the words of tc(8).

use tinyd_runtime::quantity::scaled;

/// What a rate begins and ends at, in bits a second.
const RATES: std::ops::RangeInclusive<u64> = 8_000..=1_000_000_000_000;

/// `--net-rate-egress`: bits a second, of a number and one of tc's units in any case; 0 for no limit.
pub(super) fn traffic(text: &str) -> Result<u64, String> {
    if text == "none" {
        return Ok(0);
    }
    let at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = unit_of(&unit.to_ascii_lowercase());
    let bits = scale.and_then(|scale| scaled(number, scale)).ok_or_else(|| {
        "it is no rate; write it like 10mbit or 500kbit (bit, kbit, mbit, gbit; bps, kbps, mbps, gbps are bytes), or none"
            .to_owned()
    })?;
    match RATES.contains(&bits) {
        true => Ok(bits),
        false => Err("it must be 8kbit to 1000gbit, or none for no limit".to_owned()),
    }
}

/// Bits of a unit. tc counts by thousands, and by 1,024 where an `i` says so.
fn unit_of(unit: &str) -> Option<u64> {
    let (prefix, bits) = match unit {
        "" => ("", 1),
        unit => match unit.strip_suffix("bit") {
            Some(prefix) => (prefix, 1),
            None => (unit.strip_suffix("bps")?, 8),
        },
    };
    let times = match prefix {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => 1_000_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        "ti" => 1 << 40,
        _ => return None,
    };
    Some(times * bits)
}

/// `--net-cls-classid`: `MAJOR:MINOR` as tc writes it, which is hexadecimal, or the number that the kernel has.
pub(super) fn class(text: &str) -> Result<u32, String> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let hexadecimal = |text: &str| u32::from_str_radix(text, 16).ok().filter(|_| plain(text));
    let class = match text.split_once(':') {
        Some((major, minor)) => {
            let half = |text: &str| hexadecimal(text).filter(|half| *half <= 0xffff);
            half(major).zip(half(minor)).map(|(major, minor)| major << 16 | minor)
        }
        None => match text.strip_prefix("0x") {
            Some(digits) => hexadecimal(digits),
            None => text.parse().ok().filter(|_| plain(text)),
        },
    };
    class.ok_or_else(|| "it is no class; write it like 10:1 or 0x100001".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_the_units_of_tc() {
        for (text, bits) in [
            ("8000", 8_000),
            ("8000bit", 8_000),
            ("500kbit", 500_000),
            ("10mbit", 10_000_000),
            ("10Mbit", 10_000_000),
            ("1.5gbit", 1_500_000_000),
            ("1tbit", 1_000_000_000_000),
            ("1000bps", 8_000),
            ("1kbps", 8_000),
            ("1mbps", 8_000_000),
            ("1gbps", 8_000_000_000),
            ("1mibit", 1 << 20),
            ("1kibps", 8 << 10),
            ("none", 0),
        ] {
            assert_eq!(traffic(text), Ok(bits), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_with_an_example_and_what_is_out_of_range_with_the_range() {
        for text in [
            "",
            "mbit",
            "-1mbit",
            "1x",
            "1m",
            "10 mbit",
            "1e6",
            "fast",
            "1mb",
            "0x10",
            "99999999999999999999",
        ] {
            let message = traffic(text).expect_err(text);
            assert!(message.contains("10mbit"), "{text}: {message}");
        }
        for text in ["0", "0mbit", "1", "7999", "7.9kbit", "1001gbit", "2tbit", "18446744073709551615"] {
            let message = traffic(text).expect_err(text);
            assert!(message.contains("8kbit to 1000gbit"), "{text}: {message}");
        }
    }

    #[test]
    fn classes() {
        for (text, number) in [
            ("10:1", 0x10_0001),
            ("0x100001", 0x10_0001),
            ("1048577", 0x10_0001),
            ("ffff:ffff", u32::MAX),
            ("0", 0),
        ] {
            assert_eq!(class(text), Ok(number), "{text}");
        }
        for text in ["", ":", "10:", ":1", "10000:1", "+1:1", "0x", "0xg", "-1", "0x100000000", "a", "1:2:3"]
        {
            assert!(class(text).is_err_and(|message| message.contains("10:1")), "{text}");
        }
    }
}
