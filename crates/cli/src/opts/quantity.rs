//! Decimal numbers times a unit, without rounding on the way.

/// `1.5` times `unit`, rounded down; `None` when it is no plain decimal number or too large.
pub(super) fn scaled(number: &str, unit: u64) -> Option<u64> {
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

#[cfg(test)]
mod tests {
    use super::scaled;

    #[test]
    fn decimals() {
        assert_eq!(scaled("1.5", 1024), Some(1536));
        assert_eq!(scaled("2.5", 100_000), Some(250_000));
        assert_eq!(scaled(".5", 10), Some(5));
        assert_eq!(scaled("7.", 1), Some(7));
        assert_eq!(scaled("0.29", 100), Some(29), "exact where binary fractions are not");
        assert_eq!(scaled("18446744073709551615", 1), Some(u64::MAX));
    }

    #[test]
    fn everything_else_is_refused() {
        for text in ["", ".", "-1", "+1", "1e3", "1,5", "1.2.3", "abc", "1 ", "18446744073709551616", "٣"] {
            assert_eq!(scaled(text, 1), None, "{text:?}");
        }
        assert_eq!(scaled("17179869185", 1 << 30), None, "overflow");
    }
}
