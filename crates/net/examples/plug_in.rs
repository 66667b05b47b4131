//! A driver of a third party: `loop-address` gives each container an address of 127.9.0.0/16 on its loopback device.
//!
//! As root: `cargo run -p tinyd-net --features testing --example plug_in`.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use tinyd_net::{
    EndpointSpec, EndpointState, Error, Interface, Namespace, Netns, NetworkDriver, NetworkSpec,
    NetworkState, Prefix, Result,
};

/// The whole of 127.0.0.0/8 is the loopback device's: an address of it needs no set-up, only a choice.
struct LoopAddress;

impl LoopAddress {
    fn own(&self, network: &NetworkState) -> Result<()> {
        let (owner, driver) = (network.driver.clone(), self.name().to_owned());
        match owner == driver {
            true => Ok(()),
            false => Err(Error::Foreign { network: network.spec.name.clone(), owner, driver }),
        }
    }
}

impl NetworkDriver for LoopAddress {
    fn name(&self) -> &str {
        "loop-address"
    }

    fn validate(&self, wanted: &NetworkSpec) -> Result<()> {
        match wanted.options.keys().next() {
            None => Ok(()),
            Some(option) => Err(Error::Invalid {
                network: wanted.name.clone(),
                what: format!("the option {option:?}"),
                problem: "is unknown: this driver has none".into(),
            }),
        }
    }

    fn create(&self, wanted: &NetworkSpec) -> Result<NetworkState> {
        self.validate(wanted)?;
        Ok(NetworkState { driver: self.name().to_owned(), spec: wanted.clone(), links: Vec::new() })
    }

    fn delete(&self, network: &NetworkState) -> Result<()> {
        self.own(network)
    }

    fn namespace(&self, _: &NetworkState) -> Namespace {
        Namespace::Own
    }

    fn attach(&self, network: &NetworkState, wanted: &EndpointSpec, _: &dyn Netns) -> Result<EndpointState> {
        self.own(network)?;
        let sum: u16 = wanted.container.bytes().fold(1, |sum, byte| sum.wrapping_mul(31) ^ u16::from(byte));
        let [high, low] = sum.to_be_bytes();
        let address = IpAddr::V4(Ipv4Addr::new(127, 9, high, low.max(1)));
        let loopback = Interface {
            name: "lo".to_owned(),
            host_link: None,
            mac: [0; 6],
            addresses: vec![Prefix { address, length: 8 }],
            gateways: Vec::new(),
        };
        Ok(EndpointState {
            container: wanted.container.clone(),
            interfaces: vec![loopback],
            ..Default::default()
        })
    }

    fn detach(&self, network: &NetworkState, _: &EndpointState) -> Result<()> {
        self.own(network)
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    #[cfg(feature = "testing")]
    tinyd_net::testing::conformance(&|| Box::new(LoopAddress), &NetworkSpec::named("loops"));

    let driver: Box<dyn NetworkDriver> = Box::new(LoopAddress);
    let network = driver.create(&NetworkSpec::named("loops"))?;
    let netns = File::open("/proc/self/ns/net")?;
    let wanted = EndpointSpec { container: "c1".to_owned(), ..EndpointSpec::default() };
    let endpoint = driver.attach(&network, &wanted, &netns)?;
    for address in endpoint.interfaces.iter().flat_map(|link| &link.addresses) {
        let socket = UdpSocket::bind((address.address, 0))?;
        println!("{} can be used: {}", address.address, socket.local_addr()?);
    }
    driver.detach(&network, &endpoint)?;
    driver.delete(&network)?;
    Ok(())
}
