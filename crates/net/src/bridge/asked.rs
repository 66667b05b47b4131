//! Ports of the host that are refused as they were asked for, before anything is made: by which nobody would ever come, and
//! which lead to another container.

use super::{BridgeDriver, publish};
use crate::error::kernel;
use crate::firewall::Publication;
use crate::{Error, NetworkSpec, Prefix, PublishedPort, Result};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Refuses ports of addresses by which no packet could come to a container of this network.
pub(super) fn check(network: &NetworkSpec, ports: &[PublishedPort]) -> Result<()> {
    for port in ports {
        let Some(host) = port.host else { continue };
        let refuse = |problem: String| {
            let at = SocketAddr::new(host, port.host_port);
            // One that this host is to choose has no number yet.
            let port = if port.host_port == 0 { format!("a port of {host}") } else { format!("port {at}") };
            Err(Error::Invalid { network: network.name.clone(), what: port, problem: problem.into() })
        };
        if host == IpAddr::V6(Ipv6Addr::LOCALHOST) {
            let problem = "leads nowhere: no answer comes back to ::1 from a container; take 127.0.0.1, or [::] for \
                all addresses of IPv6";
            return refuse(problem.to_owned());
        }
        // An internal one may get a way out by another network, which has what this one lacks.
        let is_of_family = |subnet: &Prefix| subnet.address.is_ipv4() == host.is_ipv4();
        if !network.internal && !network.subnets.iter().any(is_of_family) {
            let (lacks, has, any) =
                if host.is_ipv4() { ("IPv4", "IPv6", "[::]") } else { ("IPv6", "IPv4", "0.0.0.0") };
            return refuse(format!(
                "leads nowhere: the network has no addresses of {lacks}; take one of {has}, or {any} for all of them"
            ));
        }
    }
    Ok(())
}

/// Refuses a port that leads to another container already, be it of one address or of all of them: a firewall would take both,
/// lead whoever comes by the one address to the one container, and the other would have lost it without a word. `own` are the
/// addresses of the container that wants the ports.
pub(super) fn check_others(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    ports: &[PublishedPort],
    own: &[Prefix],
) -> Result<()> {
    let numbered = ports.iter().filter(|port| port.host_port != 0);
    let wanted: Vec<_> = numbered.flat_map(|port| publish::leads(*port, &network.subnets)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let published = driver.firewall(network)?.meeting(&wanted);
    let mut published =
        published.map_err(kernel(&network.name, "look for", "the ports that are published"))?;
    // What leads to a name server goes on doing so, beside a container that has the same port elsewhere.
    published.retain(|other| {
        other.port.host != Some(other.to) && !own.iter().any(|address| address.address == other.to)
    });
    refuse_held(network, &wanted, &published)
}

/// Refuses the first of these that meets one of those.
pub(super) fn refuse_held(
    network: &NetworkSpec,
    wanted: &[Publication],
    published: &[Publication],
) -> Result<()> {
    let found = wanted.iter().find_map(|one| {
        let other = published.iter().find(|other| one.meets(other))?;
        Some((one.port, other.to))
    });
    match found {
        None => Ok(()),
        Some((port, to)) => {
            let port = format!("{}/{}", port.host_port, port.protocol);
            Err(Error::Published { network: network.name.clone(), port, to })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Protocol;

    fn said(subnets: &[&str], internal: bool, host: Option<&str>) -> Option<String> {
        let subnets = subnets.iter().map(|text| text.parse().unwrap()).collect();
        let network = NetworkSpec { subnets, internal, ..NetworkSpec::named("web") };
        let host = host.map(|host| host.parse().unwrap());
        let port = PublishedPort { host, host_port: 8080, container_port: 80, protocol: Protocol::Tcp };
        check(&network, &[port]).err().map(|error| error.to_string())
    }

    #[test]
    fn pure_a_port_by_which_nobody_would_come_is_refused_with_the_reason() {
        let (four, six, both) = (["10.9.0.0/24"], ["fd00::/64"], ["10.9.0.0/24", "fd00::/64"]);
        for (subnets, host) in [
            (&both[..], None),
            (&four, None),
            (&six, None),
            (&both, Some("0.0.0.0")),
            (&both, Some("::")),
            (&four, Some("127.0.0.1")),
            (&six, Some("2001:db8::1")),
        ] {
            assert_eq!(said(subnets, false, host), None, "{subnets:?} {host:?}");
        }
        for (subnets, host, reason) in [
            (&both[..], "::1", "port [::1]:8080 leads nowhere: no answer comes back to ::1"),
            (&four, "::", "port [::]:8080 leads nowhere: the network has no addresses of IPv6"),
            (&four, "2001:db8::1", "no addresses of IPv6"),
            (&six, "0.0.0.0", "port 0.0.0.0:8080 leads nowhere: the network has no addresses of IPv4"),
            (&six, "127.0.0.1", "no addresses of IPv4"),
        ] {
            let said = said(subnets, false, Some(host)).unwrap_or_default();
            assert!(said.contains(reason), "{subnets:?} {host}: {said}");
        }
        // An internal network may be joined by another one, but by no way to ::1.
        assert_eq!(said(&four, true, Some("::")), None);
        assert!(said(&four, true, Some("::1")).is_some());
    }

    #[test]
    fn pure_one_address_and_all_of_them_meet() {
        let of = |host: Option<&str>, to: &str| {
            let host = host.map(|host| host.parse().unwrap());
            let port = PublishedPort { host, host_port: 8080, container_port: 80, protocol: Protocol::Tcp };
            Publication { port, to: to.parse().unwrap() }
        };
        let (all, one) = (of(None, "10.9.0.2"), of(Some("127.0.0.1"), "10.9.0.3"));
        assert!(all.meets(&one) && one.meets(&all) && one.meets(&one) && all.meets(&all));
        assert!(!one.meets(&of(Some("127.0.0.2"), "10.9.0.2")));
        assert!(!all.meets(&of(None, "fd00::2")), "each family has its own ports");
    }
}
