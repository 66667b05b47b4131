//! Container networks: drivers behind one object-safe trait, [`NetworkDriver`].
//!
//! | driver | what a container on it has |
//! |---|---|
//! | [`bridge`](BridgeDriver) | a link to a bridge on the host, addresses, a way out, ports of the host that lead to it |
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
pub mod conntrack;
mod driver;
mod error;
pub mod firewall;
mod fixed;
pub mod lease;
pub mod link;
pub mod names;
mod netlink;
pub mod pool;
pub mod port;
mod prefix;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod types;

pub use bridge::BridgeDriver;
pub use driver::NetworkDriver;
pub use error::{Error, Result};
pub use fixed::FixedDriver;
pub use prefix::Prefix;
pub use types::{
    EndpointSpec, EndpointState, Interface, Namespace, NetworkSpec, NetworkState, Protocol, PublishedPort,
    Undo,
};
