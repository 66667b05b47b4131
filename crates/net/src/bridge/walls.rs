//! What others' rules do to a network: said, and let pass where the network was made so.

use super::BridgeDriver;
use crate::error::kernel;
use crate::firewall::foreign;
use crate::{NetworkSpec, Result};

/// The option's name.
pub(super) const OPTION: &str = "firewall-compat";

/// Refuses what has no meaning.
pub(super) fn check(spec: &NetworkSpec) -> Result<()> {
    let problem = match spec.options.get(OPTION).map(String::as_str) {
        None | Some("false") => return Ok(()),
        Some("true") if spec.internal => "is for nothing: an internal network has no way out",
        Some("true") => return Ok(()),
        Some(_) => "has to be true or false",
    };
    Err(crate::plan::invalid(spec, format!("the option {OPTION:?}"), problem))
}

fn is_wanted(network: &NetworkSpec) -> bool {
    network.options.get(OPTION).is_some_and(|value| value == "true")
}

/// Of IPv4 and IPv6, those that a network has addresses of.
fn families(network: &NetworkSpec) -> [bool; 2] {
    let has = |four: bool| network.subnets.iter().any(|subnet| subnet.address.is_ipv4() == four);
    [has(true), has(false)]
}

impl BridgeDriver {
    /// Adds a network's rules to others', where it was made so.
    pub(super) fn let_pass(&self, network: &NetworkSpec) -> Result<()> {
        if !is_wanted(network) {
            return Ok(());
        }
        let bridge = self.names.network(&network.name);
        let added = foreign::let_pass(&self.names.table(), &bridge, families(network));
        added.map_err(kernel(&network.name, "add to others' rules those of", &bridge))
    }

    /// Takes a network's rules from others'.
    pub(super) fn take_back(&self, network: &NetworkSpec) -> Result<()> {
        if !is_wanted(network) {
            return Ok(());
        }
        let bridge = self.names.network(&network.name);
        let taken = foreign::take_back(&self.names.table(), &bridge);
        taken.map_err(kernel(&network.name, "take from others' rules those of", &bridge))
    }

    /// Whether rules are missing that it was made with.
    pub(super) fn is_blocked(&self, network: &NetworkSpec) -> Result<bool> {
        if !is_wanted(network) {
            return Ok(false);
        }
        let bridge = self.names.network(&network.name);
        let passes = foreign::lets_pass(&self.names.table(), &bridge, families(network));
        passes.map(|passes| !passes).map_err(kernel(
            &network.name,
            "look among others' rules for those of",
            &bridge,
        ))
    }

    /// One line, where there is anything to say.
    pub(super) fn walls(&self, network: &NetworkSpec) -> Result<Vec<String>> {
        if network.internal {
            return Ok(Vec::new());
        }
        let bridge = self.names.network(&network.name);
        let walls = foreign::walls(&self.names.table(), &bridge, families(network));
        let walls =
            walls.map_err(kernel(&network.name, "look for others' rules that drop packets of", &bridge))?;
        if walls.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<_> = walls.iter().map(|wall| wall.words.clone()).collect();
        let mut remedies: Vec<_> = walls.iter().filter_map(|wall| wall.remedy.clone()).collect();
        if walls.iter().any(|wall| wall.remedy.is_none()) {
            let remedy = match is_wanted(network) {
                true => format!("tinyd network reload {}", network.name),
                false => "make it with --firewall-compat".to_owned(),
            };
            remedies.insert(0, remedy);
        }
        Ok(vec![format!(
            "this machine drops what network {} sends out and what comes in to it, by {}, unless a rule there lets it pass: {}",
            network.name,
            places.join(" and "),
            remedies.join("; ")
        )])
    }
}
