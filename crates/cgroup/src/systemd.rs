//! Groups that systemd makes: a scope or a slice each, over a socket of our own to its manager.
//!
//! Where the first process is systemd, it holds the hierarchies to be its own: what it did not make it may take apart,
//! and limits that it was not told of it writes over. This driver asks it to make the groups, tells it the limits that it
//! has a word for, and then writes the groups' files as the other drivers do, so that a [`crate::Cgroup`] here can do
//! all that one there can.
//!
//! ```no_run
//! use tinyd_cgroup::systemd::{Bus, Driver};
//! use tinyd_cgroup::{CgroupDriver, CgroupPath, Host, Limits};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let driver = Driver::new(&Host::detect()?, Bus::of_host(None)?)?;
//! let group = driver.create(&CgroupPath::new("system.slice:example:one")?, &Limits::default())?;
//! assert_eq!(group.path().as_str(), "system.slice/example-one.scope");
//! let join = group.join_handle()?; // as elsewhere: a child joins by itself, before its exec
//! # drop(join);
//! group.kill()?;
//! group.remove()?;
//! # Ok(()) }
//! ```

mod address;
mod asked;
mod connection;
mod devices;
mod driver;
#[cfg(test)]
mod fake;
mod fault;
mod fuzzing;
mod group;
mod manager;
#[cfg(test)]
mod native;
mod properties;
mod stand_in;
#[cfg(test)]
mod talk;
mod unit;
mod wire;

pub use address::Bus;
pub use driver::Driver;
pub use fault::BusError;
pub(crate) use fuzzing::messages as fuzzing;
