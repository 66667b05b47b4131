//! What can go wrong with a network.

use crate::CniError;
use crate::lease::LeaseError;
use crate::port::Busy;
use std::borrow::Cow;
use std::io;
use std::net::IpAddr;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An operation on a network failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part of what is wanted breaks a rule of the driver.
    #[error("network {network:?}: {what} {problem}")]
    Invalid {
        /// The network's name.
        network: String,
        /// Which part: `subnet 10.0.0.0/8`, `option "x"`.
        what: String,
        /// The rule, in a clause that follows it.
        problem: Cow<'static, str>,
    },
    /// There is one such network on a host, and it is there.
    #[error("the driver {driver} has one network alone, {driver:?}; there can be no {network:?} of it")]
    Single {
        /// The driver's name.
        driver: &'static str,
        /// The network that was asked for.
        network: String,
    },
    /// This host lacks what the driver needs.
    #[error("network {network:?}: {missing} is not there")]
    Unavailable {
        /// The network's name.
        network: String,
        /// What is missing, and how it can be had.
        missing: String,
    },
    /// A handle of another driver.
    #[error("network {network:?} belongs to the driver {owner}, not to {driver}")]
    Foreign {
        /// The network's name.
        network: String,
        /// Whose it is.
        owner: String,
        /// Who was asked.
        driver: String,
    },
    /// The kernel refused.
    #[error("network {network:?}: {operation} {object}")]
    Kernel {
        /// The network's name.
        network: String,
        /// `make`, `remove`, `enter`.
        operation: &'static str,
        /// The link, address or namespace.
        object: String,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// No address could be had.
    #[error("network {network:?}")]
    Address {
        /// The network's name.
        network: String,
        /// Why.
        #[source]
        source: LeaseError,
    },
    /// A port of the host that cannot be had.
    #[error("network {network:?}")]
    Port {
        /// The network's name.
        network: String,
        /// Why, and who has it.
        #[source]
        source: Box<Busy>,
    },
    /// A port of the host leads to another container.
    #[error("port {port} is published already: it leads to the container at {to}")]
    Published {
        /// The network's name.
        network: String,
        /// `8080/tcp`.
        port: String,
        /// The other container's address.
        to: IpAddr,
    },
    /// A list of plugins cannot be used, or one of them failed.
    #[error("network {network:?}")]
    Cni {
        /// The network's name.
        network: String,
        /// Why.
        #[source]
        source: Box<CniError>,
    },
    /// The link of a container that runs was taken away, and with it its other end inside.
    #[error(
        "network {network:?}: the link {link} of container {container} is gone, and cannot be made anew while it runs: \
         restart the container, or disconnect and connect it"
    )]
    LinkGone {
        /// The network's name.
        network: String,
        /// The host's end.
        link: String,
        /// The container's id.
        container: String,
    },
    /// What plugins gave a container that runs is not as they made it.
    #[error(
        "network {network:?}: the place of container {container} is damaged, and cannot be mended while it runs: restart the \
         container, or disconnect and connect it"
    )]
    PlaceGone {
        /// The network's name.
        network: String,
        /// The container's id.
        container: String,
        /// What a plugin says of it.
        #[source]
        source: Box<Error>,
    },
    /// A bridge has 1,023 ports.
    #[error(
        "network {network:?}: bridge {bridge} has 1,023 containers, and room for no more: make another network"
    )]
    Full {
        /// The network's name.
        network: String,
        /// The bridge.
        bridge: String,
    },
}

/// Names what was done when the kernel refused.
pub(crate) fn kernel(
    network: &str,
    operation: &'static str,
    object: &str,
) -> impl Fn(io::Error) -> Error + use<> {
    let (network, object) = (network.to_owned(), object.to_owned());
    move |source| Error::Kernel { network: network.clone(), operation, object: object.clone(), source }
}
