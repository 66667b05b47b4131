//! The container's end of a connection: a link that is there, and gets its addresses and the way out.

use crate::error::kernel;
use crate::link::{Index, Link, Links};
use crate::{EndpointSpec, Interface, NetworkSpec, Prefix, Result};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::thread;
use std::time::{Duration, Instant};

/// What a container's link is called where nothing else is asked for.
const INTERFACE: &str = "eth0";

/// How long it is waited for the namespace of a container that has ended to be gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked.
const STEP: Duration = Duration::from_millis(5);

/// Where a container sends what no other route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WayOut {
    /// To this neighbour.
    Through(IpAddr),
    /// To the link itself, which finds the way, for this family: `true` is IPv6.
    ByLink(bool),
}

/// What a container's link is called.
pub(crate) fn interface(wanted: &EndpointSpec) -> &str {
    if wanted.interface.is_empty() { INTERFACE } else { &wanted.interface }
}

/// The container's end, in a namespace that may be talked to.
pub(crate) struct End {
    pub(crate) links: Links,
    pub(crate) link: Link,
}

impl End {
    /// Finds the link, which is switched off still, and tells it what it must know of IPv6 before it is switched on.
    pub(crate) fn settle(
        network: &NetworkSpec,
        wanted: &EndpointSpec,
        netns: BorrowedFd<'_>,
    ) -> Result<Self> {
        let name = interface(wanted);
        let failed = |operation| kernel(&network.name, operation, name);
        let has_six = network.subnets.iter().any(|subnet| subnet.address.is_ipv6());
        let links = Links::of_after(netns, || settle_six(name, has_six));
        let mut links = links.map_err(failed("set what IPv6 does at the container's link"))?;
        let link = links.find(name).map_err(failed("find the container's link"))?;
        let missing = || failed("find the container's link")(io::ErrorKind::NotFound.into());
        Ok(Self { link: link.ok_or_else(missing)?, links })
    }
}

/// What a neighbour says who calls itself a router makes no address and no way out that nobody asked for: it would be the way of
/// all that the container sends. Where the network has no IPv6, the link has none.
fn settle_six(link: &str, wanted: bool) -> io::Result<()> {
    let disabled = if wanted { "0" } else { "1" };
    for (setting, value) in [("accept_ra", "0"), ("accept_dad", "0"), ("disable_ipv6", disabled)] {
        match fs::write(format!("/proc/sys/net/ipv6/conf/{link}/{setting}"), value) {
            // A kernel without IPv6.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

/// Gives the link its addresses, switches it on, and makes the ways out where the container has any on this network.
pub(crate) fn set_up(
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    end: End,
    addresses: Vec<Prefix>,
    ways: &[WayOut],
    host_link: Option<String>,
) -> Result<Interface> {
    let name = interface(wanted);
    let failed = |operation, object: &str| kernel(&network.name, operation, object);
    let End { mut links, link } = end;
    for address in &addresses {
        // (An address is one ipvlan's alone among those of a parent.)
        patiently(&[Errno::ADDRINUSE], || links.add_address(link.index, *address))
            .map_err(failed("give the container the address", &address.to_string()))?;
    }
    links.switch_on(link.index).map_err(failed("switch on the container's link", name))?;
    let mut gateways = Vec::new();
    if wanted.gateway && !network.internal {
        for way in ways {
            gateways.extend(go(network, &mut links, link.index, *way)?);
        }
    }
    let mac = link.mac.unwrap_or_default();
    Ok(Interface { name: name.to_owned(), host_link, mac, addresses, gateways })
}

/// Tries again while something may still be in the way that was a container's: the kernel takes a namespace away when it has
/// time, and its links with it. The next container may well have the same address, and so the same hardware address.
pub(crate) fn patiently(taken: &[Errno], mut work: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let begun = Instant::now();
    let is_taken =
        |error: &io::Error| Errno::from_io_error(error).is_some_and(|errno| taken.contains(&errno));
    loop {
        match work() {
            Err(error) if is_taken(&error) && begun.elapsed() < PATIENCE => thread::sleep(STEP),
            result => return result,
        }
    }
}

/// Makes a default route; gives the gateway, where there is one.
fn go(network: &NetworkSpec, links: &mut Links, link: Index, way: WayOut) -> Result<Option<IpAddr>> {
    let failed = |object: &str| kernel(&network.name, "make the default route through", object);
    match way {
        WayOut::Through(gateway) => {
            links.add_default_route(link, gateway).map_err(failed(&gateway.to_string()))?;
            Ok(Some(gateway))
        }
        WayOut::ByLink(six) => {
            links.add_default_route_by_link(link, six).map_err(failed("the link itself"))?;
            Ok(None)
        }
    }
}
