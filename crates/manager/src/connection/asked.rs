//! Whom a container asks for names.
//!
//! A network's name server knows the names of all networks of whoever asks it, but one of an internal network does not know the
//! world, and says so; and a client believes whoever answers first. So of a container with a way out only servers are asked that
//! know what is outside. Where no server of ours is on its way out (that is its neighbours' network, or a plugin's), one of an
//! internal network asks others, for this container alone: whoever is on internal networks alone is heard by nobody outside.

use super::{Endpoint, names};
use crate::bundle::etc;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::store::{Place, Record};
use std::net::IpAddr;
use tinyd_engine::{ContainerSpec, Dns};
use tinyd_net::Prefix;
use tinyd_net::names::Lookup;

/// Whom a container asks, and what they do for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The servers of its networks; none where those are asked that somebody chose for it, or the host's.
    pub(super) servers: Vec<IpAddr>,
    pub(super) lookup: Lookup,
}

/// What is known of the servers of one of its networks.
struct Servers<'a> {
    addresses: &'a [IpAddr],
    /// Of the network.
    ranges: &'a [Prefix],
    /// They know the names of all its networks, and ask others for it.
    are_ours: bool,
    is_internal: bool,
}

/// What a container's own choice says of how its questions are answered.
pub(super) fn lookup(dns: &Dns) -> Lookup {
    Lookup {
        search: (!dns.search.is_empty()).then(|| dns.search.clone()),
        // As IPv4 writes them, by which the networks' servers know whose an address is.
        servers: etc::forwarders(dns).iter().map(IpAddr::to_canonical).collect(),
        open: false,
    }
}

impl Core {
    /// Whom a container with these connections asks.
    pub(super) fn asked(&self, record: &Record, endpoints: &[Endpoint]) -> Result<Asked> {
        let way_out = record.way_out().map(Place::name);
        let mut known = Vec::new();
        for endpoint in endpoints {
            let Some(place) = place_of(record, endpoint) else { continue };
            let here = self.driver(&place.network.driver)?.host_address(&place.network);
            let addresses = &endpoint.state.name_servers[..];
            let are_ours = here.is_some_and(|here| addresses.contains(&here));
            let (ranges, is_internal) = (&place.network.spec.subnets[..], place.network.spec.internal);
            let servers = Servers { addresses, ranges, are_ours, is_internal };
            known.push((way_out != Some(place.name()), servers));
        }
        // Those of the way out first.
        known.sort_by_key(|(is_beside, _)| *is_beside);
        let known: Vec<_> = known.into_iter().map(|(_, servers)| servers).collect();
        Ok(choose(&known, &record.spec.dns))
    }

    /// Has the servers of internal networks know whether others are asked for a container. (Those of others always do.)
    pub(super) fn tell_servers(
        &self,
        record: &Record,
        endpoints: &[Endpoint],
        lookup: &Lookup,
    ) -> Result<()> {
        for endpoint in endpoints {
            let Some(place) = place_of(record, endpoint).filter(|place| place.network.spec.internal) else {
                continue;
            };
            self.driver(&place.network.driver)?
                .rename(&place.network, &endpoint.state, &names(record, place), lookup)
                .map_err(|source| Error::Network { source })?;
        }
        Ok(())
    }

    /// The address at which a container with these places reaches the host: on its way out, or else on another of its networks.
    pub(crate) fn host_address(&self, places: &[Place]) -> Option<IpAddr> {
        let on = |place: &&Place| self.driver(&place.network.driver).ok()?.host_address(&place.network);
        let (inner, open): (Vec<_>, Vec<_>) = places.iter().partition(|place| place.network.spec.internal);
        open.iter().chain(&inner).find_map(on)
    }

    /// Refuses a name for the host where the container does not reach it.
    pub(crate) fn check_hosts(&self, spec: &ContainerSpec, places: &[Place]) -> Result<()> {
        let Some(host) = spec.dns.hosts.iter().find(|host| host.address.is_none()) else { return Ok(()) };
        if self.host_address(places).is_some() {
            return Ok(());
        }
        let networks: Vec<_> = places.iter().map(Place::name).collect();
        let problem = format!(
            "cannot stand for this machine, which has no address that a container on {} reaches it at: give one, or give the \
             container another network as well",
            networks.join(", ")
        );
        Err(Error::invalid("host", &host.name, problem))
    }
}

fn place_of<'a>(record: &'a Record, endpoint: &Endpoint) -> Option<&'a Place> {
    record.places.iter().find(|place| place.name() == endpoint.network)
}

