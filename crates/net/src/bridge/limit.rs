//! Rates of a container's traffic, held on the host's side of its link.
//!
//! What comes to the container is what the host's end sends: a token bucket there holds it back. What leaves it is what that end
//! receives: it is led over an ifb of the container's own, which has another bucket. Both are in the host's namespace, where the
//! container has no rights; a bucket on its own end could be taken away by a container that may configure its links. The first one
//! goes with the link. The ifb does not, and is one more thing to take away at the end.

use super::{BridgeDriver, NAME};
use crate::error::kernel;
use crate::link::{Bucket, Link, Links, removal_step};
use crate::rate::{self, Rates, TrafficLimiter};
use crate::{EndpointState, Error, NetworkSpec, NetworkState, Result};
use rustix::io::Errno;
use std::io;

/// What the kernel's answer is about, and the modules that it may lack then.
const BUCKETS: &str = "sch_tbf";
const IFB: &str = "ifb";
const DIVERSION: &str = "sch_ingress, cls_u32 and act_mirred";

impl TrafficLimiter for BridgeDriver {
    fn limit(
        &self,
        network: &NetworkState,
        endpoint: &EndpointState,
        rates: &Rates,
    ) -> Result<EndpointState> {
        network.owned_by(NAME)?;
        rate::check(&network.spec, rates)?;
        let spec = &network.spec;
        let name = self.names.port(&spec.name, &endpoint.container);
        let shaper = self.names.shaper(&spec.name, &endpoint.container);
        let mut links = Links::here().map_err(kernel(&spec.name, "talk to the kernel about", "links"))?;
        let port = links.find(&name).map_err(kernel(&spec.name, "find link", &name))?;
        let port = port.ok_or_else(|| Error::LinkGone {
            network: spec.name.clone(),
            link: name.clone(),
            container: endpoint.container.clone(),
        })?;
        match rates.ingress {
            Some(rate) => links.shape(port.index, &Bucket::for_bits(rate, port.mtu)),
            None => links.unshape(port.index),
        }
        .map_err(lacking(spec, "limit what is sent over", &name, BUCKETS))?;
        let step = removal_step(&shaper).map_err(kernel(&spec.name, "remove link", &shaper))?;
        let mut endpoint = endpoint.clone();
        endpoint.undo.retain(|other| *other != step);
        match rates.egress {
            Some(rate) => {
                hold_back(&mut links, spec, &port, &shaper, rate)?;
                endpoint.undo.insert(0, step);
            }
            None => {
                let undiverted = links.undivert(port.index);
                undiverted.map_err(kernel(&spec.name, "stop limiting what comes by", &name))?;
                remove(&mut links, &shaper).map_err(kernel(&spec.name, "remove link", &shaper))?;
            }
        }
        Ok(endpoint)
    }
}

/// Limits what the host's end of a link receives.
fn hold_back(links: &mut Links, network: &NetworkSpec, port: &Link, name: &str, rate: u64) -> Result<()> {
    let found = |links: &mut Links| links.find(name).map_err(kernel(&network.name, "find link", name));
    let shaper = match found(links)? {
        Some(shaper) => shaper,
        None => {
            links.make_ifb(name, port.mtu).map_err(lacking(network, "make link", name, IFB))?;
            found(links)?
                .ok_or_else(|| kernel(&network.name, "find link", name)(io::ErrorKind::NotFound.into()))?
        }
    };
    let shaped = links.shape(shaper.index, &Bucket::for_bits(rate, port.mtu));
    shaped.map_err(lacking(network, "limit what is sent over", name, BUCKETS))?;
    let diverted = links.divert(port.index, shaper.index);
    diverted.map_err(lacking(network, "limit what comes by", &port.name, DIVERSION))
}

/// Takes away the link that a container's traffic was led over, where there is one.
pub(super) fn remove(links: &mut Links, name: &str) -> io::Result<()> {
    match links.find(name)? {
        Some(link) => links.remove(link.index),
        None => Ok(()),
    }
}

/// Says which modules are missing where the kernel does not know what it is asked for.
fn lacking(
    network: &NetworkSpec,
    operation: &'static str,
    object: &str,
    modules: &'static str,
) -> impl Fn(io::Error) -> Error + use<> {
    let (name, failed) = (network.name.clone(), kernel(&network.name, operation, object));
    move |error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::OPNOTSUPP) => Error::Unavailable {
            network: name.clone(),
            missing: format!(
                "what the kernel limits traffic with, {modules} (\"modprobe -a {}\" where it is on the disk; else no rate \
                 can be had here)",
                modules.replace(" and", "").replace(',', "")
            ),
        },
        _ => failed(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pure_what_the_kernel_lacks_is_named_with_what_to_do() {
        let network = NetworkSpec::named("web");
        let said =
            |errno: Errno, modules| lacking(&network, "make link", "x", modules)(errno.into()).to_string();
        for errno in [Errno::NOENT, Errno::OPNOTSUPP] {
            let said = said(errno, DIVERSION);
            assert!(said.contains("\"modprobe -a sch_ingress cls_u32 act_mirred\""), "{said}");
        }
        assert_eq!(said(Errno::PERM, IFB), "network \"web\": make link x");
    }
}
