//! The link of the host by which containers send.

use super::words::PARENT;
use crate::error::kernel;
use crate::link::{Hardware, Link, Links};
use crate::plan::invalid;
use crate::{NetworkSpec, Prefix, Result};
use std::net::IpAddr;

/// A link of the host that containers can send by.
pub(super) struct Parent {
    pub(super) link: Link,
    /// The host's addresses on it.
    pub(super) addresses: Vec<Prefix>,
}

impl Parent {
    /// The one that the options name. Whatever keeps it from being one is said; a larger packet than it carries is, too.
    pub(super) fn find(links: &mut Links, spec: &NetworkSpec) -> Result<Self> {
        let all = links.list().map_err(kernel(&spec.name, "list", "the host's links"))?;
        let Some(name) = spec.options.get(PARENT) else {
            let problem =
                format!("is missing: name a link of this host, {}, with -o parent=LINK", fitting(&all));
            return Err(invalid(spec, format!("the option {PARENT:?}"), problem));
        };
        let Some(link) = all.iter().find(|link| link.name == *name) else {
            let problem = format!("is no link of this host: choose {}", fitting(&all));
            return Err(invalid(spec, format!("the parent {name:?}"), problem));
        };
        if let Some(problem) = unfit(link, &all) {
            return Err(invalid(spec, format!("the parent {name:?}"), problem));
        }
        if let Some(mtu) = spec.mtu.filter(|mtu| *mtu > link.mtu) {
            let problem = format!("is more than the {} bytes that its parent {name} carries", link.mtu);
            return Err(invalid(spec, format!("the MTU {mtu}"), problem));
        }
        let addresses = links.addresses().map_err(kernel(&spec.name, "list", "the host's addresses"))?;
        let own = addresses.into_iter().filter(|(index, _)| *index == link.index);
        Ok(Self { link: link.clone(), addresses: own.map(|(_, address)| address).collect() })
    }

    /// The host's addresses on it, which no container can have.
    pub(super) fn own(&self) -> Vec<IpAddr> {
        self.addresses.iter().map(|address| address.address).collect()
    }
}

/// What keeps a link from being a parent.
fn unfit(link: &Link, all: &[Link]) -> Option<String> {
    match link.hardware {
        Hardware::Ethernet => {}
        Hardware::Loopback => return Some("is the loopback device, which leads nowhere".to_owned()),
        Hardware::Other(_) => return Some("carries no Ethernet, as every parent must".to_owned()),
    }
    if let Some(master) = link.master {
        let master = all.iter().find(|other| other.index == master);
        let master = master.map_or("another link", |master| &master.name);
        return Some(format!("is a part of {master}: choose that"));
    }
    let off = || format!("is switched off: \"ip link set {} up\" switches it on", link.name);
    (!link.is_up).then(off)
}

/// The links that could be parents, for a message.
fn fitting(all: &[Link]) -> String {
    let names: Vec<_> =
        all.iter().filter(|link| unfit(link, all).is_none()).map(|link| link.name.as_str()).collect();
    match names.split_last() {
        None => "of which none can be one now".to_owned(),
        Some((last, [])) => format!("such as {last}"),
        Some((last, others)) => format!("one of {} and {last}", others.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Index;

    fn link(number: u32, name: &str) -> Link {
        Link {
            index: Index(number),
            name: name.to_owned(),
            kind: None,
            mac: None,
            mtu: 1500,
            master: None,
            parent: None,
            hardware: Hardware::Ethernet,
            alias: None,
            is_up: true,
        }
    }

    #[test]
    fn pure_what_cannot_be_a_parent_is_told_why_and_not_offered() {
        let all = [
            Link { hardware: Hardware::Loopback, ..link(1, "lo") },
            link(2, "eth0"),
            Link { is_up: false, ..link(3, "eth1") },
            Link { master: Some(Index(5)), ..link(4, "eth2") },
            link(5, "br0"),
            Link { hardware: Hardware::Other(65_534), ..link(6, "tun0") },
        ];
        let said = |number: usize| unfit(&all[number - 1], &all).unwrap();
        assert!(said(1).contains("loopback"));
        assert_eq!(said(3), "is switched off: \"ip link set eth1 up\" switches it on");
        assert_eq!(said(4), "is a part of br0: choose that");
        assert!(said(6).contains("no Ethernet"));
        assert_eq!(fitting(&all), "one of eth0 and br0");
        assert_eq!(fitting(&all[..2]), "such as eth0");
        assert!(fitting(&all[..1]).contains("none"));
    }
}
