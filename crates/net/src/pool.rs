//! Choosing a range of addresses that nobody else on this host uses.

use crate::Prefix;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Ranges of one size that lie side by side in a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The larger range.
    pub range: Prefix,
    /// The length of each range that is taken from it.
    pub length: u8,
}

/// The ranges that networks are made of where nothing else is asked for. Each has addresses for 1,021 containers,
/// all but two of those that a bridge has ports for. They are not those that Docker (172.17.0.0/16 and on) and Podman (10.88.0.0/16 and on) begin with.
pub const POOLS: [Pool; 3] = [
    Pool { range: v4([10, 208, 0, 0], 12), length: 22 },
    Pool { range: v4([172, 28, 0, 0], 14), length: 22 },
    Pool { range: v4([192, 168, 128, 0], 17), length: 22 },
];

/// What is no pool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no pool of addresses such as 10.208.0.0/12:22, ranges of /22 in a larger one: {problem}"
)]
pub struct BadPool {
    text: String,
    problem: String,
}

impl FromStr for Pool {
    type Err = BadPool;

    /// `10.208.0.0/12:22`.
    fn from_str(text: &str) -> Result<Self, BadPool> {
        let bad = |problem: &str| BadPool { text: text.to_owned(), problem: problem.to_owned() };
        let (range, length) = text.rsplit_once(':').ok_or_else(|| bad("there is no :LENGTH"))?;
        let range: Prefix =
            range.parse().map_err(|error: crate::prefix::BadPrefix| bad(&error.to_string()))?;
        let length = length.parse().map_err(|_| bad("the length of its ranges is no number"))?;
        if !range.address.is_ipv4() {
            return Err(bad("networks are given ranges of IPv6 by themselves"));
        }
        if range.network() != range {
            return Err(bad("its address has bits behind its length"));
        }
        // A gateway, a container, and the two addresses that nobody has.
        match (range.length..=30).contains(&length) {
            true => Ok(Self { range, length }),
            false => Err(bad("its ranges are larger than it is, or have no room for a container")),
        }
    }
}

/// How many ranges of a pool are tried: more networks than that a host does not have.
const MOST: u128 = 65_536;

const fn v4(octets: [u8; 4], length: u8) -> Prefix {
    let [a, b, c, d] = octets;
    Prefix { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), length }
}

/// A range that is in use, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The range.
    pub range: Prefix,
    /// What uses it.
    pub by: User,
}

/// What uses a range of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// A route of this host, through the link of this name.
    Route(String),
    /// A network of this name.
    Network(String),
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.by {
            User::Route(link) => write!(f, "the route {} by {link}", self.range),
            User::Network(name) => write!(f, "the network {name}, {}", self.range),
        }
    }
}

/// Who uses a part of a range already.
#[must_use]
pub fn conflict(wanted: Prefix, taken: &[Taken]) -> Option<&Taken> {
    // The default route leads everywhere: it is what is used when nothing else is.
    taken.iter().find(|taken| taken.range.length > 0 && taken.range.overlaps(wanted))
}

/// The first range of the pools that nobody uses; `None` when all are in use.
#[must_use]
pub fn choose(pools: &[Pool], taken: &[Taken]) -> Option<Prefix> {
    pools.iter().find_map(|pool| {
        let one = Prefix { address: pool.range.first(), length: pool.length };
        let (size, count) = (one.size(), (pool.range.size() / one.size()).min(MOST));
        (0..count)
            .filter_map(|index| pool.range.nth(index * size))
            .map(|address| Prefix { address, length: pool.length })
            .find(|range| conflict(*range, taken).is_none())
    })
}

/// A range of unique local addresses (RFC 4193) for a network: `fd`, 40 bits that are chance, and 16 that number it here.
#[must_use]
pub fn local_v6(chance: [u8; 5], number: u16) -> Prefix {
    let [a, b, c, d, e] = chance.map(u16::from);
    let address = Ipv6Addr::new(0xfd00 | a, b << 8 | c, d << 8 | e, number, 0, 0, 0, 0);
    Prefix { address: IpAddr::V6(address), length: 64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn route(text: &str) -> Taken {
        Taken { range: prefix(text), by: User::Route("eth0".to_owned()) }
    }

    #[test]
    fn pure_the_first_range_that_is_free_is_chosen() {
        assert_eq!(choose(&POOLS, &[]), Some(prefix("10.208.0.0/22")));
        assert_eq!(choose(&POOLS, &[route("10.208.0.0/22")]), Some(prefix("10.208.4.0/22")));
        // One address of it is enough.
        assert_eq!(choose(&POOLS, &[route("10.208.3.255/32")]), Some(prefix("10.208.4.0/22")));
        assert_eq!(choose(&POOLS, &[route("10.0.0.0/8")]), Some(prefix("172.28.0.0/22")));
        assert_eq!(choose(&POOLS, &[route("0.0.0.0/0")]), Some(prefix("10.208.0.0/22")));
    }

    #[test]
    fn pure_a_pool_is_read_as_it_is_written() {
        let read = |text: &str| text.parse::<Pool>().map_err(|error| error.to_string());
        assert_eq!(read("10.208.0.0/12:22"), Ok(Pool { range: prefix("10.208.0.0/12"), length: 22 }));
        assert_eq!(read("10.9.0.0/24:24"), Ok(Pool { range: prefix("10.9.0.0/24"), length: 24 }));
        for (bad, problem) in [
            ("", "no :LENGTH"),
            ("10.0.0.0/8", "no :LENGTH"),
            ("10.0.0.0:24", "no /LENGTH"),
            ("10.0.0.0/8:x", "no number"),
            ("10.1.0.0/8:16", "bits behind"),
            ("10.0.0.0/16:8", "larger than it is"),
            ("10.0.0.0/16:31", "no room"),
            ("fd00::/8:64", "IPv6"),
        ] {
            assert!(read(bad).is_err_and(|said| said.contains(problem)), "{bad}");
        }
    }

    #[test]
    fn pure_there_is_none_when_all_are_in_use() {
        let taken = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"].map(route);
        assert_eq!(choose(&POOLS, &taken), None);
    }

    #[test]
    fn pure_a_hundred_networks_have_ranges_of_their_own() {
        let mut taken = Vec::new();
        for number in 0..100 {
            let range = choose(&POOLS, &taken).unwrap();
            assert!(conflict(range, &taken).is_none());
            assert!(range.size() >= 1024);
            taken.push(Taken { range, by: User::Network(number.to_string()) });
        }
    }

    #[test]
    fn pure_whoever_is_in_the_way_is_named() {
        let taken =
            [route("10.1.0.0/16"), Taken { range: prefix("10.2.0.0/24"), by: User::Network("web".into()) }];
        let said = |text| conflict(prefix(text), &taken).map(ToString::to_string);
        assert_eq!(said("10.1.2.0/24").unwrap(), "the route 10.1.0.0/16 by eth0");
        assert_eq!(said("10.2.0.0/16").unwrap(), "the network web, 10.2.0.0/24");
        assert_eq!(said("10.3.0.0/16"), None);
    }

    #[test]
    fn pure_local_addresses_of_version_6_are_of_the_form_that_rfc_4193_gives_them() {
        let range = local_v6([0x12, 0x34, 0x56, 0x78, 0x9a], 7);
        assert_eq!(range, prefix("fd12:3456:789a:7::/64"));
        assert!(prefix("fc00::/7").contains(range.last()));
    }
}
