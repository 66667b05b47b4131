//! Which of the firewalls a network's rules are in.
//!
//! It is chosen when the network is made: the one that was asked for, or the first that this host has. It stays with the
//! network, recorded among its options, so that whatever is done with the network later is done there.

use super::BridgeDriver;
use crate::error::kernel;
use crate::firewall::Firewall;
use crate::{Error, NetworkSpec, Result};
use std::error::Error as _;
use std::io;

/// The option's name.
pub(super) const OPTION: &str = "firewall";

impl BridgeDriver {
    /// The firewall of a network that is to be made. Has no effect.
    pub(super) fn choose_firewall(&self, wanted: &NetworkSpec) -> Result<&'static str> {
        let unavailable = |missing| Error::Unavailable { network: wanted.name.clone(), missing };
        if let Some(word) = wanted.options.get(OPTION) {
            let firewall = self.firewall_called(word).ok_or_else(|| {
                let problem = format!("is none: there are {}", self.firewall_names().join(" and "));
                crate::plan::invalid(wanted, format!("the firewall {word:?}"), problem)
            })?;
            return match firewall.probe() {
                Ok(()) => Ok(firewall.name()),
                Err(error) => {
                    Err(unavailable(format!("what the firewall {word} needs ({})", in_full(&error))))
                }
            };
        }
        let mut reasons = Vec::new();
        for firewall in &self.firewalls {
            match firewall.probe() {
                Ok(()) => return Ok(firewall.name()),
                Err(error) => reasons.push(in_full(&error)),
            }
        }
        Err(unavailable(format!("a firewall ({})", reasons.join("; "))))
    }

    /// The firewall that a network was made with. Whoever was killed while it made one has noted it with the bridge alone; one
    /// that was made before there was a choice has the first.
    pub(super) fn firewall(&self, network: &NetworkSpec) -> Result<&dyn Firewall> {
        let word = match network.options.get(OPTION) {
            Some(word) => word.clone(),
            None => self.noted_firewall(network)?.unwrap_or_default(),
        };
        let found = match word.as_str() {
            "" => self.firewalls.first().map(AsRef::as_ref),
            word => self.firewall_called(word),
        };
        found.ok_or_else(|| {
            let names = self.firewall_names().join(" and ");
            let missing = format!("the firewall {word:?} that it was made with (this program has {names})");
            Error::Unavailable { network: network.name.clone(), missing }
        })
    }

    /// What was noted with a network's bridge, which is not there before the network is made.
    pub(super) fn noted_firewall(&self, network: &NetworkSpec) -> Result<Option<String>> {
        let bridge = self.names.network(&network.name);
        let noted = self.forwarding().firewall_of(&bridge);
        noted.map_err(kernel(&network.name, "read which firewall has the rules of", &bridge))
    }

    /// The other firewalls that a network of this driver is in.
    pub(super) fn others_in_use(&self, network: &NetworkSpec) -> Result<Vec<&dyn Firewall>> {
        if self.firewalls.len() < 2 {
            return Ok(Vec::new());
        }
        let own = self.firewall(network)?.name();
        let used = self.forwarding().firewalls();
        let used = used.map_err(kernel(&network.name, "list", "the firewalls of all networks"))?;
        let first = self.firewalls.first().map(|firewall| firewall.name());
        let is_used = |name: &str| used.contains(name) || (first == Some(name) && used.contains(""));
        let others = self.firewalls.iter().map(AsRef::as_ref);
        Ok(others.filter(|firewall| firewall.name() != own && is_used(firewall.name())).collect())
    }

    /// The bridges whose rules are in a firewall.
    pub(super) fn bridges_of(&self, firewall: &dyn Firewall) -> io::Result<Vec<String>> {
        let (name, first) = (firewall.name(), self.firewalls.first().map(|first| first.name()));
        self.forwarding().bridges(|word| word == name || (word.is_empty() && first == Some(name)))
    }

    /// Whether each firewall that a network is in, and that can be asked without a program, stands.
    pub(super) fn tables_stand(&self) -> Result<bool> {
        for firewall in self.firewalls.iter().filter(|firewall| !firewall.runs_programs()) {
            let failed = || kernel("of any name", "look for", "the firewall's rules");
            let bridges = self.bridges_of(firewall.as_ref()).map_err(failed())?;
            if !bridges.is_empty() && !firewall.stands(&bridges).map_err(failed())? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn firewall_called(&self, word: &str) -> Option<&dyn Firewall> {
        self.firewalls.iter().map(AsRef::as_ref).find(|firewall| firewall.name() == word)
    }

    fn firewall_names(&self) -> Vec<&'static str> {
        self.firewalls.iter().map(|firewall| firewall.name()).collect()
    }
}

/// An error with all that is behind it, in one line.
fn in_full(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
