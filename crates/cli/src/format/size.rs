//! Sizes as people read them.

/// Bytes in binary units, with four digits at most.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes}B"),
        _ if value < 10.0 => format!("{value:.2}{}", UNITS[unit]),
        _ => format!("{value:.1}{}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_short() {
        let all = [0, 999, 1000, 64 << 20, 1000 << 20, 3 << 40].map(size);
        assert_eq!(all, ["0B", "999B", "0.98KiB", "64.0MiB", "0.98GiB", "3.00TiB"]);
    }
}
