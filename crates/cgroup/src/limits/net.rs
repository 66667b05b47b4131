//! Marks on network traffic: `net_cls` and `net_prio`, which only v1 has.

use super::invalid;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// How the traffic of a group is marked. That limits nothing by itself: tc(8) and nft(8) (`meta cgroup`) act on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetLimits {
    /// The class of its sockets, such as `0x10_0001` for tc's class `10:1`; 0 is none.
    pub class_id: Option<u32>,
    /// The priority of what it sends, for each interface.
    pub priorities: Vec<NetPriority>,
}

/// The priority of traffic over one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetPriority {
    /// The interface's name, in the network namespace of who sets it.
    pub interface: String,
    /// Its priority; 0 is the kernel's own.
    pub priority: u32,
}

impl NetLimits {
    pub(super) fn check(&self) -> Result<()> {
        for NetPriority { interface, .. } in &self.priorities {
            // As in the kernel's dev_valid_name(), with IFNAMSIZ of 16.
            let bad = interface.is_empty()
                || interface.len() > 15
                || interface == "."
                || interface == ".."
                || interface.bytes().any(|b| b == b'/' || b == b':' || b == 0 || b.is_ascii_whitespace());
            if bad {
                return invalid(
                    "network interface",
                    interface,
                    "it must be a name such as eth0, see ip link",
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_names_of_interfaces() {
        let check = |name: &str| {
            let priorities = vec![NetPriority { interface: name.into(), priority: 1 }];
            NetLimits { class_id: None, priorities }.check().is_ok()
        };
        assert!(check("eth0") && check("a-fifteen-chars"));
        for bad in ["", "sixteen-letters-", "a b", "a\nb", "a/b", "..", "a:1"] {
            assert!(!check(bad), "{bad:?}");
        }
    }
}
