//! Sizes as users write them.

/// A size: bytes, or with `k`, `m`, `g` for units of 1,024; `None` for what is no size.
pub fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More would be negative in the kernel.
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|bytes| *bytes <= i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_sizes_have_units() {
        for (text, size) in [("0", 0), ("512", 512), ("2k", 2048), ("64M", 64 << 20), ("1g", 1 << 30)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "k", "+1", "1 k", "1kk", "ä"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
