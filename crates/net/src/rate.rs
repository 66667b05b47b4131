//! How fast a container's traffic may be.

use crate::{EndpointState, plan::invalid};
use crate::{NetworkState, Result};
use serde::{Deserialize, Serialize};

/// The most that a container's traffic may be in each direction, in bits a second; `None` is no limit. Whole packets count,
/// with the 14 bytes that Ethernet puts before each: of TCP some 95 % are what a program sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Of what leaves the container.
    pub egress: Option<u64>,
    /// Of what comes to it.
    pub ingress: Option<u64>,
}

impl Rates {
    /// The lowest rate: a packet takes more than a second already.
    pub const LEAST: u64 = 8_000;

    /// The highest one, above which no link is.
    pub const MOST: u64 = 1_000_000_000_000;

    /// Nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }

    /// The first rate that cannot be had: none of [`LEAST`](Self::LEAST) to [`MOST`](Self::MOST).
    #[must_use]
    pub fn out_of_range(&self) -> Option<u64> {
        let mut rates = self.egress.into_iter().chain(self.ingress);
        rates.find(|rate| !(Self::LEAST..=Self::MOST).contains(rate))
    }
}

/// A driver that can hold its containers' traffic to rates, by
/// [`NetworkDriver::limiter`](crate::NetworkDriver::limiter). A container that may change its own links cannot undo it.
///
/// What limits goes with the connection: [`detach`](crate::NetworkDriver::detach) takes it away, and so do the steps of
/// [`EndpointState::undo`].
pub trait TrafficLimiter {
    /// Holds the traffic of a container that is attached to these rates in place of those from before. Returns the endpoint with
    /// what takes the connection away from now on.
    ///
    /// # Errors
    /// [`crate::Error::Foreign`]; [`crate::Error::Invalid`] for a rate out of range; [`crate::Error::Unavailable`] for what the kernel
    /// lacks; [`crate::Error::LinkGone`]; the kernel's. Some of the rates may hold then: ask for others, or detach.
    fn limit(&self, network: &NetworkState, endpoint: &EndpointState, rates: &Rates)
    -> Result<EndpointState>;
}

/// Refuses rates that cannot be had.
pub(crate) fn check(network: &crate::NetworkSpec, rates: &Rates) -> Result<()> {
    match rates.out_of_range() {
        Some(rate) => Err(invalid(
            network,
            format!("the rate of {rate} bits a second"),
            "is none of 8 kbit to 1,000 gbit a second",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NetworkSpec;

    #[test]
    fn pure_a_rate_that_cannot_be_had_is_named() {
        let network = NetworkSpec::named("web");
        let of = |egress, ingress| Rates { egress, ingress };
        assert!(of(None, None).is_unlimited() && !of(None, Some(Rates::LEAST)).is_unlimited());
        for good in [of(None, None), of(Some(Rates::LEAST), Some(Rates::MOST))] {
            check(&network, &good).unwrap();
        }
        for (bad, named) in [(of(Some(7_999), None), "7999"), (of(Some(8_000), Some(0)), " 0 bits")] {
            let error = check(&network, &bad).unwrap_err().to_string();
            assert!(error.contains(named) && error.contains("\"web\""), "{error}");
        }
        assert!(check(&network, &of(None, Some(Rates::MOST + 1))).is_err());
    }
}
