//! From a request to what a driver is asked for: what holds for every driver is checked here, without any effect.

use crate::error::{Error, Result};
use crate::networks::record::NetworkRecord;
use std::net::IpAddr;
use tinyd_engine::{NetworkCreate, Subnet};
use tinyd_net::pool::{self, Taken, User};
use tinyd_net::{NetworkSpec, Prefix};

/// The words by which other engines ask for the largest packet among the driver's options.
const MTU_OPTIONS: [&str; 2] = ["mtu", "com.docker.network.driver.mtu"];

/// The network that a driver is asked for.
pub(super) fn spec(wanted: &NetworkCreate, name: &str) -> Result<NetworkSpec> {
    labels(wanted)?;
    let prefix = |subnet: &Subnet| Prefix { address: subnet.address, length: subnet.length };
    let mut spec = NetworkSpec {
        subnets: wanted.subnets.iter().map(prefix).collect(),
        gateways: wanted.gateways.clone(),
        ranges: wanted.ranges.iter().map(prefix).collect(),
        excluded: wanted.excluded.clone(),
        ipv6: wanted.ipv6,
        internal: wanted.internal,
        mtu: wanted.mtu,
        options: wanted.options.clone(),
        ..NetworkSpec::named(name)
    };
    for option in MTU_OPTIONS {
        if let Some(text) = spec.options.remove(option) {
            let number = text.parse().map_err(|_| Error::invalid("MTU", &text, "is no number of bytes"))?;
            spec.mtu = spec.mtu.or(Some(number));
        }
    }
    addresses(&spec)?;
    Ok(spec)
}

/// What other networks have; a network that wants a part of it is refused.
pub(super) fn avoid(spec: &mut NetworkSpec, others: &[NetworkRecord]) -> Result<()> {
    let taken = others.iter().flat_map(|other| {
        let by = |range: &Prefix| Taken { range: *range, by: User::Network(other.name().to_owned()) };
        other.state.spec.subnets.iter().map(by)
    });
    spec.avoid = taken.collect();
    for subnet in &spec.subnets {
        if let Some(conflict) = pool::conflict(*subnet, &spec.avoid) {
            let problem = format!("is in use already: {conflict} has it, or a part of it");
            return Err(Error::invalid("subnet", subnet.to_string(), problem));
        }
    }
    Ok(())
}

fn labels(wanted: &NetworkCreate) -> Result<()> {
    match wanted.labels.iter().find(|(key, _)| key.is_empty() || key.contains(['\0', '\n'])) {
        Some((key, value)) => Err(Error::invalid("label", format!("{key}={value}"), "has no name")),
        None => Ok(()),
    }
}

