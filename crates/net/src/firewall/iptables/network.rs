//! What is known of a network, as it stands in a comment.

use super::family::Family;
use crate::Prefix;
use crate::firewall::NetworkRules;
use std::io;
use std::net::IpAddr;

/// A comment of iptables(8) has no more bytes.
const LONGEST: usize = 255;

const INTERNAL: &str = "internal";
const FROM: &str = "from:";

/// A network in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) bridge: String,
    pub(super) subnets: Vec<Prefix>,
    /// The address that its packets leave with.
    pub(super) source: Option<IpAddr>,
    pub(super) internal: bool,
}

impl Network {
    /// What a family's rules are made of; `None` where the network has no addresses of it, so that nothing of it gets to or
    /// from there.
    pub(super) fn of(rules: &NetworkRules, family: Family) -> io::Result<Option<Self>> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let bridge = rules.bridge.clone();
        // A `+` at its end would stand for all links that begin so.
        if !bridge.bytes().all(plain) || bridge.starts_with('-') || bridge.is_empty() {
            let text = format!("iptables: the link {bridge:?} has a name that rules cannot say");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut subnets: Vec<_> = rules.subnets.iter().map(|subnet| subnet.network()).collect();
        subnets.retain(|subnet| Family::of(subnet.address) == family);
        if subnets.is_empty() {
            return Ok(None);
        }
        let source = rules.sources.iter().copied().find(|source| Family::of(*source) == family);
        let network = Self { bridge, subnets, source, internal: rules.internal };
        if network.note().len() > LONGEST {
            let text = format!("iptables: the network of {} has too many ranges", network.bridge);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(Some(network))
    }

    /// `br-1 10.99.1.0/24 from:192.0.2.77 internal`.
    pub(super) fn note(&self) -> String {
        let mut words = vec![self.bridge.clone()];
        words.extend(self.subnets.iter().map(ToString::to_string));
        words.extend(self.source.map(|source| format!("{FROM}{source}")));
        words.extend(self.internal.then(|| INTERNAL.to_owned()));
        words.join(" ")
    }

    /// What [`note`](Self::note) wrote. `None` for what it did not write.
    pub(super) fn read(note: &str) -> Option<Self> {
        let mut words = note.split(' ');
        let bridge = words.next().filter(|word| !word.is_empty())?.to_owned();
        let mut network = Self { bridge, subnets: Vec::new(), source: None, internal: false };
        for word in words {
            match word.strip_prefix(FROM) {
                Some(source) => network.source = Some(source.parse().ok()?),
                None if word == INTERNAL => network.internal = true,
                None => network.subnets.push(word.parse().ok()?),
            }
        }
        (!network.subnets.is_empty() && network.note() == note).then_some(network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> NetworkRules {
        NetworkRules {
            bridge: "br-1".to_owned(),
            subnets: vec!["10.99.1.1/24".parse().unwrap(), "fd00:99:1::/64".parse().unwrap()],
            internal: true,
            sources: vec!["2001:db8::77".parse().unwrap()],
        }
    }

    #[test]
    fn pure_a_network_is_read_as_it_was_written() {
        let notes = Family::BOTH.map(|family| Network::of(&rules(), family).unwrap().unwrap());
        assert_eq!(notes[0].note(), "br-1 10.99.1.0/24 internal");
        assert_eq!(notes[1].note(), "br-1 fd00:99:1::/64 from:2001:db8::77 internal");
        for network in notes {
            assert_eq!(Network::read(&network.note()), Some(network));
        }
        for note in ["", "br-1", "br-1 internal", "br-1 10.99.1.0/24 x", "br-1 10.99.1.0/24  internal"] {
            assert_eq!(Network::read(note), None, "{note:?}");
        }
    }

    #[test]
    fn pure_what_rules_cannot_say_is_refused_and_a_family_without_addresses_is_none() {
        for bridge in ["", "br 1", "br+", "-j", "br\"", "br\n-A INPUT"] {
            let error = Network::of(&NetworkRules { bridge: bridge.to_owned(), ..rules() }, Family::V4);
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::InvalidInput, "{bridge:?}");
        }
        let mut many = rules();
        many.subnets = (0..40).map(|number| format!("10.{number}.0.0/16").parse().unwrap()).collect();
        assert!(Network::of(&many, Family::V4).unwrap_err().to_string().contains("too many"));
        assert_eq!(Network::of(&many, Family::V6).unwrap(), None);
    }
}
