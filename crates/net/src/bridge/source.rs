//! The addresses of the host that a network's packets leave with, where it is to have some of its own: else they have that of
//! the link that they leave by.

use crate::error::kernel;
use crate::link::Links;
use crate::plan::invalid;
use crate::{NetworkSpec, Result};
use std::net::IpAddr;

/// The option's name: an address, or one of each family with a comma between them.
pub(super) const OPTION: &str = "snat";

/// The words by which Docker's users ask for it, one for each family.
const ALIASES: [&str; 2] = ["com.docker.network.host_ipv4", "com.docker.network.host_ipv6"];

/// Turns other engines' words into ours.
pub(super) fn by_one_name(spec: &mut NetworkSpec) {
    let mut all: Vec<_> = spec.options.remove(OPTION).into_iter().collect();
    all.extend(ALIASES.iter().filter_map(|alias| spec.options.remove(*alias)));
    if !all.is_empty() {
        spec.options.insert(OPTION.to_owned(), all.join(","));
    }
}

/// The addresses of a network that was made.
pub(super) fn of(network: &NetworkSpec) -> Vec<IpAddr> {
    let text = network.options.get(OPTION).map(String::as_str).unwrap_or_default();
    text.split(',').filter_map(|address| address.trim().parse().ok()).collect()
}

/// Refuses what the network's packets cannot leave with, in the network as it will be.
pub(super) fn check(links: &mut Links, spec: &NetworkSpec) -> Result<()> {
    let Some(text) = spec.options.get(OPTION) else { return Ok(()) };
    if spec.internal {
        let problem = "is for nothing: an internal network has no way out";
        return Err(invalid(spec, format!("the option {OPTION:?}"), problem));
    }
    let there = links.addresses().map_err(kernel(&spec.name, "list", "the host's addresses"))?;
    let mut sources = Vec::<IpAddr>::new();
    for word in text.split(',').map(str::trim) {
        let refuse =
            |problem: &'static str| Err(invalid(spec, format!("the source address {word:?}"), problem));
        let Ok(address) = word.parse::<IpAddr>() else { return refuse("is no address") };
        let of_family = |other: &IpAddr| other.is_ipv4() == address.is_ipv4();
        if sources.iter().any(of_family) {
            return refuse("is one too many: there is one of each family");
        }
        if !spec.subnets.iter().any(|subnet| of_family(&subnet.address)) {
            return refuse("is of a family that the network has no addresses of");
        }
        if address.is_loopback() || !there.iter().any(|(_, own)| own.address == address) {
            return refuse("is no address of this machine that answers would find");
        }
        sources.push(address);
    }
    Ok(())
}