/// Gateways and ranges are of subnets that are given, one for each.
fn addresses(spec: &NetworkSpec) -> Result<()> {
    let twice = |one: Prefix, other: Prefix| one.overlaps(other);
    for (index, subnet) in spec.subnets.iter().enumerate() {
        if let Some(other) = spec.subnets[..index].iter().find(|other| twice(**other, *subnet)) {
            return Err(Error::invalid("subnet", subnet.to_string(), format!("overlaps {other}")));
        }
    }
    let home = |address: IpAddr| spec.subnets.iter().position(|subnet| subnet.contains(address));
    let outside = || match spec.subnets.is_empty() {
        true => "needs a subnet that it is in (--subnet)".to_owned(),
        false => {
            let all: Vec<_> = spec.subnets.iter().map(ToString::to_string).collect();
            format!("is not in {}", all.join(" or "))
        }
    };
    let mut used = Vec::new();
    for gateway in &spec.gateways {
        let refuse = |problem: String| Err(Error::invalid("gateway", gateway.to_string(), problem));
        match home(*gateway) {
            None => return refuse(outside()),
            Some(home) if used.contains(&home) => {
                return refuse(format!("is one too many for {}", spec.subnets[home]));
            }
            Some(home) => used.push(home),
        }
    }
    used.clear();
    for range in &spec.ranges {
        let refuse = |problem: String| Err(Error::invalid("range of addresses", range.to_string(), problem));
        match home(range.first()) {
            Some(home) if used.contains(&home) => {
                return refuse(format!("is one too many for {}", spec.subnets[home]));
            }
            Some(home) if spec.subnets[home].contains(range.last()) => used.push(home),
            _ => return refuse(outside()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use tinyd_net::NetworkState;

    fn request(subnets: &[&str], gateways: &[&str], ranges: &[&str]) -> NetworkCreate {
        NetworkCreate {
            subnets: subnets.iter().map(|text| text.parse().unwrap()).collect(),
            gateways: gateways.iter().map(|text| text.parse().unwrap()).collect(),
            ranges: ranges.iter().map(|text| text.parse().unwrap()).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn pure_what_is_asked_for_arrives_at_the_driver() {
        let mut wanted = request(&["10.9.0.0/24", "fd00::/64"], &["10.9.0.1", "fd00::1"], &["10.9.0.128/25"]);
        wanted.internal = true;
        wanted.excluded = vec!["10.9.0.130".parse().unwrap()];
        wanted.ipv6 = Some(true);
        wanted.options = [("mtu", "1400"), ("x", "y")].map(|(k, v)| (k.into(), v.into())).into();
        let spec = spec(&wanted, "web").unwrap();
        assert_eq!((spec.name.as_str(), spec.mtu, spec.internal), ("web", Some(1400), true));
        assert_eq!((spec.subnets.len(), spec.gateways.len(), spec.ranges.len()), (2, 2, 1));
        assert_eq!(spec.options, BTreeMap::from([("x".to_owned(), "y".to_owned())]));
        assert_eq!((spec.ipv6, spec.excluded), (Some(true), wanted.excluded));
    }

    #[test]
    fn pure_addresses_that_do_not_fit_are_named() {
        let said = |subnets: &[&str], gateways: &[&str], ranges: &[&str]| {
            spec(&request(subnets, gateways, ranges), "web").unwrap_err().to_string()
        };
        let net = &["10.9.0.0/24"][..];
        assert_eq!(said(net, &["10.9.1.1"], &[]), "gateway \"10.9.1.1\" is not in 10.9.0.0/24");
        assert!(said(&[], &["10.9.1.1"], &[]).contains("needs a subnet"));
        assert!(said(net, &["10.9.0.1", "10.9.0.2"], &[]).contains("\"10.9.0.2\" is one too many"));
        assert!(said(net, &[], &["10.9.1.0/25"]).contains("is not in 10.9.0.0/24"));
        assert!(said(net, &[], &["10.9.0.0/23"]).contains("is not in 10.9.0.0/24"));
        assert!(said(net, &[], &["10.9.0.0/25", "10.9.0.128/25"]).contains("one too many"));
        assert!(said(&["10.9.0.0/24", "10.0.0.0/8"], &[], &[]).contains("overlaps 10.9.0.0/24"));
        let mtu = |text: &str| NetworkCreate {
            options: [("mtu".to_owned(), text.to_owned())].into(),
            ..Default::default()
        };
        assert!(spec(&mtu("big"), "web").unwrap_err().to_string().contains("MTU \"big\""));
    }

    #[test]
    fn pure_no_network_gets_a_part_of_another_ones_addresses() {
        let other = NetworkRecord {
            id: "1".repeat(32),
            created_ns: 0,
            labels: BTreeMap::new(),
            whole: true,
            state: NetworkState {
                driver: "bridge".to_owned(),
                spec: spec(&request(&["10.9.0.0/24"], &[], &[]), "web").unwrap(),
                links: Vec::new(),
            },
        };
        for (subnet, refused) in
            [("10.9.0.0/24", true), ("10.9.0.64/26", true), ("10.0.0.0/8", true), ("10.9.1.0/24", false)]
        {
            let mut wanted = spec(&request(&[subnet], &[], &[]), "db").unwrap();
            let error = avoid(&mut wanted, std::slice::from_ref(&other)).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), refused, "{subnet}: {error:?}");
            assert!(error.is_none_or(|error| error.contains("the network web, 10.9.0.0/24")));
            assert_eq!(wanted.avoid.len(), 1);
        }
    }
}
