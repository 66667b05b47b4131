//! A container's place on a bridge.

use super::{BridgeDriver, MTU, asked, is_whole, limit, names, publish};
use crate::error::kernel;
use crate::inside::{self, End, WayOut};
use crate::link::{Link, Links, Veth};
use crate::naming;
use crate::{EndpointSpec, EndpointState, Error, Netns, NetworkSpec, Prefix, Result, Undo, netns, plan};
use rustix::io::Errno;
use std::io;
use std::os::fd::BorrowedFd;

/// Connects a container, or leaves nothing.
pub(super) fn attach(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    netns: &dyn Netns,
) -> Result<EndpointState> {
    asked::check(network, &wanted.ports)?;
    publish::check(driver, network, &wanted.ports, &[])?;
    let result = (|| {
        let places = driver.places(network);
        let addresses = places.take(network, wanted, &[])?;
        places.forget_earlier(network, &addresses)?;
        let mac = wanted.mac.or_else(|| addresses.first().map(|address| naming::mac(address.address)));
        let mac = mac.unwrap_or([2, 0x42, 0, 0, 0, 2]);
        // All that needs no namespace, which may be in the making. The bridge has the address at which its names are served.
        let mut links = Links::here().map_err(kernel(&network.name, "talk to the kernel about", "links"))?;
        let bridge = bridge(driver, network, &mut links)?;
        check_mac(driver, network, wanted, &mut links, (&bridge, mac))?;
        let named = names::name(driver, network, wanted, &addresses)?;
        let netns = netns::open(&network.name, netns)?;
        let place = OnBridge { bridge: &bridge, netns, mac, addresses: &addresses };
        let host_link = connect(driver, network, wanted, &mut links, &place)?;
        let gateways = plan::gateways(network).into_iter();
        let ways: Vec<_> = gateways.map(|gateway| WayOut::Through(gateway.address)).collect();
        let end = End::settle(network, wanted, netns)?;
        let port = end.link.parent.ok_or(io::ErrorKind::NotFound.into());
        port.and_then(|port| links.pin(port, mac)).map_err(kernel(
            &network.name,
            "tell the bridge who is at",
            &host_link,
        ))?;
        let interface = inside::set_up(network, wanted, end, addresses, &ways, Some(host_link))?;
        let (ports, published) = publish::publish(driver, network, &wanted.ports, &interface.addresses)?;
        let told = names::tell(network, named.entry)?;
        // The name first: it goes too where a port cannot be taken away, and the address stays.
        let mut undo: Vec<_> = told.map(Undo::Unlink).into_iter().collect();
        undo.extend(published);
        undo.extend(places.undo(&interface.addresses));
        Ok(EndpointState {
            container: wanted.container.clone(),
            interfaces: vec![interface],
            name_servers: named.servers,
            ports,
            undo,
            companions: named.companions,
        })
    })();
    if result.is_err() {
        let unknown = EndpointState { container: wanted.container.clone(), ..Default::default() };
        let _ = detach(driver, network, &unknown);
    }
    result
}

/// Takes away whatever a container has of a network; what that is is looked up where only its id is known. The leases go last:
/// they are what is known of a container whose driver was killed.
pub(super) fn detach(driver: &BridgeDriver, network: &NetworkSpec, endpoint: &EndpointState) -> Result<()> {
    let failed = |operation, object: &str| kernel(&network.name, operation, object);
    let container = &endpoint.container;
    let port = driver.names.port(&network.name, container);
    let mut first = Ok(());
    let mut go_on = |result: Result<()>| first = std::mem::replace(&mut first, Ok(())).and(result);
    let removed = Links::here().and_then(|mut links| match links.find(&port)? {
        Some(link) => links.remove(link.index),
        None => Ok(()),
    });
    go_on(removed.map_err(failed("remove link", &port)));
    let shaper = driver.names.shaper(&network.name, container);
    let removed = Links::here().and_then(|mut links| limit::remove(&mut links, &shaper));
    go_on(removed.map_err(failed("remove link", &shaper)));
    let name = crate::names::Entry::remove(&driver.name_server(network).folder, container);
    go_on(name.map_err(failed("remove the names of", container)));
    let places = driver.places(network);
    let (owned, found) = places.of(network, endpoint);
    go_on(found);
    for address in owned {
        let withdrawn = driver.firewall(network).and_then(|firewall| {
            let withdrawn = firewall.withdraw(address);
            withdrawn.map_err(failed("withdraw the ports of", &address.to_string()))
        });
        // Whoever is given it next must not be reached by ports that still lead there.
        go_on(withdrawn.and_then(|()| places.give_back(network, address, container)));
    }
    first
}

