//! A container's place on a bridge.

use super::{BridgeDriver, MTU, names, plan, publish};
use crate::conntrack;
use crate::error::kernel;
use crate::lease::LeaseError;
use crate::link::{Link, Links, Veth};
use crate::names::Entry;
use crate::{EndpointSpec, EndpointState, Error, Interface, NetworkSpec, Prefix, Result, Undo};
use rustix::io::Errno;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

/// What a container's link is called where nothing else is asked for.
const INTERFACE: &str = "eth0";

/// Connects a container, or leaves nothing.
pub(super) fn attach(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    netns: BorrowedFd<'_>,
) -> Result<EndpointState> {
    publish::check(network, &wanted.ports)?;
    let result = (|| {
        let addresses = lease(driver, network, wanted)?;
        // What others had begun with an earlier owner is not for this one.
        for address in &addresses {
            let forgotten = conntrack::purge(address.address);
            forgotten.map_err(kernel(
                &network.name,
                "forget connections of",
                &address.address.to_string(),
            ))?;
        }
        let mac = wanted.mac.or_else(|| addresses.first().map(|address| names::mac(address.address)));
        let mac = mac.unwrap_or([2, 0x42, 0, 0, 0, 2]);
        let host_link = connect(driver, network, wanted, netns, mac)?;
        let interface = set_up(network, wanted, netns, addresses, mac, host_link)?;
        let (name_servers, name) = name(driver, network, wanted, &interface.addresses)?;
        let (ports, mut undo) = publish::publish(driver, network, &wanted.ports, &interface.addresses)?;
        undo.extend(name.map(Undo::Unlink));
        undo.extend(interface.addresses.iter().map(|address| {
            let leases = driver.leases(network, *address);
            Undo::Unlink(leases.path(address.address))
        }));
        Ok(EndpointState {
            container: wanted.container.clone(),
            interfaces: vec![interface],
            name_servers,
            ports,
            undo,
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
    let name = driver.name_server(network).folder.join(container);
    let forgotten = match fs::remove_file(&name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    go_on(forgotten.map_err(failed("remove", &name.to_string_lossy())));
    for subnet in &network.subnets {
        let leases = driver.leases(network, *subnet);
        let known =
            endpoint.interfaces.iter().flat_map(|link| &link.addresses).map(|address| address.address);
        let known: Vec<_> = known.filter(|address| subnet.contains(*address)).collect();
        let owned = match known.is_empty() {
            true => leases.all().map_err(address_error(network)),
            false => known
                .into_iter()
                .map(|address| Ok((address, leases.owner(address)?.unwrap_or_default())))
                .collect::<std::result::Result<_, _>>()
                .map_err(address_error(network)),
        };
        let owned = owned.unwrap_or_else(|error| {
            go_on(Err(error));
            Vec::new()
        });
        for (address, _) in owned.into_iter().filter(|(_, owner)| owner == container) {
            let withdrawn = driver.firewall.withdraw(address);
            go_on(withdrawn.map_err(failed("withdraw the ports of", &address.to_string())));
            go_on(leases.give_back(address, container).map(drop).map_err(address_error(network)));
        }
    }
    first
}

pub(super) fn address_error(network: &NetworkSpec) -> impl Fn(LeaseError) -> Error + use<> {
    let network = network.name.clone();
    move |source| Error::Address { network: network.clone(), source }
}

fn lease(driver: &BridgeDriver, network: &NetworkSpec, wanted: &EndpointSpec) -> Result<Vec<Prefix>> {
    let homeless = |address: &&IpAddr| !network.subnets.iter().any(|subnet| subnet.contains(**address));
    if let Some(address) = wanted.addresses.iter().find(homeless) {
        let all: Vec<_> = network.subnets.iter().map(ToString::to_string).collect();
        return Err(Error::Invalid {
            network: network.name.clone(),
            what: format!("the address {address}"),
            problem: format!("is not in it: it has {}", all.join(" and ")).into(),
        });
    }
    network
        .subnets
        .iter()
        .map(|subnet| {
            let own = wanted.addresses.iter().copied().find(|address| subnet.contains(*address));
            let taken =
                driver.leases(network, *subnet).take(&plan::range(network, *subnet), own, &wanted.container);
            let address = taken.map_err(address_error(network))?;
            Ok(Prefix { address, length: subnet.length })
        })
        .collect()
}

/// Makes the pair of links; gives the name of the host's end.
fn connect(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    netns: BorrowedFd<'_>,
    mac: [u8; 6],
) -> Result<String> {
    let failed = |operation, object: &str| kernel(&network.name, operation, object);
    let mut links = Links::here().map_err(failed("talk to the kernel about", "links"))?;
    let bridge = bridge(driver, network, &mut links)?;
    driver
        .forwarding()
        .open_way_out(&mut links, network)
        .map_err(failed("forward packets of", &bridge.name))?;
    let name = driver.names.port(&network.name, &wanted.container);
    let veth = Veth {
        name: &name,
        bridge: bridge.index,
        hairpin: !wanted.ports.is_empty(),
        mtu: network.mtu.unwrap_or(MTU),
        peer: interface(wanted),
        mac,
        netns,
    };
    links.make_veth(&veth).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::XFULL) => Error::Full { network: network.name.clone(), bridge: bridge.name.clone() },
        _ => failed("make link", &name)(error),
    })?;
    Ok(name)
}

/// The network's bridge, which a restart of the machine may have taken away.
fn bridge(driver: &BridgeDriver, network: &NetworkSpec, links: &mut Links) -> Result<Link> {
    let name = driver.names.bridge(&network.name);
    let failed = |operation| kernel(&network.name, operation, &name);
    if let Some(bridge) = links.find(&name).map_err(failed("find bridge"))? {
        return Ok(bridge);
    }
    match driver.make(links, network) {
        // Somebody else was faster.
        Err(Error::Kernel { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
        result => result?,
    }
    let bridge = links.find(&name).map_err(failed("find bridge"))?;
    bridge.ok_or_else(|| failed("find bridge")(io::ErrorKind::NotFound.into()))
}

/// The container's end: addresses, switched on, and the way out.
fn set_up(
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    netns: BorrowedFd<'_>,
    addresses: Vec<Prefix>,
    mac: [u8; 6],
    host_link: String,
) -> Result<Interface> {
    let name = interface(wanted);
    let failed = |operation, object: &str| kernel(&network.name, operation, object);
    let mut links = Links::of(netns).map_err(failed("enter", "the container's network namespace"))?;
    let link = links.find(name).map_err(failed("find the container's link", name))?;
    let link =
        link.ok_or_else(|| failed("find the container's link", name)(io::ErrorKind::NotFound.into()))?;
    for address in &addresses {
        links
            .add_address(link.index, *address)
            .map_err(failed("give the container the address", &address.to_string()))?;
    }
    links.switch_on(link.index).map_err(failed("switch on the container's link", name))?;
    let mut gateways = Vec::new();
    if wanted.gateway && !network.internal {
        for gateway in plan::gateways(network) {
            links
                .add_default_route(link.index, gateway.address)
                .map_err(failed("make the default route through", &gateway.address.to_string()))?;
            gateways.push(gateway.address);
        }
    }
    Ok(Interface { name: name.to_owned(), host_link: Some(host_link), mac, addresses, gateways })
}

/// Makes the container known to the others, and finds it somebody to ask. Where another program of the host is asked at the
/// gateway's port, there is nobody: that keeps no container from running.
fn name(
    driver: &BridgeDriver,
    network: &NetworkSpec,
    wanted: &EndpointSpec,
    addresses: &[Prefix],
) -> Result<(Vec<IpAddr>, Option<PathBuf>)> {
    let Some(service) = &driver.name_service else { return Ok((Vec::new(), None)) };
    let server = driver.name_server(network);
    let failed = |operation| kernel(&network.name, operation, "the names of its containers");
    let entry = Entry {
        addresses: addresses.iter().map(|address| address.address).collect(),
        names: wanted.names.clone(),
    };
    // Before anybody is asked to serve it: one who serves nobody ends.
    let file = entry.write(&server.folder, &wanted.container).map_err(failed("write"))?;
    let served = service.serve(&server).map_err(failed("serve"))?;
    let servers = server.listen.iter().filter(|_| served).map(|address| address.ip()).collect();
    Ok((servers, Some(file)))
}

fn interface(wanted: &EndpointSpec) -> &str {
    if wanted.interface.is_empty() { INTERFACE } else { &wanted.interface }
}
