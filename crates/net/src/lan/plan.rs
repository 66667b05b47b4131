//! What such a network will be. Its addresses are the outside's: they are asked for and never chosen.

use super::parent::Parent;
use super::words;
use crate::error::kernel;
use crate::inside::WayOut;
use crate::link::{ChildKind, IpvlanMode, Links, Route};
use crate::plan::{self, invalid};
use crate::{NetworkSpec, Prefix, Result};

/// Fills in whatever is left open. Has no effect.
pub(super) fn fill(links: &mut Links, kind: ChildKind, wanted: &NetworkSpec) -> Result<NetworkSpec> {
    let mut spec = wanted.clone();
    let kind = words::kind(&spec, kind)?;
    plan::check(&spec)?;
    let parent = Parent::find(links, &spec)?;
    if spec.subnets.is_empty() {
        let problem = format!(
            "is missing: say which addresses the network of {} has{}",
            parent.link.name,
            such_as(&parent)
        );
        return Err(invalid(&spec, "the subnet".to_owned(), problem));
    }
    let has_six = spec.subnets.iter().any(|subnet| subnet.address.is_ipv6());
    if spec.ipv6 == Some(true) && !has_six {
        let problem = "needs a subnet of IPv6 (--subnet): that of the parent's network";
        return Err(invalid(&spec, "IPv6".to_owned(), problem));
    }
    if !has_gateway(kind)
        && let Some(gateway) = spec.gateways.first()
    {
        let problem = "cannot be: in the modes l3 and l3s the host's routes are the way, and there is none";
        return Err(invalid(&spec, format!("the gateway {gateway}"), problem));
    }
    let mut routes = links.all_routes().map_err(kernel(&spec.name, "read", "the host's routes"))?;
    routes.retain(|route| is_in_the_way(route, &parent, &spec.subnets));
    let taken = plan::taken(links, &routes, &spec)?;
    plan::check_free(&spec, &taken)?;
    spec.ipv6 = Some(has_six);
    if has_gateway(kind) {
        spec.gateways = plan::gateways(&spec).into_iter().map(|gateway| gateway.address).collect();
    }
    Ok(spec)
}

/// Where containers send what is for nobody on the network.
pub(super) fn ways(spec: &NetworkSpec, kind: ChildKind) -> Vec<WayOut> {
    match has_gateway(kind) {
        true => plan::gateways(spec).into_iter().map(|gateway| WayOut::Through(gateway.address)).collect(),
        false => spec.subnets.iter().map(|subnet| WayOut::ByLink(subnet.address.is_ipv6())).collect(),
    }
}

fn has_gateway(kind: ChildKind) -> bool {
    !matches!(kind, ChildKind::Ipvlan(IpvlanMode::L3 | IpvlanMode::L3s))
}

/// Whether a route of the host says that a subnet is somewhere else than behind the parent. The host may know nothing of the
/// network there, where it has no address itself: then its other ways to the same addresses are no contradiction.
fn is_in_the_way(route: &Route, parent: &Parent, subnets: &[Prefix]) -> bool {
    let concerned = subnets.iter().find(|subnet| subnet.overlaps(route.to));
    let Some(subnet) = concerned.filter(|_| route.to.length > 0) else { return false };
    let knows = |address: &&Prefix| address.address.is_ipv4() == subnet.address.is_ipv4() && !local(address);
    let mut known = parent.addresses.iter().filter(knows).peekable();
    route.link != Some(parent.link.index)
        && known.peek().is_some()
        && !known.any(|address| address.contains(subnet.first()) && address.contains(subnet.last()))
}

/// Every link has such addresses, whatever it leads to.
fn local(prefix: &Prefix) -> bool {
    match prefix.address {
        std::net::IpAddr::V4(address) => address.is_link_local(),
        std::net::IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn such_as(parent: &Parent) -> String {
    let all: Vec<_> = parent.addresses.iter().filter(|prefix| !local(prefix)).collect();
    let four = all.iter().find(|prefix| prefix.address.is_ipv4()).or(all.first());
    four.map(|prefix| format!(", such as --subnet {}", prefix.network())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Hardware, Index, Link};

    fn parent(addresses: &[&str]) -> Parent {
        let link = Link {
            index: Index(2),
            name: "eth0".to_owned(),
            kind: None,
            mac: None,
            mtu: 1500,
            master: None,
            parent: None,
            hardware: Hardware::Ethernet,
            alias: None,
            is_up: true,
        };
        Parent { link, addresses: addresses.iter().map(|text| text.parse().unwrap()).collect() }
    }

    fn route(to: &str, link: u32) -> Route {
        Route { to: to.parse().unwrap(), gateway: None, link: Some(Index(link)), table: Route::MAIN }
    }

    #[test]
    fn pure_the_parents_own_network_is_nobody_elses() {
        let subnets = ["10.9.0.0/24".parse().unwrap()];
        let meets = |route: Route, addresses: &[&str]| is_in_the_way(&route, &parent(addresses), &subnets);
        let (own, elsewhere) = (&["10.9.0.5/24", "fe80::1/64"][..], &["192.0.2.1/24"][..]);
        assert!(!meets(route("10.9.0.0/24", 2), own));
        // A larger range that somebody else has, such as a tunnel, does not make it less the parent's own.
        assert!(!meets(route("10.0.0.0/8", 3), own));
        assert!(meets(route("10.0.0.0/8", 3), elsewhere));
        assert!(meets(route("10.9.0.128/25", 3), elsewhere));
        assert!(!meets(route("0.0.0.0/0", 3), elsewhere));
        assert!(!meets(route("10.8.0.0/16", 3), elsewhere));
        // Of a parent without addresses the host knows nothing: a second card on the same network.
        assert!(!meets(route("10.9.0.0/24", 3), &["fe80::1/64", "169.254.1.1/16"]));
    }

    #[test]
    fn pure_a_subnet_that_is_missing_is_guessed_from_the_parents_addresses() {
        assert_eq!(
            such_as(&parent(&["fe80::1/64", "fd00::5/64", "10.9.0.5/24"])),
            ", such as --subnet 10.9.0.0/24"
        );
        assert_eq!(such_as(&parent(&["fe80::1/64"])), "");
    }
}