/// What a container is to have of a bridge.
struct OnBridge<'a> {
    bridge: &'a Link,
    netns: BorrowedFd<'a>,
    mac: [u8; 6],
    addresses: &'a [Prefix],
}

/// Refuses a hardware address that somebody else on the bridge has: what is for the one would go to the other.
fn check_mac(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    links: &mut Links,
    (bridge, mac): (&Link, [u8; 6]),
) -> Result<()> {
    let failed = |operation, object: &str| kernel(&network.name, operation, object);
    let text = mac.map(|byte| format!("{byte:02x}")).join(":");
    let refuse = |whose: String| {
        let problem = format!("belongs to {whose}: choose another one");
        Err(plan::invalid(network, format!("the hardware address {text}"), problem))
    };
    let at = match links.who_has(bridge.index, mac) {
        Ok(Some(at)) => at,
        Ok(None) => return Ok(()),
        // Kernels before 5.0 cannot be asked.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(failed("look for the hardware address", &text)(error)),
    };
    if at == bridge.index {
        return refuse("the bridge itself".to_owned());
    }
    let all = links.list().map_err(failed("list", "the host's links"))?;
    let Some(port) = all.iter().find(|link| link.index == at) else { return Ok(()) };
    let is_ours = |container: &str| port.name == driver.names.port(&network.name, container);
    if is_ours(&wanted.container) {
        return Ok(());
    }
    let holder = driver.places(network).holders(network)?.into_iter().find(|holder| is_ours(holder));
    match holder {
        Some(holder) => refuse(format!("container {holder}")),
        // Of one that has ended the kernel takes the link away when it comes to it.
        None if driver.names.is_port(&port.name) => Ok(()),
        None => refuse(format!("the link {} of the bridge", port.name)),
    }
}

/// Makes the pair of links; gives the name of the host's end.
fn connect(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    links: &mut Links,
    place: &OnBridge<'_>,
) -> Result<String> {
    let failed = |operation, object: &str| kernel(&network.name, operation, object);
    let OnBridge { bridge, netns, mac, addresses } = *place;
    driver.forwarding().open_way_out(links, network).map_err(failed("forward packets of", &bridge.name))?;
    // Nor what waits for the earlier owner to say where it is.
    for address in addresses {
        let address = address.address;
        let forgotten = links.forget_neighbour(bridge.index, address);
        forgotten.map_err(failed("forget where it was last:", &address.to_string()))?;
    }
    let name = driver.names.port(&network.name, &wanted.container);
    let veth = Veth {
        name: &name,
        bridge: bridge.index,
        hairpin: !wanted.ports.is_empty(),
        mtu: network.mtu.unwrap_or(MTU),
        peer: inside::interface(wanted),
        mac,
        netns,
    };
    make(links, &veth).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::XFULL) => Error::Full { network: network.name.clone(), bridge: bridge.name.clone() },
        // Of the two names it is the inner one that somebody chose, unless the outer one is there.
        Some(Errno::EXIST) if matches!(links.find(&name), Ok(None)) => Error::Invalid {
            network: network.name.clone(),
            what: format!("the link {}", inside::interface(wanted)),
            problem: "cannot be called that: the container has another one of that name".into(),
        },
        _ => failed("make link", &name)(error),
    })?;
    Ok(name)
}

/// A container that starts anew may be faster than the kernel, which takes its links of the run before away when it comes to it.
fn make(links: &mut Links, veth: &Veth<'_>) -> io::Result<()> {
    let made = links.make_veth(veth);
    match &made {
        Err(error) if Errno::from_io_error(error) == Some(Errno::EXIST) => {}
        _ => return made,
    }
    // Where it is not there any more the kernel may just have come to it: the second answer tells.
    if let Some(left) = links.find(veth.name)? {
        links.remove(left.index)?;
    }
    links.make_veth(veth)
}

/// The network's bridge, which a restart of the machine may have taken away. One that is not whole is in the making, or whoever made
/// it was killed at that.
fn bridge(driver: &BridgeDriver, network: &NetworkSpec, links: &mut Links) -> Result<Link> {
    let name = driver.names.network(&network.name);
    let failed = |operation| kernel(&network.name, operation, &name);
    if let Some(bridge) = links.find(&name).map_err(failed("find bridge"))?
        && is_whole(&bridge, network)
    {
        return Ok(bridge);
    }
    driver.make(links, network)?;
    let bridge = links.find(&name).map_err(failed("find bridge"))?;
    bridge.ok_or_else(|| failed("find bridge")(io::ErrorKind::NotFound.into()))
}
