//! A container's places on networks, as they are shown.

use super::Endpoint;
use crate::core::Core;
use crate::store::Record;
use tinyd_engine::{EndpointSettings, NetworkContainer, NetworkSettings};

impl Core {
    /// Where a container is on its networks; the addresses are there while it runs (`pid` is not 0).
    pub(crate) fn places_on_networks(&self, record: &Record, pid: u32) -> NetworkSettings {
        let endpoints = if pid == 0 { Vec::new() } else { self.endpoints(&record.id).unwrap_or_default() };
        let place = |name: &str| settings(endpoints.iter().find(|endpoint| endpoint.network == name));
        let mut all = NetworkSettings::default();
        // Of the first alone Docker's older clients know.
        if let Some(first) = record.places.first() {
            let first = place(first.name());
            all.ip_address = first.ip_address;
            all.ip_prefix_len = first.ip_prefix_len;
            all.gateway = first.gateway;
            all.global_ipv6_address = first.global_ipv6_address;
            all.mac_address = first.mac_address;
        }
        let networks = record.places.iter().map(|wanted| {
            let aliases = wanted.wanted.aliases.clone();
            (wanted.name().to_owned(), EndpointSettings { aliases, ..place(wanted.name()) })
        });
        all.networks = networks.collect();
        all
    }

    /// Where a container is on one of its networks. What an earlier run had there is nobody's any more.
    pub(crate) fn place_on_network(&self, record: &Record, network: &str, runs: bool) -> NetworkContainer {
        let endpoints = if runs { self.endpoints(&record.id).unwrap_or_default() } else { Vec::new() };
        let seen = settings(endpoints.iter().find(|endpoint| endpoint.network == network));
        let with_length = |address: &str, length: u8| match address {
            "" => String::new(),
            address => format!("{address}/{length}"),
        };
        NetworkContainer {
            name: record.spec.name.clone().unwrap_or_else(|| record.id.clone()),
            ipv4_address: with_length(&seen.ip_address, seen.ip_prefix_len),
            ipv6_address: with_length(&seen.global_ipv6_address, seen.global_ipv6_prefix_len),
            mac_address: seen.mac_address,
        }
    }
}

fn settings(endpoint: Option<&Endpoint>) -> EndpointSettings {
    let Some(link) = endpoint.and_then(|endpoint| endpoint.state.interfaces.first()) else {
        return EndpointSettings::default();
    };
    let of = |four: bool| link.addresses.iter().find(|address| address.address.is_ipv4() == four);
    let text = |four: bool| of(four).map(|prefix| prefix.address.to_string()).unwrap_or_default();
    let gateway = link.gateways.iter().find(|gateway| gateway.is_ipv4());
    EndpointSettings {
        aliases: Vec::new(),
        interface: link.name.clone(),
        ip_address: text(true),
        ip_prefix_len: of(true).map_or(0, |prefix| prefix.length),
        gateway: gateway.map(ToString::to_string).unwrap_or_default(),
        global_ipv6_address: text(false),
        global_ipv6_prefix_len: of(false).map_or(0, |prefix| prefix.length),
        mac_address: link.mac.map(|byte| format!("{byte:02x}")).join(":"),
    }
}
