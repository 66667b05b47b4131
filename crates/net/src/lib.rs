//! Container networks: drivers behind one object-safe trait, [`NetworkDriver`].
//!
//! | driver | what a container on it has |
//! |---|---|
//! | [`bridge`](BridgeDriver) | a link to a bridge on the host, addresses, a way out, ports of the host that lead to it |
//! | [`macvlan`](LanDriver::macvlan), [`ipvlan`](LanDriver::ipvlan) | an address of its own on the network that a link of the host leads to |
//! | [`cni`](CniDriver) | whatever the plugins of a list of the Container Network Interface give it |
//! | [`none`](FixedDriver::NONE) | a network namespace of its own with the loopback device alone |
//! | [`host`](FixedDriver::HOST) | the host's own network |
//!
//! Below them: [`link`] makes links, addresses and routes; [`lease`] knows who has which address; [`pool`] finds ranges that
//! are free; [`firewall`] leads ports of the host to containers and keeps networks apart; [`port`] knows which ports of the
//! host are free; [`conntrack`] forgets connections of an address that goes to another container.
//!
//! *Invariant:* a driver touches no link, rule, address or setting that it did not make, and undoes exactly what the handle
//! says that it made: [`NetworkState`] and [`EndpointState`] are serialisable, so that another process can do it.
//!
//! ```
//! use tinyd_net::{FixedDriver, Namespace, NetworkDriver, NetworkSpec};
//!
//! let drivers: [&dyn NetworkDriver; 2] = [&FixedDriver::NONE, &FixedDriver::HOST];
//! let driver = drivers.iter().find(|driver| driver.name() == "none").ok_or("no such driver")?;
//! let network = driver.create(&NetworkSpec::named("none"))?;
//! assert_eq!(driver.namespace(&network), Namespace::Own);
//! driver.delete(&network)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod bridge;
mod cni;
pub mod conntrack;
mod driver;
mod error;
pub mod firewall;
mod fixed;
#[doc(hidden)]
pub mod fuzzing;
mod inside;
mod lan;
pub mod lease;
pub mod link;
pub mod names;
mod naming;
mod netlink;
mod netns;
mod places;
mod plan;
pub mod pool;
pub mod port;
mod prefix;
mod rate;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod types;
mod used;

pub use bridge::BridgeDriver;
pub use cni::{CniDriver, CniError};
pub use driver::NetworkDriver;
pub use error::{Error, Result};
pub use fixed::FixedDriver;
pub use lan::LanDriver;
pub use netns::Netns;
pub use prefix::Prefix;
pub use rate::{Rates, TrafficLimiter};
pub use types::{
    Companion, EndpointSpec, EndpointState, Interface, Namespace, NetworkSpec, NetworkState, Protocol,
    PublishedPort, Undo,
};
