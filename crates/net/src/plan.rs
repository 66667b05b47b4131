//! What holds for the addresses of every network: what was asked for is checked, and what follows from it chosen.

use crate::error::kernel;
use crate::lease::Range;
use crate::link::{Links, Route};
use crate::pool::{self, Taken, User};
use crate::{Error, NetworkSpec, Prefix, Result};
use std::net::IpAddr;

/// Packets of this size a link of each family has to carry (RFC 791 and 8200).
const LEAST_MTU: [u32; 2] = [68, 1280];
/// Larger ones no link carries.
const MOST_MTU: u32 = 65_535;

/// The gateway's address in each subnet, with the subnet's length.
pub(crate) fn gateways(spec: &NetworkSpec) -> Vec<Prefix> {
    spec.subnets
        .iter()
        .filter_map(|subnet| {
            let chosen = spec.gateways.iter().copied().find(|gateway| subnet.contains(*gateway));
            let address = chosen.or_else(|| subnet.nth(u128::from(subnet.size() > 2)))?;
            Some(Prefix { address, length: subnet.length })
        })
        .collect()
}

/// The addresses of a subnet that containers can have.
pub(crate) fn range(spec: &NetworkSpec, subnet: Prefix) -> Range {
    let part = spec.ranges.iter().copied().find(|range| subnet.contains(range.first())).unwrap_or(subnet);
    let nobodys = spec.gateways.iter().chain(&spec.excluded).copied();
    let excluded = nobodys.filter(|address| subnet.contains(*address)).collect();
    Range { subnet, part, excluded }
}

/// Refuses what no network can be. What the options say is each driver's own.
pub(crate) fn check(spec: &NetworkSpec) -> Result<()> {
    let has_six = spec.ipv6 == Some(true) || spec.subnets.iter().any(|subnet| subnet.address.is_ipv6());
    let least = LEAST_MTU[usize::from(has_six)];
    if let Some(mtu) = spec.mtu.filter(|mtu| !(least..=MOST_MTU).contains(mtu)) {
        let family = if has_six { ", as IPv6 needs it" } else { "" };
        let problem = format!("is none of {least} to {MOST_MTU} bytes{family}");
        return Err(invalid(spec, format!("the MTU {mtu}"), problem));
    }
    for (index, subnet) in spec.subnets.iter().enumerate() {
        let what = || format!("subnet {subnet}");
        let longest = if subnet.address.is_ipv4() { 30 } else { 126 };
        if subnet.network() != *subnet {
            let problem = format!("begins at {}: write {}", subnet.first(), subnet.network());
            return Err(invalid(spec, what(), problem));
        }
        if subnet.length > longest || subnet.length < 8 {
            let problem = format!("has too many or too few addresses: its length must be 8 to {longest}");
            return Err(invalid(spec, what(), problem));
        }
        if !is_for_hosts(*subnet) {
            return Err(invalid(spec, what(), "has a meaning of its own that containers cannot use"));
        }
        let family = |other: &&Prefix| other.address.is_ipv4() == subnet.address.is_ipv4();
        if spec.subnets[..index].iter().any(|other| family(&other)) {
            return Err(invalid(spec, what(), "is one too many: a network has one of each family"));
        }
    }
    if spec.ipv6 == Some(false)
        && let Some(subnet) = spec.subnets.iter().find(|subnet| subnet.address.is_ipv6())
    {
        return Err(invalid(spec, format!("subnet {subnet}"), "is of IPv6, which is switched off"));
    }
    for gateway in &spec.gateways {
        let home = spec.subnets.iter().find(|subnet| subnet.contains(*gateway));
        let allowed = home
            .is_some_and(|home| Range { subnet: *home, part: *home, excluded: Vec::new() }.allows(*gateway));
        if !allowed {
            return Err(invalid(
                spec,
                format!("the gateway {gateway}"),
                "is no host's address in a subnet of it",
            ));
        }
    }
    for address in &spec.excluded {
        if !spec.subnets.iter().any(|subnet| subnet.contains(*address)) {
            return Err(invalid(spec, format!("the excluded address {address}"), "is in no subnet of it"));
        }
    }
    for range in &spec.ranges {
        if range.network() != *range {
            let problem = format!("begins at {}: write {}", range.first(), range.network());
            return Err(invalid(spec, format!("the range {range}"), problem));
        }
        let inside = |subnet: &Prefix| subnet.contains(range.first()) && subnet.contains(range.last());
        if !spec.subnets.iter().any(inside) {
            return Err(invalid(spec, format!("the range {range}"), "is not inside a subnet of it"));
        }
    }
    Ok(())
}

/// Whether packets of a network may be as large as those of IPv6 have to be.
pub(crate) fn carries_six(spec: &NetworkSpec) -> bool {
    spec.mtu.is_none_or(|mtu| mtu >= LEAST_MTU[1])
}

fn is_for_hosts(subnet: Prefix) -> bool {
    let (first, last) = (subnet.first(), subnet.last());
    let good = |address: IpAddr| {
        let local = match address {
            IpAddr::V4(address) => {
                address.is_link_local() || address.octets()[0] == 0 || address.octets()[0] >= 240
            }
            IpAddr::V6(address) => address.is_unicast_link_local(),
        };
        !(local || address.is_loopback() || address.is_multicast() || address.is_unspecified())
    };
    good(first) && good(last)
}

