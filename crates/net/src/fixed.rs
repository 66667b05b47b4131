//! The two networks that every host has, and of which there is nothing to choose.

use crate::types::{EndpointSpec, EndpointState, Namespace, NetworkSpec, NetworkState};
use crate::{Error, Netns, NetworkDriver, Result};
use std::net::{IpAddr, Ipv4Addr};

/// A driver of one network that is there already and has the driver's name. Nothing is made for it, and nothing undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedDriver {
    name: &'static str,
    namespace: Namespace,
}

impl FixedDriver {
    /// A namespace that holds the loopback device alone. That the device is switched on is the container's own start.
    pub const NONE: Self = Self { name: "none", namespace: Namespace::Own };
    /// The host's own links, addresses and ports, shared with everything on it.
    pub const HOST: Self = Self { name: "host", namespace: Namespace::Host };
}

impl NetworkDriver for FixedDriver {
    fn name(&self) -> &str {
        self.name
    }

    fn validate(&self, wanted: &NetworkSpec) -> Result<()> {
        if wanted.name != self.name {
            return Err(Error::Single { driver: self.name, network: wanted.name.clone() });
        }
        let what = match wanted {
            NetworkSpec { subnets, .. } if !subnets.is_empty() => "a subnet".to_owned(),
            NetworkSpec { gateways, .. } if !gateways.is_empty() => "a gateway".to_owned(),
            NetworkSpec { ranges, .. } if !ranges.is_empty() => "a range of addresses".to_owned(),
            NetworkSpec { excluded, .. } if !excluded.is_empty() => "an excluded address".to_owned(),
            NetworkSpec { mtu: Some(_), .. } => "the MTU".to_owned(),
            NetworkSpec { internal: true, .. } => "'internal'".to_owned(),
            NetworkSpec { options, .. } => match options.keys().next() {
                Some(option) => format!("the option {option:?}"),
                None => return Ok(()),
            },
        };
        let problem = "cannot be chosen: the network has no addresses and links of its own".into();
        Err(Error::Invalid { network: wanted.name.clone(), what, problem })
    }

    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState> {
        self.validate(wanted)?;
        Ok(NetworkState { driver: self.name.to_owned(), spec: wanted.clone(), links: Vec::new() })
    }

    fn delete(&self, network: &NetworkState) -> Result<()> {
        network.owned_by(self.name)
    }

    fn namespace(&self, _: &NetworkState) -> Namespace {
        self.namespace
    }

    fn connects(&self, _: &NetworkState) -> bool {
        false
    }

    fn host_address(&self, _: &NetworkState) -> Option<IpAddr> {
        // What listens there is reached by whoever shares its network.
        (self.namespace == Namespace::Host).then_some(Ipv4Addr::LOCALHOST.into())
    }

    fn held_for(&self, network: &NetworkState) -> Result<Vec<String>> {
        network.owned_by(self.name).map(|()| Vec::new())
    }

    fn attach(&self, network: &NetworkState, wanted: &EndpointSpec, _: &dyn Netns) -> Result<EndpointState> {
        network.owned_by(self.name)?;
        // It gets no link, and so can choose nothing about one.
        let what = match wanted {
            EndpointSpec { addresses, .. } if !addresses.is_empty() => "an address",
            EndpointSpec { mac: Some(_), .. } => "a hardware address",
            EndpointSpec { interface, .. } if !interface.is_empty() => "the name of a link",
            EndpointSpec { ports, .. } if !ports.is_empty() => "a published port",
            _ => return Ok(EndpointState { container: wanted.container.clone(), ..Default::default() }),
        };
        Err(Error::Invalid {
            network: network.spec.name.clone(),
            what: what.to_owned(),
            problem: "cannot be chosen: the network gives a container no link".into(),
        })
    }

    fn detach(&self, network: &NetworkState, _: &EndpointState) -> Result<()> {
        network.owned_by(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Prefix, testing};
    use std::collections::BTreeMap;

    #[test]
    fn pure_both_keep_the_drivers_contract() {
        for driver in [FixedDriver::NONE, FixedDriver::HOST] {
            testing::conformance(&|| Box::new(driver), &NetworkSpec::named(driver.name));
        }
    }

    fn refused(change: impl FnOnce(&mut NetworkSpec)) -> String {
        let mut wanted = NetworkSpec::named("none");
        change(&mut wanted);
        FixedDriver::NONE.create(&wanted).expect_err("it was made").to_string()
    }

    #[test]
    fn pure_nothing_can_be_chosen_and_each_error_names_what() {
        let address = "10.0.0.1".parse().unwrap();
        assert!(refused(|spec| spec.name = "web".to_owned()).contains("\"web\""));
        assert!(refused(|spec| spec.subnets = vec![Prefix { address, length: 8 }]).contains("a subnet"));
        assert!(refused(|spec| spec.gateways = vec![address]).contains("a gateway"));
        assert!(refused(|spec| spec.mtu = Some(1400)).contains("the MTU"));
        assert!(refused(|spec| spec.internal = true).contains("internal"));
        let options = BTreeMap::from([("colour".to_owned(), "blue".to_owned())]);
        assert!(refused(|spec| spec.options = options).contains("\"colour\""));
    }

    #[test]
    fn pure_a_container_can_choose_nothing_either() {
        let network = FixedDriver::HOST.create(&NetworkSpec::named("host")).unwrap();
        let netns = std::fs::File::open("/proc/self/ns/net").unwrap();
        let ask = |wanted: EndpointSpec| {
            FixedDriver::HOST.attach(&network, &wanted, &netns).expect_err("it was made").to_string()
        };
        let address = "10.0.0.1".parse().unwrap();
        assert!(ask(EndpointSpec { addresses: vec![address], ..Default::default() }).contains("an address"));
        assert!(ask(EndpointSpec { mac: Some([2; 6]), ..Default::default() }).contains("hardware"));
        assert!(ask(EndpointSpec { interface: "eth0".into(), ..Default::default() }).contains("link"));
    }
}
