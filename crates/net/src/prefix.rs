//! Ranges of addresses.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses: `10.88.0.0` and 16. Or an address, with the length of the subnet that it is in.
///
/// As text, `10.88.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prefix {
    /// Its first address, or one in it.
    pub address: IpAddr,
    /// How many of the address's bits are the same in all of it: 0 to 32, or to 128.
    pub length: u8,
}

impl Prefix {
    /// One of numbers that somebody else gives; `None` where the length is not one of the address's family.
    pub(crate) fn new(address: IpAddr, length: u8) -> Option<Self> {
        let prefix = Self { address, length };
        (length <= prefix.width()).then_some(prefix)
    }

    /// The bits of an address of this family.
    fn width(self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// The bits in which the addresses of the range differ.
    fn host_mask(self) -> u128 {
        let bits = u32::from(self.width().saturating_sub(self.length));
        1u128.checked_shl(bits).unwrap_or(0).wrapping_sub(1)
    }

    /// The first address of the range.
    #[must_use]
    pub fn first(self) -> IpAddr {
        from_number(self.address, to_number(self.address) & !self.host_mask())
    }

    /// The last address of the range.
    #[must_use]
    pub fn last(self) -> IpAddr {
        from_number(self.address, to_number(self.address) | self.host_mask())
    }

    /// The range that its address is in.
    #[must_use]
    pub fn network(self) -> Self {
        Self { address: self.first(), length: self.length }
    }

    /// How many addresses it has; `u128::MAX` where there are more.
    #[must_use]
    pub fn size(self) -> u128 {
        self.host_mask().saturating_add(1)
    }

    /// The address so far from the first one; `None` past the last.
    #[must_use]
    pub fn nth(self, index: u128) -> Option<IpAddr> {
        (index <= self.host_mask()).then(|| from_number(self.address, to_number(self.first()) | index))
    }

    /// How far an address is from the first one; `None` for one that is not in the range.
    #[must_use]
    pub fn position(self, address: IpAddr) -> Option<u128> {
        self.contains(address).then(|| to_number(address) & self.host_mask())
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && to_number(address) & !self.host_mask() == to_number(self.first())
    }

    /// Whether some address is in both.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.first()) || other.contains(self.first())
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A text that is no range, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no range of addresses: {problem}")]
pub struct BadPrefix {
    /// What was read.
    pub text: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let bad = |problem| BadPrefix { text: text.to_owned(), problem };
        let (address, length) =
            text.split_once('/').ok_or_else(|| bad("there is no /LENGTH, as in 10.88.0.0/16"))?;
        let address = address.parse().map_err(|_| bad("it does not begin with an address"))?;
        // (`u8::from_str` would take a sign.)
        let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|_| digits).ok_or_else(|| bad("its length is no number"))?;
        Self::new(address, length).ok_or_else(|| bad("it is longer than an address"))
    }
}

fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// An address of the family of `like`.
#[allow(
    clippy::cast_possible_truncation,
    reason = "an address of IPv4 has 32 bits, and what is computed from it too"
)]
fn from_number(like: IpAddr, number: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => IpAddr::V4((number as u32).into()),
        IpAddr::V6(_) => IpAddr::V6(number.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn pure_a_range_has_a_first_and_a_last_address() {
        for (text, first, last, size) in [
            ("10.88.3.7/16", "10.88.0.0", "10.88.255.255", 65_536),
            ("10.0.0.9/32", "10.0.0.9", "10.0.0.9", 1),
            ("10.0.0.9/31", "10.0.0.8", "10.0.0.9", 2),
            ("1.2.3.4/0", "0.0.0.0", "255.255.255.255", 1 << 32),
            ("fd00::5/120", "fd00::", "fd00::ff", 256),
            ("::/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", u128::MAX),
        ] {
            let range = prefix(text);
            assert_eq!(range.first().to_string(), first, "{text}");
            assert_eq!(range.last().to_string(), last, "{text}");
            assert_eq!(range.size(), size, "{text}");
            assert_eq!(range.to_string(), text);
        }
    }

    #[test]
    fn pure_an_address_has_a_place_in_its_range_and_in_no_other() {
        let range = prefix("10.88.1.0/24");
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(range.position(address("10.88.1.7")), Some(7));
        assert_eq!(range.nth(7), Some(address("10.88.1.7")));
        assert_eq!(range.nth(256), None);
        assert_eq!(range.position(address("10.88.2.7")), None);
        assert_eq!(range.position(address("::10.88.1.7")), None);
    }

    #[test]
    fn pure_ranges_overlap_when_one_holds_the_other() {
        for (one, other, overlap) in [
            ("10.0.0.0/8", "10.88.0.0/16", true),
            ("10.88.0.0/16", "10.88.0.0/16", true),
            ("10.88.0.0/16", "10.89.0.0/16", false),
            ("0.0.0.0/0", "10.89.0.0/16", true),
            ("::/0", "10.89.0.0/16", false),
            ("fd00::/64", "fd00::1:0/112", true),
        ] {
            assert_eq!(prefix(one).overlaps(prefix(other)), overlap, "{one} {other}");
            assert_eq!(prefix(other).overlaps(prefix(one)), overlap, "{other} {one}");
        }
    }

    #[test]
    fn pure_what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "x/8",
            "10.0.0.0/8/8",
        ] {
            let error = text.parse::<Prefix>().unwrap_err();
            assert!(error.to_string().contains("is no range of addresses"), "{error}");
        }
    }
}
