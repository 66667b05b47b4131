//! Decimal numbers times a unit, without rounding on the way; sizes as users write them.

/// `1.5` times `unit`, rounded down; `None` when it is no plain decimal number or too large.
pub fn scaled(number: &str, unit: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) || fraction.len() > 18
    {
        return None;
    }
    let value = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    let tenths = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let exact = value(whole)?.checked_mul(unit.into())?;
    let rest = value(fraction)?.checked_mul(unit.into())? / tenths;
    u64::try_from(exact.checked_add(rest)?).ok()
}

/// A size in bytes: a decimal number and a unit of `b k m g t`, which may be followed by `b` or `ib`, in any case.
/// `None` for what is none, or more than the kernel takes.
pub fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = unit.to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    // The kernel's own type is signed.
    scaled(number, 1 << power).filter(|&bytes| i64::try_from(bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::{bytes, scaled};

    #[test]
    fn pure_decimals() {
        assert_eq!(scaled("1.5", 1024), Some(1536));
        assert_eq!(scaled("2.5", 100_000), Some(250_000));
        assert_eq!(scaled(".5", 10), Some(5));
        assert_eq!(scaled("7.", 1), Some(7));
        assert_eq!(scaled("0.29", 100), Some(29), "exact where binary fractions are not");
        assert_eq!(scaled("18446744073709551615", 1), Some(u64::MAX));
    }

    #[test]
    fn pure_everything_else_is_refused() {
        for text in ["", ".", "-1", "+1", "1e3", "1,5", "1.2.3", "abc", "1 ", "18446744073709551616", "٣"] {
            assert_eq!(scaled(text, 1), None, "{text:?}");
        }
        assert_eq!(scaled("17179869185", 1 << 30), None, "overflow");
    }

    #[test]
    fn pure_sizes_have_units_in_any_case() {
        for (text, size) in
            [("7", 7), ("7b", 7), ("1K", 1 << 10), ("64M", 64 << 20), ("1.5GiB", 3 << 29), ("2tb", 2 << 40)]
        {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "m", "-1", "1x", "1 m", "1mm", "9999999t"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
