//! Limits as they are written.

use tinyd_runtime::quantity::{bytes, scaled};

/// The period that `--cpu` and `--cpus` count in, in microseconds.
pub(super) const PERIOD: u64 = 100_000;

/// The kernel takes no quota below a millisecond.
const LEAST_QUOTA: u64 = 1_000;

/// `--cpu`: microseconds of each period.
pub(super) fn cpu_quota(text: &str) -> Result<u64, String> {
    text.parse().ok().filter(|quota| (10_000..=PERIOD).contains(quota)).ok_or_else(|| {
        "it must be a whole number from 10000 to 100000, where 100000 is one processor".to_owned()
    })
}

/// `--cpus`: processors, as microseconds of each period.
pub(super) fn cpus(text: &str) -> Result<u64, String> {
    // The kernel counts quotas in nanoseconds of 44 bits; a million processors are well below that.
    scaled(text, PERIOD)
        .filter(|quota| (LEAST_QUOTA..=1_000_000 * PERIOD).contains(quota))
        .ok_or_else(|| "it must be a number of processors, at least 0.01, such as 2.5".to_owned())
}

/// `--cpu-shares`: a weight.
pub(super) fn cpu_shares(text: &str) -> Result<u64, String> {
    let shares = text.parse().ok().filter(|shares| (2..=262_144).contains(shares));
    shares.ok_or_else(|| {
        "it must be a whole number from 2 to 262144, where 1024 is what others have".to_owned()
    })
}

/// `--memory`: bytes, in binary units.
pub(crate) fn memory(text: &str) -> Result<u64, String> {
    bytes(text).ok_or_else(|| "it is no size; write it like 100m or 1.5g (b, k, m, g, t)".to_owned())
}

/// `--memory-swap`: bytes, in binary units, or -1.
pub(super) fn memory_swap(text: &str) -> Result<i64, String> {
    match text {
        "-1" => Ok(-1),
        _ => bytes(text).and_then(|bytes| i64::try_from(bytes).ok()).ok_or_else(|| {
            "it is no size; write it like 200m or 3g (b, k, m, g, t), or -1 for no limit".to_owned()
        }),
    }
}

/// `--cpuset-cpus`: numbers and ranges (cpuset(7), "list format"); which of them there are is the engine's to say.
pub(super) fn cpu_list(text: &str) -> Result<String, String> {
    let number = |text: &str| text.parse::<u32>().ok();
    let part = |part: &str| match part.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)).is_some_and(|(first, last)| first <= last),
        None => number(part).is_some(),
    };
    match text.split(',').all(part) {
        true => Ok(text.to_owned()),
        false => Err("it must be a list of numbers and ranges, such as 0-2,7".to_owned()),
    }
}

/// `--pids-limit`: a number, or -1.
pub(super) fn pids(text: &str) -> Result<i64, String> {
    text.parse()
        .ok()
        .filter(|&limit| limit == -1 || limit >= 1)
        .ok_or_else(|| "it must be at least 1, or -1 for no limit".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("150M", 157_286_400),
            ("100m", 104_857_600),
            ("500m", 524_288_000),
            ("1.5g", 3 << 29),
            ("1G", 1 << 30),
            ("1gb", 1 << 30),
            ("1GiB", 1 << 30),
            ("4096k", 4 << 20),
            ("2t", 2 << 40),
            ("4194304", 4 << 20),
            ("4194304b", 4 << 20),
        ] {
            assert_eq!(memory(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn wrong_sizes_are_refused_with_an_example() {
        for text in ["1x", "", "m", "abc", "-1m", "1mm", "1ibm", "1bib", "1 m", "9999999t", "1i", "0x10"] {
            let message = memory(text).expect_err(text);
            assert!(message.contains("100m"), "{text}: {message}");
        }
    }

    #[test]
    fn swap_and_lists() {
        assert_eq!((memory_swap("-1"), memory_swap("1g")), (Ok(-1), Ok(1 << 30)));
        assert!(memory_swap("-2").is_err() && memory_swap("x").is_err());
        for text in ["0", "0-2,7", "1,3"] {
            assert_eq!(cpu_list(text).as_deref(), Ok(text));
        }
        for text in ["", ",", "1-", "-1", "2-1", "a", "0-1-2", "0 1"] {
            assert!(cpu_list(text).is_err_and(|message| message.contains("0-2,7")), "{text}");
        }
    }

    #[test]
    fn weights() {
        assert_eq!((cpu_shares("2"), cpu_shares("262144")), (Ok(2), Ok(262_144)));
        for text in ["1", "262145", "", "-1", "x"] {
            assert!(cpu_shares(text).expect_err(text).contains("262144"), "{text}");
        }
    }

    #[test]
    fn processor_time() {
        assert_eq!((cpu_quota("10000"), cpu_quota("100000")), (Ok(10_000), Ok(100_000)));
        for text in ["9999", "100001", "abc", "-1", "", "10000.5"] {
            assert!(cpu_quota(text).expect_err(text).contains("from 10000 to 100000"), "{text}");
        }
        assert_eq!((cpus("2.5"), cpus("0.01"), cpus(".5")), (Ok(250_000), Ok(1_000), Ok(50_000)));
        for text in ["0", "0.009", "-1", "x", "", "1000001"] {
            assert!(cpus(text).expect_err(text).contains("2.5"), "{text}");
        }
    }

    #[test]
    fn processes() {
        assert_eq!((pids("-1"), pids("1"), pids("2048")), (Ok(-1), Ok(1), Ok(2048)));
        for text in ["0", "-2", "x", ""] {
            assert!(pids(text).is_err(), "{text}");
        }
    }
}