/// `known` has those of the way out first.
fn choose(known: &[Servers<'_>], dns: &Dns) -> Asked {
    let of = |which: &dyn Fn(&Servers<'_>) -> bool| -> Vec<IpAddr> {
        known.iter().filter(|of_one| which(of_one)).flat_map(|of_one| of_one.addresses).copied().collect()
    };
    let outer = of(&|of_one| !of_one.is_internal);
    let outer_ours = of(&|of_one| of_one.are_ours && !of_one.is_internal);
    let inner_ours = of(&|of_one| of_one.are_ours && of_one.is_internal);
    let is_open = known.iter().any(|of_one| !of_one.is_internal);
    let mut lookup = lookup(dns);
    // Chosen ones that only the container reaches, for sure: on its loopback device, and among its neighbours.
    let is_near = |server: &IpAddr| {
        let ranges = known.iter().filter(|of_one| !of_one.are_ours).flat_map(|of_one| of_one.ranges);
        ranges.into_iter().any(|range| range.contains(server.to_canonical()))
    };
    if !dns.servers.is_empty() && (lookup.servers.is_empty() || dns.servers.iter().any(is_near)) {
        return Asked { servers: Vec::new(), lookup };
    }
    let servers = match (is_open, dns.servers.is_empty()) {
        (true, _) if outer_ours.is_empty() && !inner_ours.is_empty() => {
            lookup.open = true;
            if lookup.servers.is_empty() {
                lookup.servers = outer;
            }
            inner_ours
        }
        (true, true) => outer,
        (false, true) => of(&|_| true),
        // No others ask for it those that were chosen.
        (true, false) => outer_ours,
        (false, false) => inner_ours,
    };
    Asked { servers, lookup }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in `resolv.conf`, whom the servers ask, and whether an internal one asks anybody.
    fn said(networks: &[(&str, &str)], chosen: &[&str]) -> (String, String, bool) {
        let addresses = |text: &str| -> Vec<IpAddr> {
            text.split_whitespace().map(|word| word.parse().unwrap()).collect()
        };
        let ranges = ["192.0.2.0/24".parse().unwrap()];
        let networks: Vec<_> = networks.iter().map(|(kind, text)| (*kind, addresses(text))).collect();
        let known: Vec<_> = networks
            .iter()
            .map(|(kind, addresses)| Servers {
                addresses,
                ranges: if *kind == "lan" { &ranges } else { &[] },
                are_ours: *kind == "web" || *kind == "inner",
                is_internal: *kind == "inner",
            })
            .collect();
        let dns =
            Dns { servers: chosen.iter().map(|word| word.parse().unwrap()).collect(), ..Dns::default() };
        let Asked { servers, lookup } = choose(&known, &dns);
        let text = |all: &[IpAddr]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        (text(&servers), text(&lookup.servers), lookup.open)
    }

    #[test]
    fn pure_of_one_with_a_way_out_only_servers_are_asked_that_know_the_world() {
        let (web, lan, inner) = (("web", "10.0.0.1 fd00::1"), ("lan", ""), ("inner", "10.1.0.1"));
        let cni = ("cni", "10.2.0.53");
        let is = |servers: &str, forwarders: &str, open| (servers.to_owned(), forwarders.to_owned(), open);
        assert_eq!(said(&[web, inner], &[]), is("10.0.0.1 fd00::1", "", false));
        assert_eq!(said(&[inner], &[]), is("10.1.0.1", "", false), "nothing leaves");
        assert_eq!(said(&[lan], &[]), is("", "", false), "the host's");
        assert_eq!(said(&[lan, inner], &[]), is("10.1.0.1", "", true));
        assert_eq!(
            said(&[cni, inner], &[]),
            is("10.1.0.1", "10.2.0.53", true),
            "the plugin's, by way of ours"
        );
        assert_eq!(said(&[cni, web], &[]), is("10.2.0.53 10.0.0.1 fd00::1", "", false));
        assert_eq!(said(&[lan, web, inner], &[]), is("10.0.0.1 fd00::1", "", false));
    }

    #[test]
    fn pure_chosen_servers_are_asked_by_ours_unless_only_the_container_reaches_them() {
        let (web, lan, inner) = (("web", "10.0.0.1"), ("lan", ""), ("inner", "10.1.0.1"));
        let is = |servers: &str, forwarders: &str, open| (servers.to_owned(), forwarders.to_owned(), open);
        assert_eq!(said(&[web], &["9.9.9.9"]), is("10.0.0.1", "9.9.9.9", false));
        assert_eq!(said(&[("cni", "10.2.0.53"), web], &["9.9.9.9"]), is("10.0.0.1", "9.9.9.9", false));
        assert_eq!(said(&[lan, inner], &["9.9.9.9"]), is("10.1.0.1", "9.9.9.9", true));
        assert_eq!(said(&[inner], &["9.9.9.9"]), is("10.1.0.1", "9.9.9.9", false), "who is sealed stays it");
        // These the container asks itself, as it would without networks.
        assert_eq!(said(&[lan], &["9.9.9.9"]).0, "");
        assert_eq!(said(&[web], &["9.9.9.9", "127.0.0.1"]).0, "");
        assert_eq!(said(&[web], &["::ffff:127.0.0.1"]).0, "");
        assert_eq!(said(&[web], &["::ffff:10.2.0.1"]), is("10.0.0.1", "10.2.0.1", false));
        assert_eq!(said(&[web, lan], &["::ffff:192.0.2.9"]).0, "", "a neighbour's");
        assert_eq!(said(&[web, lan, inner], &["192.0.2.9"]), is("", "192.0.2.9", false));
    }
}
