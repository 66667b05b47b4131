//! Ranges of addresses.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A range of addresses; as text, `10.88.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Its first address, or one in it.
    pub address: IpAddr,
    /// How many of the address's bits are the same in all of it: 0 to 32, or to 128.
    pub length: u8,
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// A text that is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSubnet;

impl fmt::Display for NoSubnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is no range of addresses; write it like 10.88.0.0/16 or fd00:88::/64")
    }
}

impl std::error::Error for NoSubnet {}

impl FromStr for Subnet {
    type Err = NoSubnet;

    fn from_str(text: &str) -> Result<Self, NoSubnet> {
        let (address, length) = text.split_once('/').ok_or(NoSubnet)?;
        let address: IpAddr = address.parse().map_err(|_| NoSubnet)?;
        // Whatever else the parser of numbers takes, such as a sign.
        let plain = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let most = if address.is_ipv4() { 32 } else { 128 };
        match length.parse() {
            Ok(length) if plain && length <= most => Ok(Self { address, length }),
            _ => Err(NoSubnet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_an_address_and_a_length() {
        for text in ["10.88.0.0/16", "0.0.0.0/0", "10.0.0.1/32", "fd00::/64", "::/128"] {
            assert_eq!(text.parse::<Subnet>().map(|subnet| subnet.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "x/8",
            "1.2.3.4/8/8",
            "/8",
        ] {
            assert_eq!(text.parse::<Subnet>(), Err(NoSubnet), "{text}");
        }
        assert!(NoSubnet.to_string().contains("10.88.0.0/16"));
    }
}