/// Refuses a subnet of which another network has a part, or that one of these routes is for.
pub(crate) fn check_free(spec: &NetworkSpec, taken: &[Taken]) -> Result<()> {
    for subnet in &spec.subnets {
        if let Some(conflict) = pool::conflict(*subnet, taken) {
            let problem = format!("is in use already: {conflict} has it, or a part of it");
            return Err(invalid(spec, format!("subnet {subnet}"), problem));
        }
    }
    Ok(())
}

/// What other networks have, and what these routes of the host are for.
pub(crate) fn taken(links: &mut Links, routes: &[Route], spec: &NetworkSpec) -> Result<Vec<Taken>> {
    let all = links.list().map_err(kernel(&spec.name, "list", "the host's links"))?;
    let name = |route: &Route| {
        let link = all.iter().find(|link| Some(link.index) == route.link);
        let link = link.map_or("a link that is gone", |link| &link.name);
        match route.table {
            Route::MAIN => link.to_owned(),
            table => format!("{link} in table {table}"),
        }
    };
    let by_route = routes.iter().map(|route| Taken { range: route.to, by: User::Route(name(route)) });
    Ok(spec.avoid.iter().cloned().chain(by_route).collect())
}

/// A part of what is wanted breaks a rule.
pub(crate) fn invalid(
    spec: &NetworkSpec,
    what: String,
    problem: impl Into<std::borrow::Cow<'static, str>>,
) -> Error {
    Error::Invalid { network: spec.name.clone(), what, problem: problem.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut NetworkSpec)) -> String {
        let mut spec = NetworkSpec::named("web");
        change(&mut spec);
        check(&spec).expect_err("it was accepted").to_string()
    }

    fn subnets(texts: &[&str]) -> Vec<Prefix> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn pure_whatever_cannot_be_is_named_in_one_line() {
        assert!(refused(|spec| spec.subnets = subnets(&["10.0.0.1/24"])).contains("write 10.0.0.0/24"));
        assert!(refused(|spec| spec.subnets = subnets(&["10.0.0.0/31"])).contains("too few"));
        assert!(refused(|spec| spec.subnets = subnets(&["127.1.0.0/16"])).contains("meaning of its own"));
        assert!(refused(|spec| spec.subnets = subnets(&["224.0.0.0/8"])).contains("meaning of its own"));
        assert!(refused(|spec| spec.subnets = subnets(&["fe80::/64"])).contains("meaning of its own"));
        assert!(
            refused(|spec| spec.subnets = subnets(&["10.0.0.0/24", "10.1.0.0/24"])).contains("one too many")
        );
        assert!(refused(|spec| spec.mtu = Some(67)).contains("MTU 67"));
        let six = |spec: &mut NetworkSpec| {
            spec.mtu = Some(1279);
            spec.ipv6 = Some(true);
        };
        assert!(refused(six).contains("1280 to 65535 bytes, as IPv6 needs it"));
        let four =
            NetworkSpec { mtu: Some(68), subnets: subnets(&["10.0.0.0/24"]), ..NetworkSpec::named("web") };
        assert!(check(&four).is_ok());
        let bits = |spec: &mut NetworkSpec| {
            spec.subnets = subnets(&["10.0.0.0/24"]);
            spec.ranges = subnets(&["10.0.0.5/25"]);
        };
        assert!(refused(bits).contains("write 10.0.0.0/25"));
        assert!(
            refused(|spec| spec.gateways = vec!["10.0.0.1".parse().unwrap()]).contains("gateway 10.0.0.1")
        );
        assert!(refused(|spec| spec.ranges = subnets(&["10.0.0.0/28"])).contains("range 10.0.0.0/28"));
        let elsewhere = |spec: &mut NetworkSpec| {
            spec.subnets = subnets(&["10.0.0.0/24"]);
            spec.excluded = vec!["10.0.1.9".parse().unwrap()];
        };
        assert!(refused(elsewhere).contains("excluded address 10.0.1.9"));
        let last = |spec: &mut NetworkSpec| {
            spec.subnets = subnets(&["10.0.0.0/24"]);
            spec.gateways = vec!["10.0.0.255".parse().unwrap()];
        };
        assert!(refused(last).contains("gateway 10.0.0.255"));
        let six = |spec: &mut NetworkSpec| {
            spec.subnets = subnets(&["fd00::/64"]);
            spec.ipv6 = Some(false);
        };
        assert!(refused(six).contains("switched off"));
    }

    #[test]
    fn pure_the_gateway_is_the_first_address_or_the_one_that_was_chosen() {
        let mut spec =
            NetworkSpec { subnets: subnets(&["10.0.0.0/24", "fd00::/64"]), ..NetworkSpec::named("web") };
        assert_eq!(gateways(&spec), subnets(&["10.0.0.1/24", "fd00::1/64"]));
        spec.gateways = vec!["10.0.0.254".parse().unwrap()];
        spec.excluded = vec!["10.0.0.9".parse().unwrap()];
        assert_eq!(gateways(&spec), subnets(&["10.0.0.254/24", "fd00::1/64"]));
        let range = range(&spec, spec.subnets[0]);
        assert!(!range.allows("10.0.0.9".parse().unwrap()));
        assert!(!range.allows("10.0.0.254".parse().unwrap()) && range.allows("10.0.0.1".parse().unwrap()));
    }
}
