//! Limits on huge pages.

use super::invalid;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A limit on huge pages of one size.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HugetlbLimit {
    /// The pages' size as the kernel and OCI write it: `2MB`, `1GB`, `64KB`.
    pub page_size: String,
    /// Bytes in such pages, rounded down to whole ones by the kernel; −1 is unlimited. A process that wants more is
    /// sent SIGBUS when it touches them.
    pub limit_bytes: i64,
}

pub(super) fn check(limits: &[HugetlbLimit]) -> Result<()> {
    for limit in limits {
        if kilobytes(&limit.page_size).is_none() {
            return invalid("huge page size", &limit.page_size, "it must be such as 64KB, 2MB or 1GB");
        }
        if limit.limit_bytes < -1 {
            return invalid("huge page limit", limit.limit_bytes, "it must be -1 or not negative");
        }
    }
    Ok(())
}

/// The size in units of 1,024 bytes, as /sys/kernel/mm/hugepages names it; `None` when it is no size.
fn kilobytes(size: &str) -> Option<u64> {
    let at = size.len().checked_sub(2)?;
    let (number, unit) = size.split_at_checked(at)?;
    let shift = match unit {
        "KB" => 0,
        "MB" => 10,
        "GB" => 20,
        _ => return None,
    };
    if number.starts_with('0') || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_sizes_and_values() {
        assert_eq!(
            [kilobytes("64KB"), kilobytes("2MB"), kilobytes("1GB")],
            [Some(64), Some(2048), Some(1 << 20)]
        );
        for bad in
            ["", "B", "MB", "2M", "2mb", "02MB", "-2MB", "2.5MB", "2MB\n", "../x", "é", "99999999999999999GB"]
        {
            assert_eq!(kilobytes(bad), None, "{bad}");
            assert!(check(&[HugetlbLimit { page_size: bad.into(), limit_bytes: 0 }]).is_err());
        }
        assert!(check(&[HugetlbLimit { page_size: "2MB".into(), limit_bytes: -2 }]).is_err());
        check(&[HugetlbLimit { page_size: "2MB".into(), limit_bytes: -1 }]).unwrap();
    }
}
